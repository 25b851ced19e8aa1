"""Codes become waybills here: which carriers' patterns they fit, and their exact 128-bit key.

One automaton holds the patterns of all carriers, so that a code is read once.
"""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.jit import inlined, kernel, u64
from sorter.core.prepared import DIGITS, Automaton
from sorter.core.state import Work
from sorter.records import Bytes

HALF: Final = limits.WAYBILL_TEXT_MAX // 2
START: Final = np.uint64(1)
NO_KEY: Final = np.uint64(0)


_WEIGHTS: Final = np.array([40 ** (HALF - 1 - place % HALF) for place in range(2 * HALF)], np.uint64)


@kernel
def match_codes(automaton: Automaton, valid: Any, codes: Bytes, work: Work, count: int) -> None:
    """For the first `count` of work.rows: their keys, and the valid patterns they fit (0: no waybill)."""
    work.rows[count] = work.rows[count - 1]  # the last one has a partner when their number is odd
    for at in range(0, count, 2):
        _match_pair(automaton, valid, codes, work, at)


@kernel
def _match_pair(automaton: Automaton, valid: Any, codes: Bytes, work: Work, at: int) -> None:
    """Walk two codes side by side: neither waits for its own last step."""
    one, two = u64(work.rows[at]), u64(work.rows[at + 1])
    length_one, length_two = u64(codes[one, 0]), u64(codes[two, 0])
    state_one = state_two = START
    key_one = key_two = NO_KEY
    end = min(max(length_one, length_two), u64(limits.WAYBILL_TEXT_MAX))
    for column in range(min(end, u64(HALF))):
        state_one, key_one = _walk(automaton, codes, one, u64(column), length_one, state_one, key_one)
        state_two, key_two = _walk(automaton, codes, two, u64(column), length_two, state_two, key_two)
    work.code_hi[at], work.code_hi[at + 1] = key_one, key_two
    key_one = key_two = NO_KEY
    for column in range(u64(HALF), end):
        state_one, key_one = _walk(automaton, codes, one, u64(column), length_one, state_one, key_one)
        state_two, key_two = _walk(automaton, codes, two, u64(column), length_two, state_two, key_two)
    work.code_lo[at], work.code_lo[at + 1] = key_one, key_two
    work.accepted[at] = _accepted(automaton, valid, state_one, length_one)
    work.accepted[at + 1] = _accepted(automaton, valid, state_two, length_two)


@inlined
def _walk(
    automaton: Automaton, codes: Bytes, row: Any, column: Any, length: Any, state: Any, key: Any
) -> tuple[Any, Any]:
    """One step of one code: the state after its character, and the key with it. Past its end nothing changes."""
    symbol = u64(automaton.symbols[codes[row, column + u64(1)]])
    after = u64(automaton.next_state[(state << u64(automaton.class_bits)) | (symbol & u64(0xFF))])
    inside = column < length
    digit = symbol >> u64(8) if inside else NO_KEY
    return after if inside else state, key + digit * _WEIGHTS[column]


@inlined
def _accepted(automaton: Automaton, valid: Any, state: Any, length: Any) -> Any:
    fits = u64(0) < length <= u64(limits.WAYBILL_TEXT_MAX)
    return automaton.accepts[state] & valid if fits else NO_KEY


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
