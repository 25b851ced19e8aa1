"""What the faces of all dialects share: the program behind one is asked as of now, and each time is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from plc_adapter.emulator import address
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.settings import Plc

Settings = TypeVar("Settings", bound=Plc)


class NetworkFace(Generic[Settings]):
    """One line's PLC at the address that site.toml gives for it. A dialect listens there, and understands."""

    def __init__(self, program: PlcProgram, settings: Settings, now_ns: Callable[[], int]) -> None:
        self.requests = 0  # that reached the mailbox
        self._program = program
        self._settings = settings
        self._now_ns = now_ns

    def _read(self) -> bytes:
        """The PLC's block at this moment."""
        self.requests += 1
        return self._program.read(self._now_ns(), time.monotonic_ns())

    def _write(self, block: bytes) -> None:
        """The host has written its block just now."""
        self.requests += 1
        self._program.write(block, self._now_ns(), time.monotonic_ns())

    def _refused(self) -> OSError:
        """What to raise when nobody can listen at the address."""
        host, port = self._settings.host, self._settings.port
        return address.refused(f"plc.{self._program.plant.belt.name}", host, port, address.reason(host, port))
