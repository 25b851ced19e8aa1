"""Codes become waybills here: which carriers' patterns they fit, and their exact 128-bit key.

One automaton holds the patterns of all carriers, so that a code is read once. Most waybills
are a few letters and many digits: the digits that a state demands are taken in one step.
"""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.characters import read_code
from sorter.core.jit import i64, inlined, kernel, u64
from sorter.core.prepared import DIGITS, RUN_AT, STATE_MASK, Automaton
from sorter.core.state import Work
from sorter.records import Bytes

HALF: Final = limits.WAYBILL_TEXT_MAX // 2
START: Final = np.uint64(1)
NO_KEY: Final = np.uint64(0)

_WEIGHTS: Final = np.array([40 ** (HALF - 1 - place % HALF) for place in range(2 * HALF)], np.uint64)
_STEPS: Final = 4  # characters between two looks at what the state demands


@kernel
def match_codes(automaton: Automaton, valid: Any, codes: Bytes, work: Work, first: int, end: int) -> None:
    """For work.rows from `first` up to `end`: their keys, and the valid patterns they fit (0: no waybill)."""
    for at in range(first, end):
        row = i64(work.rows[at])
        hi, lo, there, digits = read_code(codes, row)
        accepted = automaton.accepts[_walk(automaton, codes, row, digits)] & valid
        length = min(i64(codes[row, 0]), limits.CODE_TEXT_MAX)
        whole = (length > 0) & (there + u64(1) == u64(1) << u64(length))
        work.code_hi[at], work.code_lo[at] = hi, lo
        work.accepted[at] = accepted if whole else NO_KEY


@inlined
def _walk(automaton: Automaton, codes: Bytes, row: int, digits: Any) -> Any:
    """The state after a code's last character. Past its end are zeros, which change no state."""
    state = START
    column = 1
    while True:
        for step in range(_STEPS):
            state = _step(automaton, codes, row, column + step, state)
        column += _STEPS
        if column > i64(codes[row, 0]) or column > limits.WAYBILL_TEXT_MAX:
            return state
        run = automaton.runs[state]
        demanded = (u64(1) << (u64(run) >> u64(RUN_AT))) - u64(1)
        if (digits >> u64(column - 1)) & demanded == demanded:
            state = u64(run) & u64(STATE_MASK)
            column += i64(run) >> RUN_AT


@inlined
def _step(automaton: Automaton, codes: Bytes, row: int, column: int, state: Any) -> Any:
    """The state after one more character."""
    symbol = u64(automaton.symbols[codes[row, column]])
    return u64(automaton.next_state[(state << u64(automaton.class_bits)) | symbol])


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
