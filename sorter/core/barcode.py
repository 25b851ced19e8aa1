"""Codes become waybills here: which carriers' patterns they fit, and their exact 128-bit key.

One automaton holds the patterns of all carriers, so that a code is read once.
"""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.jit import i64, inlined, kernel, multiply, u64, word_at
from sorter.core.prepared import DIGITS, Automaton
from sorter.core.state import Work
from sorter.records import Bytes

HALF: Final = limits.WAYBILL_TEXT_MAX // 2
START: Final = np.uint64(1)
NO_KEY: Final = np.uint64(0)

_WEIGHTS: Final = np.array([40 ** (HALF - 1 - place % HALF) for place in range(2 * HALF)], np.uint64)
_COLUMNS: Final = limits.WAYBILL_TEXT_MAX
_STEPS: Final = 8  # characters between two looks at the end
_ONES: Final = np.uint64(0x0101010101010101)
_LOW_5: Final = np.uint64(0x1F1F1F1F1F1F1F1F)
_BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)
_FOURS: Final = np.uint64(0x00000000FFFFFFFF)
_LAST_BYTE: Final = np.uint64(56)


@kernel
def match_codes(automaton: Automaton, valid: Any, codes: Bytes, work: Work, first: int, end: int) -> None:
    """For work.rows from `first` up to `end`: their keys, and the valid patterns they fit (0: no waybill)."""
    for at in range(first, end, 4):
        _match_four(automaton, valid, codes, work, at, end - 1)


@inlined
def _match_four(automaton: Automaton, valid: Any, codes: Bytes, work: Work, at: int, last: int) -> None:
    """Walk four codes side by side: none waits for its own last step. Past their end nothing changes."""
    two, three, four = min(at + 1, last), min(at + 2, last), min(at + 3, last)
    row_1, row_2, row_3, row_4 = u64(work.rows[at]), u64(work.rows[two]), u64(work.rows[three]), u64(work.rows[four])
    state_1 = state_2 = state_3 = state_4 = START
    longest = max(codes[row_1, 0], codes[row_2, 0], codes[row_3, 0], codes[row_4, 0])
    for begin in range(1, min(i64(longest), _COLUMNS) + 1, _STEPS):
        for column in range(begin, begin + _STEPS):
            state_1 = _walk(automaton, codes, row_1, u64(column), state_1)
            state_2 = _walk(automaton, codes, row_2, u64(column), state_2)
            state_3 = _walk(automaton, codes, row_3, u64(column), state_3)
            state_4 = _walk(automaton, codes, row_4, u64(column), state_4)
    _note(automaton, valid, codes, work, at, row_1, state_1)
    _note(automaton, valid, codes, work, two, row_2, state_2)
    _note(automaton, valid, codes, work, three, row_3, state_3)
    _note(automaton, valid, codes, work, four, row_4, state_4)


@inlined
def _walk(automaton: Automaton, codes: Bytes, row: Any, column: Any, state: Any) -> Any:
    """The state after one more character."""
    symbol = u64(automaton.symbols[codes[row, column]])
    return u64(automaton.next_state[(state << u64(automaton.class_bits)) | symbol])


@inlined
def _note(automaton: Automaton, valid: Any, codes: Bytes, work: Work, at: int, row: Any, state: Any) -> None:
    """Write down what a code is. One with a zero byte inside or with too many characters is no waybill."""
    accepted = automaton.accepts[state] & valid
    if accepted != NO_KEY:
        work.code_hi[at], work.code_lo[at], length = _key(codes, row)
        accepted = accepted if length == u64(codes[row, 0]) and length != NO_KEY else NO_KEY
    work.accepted[at] = accepted


@inlined
def _key(codes: Bytes, row: Any) -> tuple[Any, Any, Any]:
    """The key of a code that consists of a waybill's characters, as records.waybill_key makes it, and its length."""
    first, there_1 = _eight(word_at(codes, row, 1))
    middle, there_2 = _eight(word_at(codes, row, 9))
    last, there_3 = _eight(word_at(codes, row, 17))
    length = multiply(there_1 + there_2 + there_3, _ONES) >> _LAST_BYTE
    hi = (first & _FOURS) * u64(2_560_000) + (first >> u64(32))
    hi = hi * u64(2_560_000) + (middle & _FOURS)
    lo = (middle >> u64(32)) * u64(2_560_000) + (last & _FOURS)
    return hi, lo * u64(2_560_000) + (last >> u64(32)), length


@inlined
def _eight(text: Any) -> tuple[Any, Any]:
    """Eight characters as two base-40 numbers of four digits, the first ones low, and a 1 for each that is there.

    Digits have bits 5 and 4, letters bit 6, and `-`, `.`, `/` bit 5 alone.
    """
    letter = (text >> u64(6)) & _ONES
    low = (text >> u64(5)) & _ONES & ~letter
    sign = low & ~(text >> u64(4))
    there = letter | low
    digits = (text & _LOW_5) + letter * u64(25) + sign * u64(39) - there * u64(15)
    pairs = (digits & _BYTES) * u64(40) + ((digits >> u64(8)) & _BYTES)
    return (pairs & _PAIRS) * u64(1600) + ((pairs >> u64(16)) & _PAIRS), there


@kernel
def prefix_key(code: Any, length: int) -> tuple[Any, Any]:
    """The key of a code's first `length` characters; (0, 0) when a waybill has no such character."""
    hi, lo = u64(0), u64(0)
    for column in range(length):
        digit = DIGITS[code[1 + column]]
        if digit == 0:
            return u64(0), u64(0)
        if column < HALF:
            hi += u64(digit) * _WEIGHTS[column]
        else:
            lo += u64(digit) * _WEIGHTS[column]
    return hi, lo
