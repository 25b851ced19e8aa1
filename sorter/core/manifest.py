"""The manifest: every advice, found by its exact waybill in one cache line, grown without stopping the belt.

Eight words make a line: three 128-bit keys, then three payloads of 42 bits. A key that finds
its line full goes to the next. Nothing is ever taken out, so a line with room ends a search.
While the table grows there are two: look-ups try the new one first, and every change moves a
few lines of the old one.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.core.jit import i64, inlined, kernel, multiply, u64
from sorter.records import Bits, Ints64

LINE_WORDS: Final = 8
LINE_KEYS: Final = 3
LINES_MIN: Final = 1 << 12
LINES_MOVED_A_CHANGE: Final = 8
GROW_PERCENT: Final = 50  # of all places: one key in twenty then lies beyond the line that was prefetched
ROOMY_PERCENT: Final = 34  # after growth: 63 bytes an advice
FULL_PERCENT: Final = 90

# Of `counts`.
USED: Final = 0  # keys in both tables, each counted once
MOVED: Final = 1  # lines of `old` moved so far

# The payload, from its lowest bit.
NO_STATION: Final = limits.STATIONS_MAX
STATION_BITS: Final = 12
CARRIER_AT: Final = 12
SERVICE_AT: Final = 17
FLOW_AT: Final = 21
CANCELLED_AT: Final = 22
INTERCEPT_AT: Final = 23
WEIGHT_AT: Final = 24
PAYLOAD_BITS: Final = 42

NOTHING: Final = NO_STATION
"""The payload of a waybill that has neither advice nor intercept."""

_INTERCEPT: Final = 1 << INTERCEPT_AT
_MASK: Final = (1 << PAYLOAD_BITS) - 1
_LOW_BITS: Final = 64 - PAYLOAD_BITS  # of payload 1, in the line's word 6
_HASH_HI: Final = np.uint64(0x9E3779B97F4A7C15)
_HASH_LO: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_HASH_END: Final = np.uint64(0xD6E8FEB86659FD93)
_HALF: Final = np.uint64(32)

assert WEIGHT_AT + 18 == PAYLOAD_BITS
assert 1 << STATION_BITS == limits.STATIONS_MAX + 1


class Manifest(NamedTuple):
    """Arrays of the open-addressing table."""

    lines: Bits  # [n, 8] the table, 64-byte aligned
    old: Bits  # [m, 8] the table it grew from; m == 0 when nothing is left to move
    counts: Ints64  # [2] USED, MOVED


def new_lines(count: int) -> Bits:
    """Zeroed cache lines at a cache line's boundary."""
    words = np.zeros((count + 1) * LINE_WORDS, np.uint64)
    skip = -words.ctypes.data % (LINE_WORDS * 8) // 8
    return words[skip : skip + count * LINE_WORDS].reshape(count, LINE_WORDS)


def new_manifest(line_count: int = LINES_MIN) -> Manifest:
    return Manifest(new_lines(line_count), new_lines(0), np.zeros(2, np.int64))


def is_crowded(manifest: Manifest, more: int) -> bool:
    """Whether `more` further waybills would fill the table beyond GROW_PERCENT."""
    return (int(manifest.counts[USED]) + more) * 100 > len(manifest.lines) * LINE_KEYS * GROW_PERCENT


