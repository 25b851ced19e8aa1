"""What blocks of a PLC, looked at for a while, say is wrong with its program: named, in words, with what to change.

No clock, no socket, no settings: a story of looks goes in, faults and notes come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from plc_adapter.mailbox import (
    BLOCK_WORDS,
    MARK,
    RING,
    SILENT_NS,
    LineState,
    PlcHead,
    WordOrder,
    from_words,
    look,
    to_words,
)
from sorter.records import NONE_16, ChuteState, Discharge, Kind

# Words of the PLC's block, as plc_adapter.mailbox lays it out.
_EPOCH: Final = 2
_HOST_EPOCH: Final = 4  # both as in the host's block
_BEAT: Final = 5
_HEAD: Final = 6
_TAIL: Final = 8
_STATE: Final = 10
_CLOCK: Final = 11
_RING: Final = 16
_PLACE: Final = (BLOCK_WORDS - _RING) // RING
_ONLY_PLC: Final = slice(9, 12)  # the host leaves them 0

_LOW: Final = 0xFFFF
_HALF: Final = 0x8000
NS_PER_MS: Final = 1_000_000
PATIENCE_MS: Final = 200  # every port waits so long for an answer
SLOW_MS: Final = PATIENCE_MS / 2  # from here on an answer that takes twice as long is none
TORN_NS: Final = 100_000_000  # a record open for longer is no record being written
SKIPPED_MAX: Final = 1000  # a heartbeat that goes further between two looks counts no scans
DRIFT: Final = 0.1  # how wrong a millisecond may be
STAMP_MS: Final = 10_000  # a new report's stamp is not older
UNIT_OFF: Final = 0.5  # how far a unit may be off; they are ten times apart
UNITS: Final = {0.001: "seconds", 0.01: "100 ms", 0.1: "10 ms", 10.0: "100 us", 1000.0: "us"}

WordName = Callable[[int], str]
"""What a PLC programmer calls a word of the block."""


class Look(NamedTuple):
    """The PLC's block as it was read; when it was asked for and when it came, on one clock."""

    asked_ns: int
    came_ns: int
    block: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    fault: str  # its name, for scripts
    message: str
    do: str

    def __str__(self) -> str:
        """Both in one sentence."""
        return f"{self.message}; {self.do}" if self.do else self.message


DRIVEN: Final = Finding("driven", "an adapter drives this PLC right now", "")
FULL: Final = Finding("full", f"the ring is full: {RING} reports wait for an adapter", "start plc-adapter run")
STUCK: Final = Finding(
    "full",
    f"the ring is full: {RING} reports wait, though an adapter runs",
    "see in the adapter's log why it acknowledges none; most often no daemon runs",
)


@dataclass(slots=True)
class Judgement:
    """What the looks came to. `heads` are empty when no block was a mailbox."""

    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    heads: list[PlcHead] = field(default_factory=list)
    beat_ms: float = 0.0  # between two heartbeats, as far as the looks can tell
    clock_rate: float = 0.0  # of the PLC's clock to the one it is to have; 0 also where nobody can tell


class Seen(NamedTuple):
    """One look that is a mailbox. `words` and `head` are as if the PLC had the right orders."""

    asked_ns: int
    came_ns: int
    head: PlcHead
    words: list[int]


class Marked(NamedTuple):
    """Where a mark was found in a block, and how the PLC orders words and bytes."""

    at_byte: int
    word_order: WordOrder
    bytes_swapped: bool


_FORMS: Final[tuple[tuple[bytes, WordOrder, bool], ...]] = (
    (bytes.fromhex("48530001"), "big", False),
    (bytes.fromhex("00014853"), "little", False),
    (bytes.fromhex("53480100"), "big", True),
    (bytes.fromhex("01005348"), "little", True),
)
assert MARK.to_bytes(4, "big") == _FORMS[0][0]


