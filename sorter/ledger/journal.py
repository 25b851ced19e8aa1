"""The truth: what happened and what was decided, appended and on disk before anything is sent.

One writer, one thread. Whatever is wrong with the disk stops the writing by name: a journal is
either whole up to its last record or refused.
"""

import errno
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from sorter import limits
from sorter.ledger.disk import REAL, Buffer, Disk, Locked
from sorter.ledger.segments import (
    CHAINED_AT,
    HEAD,
    HEADER,
    HEADER_CHAINED,
    RECORD_MAGIC,
    BatchRecord,
    Damaged,
    JournalError,
    PlanRecord,
    Position,
    Record,
    RecordKind,
    Segment,
    after,
    body_bytes,
    follow,
    head_bytes,
    padded,
    read,
    segment_numbers,
    segment_path,
)
from sorter.records import DECISION, EVENT, Batch, Rows

__all__ = [
    "BatchRecord",
    "Broken",
    "Cut",
    "Damaged",
    "DiskFull",
    "InUse",
    "Journal",
    "JournalError",
    "PlanRecord",
    "Position",
    "Record",
    "follow",
    "read",
]

BATCH_RECORD_BYTES: Final = padded(
    HEADER.size + body_bytes(limits.BATCH_EVENTS_MAX, limits.BATCH_CODES_MAX, limits.BATCH_DECISIONS_MAX)
)
LOCK_NAME: Final = "journal.lock"
_ZEROS: Final = bytes(1 << 20)
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


class InUse(JournalError):
    """Another process writes this journal."""


class DiskFull(JournalError):
    """There is no room; nothing of this record was kept and the journal is whole."""


class Broken(JournalError):
    """A write or sync failed: what is on disk is unknown until the journal is opened anew."""


class Cut(NamedTuple):
    """A tail that a crash tore, and that opening removed."""

    path: Path
    offset: int
    bytes: int


