"""Who may connect, and as what: CURVE keys in a folder, one file each, looked at again all the time.

`NAME.key` holds the public half and the role; deleting it shuts its owner out within a second,
also on a connection that stands. Whatever fails here admits nobody.
"""

import json
import logging
import os
import re
import threading
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

import zmq
from zmq.utils import z85

from sorter import limits
from sorter.records import Role
from sorter.wire.frames import Refuse

SERVER: Final = "server"
_LOOK_MS: Final = 250  # how often the folder is looked at
_NAME: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{limits.NAME_TEXT_MAX}}}")
_LOCAL: Final = re.compile(r"(ipc|inproc)://.+|tcp://(127(\.\d{1,3}){3}|localhost|\[::1\]):(\d+|\*)")
_ADMITS: Final = {
    "devices": frozenset({Role.SCANNER, Role.PLC}),
    "control": frozenset({Role.CONTROL}),
    "live": frozenset({Role.CONTROL}),
}
_LOG: Final = logging.getLogger(__name__)


class Key(NamedTuple):
    """One device's or person's key: the public half and what it may be used for."""

    name: str
    role: Role
    line: str  # the only line it may speak for; empty: any
    public: bytes  # Z85, 40 characters


class Secret(NamedTuple):
    """What one side needs to speak: its own pair and, on a device, the daemon's public half."""

    public: bytes
    secret: bytes
    server: bytes


class NoKeys(ValueError):
    """An address that others can reach and no keys to tell them apart: nothing is bound."""


def is_local(address: str) -> bool:
    """Whether a ZeroMQ address can be reached from this machine alone."""
    return _LOCAL.fullmatch(address) is not None


def check_address(name: str, address: str, folder: Path | None) -> None:
    """Raise NoKeys when `address` can be reached from other machines and there is no folder of keys."""
    if folder is None and not is_local(address):
        raise NoKeys(
            f'the {name} address "{address}" can be reached from other machines, so keys are required; '
            "name a folder of keys in site.toml under [wire], or use 127.0.0.1"
        )


def create_server(folder: Path) -> Path:
    """Make the daemon's own pair, unless there is one; returns the file of its secret half."""
    path = folder / f"{SERVER}.secret"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        public, secret = zmq.curve_keypair()
        _write(path, "The daemon's own key. It never leaves this machine.", public=public, secret=secret)
    return path


def create(folder: Path, name: str, role: Role, line: str = "") -> Path:
    """Make a pair for a device or person: NAME.key stays here, the NAME.secret returned is to be moved to them.

    Raises ValueError for a name that is no file name, FileExistsError when the name is taken.
    """
    if not _NAME.fullmatch(name) or name == SERVER:
        raise ValueError(f'"{name}" cannot name a key; use up to {limits.NAME_TEXT_MAX} of A-Z a-z 0-9 . _ -')
    server = load_secret(create_server(folder))
    public, secret = zmq.curve_keypair()
    path = folder / f"{name}.secret"
    _write(
        path, f"The key of {name}. Move this file to its device.", public=public, secret=secret, server=server.public
    )
    note = f"{name} may speak as {role.name.lower()}. Delete this file to shut it out."
    _write(folder / f"{name}.key", note, role=role.name.lower().encode(), line=line.encode(), public=public)
    return path


def load_secret(path: Path) -> Secret:
    """The pair in a .secret file. Raises ValueError when it is none, OSError when it cannot be read."""
    fields = _read(path)
    return Secret(_z85(path, fields, "public"), _z85(path, fields, "secret"), fields.get(SERVER, "").encode())


def load_key(path: Path) -> Key:
    """The public half in a .key file. Raises ValueError when it is none, OSError when it cannot be read."""
    fields = _read(path)
    role = str(fields.get("role", "")).upper()
    if role not in Role.__members__:
        raise ValueError(f'{path}: role "{fields.get("role", "")}" is not one of scanner, plc, control')
    return Key(path.stem, Role[role], str(fields.get("line", "")), _z85(path, fields, "public"))


