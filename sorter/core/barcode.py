"""Codes become waybills here: which carriers' patterns they fit, and their exact 128-bit key.

All codes of a run step through one automaton together, a column at a time, so that no code
waits for its own last step.
"""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.jit import i64, kernel, u64
from sorter.core.state import Work
from sorter.records import Bytes, Waybills

HALF: Final = limits.WAYBILL_TEXT_MAX // 2
DEAD: Final = 0
START: Final = 1


def _digits() -> Bytes:
    """Byte -> base-40 digit as in records.waybill_key; 0: no waybill has this byte."""
    digits = np.zeros(256, np.uint8)
    for digit, char in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./", start=1):
        digits[ord(char)] = digits[ord(char.lower())] = digit
    return digits


_DIGITS: Final = _digits()
_WEIGHTS: Final = np.array([40 ** (HALF - 1 - place % HALF) for place in range(2 * HALF)], np.uint64)


@kernel
def match_codes(waybills: Waybills, valid: Any, codes: Bytes, work: Work, count: int) -> None:
    """For the first `count` of work.rows: their keys, and the valid patterns they fit (0: no waybill)."""
    longest = 0
    for at in range(count):
        work.automaton[at] = START
        work.code_hi[at] = u64(0)
        work.code_lo[at] = u64(0)
        longest = max(longest, i64(codes[work.rows[at], 0]))
    longest = min(longest, limits.WAYBILL_TEXT_MAX)
    for column in range(min(longest, HALF)):
        _step_column(waybills, codes, work, work.code_hi, count, column)
    for column in range(HALF, longest):
        _step_column(waybills, codes, work, work.code_lo, count, column)
    for at in range(count):
        length = i64(codes[work.rows[at], 0])
        fits = 0 < length <= limits.WAYBILL_TEXT_MAX
        work.accepted[at] = waybills.accepts[work.automaton[at]] & valid if fits else u64(0)


@kernel
def _step_column(waybills: Waybills, codes: Bytes, work: Work, keys: Any, count: int, column: int) -> None:
    """Every code takes its character of this column; one that has ended stays as it is."""
    classes, next_state = waybills.classes, waybills.next_state
    weight = _WEIGHTS[column]
    for at in range(count):
        row = work.rows[at]
        if column < i64(codes[row, 0]):
            byte = codes[row, 1 + column]
            digit = _DIGITS[byte]
            state = i64(next_state[work.automaton[at], classes[byte]])
            work.automaton[at] = state if digit else DEAD
            keys[at] += u64(digit) * weight


@kernel
def prefix_key(code: Any, length: int) -> tuple[Any, Any]:
    """The key of a code's first `length` characters; (0, 0) when a waybill has no such character."""
    hi, lo = u64(0), u64(0)
    for column in range(length):
        digit = _DIGITS[code[1 + column]]
        if digit == 0:
            return u64(0), u64(0)
        if column < HALF:
            hi += u64(digit) * _WEIGHTS[column]
        else:
            lo += u64(digit) * _WEIGHTS[column]
    return hi, lo