class Journal:
    """The open journal. Every method but close raises Broken after a failed write or sync."""

    def __init__(self, folder: Path, disk: Disk, segment_bytes: int, lock: int) -> None:
        self.folder, self.disk, self.segment_bytes = folder, disk, segment_bytes
        self.cut: Cut | None = None  # what opening removed
        self._lock = lock
        self._owner = threading.get_ident()
        self._handle = -1
        self._size = 0
        self._at = Position(0, 0, 0, 0)
        self._synced_at = 0
        self._broken: OSError | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        disk: Disk = REAL,
        *,
        segment_bytes: int = limits.SEGMENT_BYTES,
        owner: str = "sorter",
    ) -> Self:
        """Lock the folder, check every record, cut a torn tail, and stand at the end; a new folder gets its first file.

        Raises InUse, Damaged, DiskFull, Broken.
        """
        try:
            lock = disk.lock(folder / LOCK_NAME, owner)
        except Locked as holder:
            raise InUse(
                f"{folder} is already written by {holder}. One daemon writes a ledger: stop that one first, or give "
                f"this one another ledger folder"
            ) from None
        journal = cls(folder, disk, segment_bytes, lock)
        try:
            journal._open()
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def next_seq(self) -> int:
        """Events in the journal; the number of the next one."""
        return self._at.seq

    @property
    def position(self) -> Position:
        """Where the next record goes."""
        return self._at

    def append_batch(self, first_seq: int, batch: Batch, decisions: Rows) -> None:
        """Write a batch and its decisions behind the last record. It is on disk only after sync().

        batch.events EVENT[n ≥ 1], batch.codes uint8[m, 32], decisions DECISION[k], all contiguous;
        `first_seq` must be next_seq. Raises ValueError, DiskFull, Broken.
        """
        events, codes = batch
        if first_seq != self._at.seq:
            raise ValueError(f"a batch of first event {first_seq} does not follow event {self._at.seq - 1}")
        if not len(events) or events.dtype != EVENT or decisions.dtype != DECISION or codes.shape[1:] != (32,):
            raise ValueError("a batch needs EVENT rows (one at least), codes of 32 bytes and DECISION rows")
        counts = (len(events), len(codes), len(decisions), 0)
        self._append(RecordKind.BATCH, 0, int(events["t_ns"][0]), counts, (events, codes, decisions))

    def append_plan(self, number: int, data: bytes) -> None:
        """Write a plan (records.plan_to_bytes) that the PLAN event of a coming batch puts in force.

        Raises ValueError, DiskFull, Broken.
        """
        if len(data) > limits.PLAN_BYTES_MAX:
            raise ValueError(f"the plan has {len(data)} bytes; a record holds {limits.PLAN_BYTES_MAX}")
        self._append(RecordKind.PLAN, number, 0, (0, 0, 0, len(data)), (data,))

    def sync(self) -> None:
        """Return when all that was appended is on disk. Raises Broken: nothing may be sent or acknowledged then."""
        self._check()
        if self._synced_at == self._at.offset:
            return
        try:
            self.disk.fdatasync(self._handle)
        except OSError as error:
            raise self._broke(error, "could not be synced") from error
        self._synced_at = self._at.offset

    def reserve(self, record_bytes: int = BATCH_RECORD_BYTES) -> None:
        """Make sure that a record of this size fits, the largest batch by default; begin a segment if it does not.

        Called before events are taken, so that a full disk refuses them instead of losing them.
        Raises DiskFull, Broken.
        """
        self._check()
        if self._at.offset + min(record_bytes, self.segment_bytes - HEAD.size) > self._size:
            self._rotate()

    def close(self) -> None:
        """Give up the files and the folder. What was appended since the last sync may be lost."""
        if self._handle >= 0:
            self.disk.close(self._handle)
        if self._lock >= 0:
            self.disk.close(self._lock)
        self._handle = self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(
        self, kind: int, number: int, t_ns: int, counts: tuple[int, int, int, int], parts: Sequence[Buffer]
    ) -> None:
        self._check()
        used = HEADER.size + body_bytes(*counts[:3]) + counts[3]
        length = padded(used)
        if length > min(limits.RECORD_BYTES_MAX, self.segment_bytes - HEAD.size):
            raise ValueError(f"a record of {length} bytes is larger than a segment or limits.RECORD_BYTES_MAX")
        if self._at.offset + length > self._size:
            self._rotate()
        at = self._at
        chained = HEADER_CHAINED.pack(length, at.seq, t_ns, self._synced_at, kind, number, *counts)
        crc = zlib.crc32(chained, at.crc)
        for part in parts:
            crc = zlib.crc32(part, crc)
        if length != used:
            parts = (*parts, _ZEROS[: length - used])
            crc = zlib.crc32(parts[-1], crc)
        start = RECORD_MAGIC | crc << 32 | at.crc << 64
        self._write([start.to_bytes(CHAINED_AT, "little") + chained, *parts], length)
        self._at = Position(at.segment, at.offset + length, crc, at.seq + counts[0])

    def _write(self, parts: Sequence[Buffer], length: int) -> None:
        try:
            taken = self.disk.pwritev(self._handle, parts, self._at.offset)
            if taken < length:
                self._write_rest(parts, taken)
        except OSError as error:
            if error.errno in _FULL:  # what was written of it is overwritten by the next record, or cut when opened
                raise self._full(error) from error
            raise self._broke(error, "could not be written") from error

    def _write_rest(self, parts: Sequence[Buffer], taken: int) -> None:
        """A write may be cut short, and says so only by its count."""
        rest = memoryview(b"".join(bytes(part) for part in parts))
        while taken < len(rest):
            got = self.disk.pwritev(self._handle, [rest[taken:]], self._at.offset + taken)
            if got <= 0:
                raise OSError(errno.ENOSPC, "the disk takes no more bytes")
            taken += got

    def _rotate(self) -> None:
        """Go on in a new segment. Its name appears only when it is whole."""
        self.sync()
        number = self._at.segment + 1
        path = segment_path(self.folder, number)
        unfinished = path.with_suffix(".new")
        handle = self._prepare(unfinished, head_bytes(number, self._at.crc, self._at.seq))
        try:
            self.disk.rename(unfinished, path)
            self.disk.sync_folder(self.folder)
        except OSError as error:
            self.disk.close(handle)
            raise self._broke(error, "could not begin a new segment") from error
        if self._handle >= 0:
            self.disk.close(self._handle)
        self._handle, self._size = handle, self.segment_bytes
        self._at = self._at._replace(segment=number, offset=HEAD.size)
        self._synced_at = HEAD.size

    def _prepare(self, path: Path, head: bytes) -> int:
        """A file with all its room and its head on disk, or DiskFull and no file."""
        handle = -1
        try:
            handle = self.disk.create(path)
            self.disk.preallocate(handle, self.segment_bytes)
            if self.disk.pwritev(handle, [head], 0) == len(head):
                self.disk.fdatasync(handle)
                return handle
            error = OSError(errno.ENOSPC, "the disk takes no more bytes")
        except OSError as failure:
            error = failure
        if handle >= 0:
            self.disk.close(handle)
        if error.errno not in _FULL:
            raise self._broke(error, "could not begin a new segment") from error
        self._remove_unfinished()
        raise self._full(error) from error

    def _remove_unfinished(self) -> None:
        try:
            for name in self.disk.names(self.folder):
                if name.startswith("journal-") and name.endswith(".new"):
                    self.disk.remove(self.folder / name)
        except OSError as error:
            raise self._broke(error, "has an unfinished successor that could not be removed") from error

    def _open(self) -> None:
        self._remove_unfinished()
        numbers = segment_numbers(self.folder, self.disk)
        if not numbers:
            self._rotate()
            return
        if numbers[0] != 1:
            raise Damaged(segment_path(self.folder, 1), 0, "the journal's first segment is missing")
        at, last = self._check_all(numbers)
        self._handle = self.disk.open(segment_path(self.folder, at.segment), write=True)
        self._size = self.disk.size(self._handle)
        self._at = at
        try:
            self._settle(last)
        except OSError as error:
            raise self._broke(error, "could not be made ready") from error

    def _check_all(self, numbers: list[int]) -> tuple[Position, int]:
        """Walk every record; returns the journal's end and where its last unsynced writes may begin."""
        at = Position(1, HEAD.size, 0, 0)
        last = HEAD.size
        for number in numbers:
            segment = Segment(self.disk, self.folder, number)
            try:
                if (segment.previous, segment.seq) != (at.crc, at.seq):
                    path = segment_path(self.folder, at.segment)
                    raise Damaged(path, at.offset, f"records up to event {segment.seq - 1} are missing or damaged")
                at, last = segment.start, HEAD.size
                while found := segment.next(at):
                    at, last = after(at, found.header), found.header.synced_at
                if number == numbers[-1]:
                    segment.check_torn(at, segment.size)
            finally:
                segment.close()
        return at, last

    def _settle(self, last: int) -> None:
        """Cut a torn tail, and put what the last writer may not have synced on disk.

        What it could not sync is written once more: after a failed sync the system may take
        pages for clean that never reached the disk.
        """
        tail = self.disk.pread(self._handle, self._size - self._at.offset, self._at.offset)
        used = len(tail.rstrip(b"\0"))
        if used:
            self.cut = Cut(segment_path(self.folder, self._at.segment), self._at.offset, used)
            self._zero(self._at.offset, used)
        again = self.disk.pread(self._handle, self._at.offset - last, last)
        if again and self.disk.pwritev(self._handle, [again], last) != len(again):
            raise OSError(errno.EIO, "the last records could not be written again")
        self.disk.fdatasync(self._handle)
        self._synced_at = self._at.offset

    def _zero(self, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            taken = self.disk.pwritev(self._handle, [memoryview(_ZEROS)[: end - offset]], offset)
            if taken <= 0:
                raise OSError(errno.EIO, "zeros were not taken")
            offset += taken

    def _check(self) -> None:
        if threading.get_ident() != self._owner:
            raise RuntimeError(f"the journal belongs to one thread; {threading.current_thread().name} called it")
        if self._broken is not None:
            raise self._broke(self._broken, "failed before") from self._broken
        if self._lock < 0:
            raise ValueError("the journal is closed")

    def _broke(self, error: OSError, what: str) -> Broken:
        self._broken = error
        path = segment_path(self.folder, max(self._at.segment, 1))
        return Broken(
            f"{path} at byte {self._at.offset} {what}: {error}. What is on disk is not known any more, so nothing more "
            f"is written or acknowledged. Look at the disk (dmesg, smartctl), then start again: the start checks all"
        )

    def _full(self, error: OSError) -> DiskFull:
        return DiskFull(
            f"the disk of {self.folder} has no room for event {self._at.seq} and later: {error}. The journal is whole. "
            f"Free at least {self.segment_bytes >> 20} MiB there, then go on"
        )
