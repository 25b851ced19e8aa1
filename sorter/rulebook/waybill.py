r"""Waybill patterns become one automaton that says, for a code, which of up to 64 patterns it fits.

The language is a part of regular expressions that staff can read and a machine can hold: literals,
`[0-9A-Z]`, `\d`, groups, `|`, `?`, `{n}`, `{n,m}`, `{n,}`, `*` and `+`. Letters are folded, and a
pattern always stands for the whole code. An open count reaches as far as a waybill does; that a
waybill ends after WAYBILL_TEXT_MAX characters is for the reader of the automaton to hold.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sorter import limits
from sorter.records import Bits, Bytes, Words16
from sorter.rulebook.mistakes import Mistake, Wrong

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./"
_DIGITS: Final = frozenset(ALPHABET[:10])
_LETTERS: Final = frozenset(ALPHABET[10:36])
_NODES_MAX: Final = 8192
_RAW_STATES_MAX: Final = 4 * limits.WAYBILL_STATES_MAX
_COUNT: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


class PatternError(Wrong):
    """What is wrong with a pattern, at which character, and what to write."""


class TooManyStates(Wrong):
    """Patterns whose automaton would outgrow WAYBILL_STATES_MAX."""


class Automaton(NamedTuple):
    """State 0 is dead, state 1 the start. See records.Waybills."""

    classes: Bytes  # [256]
    next_state: Words16  # [states, classes]
    accepts: Bits  # [states]


class Chars(NamedTuple):
    """One character out of several."""

    any_of: frozenset[str]


class Series(NamedTuple):
    """One part after the other."""

    parts: tuple["Node", ...]


class Choice(NamedTuple):
    """One of several."""

    options: tuple["Node", ...]


class Repeat(NamedTuple):
    """A part from `least` to `most` times; None: as often as wished."""

    part: "Node"
    least: int
    most: int | None


Node = Chars | Series | Choice | Repeat


def parse(pattern: str) -> Node:
    """The tree of one pattern. Raises PatternError."""
    reader = _Reader(pattern)
    node = reader.choice()
    if reader.at < len(pattern):
        raise reader.error(Mistake.NEVER_OPENED)
    least, most = lengths(node)
    longest = limits.WAYBILL_TEXT_MAX
    if least == 0:
        raise PatternError(Mistake.FITS_NOTHING_READ.about())
    if least > longest or (most is not None and most > longest):
        raise PatternError(Mistake.FITS_TOO_LONG.about(length=max(least, most or 0), most=longest))
    return node


def lengths(node: Node) -> tuple[int, int | None]:
    """The shortest and the longest code that fits; None: no end."""
    if isinstance(node, Chars):
        return 1, 1
    if isinstance(node, Repeat):
        least, most = lengths(node.part)
        return least * node.least, None if most is None or node.most is None else most * node.most
    ends = [lengths(part) for part in (node.parts if isinstance(node, Series) else node.options)]
    shortest = [least for least, _ in ends]
    longest = [most for _, most in ends if most is not None]
    unite = sum if isinstance(node, Series) else max
    return (
        sum(shortest) if isinstance(node, Series) else min(shortest),
        unite(longest) if len(longest) == len(ends) else None,
    )


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, mistake: Mistake, at: int | None = None, sign: str = "", **facts: Any) -> PatternError:
        """Of the character at `at`, or where the reader stands; `sign`: of it and some behind it."""
        place = self.at if at is None else at
        sign = sign or self.text[place : place + 1]
        return PatternError(mistake.about(text=self.text, at=place + 1, sign=sign, **facts))

    def peek(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def choice(self) -> Node:
        options = [self.series()]
        while self.peek("|"):
            self.at += 1
            options.append(self.series())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def series(self) -> Node:
        start, parts = self.at, []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.repeat())
        if not parts:
            raise PatternError(Mistake.PART_MISSING.about(text=self.text, at=start + 1))
        return parts[0] if len(parts) == 1 else Series(tuple(parts))

    def repeat(self) -> Node:
        node = self.atom()
        simple = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        sign = self.text[self.at : self.at + 1]
        if sign in simple:
            self.at += 1
            least, most = simple[sign]
        elif sign == "{":
            least, most = self.count()
        else:
            return node
        if self.text[self.at : self.at + 1] in ("?", "*", "+", "{"):
            raise self.error(Mistake.SECOND_COUNT)
        return Repeat(node, least, most)

    def count(self) -> tuple[int, int | None]:
        match = _COUNT.match(self.text, self.at)
        if not match:
            raise self.error(Mistake.NOT_A_COUNT)
        least = int(match[1][:4])
        most = least if not match[2] else int(match[3][:4]) if match[3] else None
        if least > limits.WAYBILL_TEXT_MAX or (most or 0) > limits.WAYBILL_TEXT_MAX:
            raise self.error(Mistake.COUNT_TOO_HIGH, most=limits.WAYBILL_TEXT_MAX)
        if most is not None and (most < least or most == 0):
            raise self.error(Mistake.COUNTS_DOWN)
        self.at = match.end()
        return least, most

    def atom(self) -> Node:
        char, start = self.text[self.at], self.at
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        self.at += 1
        if char == "\\":
            return self.escape(start)
        if char.upper() not in ALPHABET or char == ".":
            raise self.error(_STRANGE.get(char, Mistake.NEVER_IN_A_WAYBILL), start)
        return Chars(frozenset(char.upper()))

    def escape(self, start: int) -> Chars:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char == "d":
            return Chars(_DIGITS)
        if not char or char not in "-./":
            raise self.error(Mistake.UNKNOWN_ESCAPE, start, f"\\{char}")
        return Chars(frozenset(char))

    def group(self) -> Node:
        start = self.at
        self.at += 3 if self.peek("(?:") else 1
        if self.peek("?"):
            raise self.error(Mistake.SPECIAL_GROUP, start)
        node = self.choice()
        if not self.peek(")"):
            raise self.error(Mistake.GROUP_LEFT_OPEN, start)
        self.at += 1
        return node

    def char_class(self) -> Chars:
        start = self.at
        end = self.text.find("]", start)
        if end < 0:
            raise self.error(Mistake.CLASS_LEFT_OPEN, start)
        inside = self.text[start + 1 : end]
        if not inside or inside[0] == "^":
            raise self.error(Mistake.EMPTY_CLASS, start)
        self.at = start + 1
        chars: set[str] = set()
        while self.at < end:
            chars |= self.class_part(end)
        self.at = end + 1
        return Chars(frozenset(chars))

    def class_part(self, end: int) -> frozenset[str]:
        start = self.at
        char = self.text[start].upper()
        if char == "\\":
            self.at += 1
            return self.escape(start).any_of
        if char not in ALPHABET:
            raise self.error(Mistake.NEVER_IN_A_WAYBILL)
        if self.text[start + 1] != "-" or start + 2 >= end:
            self.at += 1
            return frozenset(char)
        last = self.text[start + 2].upper()
        self.at += 3
        for kind in (_DIGITS, _LETTERS):
            if char in kind and last in kind and char <= last:
                return frozenset(each for each in kind if char <= each <= last)
        raise self.error(Mistake.NOT_A_CLASS_SPAN, start, f"{char}-{last}")


_STRANGE: Final = {
    ".": Mistake.ANY_CHARACTER,
    "^": Mistake.NEEDLESS_ANCHOR,
    "$": Mistake.NEEDLESS_ANCHOR,
    "?": Mistake.NOTHING_TO_COUNT,
    "*": Mistake.NOTHING_TO_COUNT,
    "+": Mistake.NOTHING_TO_COUNT,
    "{": Mistake.NOTHING_TO_COUNT,
}


class _Net:
    """Nodes with moves that read a character and moves that read none."""

    def __init__(self) -> None:
        self.free: list[list[int]] = []
        self.moves: list[list[tuple[frozenset[str], int]]] = []

    def node(self) -> int:
        if len(self.free) >= _NODES_MAX:
            raise TooManyStates(Mistake.REPEATS_TOO_MUCH.about())
        self.free.append([])
        self.moves.append([])
        return len(self.free) - 1

    def add(self, node: Node, at: int) -> int:
        """Lays `node` behind `at`; returns where it ends."""
        if isinstance(node, Chars):
            end = self.node()
            self.moves[at].append((node.any_of, end))
            return end
        if isinstance(node, Series):
            for part in node.parts:
                at = self.add(part, at)
            return at
        if isinstance(node, Repeat):
            return self._repeat(node, at)
        end = self.node()
        for option in node.options:
            fork = self.node()
            self.free[at].append(fork)
            self.free[self.add(option, fork)].append(end)
        return end

    def _repeat(self, node: Repeat, at: int) -> int:
        for _ in range(node.least):
            at = self.add(node.part, at)
        end = self.node()
        if node.most is None:
            loop = self.node()
            self.free[at].append(loop)
            self.free[self.add(node.part, loop)].append(loop)
            self.free[loop].append(end)
            return end
        for _ in range(node.most - node.least):
            self.free[at].append(end)
            fork = self.node()
            self.free[at].append(fork)
            at = self.add(node.part, fork)
        self.free[at].append(end)
        return end

    def reach(self, nodes: Iterable[int]) -> frozenset[int]:
        """`nodes` and all that follow without reading a character."""
        seen = set(nodes)
        todo = list(seen)
        while todo:
            for follower in self.free[todo.pop()]:
                if follower not in seen:
                    seen.add(follower)
                    todo.append(follower)
        return frozenset(seen)


def compile_patterns(patterns: Sequence[Node]) -> Automaton:
    """One automaton over 1 to 64 patterns; bit p of a state's mask: the code fits pattern p.

    Raises TooManyStates.
    """
    assert 0 < len(patterns) <= limits.PATTERNS_MAX
    net = _Net()
    starts = [net.node() for _ in patterns]
    ends = {net.add(pattern, start): bit for bit, (pattern, start) in enumerate(zip(patterns, starts, strict=True))}
    groups = _groups(net)
    rows, masks = _determine(net, starts, ends, [group[0] for group in groups])
    next_state, accepts = _minimal(rows, masks)
    if len(accepts) > limits.WAYBILL_STATES_MAX:
        raise TooManyStates(Mistake.TOO_MANY_STATES.about(most=limits.WAYBILL_STATES_MAX))
    classes = np.zeros(256, np.uint8)
    for symbol, group in enumerate(groups, start=1):
        for char in group:
            classes[[ord(char), ord(char.lower())]] = symbol
    return Automaton(classes, next_state, accepts)


def _groups(net: _Net) -> list[str]:
    """Characters that no move tells apart stand in one group; those of no move in none."""
    sets = sorted({any_of for moves in net.moves for any_of, _ in moves}, key=sorted)
    by_use: dict[tuple[bool, ...], str] = {}
    for char in ALPHABET:
        use = tuple(char in any_of for any_of in sets)
        if any(use):
            by_use[use] = by_use.get(use, "") + char
    return list(by_use.values())


def _determine(
    net: _Net, starts: list[int], ends: dict[int, int], symbols: list[str]
) -> tuple[NDArray[np.int64], Bits]:
    """Sets of nodes as states: [states, 1 + symbols], class 0 leading nowhere."""
    known = {frozenset[int](): 0, net.reach(starts): 1}
    todo = [net.reach(starts)]
    rows = [[0] * (len(symbols) + 1)]
    while todo:
        row = [0]
        moves = [move for node in todo.pop(0) for move in net.moves[node]]
        for symbol in symbols:
            after = net.reach(end for any_of, end in moves if symbol in any_of)
            if after not in known:
                known[after] = len(known)
                todo.append(after)
            row.append(known[after])
        rows.append(row)
        if len(known) > _RAW_STATES_MAX:
            raise TooManyStates(Mistake.TOO_MANY_STATES.about(most=_RAW_STATES_MAX))
    masks = [sum(1 << ends[node] for node in nodes if node in ends) for nodes in known]
    return np.array(rows, np.int64), np.array(masks, np.uint64)


def _minimal(rows: NDArray[np.int64], accepts: Bits) -> tuple[Words16, Bits]:
    """States that accept the same from here on become one (Moore); 0 stays dead and 1 the start."""
    _, part = np.unique(accepts, return_inverse=True)
    count = 0
    while part.max() + 1 > count:
        count = int(part.max()) + 1
        _, part = np.unique(np.column_stack([part, part[rows]]), axis=0, return_inverse=True)
    order = list(dict.fromkeys(int(state) for state in part))
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    first = np.array([int(np.flatnonzero(part == state)[0]) for state in order])
    return place[part[rows[first]]].astype(np.uint16), accepts[first]


def fits(automaton: Automaton, code: str) -> int:
    """The mask of the patterns that a code fits. Slow; for messages and tests."""
    state = 1
    if not 0 < len(code) <= limits.WAYBILL_TEXT_MAX:
        return 0
    for char in code:
        state = int(automaton.next_state[state, automaton.classes[ord(char)] if ord(char) < 256 else 0])
    return int(automaton.accepts[state])
