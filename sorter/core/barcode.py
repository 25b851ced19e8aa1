"""Codes become waybills here: which carriers' patterns they fit, and their exact 128-bit key.

All codes of a run step through one automaton together, a column at a time, so that no code
waits for its own last step.
"""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.jit import i64, kernel, u64
from sorter.core.prepared import DIGITS, Automaton
from sorter.core.state import Work
from sorter.records import Bytes

HALF: Final = limits.WAYBILL_TEXT_MAX // 2
START: Final = 1


_WEIGHTS: Final = np.array([40 ** (HALF - 1 - place % HALF) for place in range(2 * HALF)], np.uint64)


@kernel
def match_codes(automaton: Automaton, valid: Any, codes: Bytes, work: Work, count: int) -> None:
    """For the first `count` of work.rows: their keys, and the valid patterns they fit (0: no waybill)."""
    longest = 0
    for at in range(count):
        length = i64(codes[work.rows[at], 0])
        work.lengths[at] = length
        work.states[at] = START
        work.code_hi[at] = work.code_lo[at] = u64(0)
        longest = max(longest, length)
    longest = min(longest, limits.WAYBILL_TEXT_MAX)
    for column in range(min(longest, HALF)):
        _step_column(automaton, codes, work, work.code_hi, count, column)
    for column in range(HALF, longest):
        _step_column(automaton, codes, work, work.code_lo, count, column)
    for at in range(count):
        fits = 0 < work.lengths[at] <= limits.WAYBILL_TEXT_MAX
        work.accepted[at] = automaton.accepts[work.states[at]] & valid if fits else u64(0)


@kernel
def _step_column(automaton: Automaton, codes: Bytes, work: Work, keys: Any, count: int, column: int) -> None:
    """Every code takes its character of this column; one that has ended stays as it is."""
    symbols, next_state, class_bits = automaton.symbols, automaton.next_state, automaton.class_bits
    rows, lengths, states = work.rows, work.lengths, work.states
    weight = _WEIGHTS[column]
    for at in range(count):
        symbol = i64(symbols[codes[rows[at], 1 + column]])
        state = i64(states[at])
        after = i64(next_state[(state << class_bits) | (symbol & 0xFF)])
        inside = column < lengths[at]
        states[at] = after if inside else state
        keys[at] += u64(symbol >> 8 if inside else 0) * weight


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
