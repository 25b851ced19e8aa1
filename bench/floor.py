"""The least a look-up can cost: pack a code, hash it, ask memory for its line, touch the line. Nothing is decided.

Packing works on eight characters at a time and knows digits and letters alone, so this side
is faster than anything exact could be. It makes the same keys and finds the same lines as the core.
"""

from typing import Any, Final

import numpy as np

from sorter.core.jit import entry, i64, inlined, prefetch, u64
from sorter.core.manifest import home_line
from sorter.records import Bits, Bytes, Ints64

AHEAD: Final = 32  # codes between asking for a line and touching it; a power of two
_ONES: Final = np.uint64(0x0101010101010101)
_LOW_7: Final = np.uint64(0x7F7F7F7F7F7F7F7F)
_LOW_5: Final = np.uint64(0x1F1F1F1F1F1F1F1F)
_BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)
_FOURS: Final = np.uint64(0x00000000FFFFFFFF)
_FOUR_DIGITS: Final = np.uint64(40**4)


def as_words(codes: Bytes) -> Bits:
    """CODE rows uint8[n, 32] as they lie in memory: uint64[n, 4]."""
    return codes.view(np.uint64)


@entry
def touch(words: Bits, lines: Bits, homes: Ints64) -> int:
    """Touch the home line of every code; returns the sum of what was read. `homes`: int64[AHEAD], scratch."""
    total = u64(0)
    count = len(words)
    for at in range(count + AHEAD):
        place = at & (AHEAD - 1)
        if at >= AHEAD:
            total += lines[homes[place], 0]
        if at < count:
            hi, lo = pack(words, at)
            homes[place] = home_line(hi, lo, len(lines))
            prefetch(lines, homes[place])
    return i64(total)


@inlined
def pack(words: Bits, at: int) -> tuple[Any, Any]:
    """The key of a code of digits and letters, as records.waybill_key makes it."""
    first = _eight((words[at, 0] >> u64(8)) | (words[at, 1] << u64(56)))
    middle = (words[at, 1] >> u64(8)) | (words[at, 2] << u64(56))
    last = (words[at, 2] >> u64(8)) | (words[at, 3] << u64(56))
    hi = first * _FOUR_DIGITS + _eight(middle << u64(32))
    lo = _eight(middle >> u64(32)) * _FOUR_DIGITS
    return hi, lo + _eight(last) if last != u64(0) else lo


@inlined
def _eight(text: Any) -> Any:
    """The base-40 number of eight characters, the first in the lowest byte; a zero byte counts 0."""
    there = ((text + _LOW_7) >> u64(7)) & _ONES
    letter = (text >> u64(6)) & _ONES
    digits = (text & _LOW_5) + letter * u64(25) - there * u64(15)
    pairs = (digits & _BYTES) * u64(40) + ((digits >> u64(8)) & _BYTES)
    fours = (pairs & _PAIRS) * u64(1600) + ((pairs >> u64(16)) & _PAIRS)
    return (fours & _FOURS) * u64(2_560_000) + (fours >> u64(32))