def find_mark(block: bytes) -> Marked | None:
    """The first mark in a block, in whatever order; None: there is none."""
    found = [Marked(block.find(form), order, swapped) for form, order, swapped in _FORMS if form in block]
    return min(found, default=None)


def is_hosts(block: bytes) -> bool:
    """Whether it may be the host's block: it leaves 0 what only a PLC writes."""
    return not any(to_words(block)[_ONLY_PLC])


def judge(looks: Sequence[Look], word_order: WordOrder, word: WordName, rate: float = 1.0) -> Judgement:
    """What is wrong with the mailbox that `looks` show, oldest first; at least one look.

    The PLC's clock is to run `rate` times as fast as real time: an emulator's does.
    """
    marked = find_mark(looks[-1].block)
    if marked is None or marked.at_byte != 0:
        return Judgement([_no_mailbox(looks[-1].block, marked, word)])
    judgement = Judgement(list(_orders(marked, word_order)))
    seen = list(_mailboxes(looks, marked))
    judgement.heads = [one.head for one in seen]
    if not seen:
        judgement.faults.append(
            Finding(
                "epoch",
                f"the epoch is 0 ({word(_EPOCH)}): the mailbox program has not started",
                "let it count epochs from 1 in retained memory, one more at each start of the PLC",
            )
        )
        return judgement
    beating = _heartbeat(seen, judgement, word)
    if beating:
        _clock(seen, judgement, word, rate)
        judgement.faults += _stamps(seen, word, judgement, rate)
    judgement.faults += _epochs(seen, judgement.notes, word)
    judgement.faults += _ring(seen, word)
    judgement.faults += _line_state(seen[-1].head, word)
    if not any(fault.fault == "tail" for fault in judgement.faults):
        judgement.notes += _driven(seen)
    return judgement


def orders_ignored(blocks: Sequence[bytes], looks: Sequence[Look], place: str) -> Finding | None:
    """What a PLC that does not take over what an adapter writes to it does wrong; None: a look shows that it took it.

    `blocks` are the host's at `place`, oldest first; a look at least must be younger than what the adapter began.
    """
    marked = find_mark(looks[-1].block)
    heads = [one.head for one in _mailboxes(looks, marked)] if marked else []
    if marked is None or not heads:
        return None  # it stopped meanwhile, and nobody can tell
    spoken = [_spoken(block, marked.word_order) for block in blocks]
    if not {(head.epoch, head.host_epoch) for head in heads}.isdisjoint(spoken):
        return None
    epoch, host_epoch = spoken[-1]
    if epoch not in {head.epoch for head in heads}:
        return Finding(
            "orders_ignored",
            f"the host's block speaks to epoch {epoch}, and the PLC is in epoch {heads[-1].epoch}: it takes no order",
            "see in the adapter's log what it cannot read, and let it run with this site.toml",
        )
    return Finding(
        "orders_ignored",
        f"the PLC does not read the host's block: an adapter writes host epoch {host_epoch} {place}, "
        f"and the PLC stays at {heads[-1].host_epoch}",
        "compare the address that the PLC's program reads from with site.toml, then the order of the words it reads",
    )


def _spoken(block: bytes, word_order: WordOrder) -> tuple[int, int]:
    """The PLC's epoch that a host's block speaks to, and its own."""
    words = to_words(block)
    high, low = words[_EPOCH : _EPOCH + 2] if word_order == "big" else words[_EPOCH + 1 : _EPOCH - 1 : -1]
    return high << 16 | low, words[_HOST_EPOCH]


