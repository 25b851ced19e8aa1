"""The journal's files and how they are read. A record is true when its CRC says so, and in its place
when it names the CRC of the record before it: whoever reads needs nothing but the files.

A segment `journal-00000001.seg` is preallocated and begins with a head of 64 bytes; records
follow without gaps, each a multiple of 64 bytes, and the rest is zero. All numbers are little-endian.

head    magic u32, format u32, segment u32, previous u32, seq u64, crc u32
record  magic u32, crc u32, previous u32, length u32, seq u64, t_ns i64, synced_at u32, kind u16,
        plan u16, events u32, codes u32, decisions u32, data u32, zeros to 64; then the raw rows of
        events, codes and decisions, or a plan's bytes; then zeros to a multiple of 64

`previous` is the CRC of the record before, and `crc` is the CRC-32 of all that follows `previous`,
seeded with it: a chain. `synced_at` is how far the segment was known to be on disk when the
record was written. So a bad record with a good one behind it that was written after it was
synced is damage; any other bad record is a tail that a crash tore, and was never acknowledged.
"""

import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.ledger.disk import REAL, Disk
from sorter.records import CODE, DECISION, EVENT, Batch, Rows

FORMAT: Final = 1
ALIGN: Final = 64
HEAD: Final = struct.Struct("<IIIIQI36x")
HEADER: Final = struct.Struct("<IIIIQqIHHIIII8x")
HEADER_CHAINED: Final = struct.Struct("<IQqIHHIIII8x")
HEAD_MAGIC: Final = 0xB5535548
RECORD_MAGIC: Final = 0xB5435245
CHAINED_AT: Final = 12

_POLL_REACH: Final = 1 << 16  # how far a poll looks behind a bad record; a start looks through all
_NAME: Final = re.compile(r"journal-(\d{8})\.seg")

assert HEAD.size == HEADER.size == ALIGN
assert HEADER_CHAINED.size == HEADER.size - CHAINED_AT
assert limits.SEGMENT_BYTES < 1 << 32


class JournalError(Exception):
    """Something is wrong with the journal; the text says what, where and what to do."""


class Damaged(JournalError):
    """A file of the journal is not as it was written."""

    def __init__(self, path: Path, offset: int, what: str) -> None:
        super().__init__(
            f"{path} at byte {offset}: {what}. Nothing was changed. Copy the folder {path.parent} aside, then restore "
            f"{path.name} from the latest backup and start again; records behind this byte cannot be trusted"
        )
        self.path, self.offset = path, offset


class RecordKind(IntEnum):
    """What a record holds. Stored in journals: never renumber."""

    BATCH = 1
    PLAN = 2


class Position(NamedTuple):
    """A place between two records."""

    segment: int  # number of the file; 0: before the first
    offset: int  # bytes into it
    crc: int  # of the record before
    seq: int  # events before


START: Final = Position(0, 0, 0, 0)


class BatchRecord(NamedTuple):
    """Events with the decisions that followed. The arrays belong to whoever reads them."""

    seq: int  # of the first event; the ledger's first is 0
    t_ns: int  # of the first event
    batch: Batch
    decisions: Rows  # DECISION[k]
    end: Position


class PlanRecord(NamedTuple):
    """A plan that a coming PLAN event puts in force."""

    seq: int  # of the next event
    number: int
    data: bytes  # records.plan_to_bytes
    end: Position


Record = BatchRecord | PlanRecord


class Header(NamedTuple):
    """The first 64 bytes of a record."""

    magic: int
    crc: int
    previous: int
    length: int
    seq: int
    t_ns: int
    synced_at: int
    kind: int
    number: int
    events: int
    codes: int
    decisions: int
    data: int


class Found(NamedTuple):
    """A record whose CRC is right."""

    header: Header
    body: bytearray


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"journal-{number:08d}.seg"


def segment_numbers(folder: Path, disk: Disk) -> list[int]:
    """The segments of a folder, ascending. Raises Damaged when one between two is missing."""
    matches = (_NAME.fullmatch(name) for name in disk.names(folder))
    numbers = sorted(int(match[1]) for match in matches if match)
    for before, after in itertools.pairwise(numbers):
        if after != before + 1:
            raise Damaged(segment_path(folder, before + 1), 0, "this segment is missing")
    return numbers


