"""What was acknowledged comes back, byte for byte, or the start says where it is broken."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.ledger import journal as journal_module
from sorter.ledger.disk import REAL
from sorter.ledger.journal import Broken, Damaged, DiskFull, InUse, Journal, JournalError, Record, follow, read
from sorter.ledger.segments import HEAD, segment_path
from sorter.records import DECISION, EVENT, Batch
from tests.ledger.faulty_disk import FaultyDisk, PowerCut
from tests.ledger.rows import Written, append, as_written, expected, random_batch

FOLDER = Path("/ledger")
ROOT = Path(__file__).parents[2]
SMALL = 4096

shapes = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9), st.integers(0, 9)), max_size=12)


def contents(folder: Path, disk: FaultyDisk | None = None, from_seq: int = 0) -> list[Written]:
    return [as_written(record) for record in read(folder, from_seq, disk=disk or REAL)]


def filled(disk: FaultyDisk, count: int, segment_bytes: int = SMALL) -> list[Written]:
    """A journal of `count` synced records."""
    written = []
    with Journal.open(FOLDER, disk, segment_bytes=segment_bytes) as journal:
        for seed in range(count):
            written.append(append(journal, seed, 1 + seed % 3, seed % 4, seed % 5))
            journal.sync()
    return written


@settings(max_examples=60, deadline=None)
@given(shapes=shapes, every=st.integers(1, 5), from_seq=st.integers(0, 60))
def test_all_comes_back(shapes: list[tuple[int, int, int]], every: int, from_seq: int) -> None:
    disk = FaultyDisk()
    written = []
    for turn, shape in enumerate(shapes):
        with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
            written += [append(journal, turn * 100 + step, *shape) for step in range(every)]
            assert journal.cut is None
    assert contents(FOLDER, disk) == written
    later = [one for one in written if one.seq >= from_seq or one.seq + events_of(one) > from_seq]
    assert contents(FOLDER, disk, from_seq) == later


def events_of(written: Written) -> int:
    return 0 if len(written.content) == 2 else len(written.content[0]) // EVENT.itemsize


def test_on_a_real_disk(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        written = [append(journal, seed, seed % 9, seed % 4, seed % 5) for seed in range(50)]
        journal.sync()
    assert contents(tmp_path) == written
    assert len(list(tmp_path.glob("journal-*.seg"))) > 5
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        assert journal.next_seq == sum(map(events_of, written))


def test_the_largest_batch_and_plan_fit(tmp_path: Path) -> None:
    batch, decisions = random_batch(1, limits.BATCH_EVENTS_MAX, limits.BATCH_CODES_MAX, limits.BATCH_DECISIONS_MAX)
    with Journal.open(tmp_path) as journal:
        journal.append_plan(1, bytes(limits.PLAN_BYTES_MAX))
        journal.append_batch(0, batch, decisions)
        with pytest.raises(ValueError, match="the plan has"):
            journal.append_plan(1, bytes(limits.PLAN_BYTES_MAX + 1))
    _, record = read(tmp_path)
    assert as_written(record).content == (batch.events.tobytes(), batch.codes.tobytes(), decisions.tobytes())


def test_rows_read_belong_to_the_reader(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=SMALL) as journal:
        append(journal, 1, 3, 2, 2)
    (record,) = read(tmp_path)
    assert isinstance(record, journal_module.BatchRecord)
    assert all(rows.flags.writeable for rows in (*record.batch, record.decisions))


@pytest.mark.parametrize(
    ("events", "codes", "first_seq"),
    [
        (np.zeros(0, EVENT), np.zeros((0, 32), np.uint8), 0),
        (np.zeros(1, DECISION), np.zeros((0, 32), np.uint8), 0),
        (np.zeros(1, EVENT), np.zeros((1, 31), np.uint8), 0),
        (np.zeros(1, EVENT), np.zeros((0, 32), np.uint8), 1),
    ],
)
def test_what_is_no_batch_is_not_taken(events: np.ndarray, codes: np.ndarray, first_seq: int) -> None:
    disk = FaultyDisk()
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        with pytest.raises(ValueError, match="a batch"):
            journal.append_batch(first_seq, Batch(events, codes), np.zeros(0, DECISION))
        written = append(journal, 1, 1, 1, 1)
    assert contents(FOLDER, disk) == [written]


def test_a_record_cut_at_any_byte_is_taken_off() -> None:
    """Also when the file ends there, as after a copy."""
    disk = FaultyDisk()
    filled(disk, 5, 1 << 16)
    content = disk.now[segment_path(FOLDER, 1)]
    with Journal.open(FOLDER, disk) as journal:
        start = journal.position.offset
        last = append(journal, 99, 2, 1, 2)
        end = journal.position.offset
    whole = bytes(content.now)
    before = contents(FOLDER, disk)[:-1]
    for cut in range(start, end):
        for rest in (b"", bytes(len(whole) - cut)):
            content.now[:] = whole[:cut] + rest
            if content.now == whole:  # only zeros were cut off
                continue
            with Journal.open(FOLDER, disk, segment_bytes=1 << 16) as journal:
                torn = bool(whole[start:cut].strip(b"\0"))
                assert (journal.cut is not None) == torn
                again = append(journal, 99, 2, 1, 2)
            assert again == last
            assert contents(FOLDER, disk) == [*before, last]
            disk.now.pop(segment_path(FOLDER, 2), None)


def test_any_byte_changed_before_the_tail_is_refused_at_its_record() -> None:
    disk = FaultyDisk()
    filled(disk, 24)
    spans = {path: record_spans(path, disk) for path in disk.now}
    last = max(spans)
    for path, starts in spans.items():
        content = disk.now[path]
        end = starts[-2] if path == last else starts[-1]
        for offset in range(end):
            content.now[offset] ^= 1 << (offset % 8)
            with pytest.raises(JournalError) as error:
                Journal.open(FOLDER, disk)
            if offset % 16 == 7:
                with pytest.raises(JournalError):
                    list(read(FOLDER, disk=disk))
            content.now[offset] ^= 1 << (offset % 8)
            assert str(path) in str(error.value)
            if isinstance(error.value, Damaged):
                assert error.value.offset == max(start for start in [0, *starts] if start <= offset)
    Journal.open(FOLDER, disk).close()


def record_spans(path: Path, disk: FaultyDisk) -> list[int]:
    """Where the records of a segment begin, and where the last one ends."""
    number = int(path.stem[-8:])
    ends = [record.end.offset for record in read(FOLDER, disk=disk) if record.end.segment == number]
    return [HEAD.size, *ends]


def test_a_cut_tail_leaves_nothing_that_could_be_read_later() -> None:
    """Two records unsynced, the first torn: what takes its place may end where the second begins."""
    disk = FaultyDisk()
    shape = (2, 1, 1)
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        append(journal, 1, *shape)
        append(journal, 2, *shape)
    disk.now[segment_path(FOLDER, 1)].now[HEAD.size + 100] ^= 1
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        assert journal.cut is not None
        assert (journal.cut.offset, journal.next_seq) == (HEAD.size, 0)
        third = append(journal, 3, *shape)
    Journal.open(FOLDER, disk, segment_bytes=SMALL).close()
    assert contents(FOLDER, disk) == [third]


def test_a_missing_segment_is_refused() -> None:
    for number in (1, 2):
        disk = FaultyDisk()
        filled(disk, 24)
        del disk.now[segment_path(FOLDER, number)]
        with pytest.raises(Damaged, match="missing"):
            Journal.open(FOLDER, disk)


def test_a_record_of_another_journal_is_refused() -> None:
    ours, theirs = FaultyDisk(), FaultyDisk()
    filled(ours, 3, 1 << 16)
    with Journal.open(FOLDER, theirs, segment_bytes=1 << 16) as journal:
        for seed in range(3):
            append(journal, seed + 1000, 1 + seed % 3, seed % 4, seed % 5)
            journal.sync()
    path = segment_path(FOLDER, 1)
    starts = record_spans(path, ours)
    ours.now[path].now[starts[2] : starts[3]] = theirs.now[path].now[starts[2] : starts[3]]
    with pytest.raises(Damaged, match="does not follow") as error:
        Journal.open(FOLDER, ours)
    assert error.value.offset == starts[2]


@pytest.mark.parametrize("seed", range(150))
def test_no_power_cut_loses_what_was_synced(seed: int) -> None:
    """Several cuts, each at a random step, in the middle of opening, writing, rotating or syncing."""
    chance = random.Random(seed)
    disk = FaultyDisk(seed)
    trace: list[Written] = []
    synced = 0
    for _ in range(8):
        disk.cut_at = disk.step + chance.randint(1, 40)
        try:
            with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
                assert contents(FOLDER, disk) == trace[: len(contents(FOLDER, disk))]
                trace = contents(FOLDER, disk)
                assert len(trace) >= synced
                synced = len(trace)
                while chance.random() < 0.95:  # else the process ends; what it wrote is read by the next
                    shape = (chance.getrandbits(30), chance.randint(0, 6), chance.randint(0, 6), chance.randint(0, 6))
                    trace.append(expected(journal.next_seq, *shape))
                    append(journal, *shape)
                    if chance.random() < 0.6:
                        journal.sync()
                        synced = len(trace)
        except PowerCut:
            disk.power_on()
    disk.cut_at = -1
    Journal.open(FOLDER, disk, segment_bytes=SMALL).close()
    kept = contents(FOLDER, disk)
    assert synced <= len(kept)
    assert kept == trace[: len(kept)]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_final(code: int) -> None:
    disk = FaultyDisk()
    journal = Journal.open(FOLDER, disk, segment_bytes=SMALL)
    synced = append(journal, 1, 1, 1, 1)
    journal.sync()
    append(journal, 2, 1, 1, 1)
    disk.fail_at = {disk.step + 1: code}
    with pytest.raises(Broken, match="could not be synced"):
        journal.sync()
    batch, decisions = random_batch(3, 1, 1, 1)
    for act in (journal.sync, journal.reserve, lambda: journal.append_batch(2, batch, decisions)):
        steps = disk.step
        with pytest.raises(Broken):
            act()
        assert disk.step == steps
    disk.kill()
    with Journal.open(FOLDER, disk, segment_bytes=SMALL):
        known = contents(FOLDER, disk)
    disk.off = True
    disk.power_on()
    assert contents(FOLDER, disk) == known
    assert known[0] == synced


def test_a_full_disk_refuses_before_anything_is_taken() -> None:
    disk = FaultyDisk(capacity=2 * SMALL + 100)
    written: list[Written] = []
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        with pytest.raises(DiskFull, match="no room"):
            append_for_ever(journal, written)
        assert contents(FOLDER, disk) == written
        disk.capacity *= 2
        written.append(append(journal, len(written), 3, 3, 3))
    assert contents(FOLDER, disk) == written
    with pytest.raises(DiskFull):
        Journal.open(FOLDER, FaultyDisk(capacity=SMALL), segment_bytes=2 * SMALL)


def append_for_ever(journal: Journal, written: list[Written]) -> NoReturn:
    while True:
        written.append(append(journal, len(written), 3, 3, 3))
        journal.sync()


def test_reserve_finds_the_disk_full_before_the_events_come() -> None:
    disk = FaultyDisk(capacity=SMALL)
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        journal.reserve(1000)
        written = append(journal, 1, 3, 3, 3)
        with pytest.raises(DiskFull):
            journal.reserve(SMALL - 200)
        assert contents(FOLDER, disk) == [written]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_half_way(code: int) -> None:
    """A disk that copies on write may be full in a file that has its room."""
    disk = FaultyDisk()
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        written = [append(journal, 1, 1, 1, 1)]
        disk.fail_at = {disk.step + 1: code}
        with pytest.raises(DiskFull if code == errno.ENOSPC else Broken):
            append(journal, 2, 6, 6, 6)
        if code == errno.ENOSPC:
            written.append(append(journal, 3, 1, 0, 0))
            journal.sync()
    assert contents(FOLDER, disk) == written
    Journal.open(FOLDER, disk, segment_bytes=SMALL).close()
    assert contents(FOLDER, disk) == written


def test_a_short_write_is_finished() -> None:
    disk = FaultyDisk()
    with Journal.open(FOLDER, disk, segment_bytes=SMALL) as journal:
        disk.short_at = set(range(disk.step, disk.step + 6))
        written = [append(journal, seed, 2, 1, 2) for seed in range(4)]
    assert contents(FOLDER, disk) == written


@pytest.mark.parametrize("step", range(1, 9))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failed_rotation_leaves_a_whole_journal(step: int, code: int) -> None:
    disk = FaultyDisk()
    journal = Journal.open(FOLDER, disk, segment_bytes=SMALL)
    written = [append(journal, 1, 9, 9, 9)]
    journal.sync()
    disk.fail_at = {disk.step + step: code}
    try:
        written.append(append(journal, 2, 30, 9, 9))
    except DiskFull:
        written.append(append(journal, 2, 30, 9, 9))
    except Broken:
        journal.close()
        journal = Journal.open(FOLDER, disk, segment_bytes=SMALL)
        written.append(append(journal, 2, 30, 9, 9))
    journal.close()
    disk.fail_at = {}
    Journal.open(FOLDER, disk, segment_bytes=SMALL).close()
    assert len(disk.now) == 2
    assert contents(FOLDER, disk) == written


def test_one_thread_writes() -> None:
    journal = Journal.open(FOLDER, FaultyDisk(), segment_bytes=SMALL)
    errors: list[Exception] = []

    def other() -> None:
        try:
            append(journal, 1, 1, 1, 1)
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=other, name="intruder")
    thread.start()
    thread.join()
    assert "intruder" in str(errors[0])
    assert journal.next_seq == 0


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    with start_writer(tmp_path) as victim:
        assert victim.stdout is not None
        victim.stdout.readline()
        with pytest.raises(InUse, match=f"the victim, pid {victim.pid}"):
            Journal.open(tmp_path)
        victim.kill()
    Journal.open(tmp_path, owner="the next").close()


def start_writer(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.writer_process", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_kill_9_loses_nothing_that_was_told(tmp_path: Path) -> None:
    chance = random.Random(9)
    for _ in range(8):
        with start_writer(tmp_path) as victim:
            assert victim.stdout is not None
            told = [victim.stdout.readline() for _ in range(chance.randint(2, 60))]
            time.sleep(chance.random() * 0.005)
            os.kill(victim.pid, signal.SIGKILL)
            told += victim.stdout.readlines()
        synced = int([line for line in told if line.endswith("\n")][-1])
        with Journal.open(tmp_path, segment_bytes=1 << 18) as journal:
            assert journal.next_seq >= synced
    twin = FaultyDisk()
    with Journal.open(FOLDER, twin) as journal:
        for record in read(tmp_path):
            seq = journal.next_seq
            assert append(journal, seq, 1 + seq % 7, seq % 5, 3) == as_written(record)


def test_a_follower_sees_each_record_once_while_it_is_written(tmp_path: Path) -> None:
    followed = follow(tmp_path)
    assert next(followed) is None
    with start_writer(tmp_path) as victim:
        assert victim.stdout is not None
        victim.stdout.readline()
        records: list[Written] = []
        while len(records) < 3000:
            if (record := next(followed)) is not None:
                records.append(as_written(record))
        victim.kill()
    records += until_now(followed)
    assert records == contents(tmp_path)
    assert len(list(tmp_path.glob("*.seg"))) > 2


def until_now(followed: Iterator[Record | None]) -> list[Written]:
    found = []
    while (record := next(followed)) is not None:
        found.append(as_written(record))
    return found


def test_a_follower_goes_on_where_another_stopped() -> None:
    disk = FaultyDisk()
    written = filled(disk, 30)
    ends = [record.end for record in read(FOLDER, disk=disk)]
    for at, end in enumerate(ends):
        assert until_now(follow(FOLDER, end, disk=disk)) == written[at + 1 :]


class BusyDisk(FaultyDisk):
    """Whoever looks for the second segment finds that the writer has just been at work."""

    def open(self, path: Path, *, write: bool) -> int:
        work, self.work = self.work, lambda: None
        if path == segment_path(FOLDER, 2):
            work()
        else:
            self.work = work
        return super().open(path, write=write)

    work: Callable[[], None] = staticmethod(lambda: None)


def test_a_follower_misses_no_record_at_a_rotation() -> None:
    disk = BusyDisk()
    journal = Journal.open(FOLDER, disk, segment_bytes=SMALL)
    written = [append(journal, 1, 1, 1, 1)]
    followed = follow(FOLDER, disk=disk)
    assert until_now(followed) == written
    disk.work = lambda: written.extend([append(journal, 2, 1, 1, 1), append(journal, 3, 31, 30, 9)])
    assert until_now(followed) == written[1:]
    assert journal.position.segment == 2


def test_a_follower_waits_for_a_record_being_written() -> None:
    disk = FaultyDisk()
    written = filled(disk, 3, 1 << 16)
    content = disk.now[segment_path(FOLDER, 1)]
    starts = record_spans(segment_path(FOLDER, 1), disk)
    whole = bytes(content.now)
    for cut in range(starts[-2], starts[-1]):
        content.now[cut:] = bytes(len(whole) - cut)
        followed = follow(FOLDER, disk=disk)
        assert until_now(followed) == written[:-1]
        content.now[:] = whole
        record = next(followed)
        assert record is not None
        assert as_written(record) == written[-1]