def slow(
    times_ms: Sequence[float], unanswered: int, poll_ms: float, round_trips: int
) -> tuple[list[Finding], list[Finding]]:
    """Faults and notes of the round trips, sorted; `unanswered` took longer than PATIENCE_MS."""
    middle_ms = max(times_ms[len(times_ms) // 2], 0.001)
    exchange_ms = middle_ms * round_trips
    per_s = 1000 / exchange_ms
    do = (
        f"polling every {poll_ms:g} ms needs answers within {poll_ms / round_trips:g} ms: give communication a larger "
        "share of the PLC's scan, shorten the scan, and take gateways and radio out of the way; else set poll_ms = "
        f"{-(-exchange_ms // 10) * 10:.0f}, and expect up to {RING * per_s:.0f} items/s"
    )
    if unanswered:
        asked = len(times_ms) + unanswered
        told = Finding("slow", f"{unanswered} of {asked} reads were not answered within {PATIENCE_MS} ms", do)
        return ([told], []) if unanswered > 1 else ([], [told])
    told = Finding(
        "slow", f"a round trip takes {middle_ms:.0f} ms, so at most {per_s:.0f} exchanges a second follow", do
    )
    if middle_ms >= SLOW_MS:
        return [told], []
    return [], [told] if exchange_ms > poll_ms else []


def _no_mailbox(block: bytes, marked: Marked | None, word: WordName) -> Finding:
    if marked:
        by = marked.at_byte
        later = f"{by // 2} words" if by % 2 == 0 else f"{by} bytes"
        return Finding("address", f"the mark stands {later} later than {word(0)}", "begin the block where its mark is")
    words = to_words(block)
    if not any(words):
        return Finding(
            "empty",
            f"every word from {word(0)} on is 0",
            "start the PLC's mailbox program, and check that it writes its block there",
        )
    if MARK >> 16 in words[:2]:
        return Finding(
            "layout",
            f"the PLC speaks another layout (mark {words[0]:04x} {words[1]:04x}); this adapter speaks {MARK:08x}",
            "bring the mailbox program and plc-adapter to the same version",
        )
    return Finding(
        "address",
        f"the block begins with {words[0]:04x} {words[1]:04x}, not with the mark {MARK >> 16:04x} {MARK & _LOW:04x}",
        "check against the PLC's program where its block begins",
    )


def _orders(marked: Marked, word_order: WordOrder) -> Iterator[Finding]:
    if marked.bytes_swapped:
        yield Finding(
            "byte_order",
            "the bytes of each word are swapped: the mark reads 5348 0100 where 4853 0001 is meant",
            "let the PLC's server send the high byte of a word first, or swap the bytes in the program (SWAP)",
        )
    if marked.word_order != word_order:
        yield Finding(
            "word_order",
            f'the two words of a u32 are in the other order than word_order = "{word_order}" says',
            f'set word_order = "{marked.word_order}" in site.toml',
        )


def _mailboxes(looks: Sequence[Look], marked: Marked) -> Iterator[Seen]:
    for asked_ns, came_ns, block in looks:
        right = _bytes_swapped(block) if marked.bytes_swapped else block
        there = find_mark(right)
        words = to_words(right)
        if there and there.at_byte == 0 and there.word_order == marked.word_order and any(words[_EPOCH : _EPOCH + 2]):
            yield Seen(asked_ns, came_ns, look(right, marked.word_order), words)


def _bytes_swapped(block: bytes) -> bytes:
    return from_words([value >> 8 | (value & 0xFF) << 8 for value in to_words(block)])


def _heartbeat(seen: Sequence[Seen], judgement: Judgement, word: WordName) -> bool:
    """Whether the heart beats; whatever else stands still follows from it."""
    steps = [after.head.heartbeat - before.head.heartbeat & _LOW for before, after in pairwise(seen)]
    beats = sum(step != 0 for step in steps)
    if beats == 0:
        if steps:
            judgement.faults.append(_no_beat(seen, word))
        return not steps
    counted = sum(steps) if max(steps) <= SKIPPED_MAX else beats
    judgement.beat_ms = round((seen[-1].came_ns - seen[0].came_ns) / NS_PER_MS / counted, 2)
    still_ns = longest = 0
    for step, (before, after) in zip(steps, pairwise(seen), strict=True):
        still_ns = 0 if step else still_ns + after.asked_ns - before.asked_ns
        longest = max(longest, still_ns)
    if longest > SILENT_NS:
        judgement.faults.append(
            Finding(
                "heartbeat",
                f"the heartbeat ({word(_BEAT)}) stood still for {longest // NS_PER_MS} ms; "
                f"after {SILENT_NS // NS_PER_MS} ms the PLC is taken for dead",
                "call the mailbox program in a cyclic task of at most 100 ms",
            )
        )
    return True


def _no_beat(seen: Sequence[Seen], word: WordName) -> Finding:
    runs = len({(one.head.clock_ms, one.head.head) for one in seen}) > 1
    message = f"the heartbeat stands still ({word(_BEAT)})"
    if runs:
        return Finding("heartbeat", f"{message}, though the program runs", "let it write another value in each scan")
    return Finding(
        "heartbeat",
        f"{message}: the PLC answers, but its program does not run",
        "switch it from STOP to RUN, and check that a cyclic task calls the mailbox program",
    )


def _clock(seen: Sequence[Seen], judgement: Judgement, word: WordName, rate_meant: float) -> None:
    steps_ms = [after.head.clock_ms - before.head.clock_ms & _LOW for before, after in pairwise(seen)]
    if not steps_ms or _restarts(seen):
        return
    longest_ms = max((after.came_ns - before.asked_ns) / NS_PER_MS for before, after in pairwise(seen))
    if (1 + DRIFT) * longest_ms * rate_meant > _LOW:
        return  # it may have come round once more than can be seen
    advance_ms = sum(steps_ms) / rate_meant
    least_ms = (seen[-1].asked_ns - seen[0].came_ns) / NS_PER_MS
    most_ms = (seen[-1].came_ns - seen[0].asked_ns) / NS_PER_MS
    rate = 2 * advance_ms / (least_ms + most_ms)
    judgement.clock_rate = round(rate, 3)
    scan_ms = max(judgement.beat_ms, PATIENCE_MS / 2)  # it may be written once a scan only
    do = f"count milliseconds, and write the low word to {word(_CLOCK)} in each scan; for an emulator give its --clock"
    if advance_ms == 0 and least_ms > scan_ms:
        judgement.faults.append(Finding("clock", f"the clock stands still ({word(_CLOCK)})", do))
    elif not (1 - DRIFT) * least_ms - scan_ms <= advance_ms <= (1 + DRIFT) * most_ms + scan_ms:
        meant = "real time" if rate_meant == 1 else "the clock given"
        unit = next((f": it seems to count {unit}" for at, unit in UNITS.items() if abs(rate / at - 1) < UNIT_OFF), "")
        judgement.faults.append(
            Finding("clock", f"the clock ({word(_CLOCK)}) runs {rate:.3g} times as fast as {meant}{unit}", do)
        )


def _stamps(seen: Sequence[Seen], word: WordName, judgement: Judgement, rate: float) -> list[Finding]:
    """Reports that came while looking must have been stamped just now."""
    if rate > 1 or any(fault.fault == "clock" for fault in judgement.faults):
        return []  # a clock that runs faster comes round too soon to tell old from new
    for before, after in pairwise(seen):
        waited = before.head.head - before.head.tail & _LOW >= RING
        for number in _numbers(after.head.head) if not waited and before.head.epoch == after.head.epoch else ():
            age_ms = after.head.clock_ms - _record(after, number)[6] & _LOW
            if number > before.head.head and _closed(after, number) and age_ms > STAMP_MS:
                when = f"{_LOW + 1 - age_ms} ms ahead of" if age_ms >= _HALF else f"{age_ms} ms behind"
                at = word(_at(number) + 6)
                message = f"report {number} is new, but its stamp ({at}) is {when} the clock ({word(_CLOCK)})"
                return [Finding("stamp", message, f"stamp reports with the same clock that stands in {word(_CLOCK)}")]
    return []


def _restarts(seen: Sequence[Seen]) -> int:
    return sum(before.head.epoch != after.head.epoch for before, after in pairwise(seen))


def _epochs(seen: Sequence[Seen], notes: list[Finding], word: WordName) -> Iterator[Finding]:
    for before, after in pairwise(seen):
        back = before.head.head - after.head.head
        if before.head.epoch == after.head.epoch and 0 < back <= _HALF:
            yield Finding(
                "same_epoch",
                f"the head went back from {before.head.head} to {after.head.head} within epoch {after.head.epoch} "
                f"({word(_EPOCH)}): the PLC started again without a new epoch",
                "keep the epoch in retained memory, and add 1 to it at each start",
            )
            break
    restarts = _restarts(seen)
    if restarts > 1:
        over_s = (seen[-1].came_ns - seen[0].asked_ns) / 1e9
        yield Finding(
            "epoch",
            f"the epoch changed {restarts} times in {over_s:.1f} s ({word(_EPOCH)})",
            "add 1 to it only in the first scan after a start",
        )
    elif restarts:
        notes.append(
            Finding("restarted", f"the PLC started again while it was looked at, epoch {seen[-1].head.epoch}", "")
        )


def _ring(seen: Sequence[Seen], word: WordName) -> Iterator[Finding]:
    last = seen[-1]
    swapped = last.head.head >> 16 | (last.head.head & _LOW) << 16
    if not _any_there(last, last.head.head) and _any_there(last, swapped):
        yield Finding(
            "word_order",
            f"the head ({word(_HEAD)}) has its words in the other order than the mark: {last.head.head} for {swapped}",
            "let the program write every u32 in the same order",
        )
        return
    if back := _tail_back(seen, word):
        yield back
        yield from _contents(seen, word)
        return
    open_ = max(_unacknowledged(one) for one in seen)
    ahead = [one.head for one in seen if _unacknowledged(one) < 0]
    if len(ahead) > 1:
        yield Finding(
            "tail",
            f"the tail {ahead[-1].tail} is past the head {ahead[-1].head & _LOW} ({word(_TAIL)})",
            "take a tail over only when the host's epoch is right and it lies between the PLC's own tail and head",
        )
    if open_ > RING:
        yield Finding(
            "overrun",
            f"{open_} reports are not acknowledged, and the ring holds {RING}: reports were overwritten",
            f"write no report while head - tail is {RING} ({word(_HEAD + 1)}, {word(_TAIL)}); keep it in the program",
        )
    else:
        yield from _unclosed(seen, word)
    yield from _contents(seen, word)


def _tail_back(seen: Sequence[Seen], word: WordName) -> Finding | None:
    """An acknowledgement that was taken back, though neither side began anew."""
    for before, after in pairwise(one.head for one in seen):
        same = (before.epoch, before.host_epoch) == (after.epoch, after.host_epoch) and before.head <= after.head
        if same and 0 < before.tail - after.tail & _LOW <= _HALF:
            return Finding(
                "tail",
                f"the tail went back from {before.tail} to {after.tail} within epoch {after.epoch} ({word(_TAIL)})",
                "take a tail over only when it lies between the PLC's own tail and head, and let nothing else write it",
            )
    return None


def _unacknowledged(one: Seen) -> int:
    """Reports that wait for an acknowledgement; below 0: more were acknowledged than reported."""
    open_ = one.head.head - one.head.tail & _LOW
    return open_ if open_ < _HALF else open_ - _LOW - 1


def _numbers(head: int) -> range:
    """The last reports; the place of the one before may be written already."""
    return range(max(head - RING + 2, 1), head + 1)


def _waiting(one: Seen) -> range:
    """The reports that must be in the ring; a PLC may wipe what is acknowledged."""
    return range(max(one.head.head - _unacknowledged(one), 0) + 1, one.head.head + 1)


def _any_there(one: Seen, head: int) -> bool:
    """Whether the ring has one of the reports up to `head`; a place that was never used looks like number 0."""
    return any(_closed(one, number) and _record(one, number)[1] for number in _numbers(head))


def _at(number: int) -> int:
    return _RING + number % RING * _PLACE


def _record(one: Seen, number: int) -> list[int]:
    return one.words[_at(number) : _at(number) + _PLACE]


def _closed(one: Seen, number: int) -> bool:
    record = _record(one, number)
    return record[0] == record[-1] == number & _LOW


def _unclosed(seen: Sequence[Seen], word: WordName) -> Iterator[Finding]:
    """The first report that waits, and is not there for longer than it takes to write one."""
    opened_ns: dict[tuple[int, int], int] = {}  # (epoch, number) -> since when it waits and is not there
    for one in seen:
        for number in _waiting(one):
            key = (one.head.epoch, number)
            if _closed(one, number):
                opened_ns.pop(key, None)
            elif one.asked_ns - opened_ns.setdefault(key, one.asked_ns) >= TORN_NS:
                yield _open_record(one, number, word)
                return


def _open_record(one: Seen, number: int, word: WordName) -> Finding:
    low = number & _LOW
    for other in range(number + 1, number + RING):
        record = _record(one, other)
        if record[0] == record[-1] == low:
            return Finding(
                "place",
                f"report {number} stands at place {other % RING} of the ring ({word(_at(other))})",
                f"write report n to place n mod {RING}: here place {number % RING}, {word(_at(number))}",
            )
    record = _record(one, number)
    wrong = 0 if record[0] != low else _PLACE - 1
    what = "opened" if wrong == 0 and record[-1] == low else "closed" if wrong else "written"
    return Finding(
        "torn",
        f"head counts report {number}, but it is never {what}: "
        f"{word(_at(number) + wrong)} is {record[wrong]}, not {low}",
        "write seq (word 0 of the record) first, the rest, then seq again (word 7), and only then raise head",
    )


def _contents(seen: Sequence[Seen], word: WordName) -> Iterator[Finding]:
    """The first report that tells what there is none of."""
    for one in seen:
        for number in _numbers(one.head.head):
            if _closed(one, number) and (wrong := _wrong(_record(one, number))):
                at, message, do = wrong
                yield Finding("record", f"report {number} {message} ({word(_at(number) + at)})", do)
                return


def _wrong(record: Sequence[int]) -> tuple[int, str, str] | None:
    """Which word of a closed record is wrong, how, and what to write."""
    _, kind, _, _, point, value, _, _ = record
    if kind not in {Kind.ITEM, Kind.DISCHARGE, Kind.CHUTE}:
        return 1, f"is of kind {kind}, which is none", "write 5 for an item, 7 for a discharge, 8 for a chute"
    if kind == Kind.DISCHARGE and value not in set(Discharge):
        return 5, f"has outcome {value}, which is none", "write 0 for dropped, 1 for passed, 2 for lost"
    if kind == Kind.CHUTE and value not in set(ChuteState) - {ChuteState.LOCKED}:
        return 5, f"has chute state {value}, which is none", "write 0 for open, 1 full, 2 blocked, 3 changing"
    if point == NONE_16 and (kind == Kind.CHUTE or (kind == Kind.DISCHARGE and value == Discharge.DROPPED)):
        return 4, f"is of chute {NONE_16}, which is none", "write the number that the chute has in the rule tables"
    return None


def _line_state(head: PlcHead, word: WordName) -> Iterator[Finding]:
    if head.line_state not in set(LineState):
        yield Finding(
            "line_state",
            f"line state {head.line_state} is none ({word(_STATE)})",
            "write 0 for stopped, 1 for running, 2 for fault",
        )


def _driven(seen: Sequence[Seen]) -> Iterator[Finding]:
    """The words that a PLC changes only because a host does."""
    told = {
        (one.head.host_epoch, one.head.tail, one.head.taken) for one in seen if one.head.epoch == seen[-1].head.epoch
    }
    if len(told) > 1:
        yield DRIVEN
    elif _unacknowledged(seen[-1]) == RING:
        yield FULL