def grown(manifest: Manifest, more: int) -> Manifest:
    """The manifest with room for `more` further waybills; its lines move over with later changes.

    A table is moved long before the next one is needed: every change moves eight lines, and
    growth leaves room for more changes than it has lines.
    """
    assert len(manifest.old) == 0, "it is still moving"
    wanted = min(int(manifest.counts[USED]) + more, limits.ADVICES_MAX)
    line_count = max(wanted * 100 // (LINE_KEYS * ROOMY_PERCENT) + 1, len(manifest.lines))
    counts = manifest.counts.copy()
    counts[MOVED] = 0
    return Manifest(new_lines(line_count), manifest.lines, counts)


def contents(manifest: Manifest) -> Bits:
    """Every waybill that has an advice or an intercept: [n, 3] of hi, lo, payload, ascending by waybill."""
    parts = [_entries(manifest.lines), _entries(manifest.old[int(manifest.counts[MOVED]) :])]
    entries = np.concatenate(parts)
    entries = entries[entries[:, 2] != NOTHING]
    in_order: Bits = entries[np.lexsort((entries[:, 1], entries[:, 0]))]
    return in_order


def _entries(lines: Bits) -> Bits:
    payloads = np.stack(
        [
            lines[:, 6] & u64(_MASK),
            (lines[:, 6] >> u64(PAYLOAD_BITS)) | (lines[:, 7] << u64(_LOW_BITS)) & u64(_MASK),
            (lines[:, 7] >> u64(PAYLOAD_BITS - _LOW_BITS)) & u64(_MASK),
        ],
        axis=1,
    )
    keys = lines[:, :6].reshape(-1, 2)
    entries = np.concatenate([keys, payloads.reshape(-1, 1)], axis=1)
    used: Bits = entries[entries[:, 0] != 0]
    return used


@inlined
def home_line(hi: Any, lo: Any, line_count: int) -> int:
    """The line where the search for a key begins."""
    mixed = multiply(hi, _HASH_HI) ^ multiply(lo, _HASH_LO)
    mixed = multiply(mixed ^ (mixed >> _HALF), _HASH_END) >> _HALF
    return i64(multiply(mixed, u64(line_count)) >> _HALF)


@inlined
def kind_of(payload: int) -> tuple[int, int, int]:
    """Carrier, service and flow."""
    return (payload >> CARRIER_AT) & 31, (payload >> SERVICE_AT) & 15, (payload >> FLOW_AT) & 1


@kernel
def read_payload(line: Any, place: int) -> int:
    """The 42 bits of a line's place 0, 1 or 2."""
    if place == 0:
        return i64(line[6] & u64(_MASK))
    if place == 1:
        return i64((line[6] >> u64(PAYLOAD_BITS)) | ((line[7] << u64(_LOW_BITS)) & u64(_MASK)))
    return i64((line[7] >> u64(PAYLOAD_BITS - _LOW_BITS)) & u64(_MASK))


@kernel
def write_payload(line: Any, place: int, payload: int) -> None:
    bits = u64(payload)
    if place == 0:
        line[6] = (line[6] & ~u64(_MASK)) | bits
    elif place == 1:
        line[6] = (line[6] & u64(_MASK)) | (bits << u64(PAYLOAD_BITS))
        keep = ~((u64(1) << u64(PAYLOAD_BITS - _LOW_BITS)) - u64(1))
        line[7] = (line[7] & keep) | (bits >> u64(_LOW_BITS))
    else:
        keep = (u64(1) << u64(PAYLOAD_BITS - _LOW_BITS)) - u64(1)
        line[7] = (line[7] & keep) | (bits << u64(PAYLOAD_BITS - _LOW_BITS))


@kernel
def find(lines: Any, start: int, hi: Any, lo: Any) -> int:
    """Where a key is, as line * 3 + place; -1: nowhere."""
    line_count = len(lines)
    at = start
    for _ in range(line_count):
        line = lines[at]
        for place in range(LINE_KEYS):
            if line[2 * place] == hi and line[2 * place + 1] == lo:
                return at * LINE_KEYS + place
        if line[2 * LINE_KEYS - 2] == u64(0):
            return -1
        at = at + 1 if at + 1 < line_count else 0
    return -1


@kernel
def lookup(manifest: Manifest, hi: Any, lo: Any) -> int:
    """The payload of a waybill; NOTHING when it is unknown."""
    home = home_line(hi, lo, len(manifest.lines))
    payload = lookup_at_home(manifest, home, hi, lo)
    return payload if payload >= 0 else lookup_further(manifest, home, hi, lo)


@inlined
def lookup_at_home(manifest: Manifest, home: int, hi: Any, lo: Any) -> int:
    """As `lookup`, for a key whose home line is known already; -1: `lookup_further` must tell.

    Which place of its home line a key has is chance: all three are read, and none is guessed.
    """
    line = manifest.lines[home]
    first = (line[0] ^ hi) | (line[1] ^ lo)
    second = (line[2] ^ hi) | (line[3] ^ lo)
    third = (line[4] ^ hi) | (line[5] ^ lo)
    if min(first, second, third) == u64(0):
        low, high = line[6], line[7]
        payload = (high >> u64(PAYLOAD_BITS - _LOW_BITS)) if third == u64(0) else low
        payload = (low >> u64(PAYLOAD_BITS)) | (high << u64(_LOW_BITS)) if second == u64(0) else payload
        return i64(payload & u64(_MASK))
    if line[4] == u64(0) and len(manifest.old) == 0:
        return NOTHING
    return -1


@kernel
def lookup_further(manifest: Manifest, home: int, hi: Any, lo: Any) -> int:
    """In the lines after a full home line, then in the table the manifest grew from."""
    lines, old = manifest.lines, manifest.old
    found = find(lines, home, hi, lo)
    if found >= 0:
        return read_payload(lines[found // LINE_KEYS], found % LINE_KEYS)
    if len(old):
        found = find(old, home_line(hi, lo, len(old)), hi, lo)
        if found >= 0:
            return read_payload(old[found // LINE_KEYS], found % LINE_KEYS)
    return NOTHING


@kernel
def store(manifest: Manifest, hi: Any, lo: Any, payload: int) -> bool:
    """Set a waybill's payload. False: the table is full and nothing changed."""
    lines, old = manifest.lines, manifest.old
    move_lines(manifest, LINES_MOVED_A_CHANGE)
    found = find(lines, home_line(hi, lo, len(lines)), hi, lo)
    if found >= 0:
        write_payload(lines[found // LINE_KEYS], found % LINE_KEYS, payload)
        return True
    if len(old):
        found = find(old, home_line(hi, lo, len(old)), hi, lo)
        if found >= 0:
            write_payload(old[found // LINE_KEYS], found % LINE_KEYS, payload)
            return True
    used = manifest.counts[USED]
    if used >= limits.ADVICES_MAX or used * 100 >= len(lines) * LINE_KEYS * FULL_PERCENT:
        return False
    _insert(lines, hi, lo, payload)
    manifest.counts[USED] += 1
    return True


@kernel
def _insert(lines: Any, hi: Any, lo: Any, payload: int) -> None:
    """Put a key that is not in the table into its first free place; there must be one."""
    at = home_line(hi, lo, len(lines))
    while lines[at, 2 * LINE_KEYS - 2] != u64(0):
        at = at + 1 if at + 1 < len(lines) else 0
    place = 0
    while lines[at, 2 * place] != u64(0):
        place += 1
    lines[at, 2 * place] = hi
    lines[at, 2 * place + 1] = lo
    write_payload(lines[at], place, payload)


@kernel
def move_lines(manifest: Manifest, at_most: int) -> None:
    """Copy the next lines of the old table into the new one, leaving out what says nothing any more."""
    old, counts = manifest.old, manifest.counts
    first = counts[MOVED]
    end = min(first + at_most, len(old))
    for at in range(first, end):
        for place in range(LINE_KEYS):
            hi = old[at, 2 * place]
            if hi == u64(0):
                break
            payload = read_payload(old[at], place)
            if payload == NOTHING:
                counts[USED] -= 1
            else:
                _insert(manifest.lines, hi, old[at, 2 * place + 1], payload)
    counts[MOVED] = end
