"""A code's characters all at once: its exact key, and which of them there are and are digits.

The 24 characters that a waybill can have lie side by side in one vector. Each becomes its
base-40 digit; then neighbours join to two digits, four and eight.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from sorter import limits
from sorter.core.jit import UNCOMPILED
from sorter.core.prepared import DIGITS
from sorter.records import Bytes

_cgutils: Any = cgutils  # numba's own functions carry no types
_intrinsic: Any = intrinsic
_types: Any = types

_COLUMNS: Final = limits.WAYBILL_TEXT_MAX
_LANES: Final = limits.CODE_BYTES
_WORD: Final = ir.IntType(64)

assert _COLUMNS == 24
assert _LANES == 32


def _lanes_of(bits: int) -> ir.VectorType:
    return ir.VectorType(ir.IntType(bits), 8 * _LANES // bits)


def _every(bits: int, value: int) -> ir.Constant:
    return ir.Constant(_lanes_of(bits), [value] * (8 * _LANES // bits))


def _row(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The code's characters in lanes 0 to 23, zeros in the others."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    pointer = _cgutils.get_item_pointer(
        context, builder, signature.args[0], array, [arguments[1], ir.Constant(_WORD, 0)]
    )
    row = builder.load(builder.bitcast(pointer, _lanes_of(8).as_pointer()), align=1)
    after_length = [1 + lane if lane < _COLUMNS else _LANES for lane in range(_LANES)]
    return builder.shuffle_vector(row, _every(8, 0), ir.Constant(ir.VectorType(ir.IntType(32), _LANES), after_length))


def _base_40(builder: Any, row: Any) -> Any:
    """Each character's digit as in records.waybill_key, for those that a waybill may have."""
    letter = builder.add(builder.and_(row, _every(8, 0x1F)), _every(8, 10))
    sign = builder.sub(row, _every(8, ord("-") - 37))
    digit = builder.sub(row, _every(8, ord("0") - 1))
    sign_or_none = builder.select(builder.icmp_unsigned("==", row, _every(8, 0)), row, sign)
    no_letter = builder.select(_is_digit(builder, row), digit, sign_or_none)
    return builder.select(builder.icmp_unsigned(">=", row, _every(8, ord("A") - 1)), letter, no_letter)


def _is_digit(builder: Any, row: Any) -> Any:
    return builder.icmp_unsigned("<", builder.sub(row, _every(8, ord("0"))), _every(8, 10))


def _joined(builder: Any, digits: Any, bits: int, weight: int) -> Any:
    """Neighbours of `bits` bits as one number: the first one times `weight`, plus the second."""
    pairs = builder.bitcast(digits, _lanes_of(2 * bits))
    first = builder.and_(pairs, _every(2 * bits, (1 << bits) - 1))
    return builder.add(builder.mul(first, _every(2 * bits, weight)), builder.lshr(pairs, _every(2 * bits, bits)))


def _mask(builder: Any, lanes: Any) -> Any:
    return builder.zext(builder.bitcast(lanes, ir.IntType(_LANES)), _WORD)


def _read_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    row = _row(context, builder, signature, arguments)
    fours = _joined(builder, _joined(builder, _base_40(builder, row), 8, 40), 16, 40**2)
    eights = _joined(builder, fours, 32, 40**4)

    def four(lane: int) -> Any:
        return builder.zext(builder.extract_element(fours, ir.Constant(ir.IntType(32), lane)), _WORD)

    def eight(lane: int) -> Any:
        return builder.extract_element(eights, ir.Constant(ir.IntType(32), lane))

    hi = builder.add(builder.mul(eight(0), ir.Constant(_WORD, 40**4)), four(2))
    lo = builder.add(builder.mul(four(3), ir.Constant(_WORD, 40**8)), eight(2))
    there = _mask(builder, builder.icmp_unsigned("!=", row, _every(8, 0)))
    parts = [hi, lo, there, _mask(builder, _is_digit(builder, row))]
    return context.make_tuple(builder, signature.return_type, parts)


def _read_type(_context: Any, codes: Any, _row: Any) -> Any:
    return _types.UniTuple(_types.uint64, 4)(codes, _types.int64), _read_code


def _read_slow(codes: Bytes, row: int) -> tuple[Any, ...]:
    text = codes[row, 1 : 1 + _COLUMNS].tolist()
    halves = [0, 0]
    for column, char in enumerate(text):
        halves[column * 2 // _COLUMNS] = halves[column * 2 // _COLUMNS] * 40 + int(DIGITS[char])
    there = sum(1 << column for column, char in enumerate(text) if char)
    digits = sum(1 << column for column, char in enumerate(text) if ord("0") <= char <= ord("9"))
    return tuple(np.uint64(part) for part in (*halves, there, digits))


read_code: Callable[[Bytes, int], tuple[Any, Any, Any, Any]]
"""Row `row` of uint8[n, 32] codes as (hi, lo, there, digits), four words.

`hi`, `lo` are its key as records.waybill_key makes it, which means nothing when a character is
none of a waybill's. Bit c of `there`: character c is not zero; of `digits`: it is 0 to 9.
"""
read_code = _read_slow if UNCOMPILED else _intrinsic(_read_type)
