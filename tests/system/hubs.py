"""A hub of real processes on free ports, in a folder of its own."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from sorter.init import make_site
from sorter.site import load
from sorter.wire.client import Client
from sorter.wire.control import Control, NoAnswer, Unreachable

BIN = Path(sys.executable).parent
READY_S = 120.0
LISTENING_PORTS = range(10_240, 32_768)  # the system gives outgoing connections higher ones

_CHANCE = random.SystemRandom()  # whatever a test seeds


class Hub:
    """One site and its daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "hub"
        make_site(self.folder, str(BIN / "sorter"))
        settings = self.folder / "site.toml"
        text = settings.read_text(encoding="utf-8")
        free = {port: str(free_port()) for port in ("5570", "5571", "5572")}
        text = re.sub("|".join(free), lambda found: free[found[0]], text)
        settings.write_text(text, encoding="utf-8")
        self.daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen([BIN / "sorter", "run", "--site", self.folder], stderr=log)
        self.until_ready(self.daemon)

    def until_ready(self, daemon: subprocess.Popen[bytes]) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            assert daemon.poll() is None, self.log()
            try:
                self.order("status")
            except (Unreachable, NoAnswer):
                continue
            return
        raise AssertionError(self.log())

    def kill(self) -> None:
        assert self.daemon
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()

    def stop(self) -> None:
        assert self.daemon
        self.daemon.terminate()
        assert self.daemon.wait(60) == 0, self.log()

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(encoding="utf-8")

    def order(self, verb: str, **args: Any) -> Any:
        with closing(Control(load(self.folder).wire.control, timeout_s=2.0)) as control:
            return control.call(verb, **args)

    def client(self, role: Any, name: str, line: str = "L1") -> Client:
        return Client(load(self.folder).wire.devices, role=role, client=name, line=line)

    def command(self, *arguments: str | Path, code: int = 0) -> Any:
        """What `sorter ARGUMENTS --site … --json` prints, checked for its exit code."""
        done = subprocess.run(
            [BIN / "sorter", *arguments, "--site", self.folder, "--json"],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"USER": "tester"},
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many different ones, none of which an outgoing connection may be given before it is used."""
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        while len(listeners) < count:
            with suppress(OSError):  # in use: another one
                address = ("127.0.0.1", _CHANCE.choice(LISTENING_PORTS))
                listeners.append(stack.enter_context(socket.create_server(address)))
        return [int(listener.getsockname()[1]) for listener in listeners]