def allows(key: Key | None, role: Role, line: str = "") -> Refuse | None:
    """A refusal when `key` may not act as `role` on `line`; None: it may, or no keys are in use."""
    if key is None or (key.role == role and (not key.line or key.line == line)):
        return None
    own = f"{key.role.name.lower()}{f' on line {key.line}' if key.line else ''}"
    asked = f"{role.name.lower()}{f' on line {line}' if line else ''}"
    return Refuse(error="wrong_role", detail=f'the key "{key.name}" is for a {own}; it may not act as {asked}')


class Keys:
    """The folder of a running daemon, and the ZAP handler (rfc.zeromq.org/spec/27) of its context."""

    def __init__(self, folder: Path, context: zmq.Context[Any]) -> None:
        """Read the folder and admit from here on. Raises ValueError or OSError when a file of it is no key."""
        self.folder = folder
        self.server = load_secret(folder / f"{SERVER}.secret")
        self._seen = _signature(folder)
        self._by_public = {key.public: key for key in map(load_key, sorted(folder.glob("*.key")))}
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind("inproc://zeromq.zap.01")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="zap", daemon=True)
        self._thread.start()

    def find(self, user_id: str) -> Key | None:
        """The key of a connection's `User-Id` as the folder is now; None: revoked."""
        return self._by_public.get(user_id.encode())

    def close(self) -> None:
        """End the handler; nobody is admitted from here on."""
        self._ending.set()
        self._thread.join()

    def _serve(self) -> None:
        try:
            while not self._ending.is_set():
                if self._socket.poll(_LOOK_MS):
                    self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
                self._look()
        finally:
            self._by_public = {}
            self._socket.close()

    def _answer(self, request: list[bytes]) -> list[bytes]:
        version, request_id, domain, _address, _identity, mechanism, *credentials = request
        key = None
        if mechanism == b"CURVE" and len(credentials) == 1:
            key = self._by_public.get(z85.encode(credentials[0]))
        if key is not None and key.role in _ADMITS.get(domain.decode(), ()):
            return [version, request_id, b"200", b"OK", key.public, b""]
        _LOG.warning("refused a connection to %s: %s", domain.decode(), key.name if key else "its key is unknown")
        return [version, request_id, b"400", b"this key may not connect here", b"", b""]

    def _look(self) -> None:
        try:
            seen = _signature(self.folder)
        except OSError as error:
            if self._seen:
                _LOG.warning("the keys in %s cannot be read, so nobody is admitted: %s", self.folder, error)
            self._by_public, self._seen = {}, ()
            return
        if seen != self._seen:
            self._by_public = dict(self._load_again())
            self._seen = seen

    def _load_again(self) -> list[tuple[bytes, Key]]:
        pairs = []
        for path in sorted(self.folder.glob("*.key")):
            try:
                key = load_key(path)
            except (OSError, ValueError) as error:
                _LOG.warning("a key is left out: %s", error)
            else:
                pairs.append((key.public, key))
        return pairs


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    rows = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                stat = entry.stat()
            except FileNotFoundError:
                continue  # deleted just now, which is how a key is revoked
            if entry.name.endswith(".key"):
                rows.append((entry.name, stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(rows))


def _write(path: Path, note: str, **fields: bytes) -> None:
    lines = [f"# {note}", *(f"{name} = {json.dumps(value.decode())}" for name, value in fields.items())]
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, "\n".join([*lines, ""]).encode())
    finally:
        os.close(file)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a key file: {error}") from error


def _z85(path: Path, fields: dict[str, Any], name: str) -> bytes:
    text = str(fields.get(name, ""))
    try:
        whole = len(z85.decode(text)) == 32
    except (ValueError, KeyError):
        whole = False
    if not whole:
        raise ValueError(f"{path}: {name} is missing or is no key of 40 Z85 characters; make the pair anew")
    return text.encode()
