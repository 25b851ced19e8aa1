"""An address where the emulator cannot listen is told with its section of site.toml, why, and what to write."""

from __future__ import annotations

import errno
import socket
from contextlib import closing


def refused(section: str, host: str, port: int, why: OSError) -> OSError:
    """What to raise when `section`, such as plc.L1, names an address where nobody can listen."""
    return OSError(f"[{section}] {_words(host, port, why)}")


def reason(host: str, port: int) -> OSError:
    """Why nobody can listen at an address, for a library that does not tell; EADDRINUSE when it is free by now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, kind, protocol)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return error
    return OSError(errno.EADDRINUSE, "it was in use a moment ago")


def _words(host: str, port: int, why: OSError) -> str:
    if isinstance(why, socket.gaierror):
        return f'{host} is no address that this machine knows ({why.strerror}); for emulate write host = "127.0.0.1"'
    if why.errno == errno.EADDRNOTAVAIL:
        return f'{host} is no address of this machine; for emulate write host = "127.0.0.1"'
    if why.errno == errno.EACCES:
        return f"port {port} may be listened at by root only; for emulate write port = {port + 10_000}"
    if why.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use, perhaps by another emulator; stop that, or write a port that is free"
    return f"{host}:{port} cannot be listened at ({why.strerror or why}); write another host or port"