def padded(size: int) -> int:
    """`size` rounded up to whole units of ALIGN."""
    return -(-size // ALIGN) * ALIGN


def body_bytes(events: int, codes: int, decisions: int) -> int:
    """Bytes of a batch behind its header, without padding."""
    return events * EVENT.itemsize + codes * CODE.itemsize + decisions * DECISION.itemsize


def head_bytes(number: int, previous: int, seq: int) -> bytes:
    """The head of a segment."""
    plain = HEAD.pack(HEAD_MAGIC, FORMAT, number, previous, seq, 0)
    return HEAD.pack(HEAD_MAGIC, FORMAT, number, previous, seq, zlib.crc32(plain))


class Segment:
    """One file of the journal, open for reading. Raises Damaged when its head is wrong."""

    def __init__(self, disk: Disk, folder: Path, number: int) -> None:
        self.disk, self.number = disk, number
        self.path = segment_path(folder, number)
        self.handle = disk.open(self.path, write=False)
        try:
            self.size = disk.size(self.handle)
            self.previous, self.seq = self._head()
        except JournalError:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self.disk.close(self.handle)

    def _head(self) -> tuple[int, int]:
        data = bytes(self.disk.pread(self.handle, HEAD.size, 0))
        if len(data) < HEAD.size:
            raise Damaged(self.path, 0, f"the file has {len(data)} bytes, fewer than its head")
        magic, version, number, previous, seq, _ = HEAD.unpack(data)
        if magic == HEAD_MAGIC and version != FORMAT:
            raise JournalError(f"{self.path} has format {version}; this program reads format {FORMAT}. Use its version")
        if data != head_bytes(number, previous, seq) or number != self.number:
            raise Damaged(self.path, 0, "the segment's head is wrong")
        return previous, seq

    @property
    def start(self) -> Position:
        """The place of the first record."""
        return Position(self.number, HEAD.size, self.previous, self.seq)

    def record(self, offset: int) -> Found | None:
        """The record at `offset` if its CRC is right, whatever comes before it."""
        if offset + HEADER.size > self.size:
            return None
        raw = self.disk.pread(self.handle, HEADER.size, offset)
        header = Header._make(HEADER.unpack(raw))
        if header.magic != RECORD_MAGIC or not _plausible(header) or offset + header.length > self.size:
            return None
        body = self.disk.pread(self.handle, header.length - HEADER.size, offset + HEADER.size)
        crc = zlib.crc32(body, zlib.crc32(memoryview(raw)[CHAINED_AT:], header.previous))
        return Found(header, body) if crc == header.crc else None

    def next(self, at: Position) -> Found | None:
        """The record at `at`, None when none is there (yet). Raises Damaged when one was there."""
        found = self.record(at.offset)
        if found is None:
            return None
        if found.header.previous != at.crc or found.header.seq != at.seq:
            raise Damaged(self.path, at.offset, f"this record does not follow event {at.seq - 1}, the one before it")
        return found

    def check_torn(self, at: Position, reach: int) -> None:
        """Raise Damaged if a record at `at`, now unreadable, was on disk once: one within `reach` bytes says so."""
        rest = np.frombuffer(self.disk.pread(self.handle, min(reach, self.size - at.offset), at.offset), np.uint8)
        rows = rest[: len(rest) // ALIGN * ALIGN].reshape(-1, ALIGN)
        magic = np.frombuffer(RECORD_MAGIC.to_bytes(4, "little"), np.uint8)
        for row in np.flatnonzero((rows[:, :4] == magic).all(axis=1)):
            offset = at.offset + int(row) * ALIGN
            later = self.record(offset)
            # The record may have become whole while we looked: a writer is at work.
            if later and later.header.synced_at > at.offset and self.record(at.offset) is None:
                raise Damaged(self.path, at.offset, f"this record is damaged; it was on disk before byte {offset} was")


def _plausible(header: Header) -> bool:
    if header.kind == RecordKind.BATCH:
        used = body_bytes(header.events, header.codes, header.decisions)
    elif header.kind == RecordKind.PLAN:
        used = header.data
    else:
        return False
    return header.length == padded(HEADER.size + used) <= limits.RECORD_BYTES_MAX


def after(at: Position, header: Header) -> Position:
    """The place behind a record."""
    return Position(at.segment, at.offset + header.length, header.crc, at.seq + header.events)


def unpack(at: Position, found: Found) -> Record:
    """The record as its reader wants it."""
    header, body = found
    end = after(at, header)
    if header.kind == RecordKind.PLAN:
        return PlanRecord(header.seq, header.number, bytes(memoryview(body)[: header.data]), end)
    events = np.frombuffer(body, EVENT, header.events)
    codes_at = events.nbytes
    codes = np.frombuffer(body, np.uint8, header.codes * CODE.itemsize, codes_at).reshape(-1, CODE.itemsize)
    decisions = np.frombuffer(body, DECISION, header.decisions, codes_at + codes.nbytes)
    return BatchRecord(header.seq, header.t_ns, Batch(events, codes), decisions, end)


def follow(folder: Path, position: Position = START, *, disk: Disk = REAL) -> Iterator[Record | None]:
    """Every record from `position` on, without end; None each time there is no more for now.

    May run beside the writer, in another process. Raises Damaged.
    """
    return _records(folder, position, disk, _POLL_REACH)


def read(folder: Path, from_seq: int = 0, *, disk: Disk = REAL) -> Iterator[Record]:
    """The records that hold event `from_seq` and later, and plans from there on, up to what is written now.

    Raises Damaged. A tail that is torn, or being written right now, ends the reading.
    """
    for record in _records(folder, _segment_before(folder, from_seq, disk), disk, limits.SEGMENT_BYTES):
        if record is None:
            return
        if record.end.seq > from_seq or (record.seq >= from_seq and isinstance(record, PlanRecord)):
            yield record


def _records(folder: Path, position: Position, disk: Disk, reach: int) -> Iterator[Record | None]:
    while (first := _first_segment(folder, position, disk)) is None:
        yield None
    segment, at = first
    try:
        while True:
            if found := segment.next(at):
                yield unpack(at, found)
                at = after(at, found.header)
            elif newer := _successor(segment, at, folder):
                segment.close()
                segment, at = newer, newer.start
            elif segment.next(at) is None:
                segment.check_torn(at, reach)
                yield None
    finally:
        segment.close()


def _first_segment(folder: Path, position: Position, disk: Disk) -> tuple[Segment, Position] | None:
    if position.segment:
        return Segment(disk, folder, position.segment), position
    try:
        numbers = segment_numbers(folder, disk)
    except FileNotFoundError:
        return None
    if not numbers:
        return None
    segment = Segment(disk, folder, numbers[0])
    return segment, segment.start


def _successor(segment: Segment, at: Position, folder: Path) -> Segment | None:
    """The segment that begins where `at` ends, once the writer has gone on to it."""
    try:
        newer = Segment(segment.disk, folder, segment.number + 1)
    except FileNotFoundError:
        return None
    if segment.record(at.offset) is not None:  # written between our last look and the rotation
        newer.close()
        return None
    if (newer.previous, newer.seq) != (at.crc, at.seq):
        newer.close()
        raise Damaged(segment.path, at.offset, f"records up to event {newer.seq - 1} are missing or damaged")
    return newer


def _segment_before(folder: Path, from_seq: int, disk: Disk) -> Position:
    start = START
    for number in segment_numbers(folder, disk) if from_seq else []:
        segment = Segment(disk, folder, number)
        segment.close()
        if segment.seq < from_seq or start is START:
            start = segment.start
    return start


def confirms(folder: Path, position: Position, *, disk: Disk = REAL) -> bool:
    """Whether the journal has a record that ends exactly at `position`."""
    if position == START:
        return True
    try:
        segment = Segment(disk, folder, position.segment)
    except (FileNotFoundError, JournalError):
        return False
    at = segment.start
    try:
        while at.offset < position.offset and (found := segment.next(at)):
            at = after(at, found.header)
    except Damaged:
        return False
    finally:
        segment.close()
    return at == position
