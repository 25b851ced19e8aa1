r"""Waybills that fit a carrier's pattern: a pattern becomes shapes, a shape becomes random codes.

The patterns are the subset of regular expressions that carriers.csv allows: literals, classes,
`\d`, groups, alternatives and counts.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Shape = tuple[bytes, ...]
"""What may stand at each place of a code of one length."""

Codes = NDArray[np.bytes_]

WAYBILL_TEXT_MAX: Final = 24
SHAPES_MAX: Final = 256
_ALPHABET: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./"
_S10: Final = re.compile(rb"[A-Z]{2}\d{9}[A-Z]{2}")
_S10_WEIGHTS: Final = np.array([8, 6, 4, 2, 3, 5, 9, 7])
_COUNT: Final = re.compile(r"\{(\d+)(,?)(\d*)\}")


class PatternRefused(ValueError):
    """A waybill pattern uses what carriers.csv does not allow."""


class _Left(NamedTuple):
    shapes: list[Shape]
    at: int


def shapes(pattern: str) -> list[Shape]:
    r"""Every shape of the codes that `pattern` accepts and a waybill can have, shortest first.

    An open count, as in `\d{11,}`, goes one beyond its least. Raises PatternRefused.
    """
    left = _alternatives(pattern, 0)
    if left.at != len(pattern):
        raise PatternRefused(f'"{pattern}": character {left.at + 1}, "{pattern[left.at]}", closes nothing')
    fit = {
        shape
        for shape in left.shapes
        if 0 < len(shape) <= WAYBILL_TEXT_MAX and all(set(place) <= set(_ALPHABET) for place in shape)
    }
    if not fit:
        raise PatternRefused(f'"{pattern}" accepts no code of 1 to {WAYBILL_TEXT_MAX} characters')
    return sorted(fit, key=lambda shape: (len(shape), shape))


def _alternatives(text: str, at: int) -> _Left:
    found: list[Shape] = []
    while True:
        left = _sequence(text, at)
        found += left.shapes
        at = left.at
        if at >= len(text) or text[at] != "|":
            return _Left(found, at)
        at += 1


def _sequence(text: str, at: int) -> _Left:
    built: list[Shape] = [()]
    while at < len(text) and text[at] not in "|)":
        atom = _atom(text, at)
        least, most, at = _count(text, atom.at)
        repeated = [
            sum(parts, start=()) for times in range(least, most + 1) for parts in product(atom.shapes, repeat=times)
        ]
        built = [before + after for before in built for after in repeated]
        if len(built) > SHAPES_MAX:
            raise PatternRefused(f'"{text}" has more than {SHAPES_MAX} shapes; write two rows instead')
    return _Left(built, at)


def _atom(text: str, at: int) -> _Left:
    char = text[at]
    if char == "(":
        left = _alternatives(text, at + (3 if text.startswith("(?:", at) else 1))
        if left.at >= len(text):
            raise PatternRefused(f'"{text}": the group at character {at + 1} is never closed')
        return _Left(left.shapes, left.at + 1)
    if char == "[":
        end = text.find("]", at)
        if end < 0:
            raise PatternRefused(f'"{text}": the class at character {at + 1} is never closed')
        return _Left([(_class(text[at + 1 : end]),)], end + 1)
    if char == "\\":
        escaped = text[at + 1 : at + 2]
        return _Left([(b"0123456789" if escaped == "d" else escaped.encode(),)], at + 2)
    if char in "*+?{}.^$":
        raise PatternRefused(f'"{text}": "{char}" at character {at + 1} is not allowed there')
    return _Left([(char.upper().encode(),)], at + 1)


def _class(inside: str) -> bytes:
    plain = inside.replace("\\d", "0-9")
    out = set()
    at = 0
    while at < len(plain):
        if plain[at + 1 : at + 2] == "-" and at + 2 < len(plain):
            out |= set(range(ord(plain[at]), ord(plain[at + 2]) + 1))
            at += 3
        else:
            out.add(ord(plain[at]))
            at += 1
    return bytes(sorted(out))


def _count(text: str, at: int) -> tuple[int, int, int]:
    if text[at : at + 1] == "?":
        return 0, 1, at + 1
    if text[at : at + 1] == "+":
        return 1, 2, at + 1
    match = _COUNT.match(text, at)
    if not match:
        return 1, 1, at
    least = int(match[1])
    most = int(match[3]) if match[3] else least + (1 if match[2] else 0)
    return least, most, match.end()


def draw(forms: list[list[Shape]], form: NDArray[np.intp], rng: np.random.Generator) -> Codes:
    """One code an element of `form`, of a random shape of forms[form]; no two are equal.

    S10 numbers get their check digit and the country CN.
    """
    codes = np.zeros(len(form), f"S{WAYBILL_TEXT_MAX}")
    todo = np.arange(len(form))
    while len(todo):
        codes[todo] = _draw_once(forms, form[todo], rng)
        _, first = np.unique(codes, return_index=True)
        todo = np.setdiff1d(np.arange(len(codes)), first, assume_unique=True)
    return codes


def _draw_once(forms: list[list[Shape]], form: NDArray[np.intp], rng: np.random.Generator) -> Codes:
    codes = np.zeros(len(form), f"S{WAYBILL_TEXT_MAX}")
    for kind, choices in enumerate(forms):
        mine = np.flatnonzero(form == kind)
        which = rng.integers(len(choices), size=len(mine))
        for at, shape in enumerate(choices):
            rows = mine[which == at]
            codes[rows] = _fill(shape, len(rows), rng)
    return codes


def _fill(shape: Shape, count: int, rng: np.random.Generator) -> Codes:
    text = np.zeros((count, WAYBILL_TEXT_MAX), np.uint8)
    for at, place in enumerate(shape):
        text[:, at] = np.frombuffer(place, np.uint8)[rng.integers(len(place), size=count)]
    if count and len(shape) == 13 and _S10.fullmatch(text[0, :13].tobytes()):
        text[:, 10] = _s10_check(text[:, 2:10]) + ord("0")
        if ord("C") in shape[11] and ord("N") in shape[12]:
            text[:, 11], text[:, 12] = ord("C"), ord("N")
    return text.view(f"S{WAYBILL_TEXT_MAX}").reshape(count)


def _s10_check(digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """UPU S10 check digit of uint8[n, 8] ASCII digits."""
    rest: NDArray[Any] = 11 - (digits.astype(np.int64) - ord("0")) @ _S10_WEIGHTS % 11
    return np.where(rest == 10, 0, np.where(rest == 11, 5, rest)).astype(np.uint8)
