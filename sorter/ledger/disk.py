"""All the ledger asks of a disk, so small that a simulation can fake it and then fail, tear and forget."""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

Buffer = Any  # whatever has the buffer protocol; numpy's types tell so only from Python 3.12


class Locked(Exception):
    """Another process writes here."""


class Disk(Protocol):
    """Files by handle, folders by path. Errors are those of the operating system: OSError."""

    def lock(self, path: Path, owner: str) -> int:
        """Hold `path` for `owner` until the handle is closed, making its folder. Raises Locked, naming who holds it."""

    def names(self, folder: Path) -> list[str]:
        """The files of a folder."""

    def create(self, path: Path) -> int:
        """A new empty file to write. It is sure to be found again after sync_folder."""

    def open(self, path: Path, *, write: bool) -> int:
        """An existing file."""

    def close(self, handle: int) -> None:
        """Give a handle back; a lock too."""

    def size(self, handle: int) -> int:
        """Bytes of the file."""

    def preallocate(self, handle: int, size: int) -> None:
        """Make the file `size` bytes of zero that are the file's own. Raises OSError(ENOSPC) before it is used."""

    def pwritev(self, handle: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Write the buffers one after the other at `offset`; returns how many bytes were taken, perhaps fewer."""

    def pread(self, handle: int, size: int, offset: int) -> bytearray:
        """Up to `size` bytes at `offset`; fewer at the end of the file."""

    def fdatasync(self, handle: int) -> None:
        """Return when all that was written is on the medium. An OSError is final: what was written may be gone."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name, all at once."""

    def remove(self, path: Path) -> None:
        """Take a file out of its folder."""

    def sync_folder(self, folder: Path) -> None:
        """Return when created, renamed and removed names are on the medium."""


class RealDisk:
    """The disk of this machine."""

    def lock(self, path: Path, owner: str) -> int:
        """See Disk. The lock is flock's: it ends with the process, however that ends."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            os.close(handle)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise Locked(holder or "a process that has not given its name yet") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{owner}, pid {os.getpid()}\n".encode(), 0)
        return handle

    def names(self, folder: Path) -> list[str]:
        """See Disk."""
        return [entry.name for entry in folder.iterdir()]

    def create(self, path: Path) -> int:
        """See Disk."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)

    def open(self, path: Path, *, write: bool) -> int:
        """See Disk."""
        return os.open(path, os.O_RDWR if write else os.O_RDONLY)

    def close(self, handle: int) -> None:
        """See Disk."""
        os.close(handle)

    def size(self, handle: int) -> int:
        """See Disk."""
        return os.fstat(handle).st_size

    def preallocate(self, handle: int, size: int) -> None:
        """See Disk."""
        os.posix_fallocate(handle, 0, size)

    def pwritev(self, handle: int, buffers: Sequence[Buffer], offset: int) -> int:
        """See Disk."""
        return os.pwritev(handle, buffers, offset)

    def pread(self, handle: int, size: int, offset: int) -> bytearray:
        """See Disk."""
        data = bytearray(size)
        taken = 0
        while taken < size:
            got = os.preadv(handle, [memoryview(data)[taken:]], offset + taken)
            if got == 0:
                return data[:taken]
            taken += got
        return data

    def fdatasync(self, handle: int) -> None:
        """See Disk."""
        os.fdatasync(handle)

    def rename(self, old: Path, new: Path) -> None:
        """See Disk."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """See Disk."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """See Disk."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


REAL = RealDisk()
