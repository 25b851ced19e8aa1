"""A disk in memory that does only what a disk promises: it loses what was not synced, tears what it
was writing, and fails when told to. Implements sorter.ledger.disk.Disk.

Programs do not see time here: every operation that changes something is one step, and faults are
set by the number of the step. Equal seeds and equal calls give equal disks.
"""

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorter.ledger.disk import Locked

SECTOR = 512


class PowerCut(Exception):
    """The machine is off. Call FaultyDisk.power_on()."""


@dataclass
class Content:
    """What programs read of a file now, what is on the medium, and the writes in between."""

    now: bytearray = field(default_factory=bytearray)
    medium: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)


class FaultyDisk:
    """See the module. `cut_at`: the step in which the power goes; `fail_at`: step -> errno."""

    def __init__(self, seed: int = 0, *, capacity: int = 1 << 40) -> None:
        self.chance = random.Random(seed)
        self.capacity = capacity  # bytes over all files
        self.step = 0
        self.cut_at = -1
        self.fail_at: dict[int, int] = {}
        self.short_at: set[int] = set()  # steps whose write takes only a part
        self.off = False
        self.now: dict[Path, Content] = {}
        self.names_on_medium: dict[Path, Content] = {}
        self.renamings: list[dict[Path, Content]] = []  # directory states since the last sync_folder
        self.handles: dict[int, Content] = {}
        self.locks: dict[int, tuple[Path, str]] = {}
        self.next_handle = 100

    def kill(self) -> None:
        """End of the process, however it came: handles and locks go, what was written stays readable."""
        self.handles.clear()
        self.locks.clear()

    def power_on(self) -> None:
        """After a cut: the medium holds what was synced, and of the rest whatever chance kept."""
        self.kill()
        kept = self.chance.randint(0, len(self.renamings))
        names = [self.names_on_medium, *self.renamings][kept]
        for content in names.values():
            for offset, data in content.pending:
                self._keep_some(content.medium, offset, data)
            content.pending.clear()
            content.now = bytearray(content.medium)
        self.now, self.names_on_medium, self.renamings = dict(names), dict(names), []
        self.off, self.cut_at = False, -1

    def _keep_some(self, medium: bytearray, offset: int, data: bytes) -> None:
        """Sectors reach the medium in any order or not at all; the last one may be torn at any byte."""
        mode = self.chance.choice(["none", "all", "front", "any"])
        if mode == "front":
            data = data[: self.chance.randint(0, len(data))]
        for at in range(0, len(data), SECTOR):
            if mode in {"all", "front"} or (mode == "any" and self.chance.random() < 0.5):
                put(medium, offset + at, data[at : at + SECTOR])

    def _tick(self) -> int:
        """One step more. Returns its number, or cuts the power, or fails as planned."""
        if self.off:
            raise PowerCut
        self.step += 1
        if self.step == self.cut_at:
            self.off = True
            raise PowerCut
        if code := self.fail_at.get(self.step):
            raise OSError(code, os.strerror(code))
        return self.step

    def _changed_names(self) -> None:
        self.renamings.append(dict(self.now))

    def _handle(self, content: Content) -> int:
        self.next_handle += 1
        self.handles[self.next_handle] = content
        return self.next_handle

    def lock(self, path: Path, owner: str) -> int:
        if self.off:
            raise PowerCut
        for held, holder in self.locks.values():
            if held == path:
                raise Locked(holder)
        self.next_handle += 1
        self.locks[self.next_handle] = (path, owner)
        return self.next_handle

    def names(self, folder: Path) -> list[str]:
        if self.off:
            raise PowerCut
        return [path.name for path in self.now if path.parent == folder]

    def create(self, path: Path) -> int:
        self._tick()
        if path in self.now:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self.now[path] = Content()
        self._changed_names()
        return self._handle(self.now[path])

    def open(self, path: Path, *, write: bool) -> int:
        del write  # the journal writes only where it said so
        if self.off:
            raise PowerCut
        if path not in self.now:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return self._handle(self.now[path])

    def close(self, handle: int) -> None:
        self.handles.pop(handle, None)
        self.locks.pop(handle, None)

    def size(self, handle: int) -> int:
        return len(self.handles[handle].now)

    def preallocate(self, handle: int, size: int) -> None:
        self._tick()
        used = sum(len(content.now) for content in self.now.values())
        if used + size > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        content = self.handles[handle]
        grown = bytes(size - len(content.now))
        content.pending.append((len(content.now), grown))
        put(content.now, len(content.now), grown)

    def pwritev(self, handle: int, buffers: Sequence[Any], offset: int) -> int:
        data = b"".join(memoryview(buffer).tobytes() for buffer in buffers)
        content = self.handles.get(handle)
        try:
            step = self._tick()
        except PowerCut:
            if content is not None:
                content.pending.append((offset, data))
            raise
        except OSError:
            put(content.now, offset, data[: len(data) // 2])  # type: ignore[union-attr] # a failing handle is open
            content.pending.append((offset, data[: len(data) // 2]))  # type: ignore[union-attr] # as above
            raise
        assert content is not None, "a write to a closed handle"
        if step in self.short_at:
            data = data[: self.chance.randint(1, len(data) - 1)]
        put(content.now, offset, data)
        content.pending.append((offset, data))
        return len(data)

    def pread(self, handle: int, size: int, offset: int) -> bytearray:
        if self.off:
            raise PowerCut
        return bytearray(self.handles[handle].now[offset : offset + size])

    def fdatasync(self, handle: int) -> None:
        content = self.handles.get(handle)
        try:
            self._tick()
        except OSError:
            # As Linux does it: the pages count as clean, are read as written, and never reach the medium.
            assert content is not None
            content.pending.clear()
            raise
        assert content is not None, "a sync of a closed handle"
        for offset, data in content.pending:
            put(content.medium, offset, data)
        content.pending.clear()

    def rename(self, old: Path, new: Path) -> None:
        self._tick()
        self.now[new] = self.now.pop(old)
        self._changed_names()

    def remove(self, path: Path) -> None:
        self._tick()
        del self.now[path]
        self._changed_names()

    def sync_folder(self, folder: Path) -> None:
        self._tick()
        assert any(path.parent == folder for path in self.now)
        self.names_on_medium, self.renamings = dict(self.now), []


def put(file: bytearray, offset: int, data: bytes) -> None:
    """Write into a file that grows with zeros."""
    if len(file) < offset + len(data):
        file.extend(bytes(offset + len(data) - len(file)))
    file[offset : offset + len(data)] = data
