"""Each parcel against the ledger's items of its numbers: it must be there once, and have ended where it really did.

What the plant did to itself is no fault of the ledger, and is counted apart:
- unreported: the parcel dropped, and the PLC lost its report of it; the ledger has the item lost;
- unseen: the PLC gave the parcel a number and forgot it before anything was read or reported of it;
- twice: it was scanned before the restart of its PLC could be known, so its item was opened under
  the PLC's former start too, and was lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

Key = tuple[str, int]
"""(line, item number)"""


class Booked(NamedTuple):
    """An item of the ledger."""

    chute: int | None  # where it ended; 0: without a chute; None: it is on the belt
    entered_ns: int


class Parcel(Protocol):
    """What is known of a parcel as it really went."""

    line: str
    items: list[tuple[int, int]]
    scans: list[int]
    chute: int
    unreported: bool

    def scans_under(self, at: int) -> list[int]:
        """When it was scanned under its number `items[at]`."""


class Bearer(NamedTuple):
    """A parcel under one of its numbers."""

    epoch: int
    at: int  # the place in its items
    parcel: Parcel

    @property
    def scans(self) -> list[int]:
        """When it was scanned under this number."""
        return self.parcel.scans_under(self.at)

    @property
    def chute(self) -> int | None:
        """Where it ended under this number; 0: without a chute, for the PLC gave it another; None: it has not."""
        is_last = self.at == len(self.parcel.items) - 1
        return (self.parcel.chute or None) if is_last else 0


class Difference(NamedTuple):
    """What the ledger does not tell as it was."""

    key: Key
    parcel: Parcel | None  # None: no parcel explains what the ledger has
    chute: int
    why: str


WRONG: Final = 1000  # what a difference costs that nothing explains; one that the plant explains costs 1

Pair = tuple[Bearer | None, int | None]
"""A parcel under a number and the place of its item in the ledger's list; None: there is none."""


def first_epochs(parcels: Sequence[Parcel]) -> dict[str, int]:
    """Line -> the start of its PLC with which the day began."""
    return {parcel.line: min(parcel.items)[0] for parcel in reversed(parcels) if parcel.items}


def compare(
    books: Mapping[Key, Sequence[Booked]], parcels: Sequence[Parcel], apart_ns: int, counts: Counter[str]
) -> Iterator[Difference]:
    """The differences; `counts` gets what the plant did to itself. Clocks may be `apart_ns` apart."""
    bearers: dict[Key, list[Bearer]] = {}
    first_epoch = first_epochs(parcels)
    for parcel in parcels:
        for at, (epoch, item) in enumerate(parcel.items):
            bearers.setdefault((parcel.line, item), []).append(Bearer(epoch, at, parcel))
    for key, several in bearers.items():
        several.sort()
        restarted = [each.scans[0] for each in several if each.scans and each.epoch > first_epoch[key[0]]]
        yield from _Number(key, several, books.get(key, ()), restarted, apart_ns).differences(counts)
    for key in books.keys() - bearers.keys():
        yield Difference(key, None, 0, "the ledger has an item that never was on the belt")


class _Number:
    """One number of a line: who bore it one after the other, and what the ledger has of it."""

    def __init__(
        self, key: Key, bearers: list[Bearer], booked: Sequence[Booked], restarted: list[int], apart_ns: int
    ) -> None:
        """`restarted`: when each bearer was first scanned that had the number from a PLC that had started again."""
        self._key = key
        self._bearers = bearers
        self._booked = booked
        self._twice: set[int] = set()  # places of what each of those scans may have opened once too often
        lost = [at for at, one in enumerate(booked) if one.chute == 0]
        for scan_ns in restarted:
            opened = [at for at in lost if abs(booked[at].entered_ns - scan_ns) <= apart_ns and at not in self._twice]
            self._twice |= set(opened[:1])

    def differences(self, counts: Counter[str]) -> Iterator[Difference]:
        """What no one explains; the rest is counted."""
        for bearer, at in self._aligned():
            kind = self._kind(bearer, at)
            if kind:
                counts[kind] += 1
            elif bearer is None and at is not None:
                chute = self._booked[at].chute or 0
                yield Difference(self._key, None, chute, "the ledger has more items of this number than there were")
            elif bearer is not None:
                why = "the ledger does not have it" if at is None else _words(self._booked[at].chute)
                yield Difference(self._key, bearer.parcel, bearer.parcel.chute, why)

    def _kind(self, bearer: Bearer | None, at: int | None) -> str:
        """`right`, what the plant did to itself, or "" for what nothing explains."""
        if bearer is None:
            return "twice" if at in self._twice else ""
        if at is None:
            return "unseen" if not bearer.scans and not bearer.chute else ""
        chute = self._booked[at].chute
        if chute == bearer.chute:
            return "right"
        return "unreported" if chute == 0 and bearer.chute and bearer.parcel.unreported else ""

    def _cost(self, bearer: Bearer | None, at: int | None) -> int:
        kind = self._kind(bearer, at)
        return 0 if kind == "right" else 1 if kind else WRONG

    def _aligned(self) -> list[Pair]:
        """Bearers beside the ledger's items, each in its order, so that as little as may be is wrong."""
        bearers, count = self._bearers, len(self._booked)
        best: list[list[tuple[int, Pair | None]]] = [[(0, None)] * (count + 1) for _ in range(len(bearers) + 1)]
        for row in range(len(bearers), -1, -1):
            for at in range(count, -1, -1):
                ways: list[tuple[int, Pair | None]] = []
                if row < len(bearers) and at < count:
                    ways.append((self._cost(bearers[row], at) + best[row + 1][at + 1][0], (bearers[row], at)))
                if row < len(bearers):
                    ways.append((self._cost(bearers[row], None) + best[row + 1][at][0], (bearers[row], None)))
                if at < count:
                    ways.append((self._cost(None, at) + best[row][at + 1][0], (None, at)))
                if ways:
                    best[row][at] = min(ways, key=itemgetter(0))
        found: list[Pair] = []
        row = at = 0
        while pair := best[row][at][1]:
            found.append(pair)
            row, at = row + (pair[0] is not None), at + (pair[1] is not None)
        return found


def _words(chute: int | None) -> str:
    if chute is None:
        return "the ledger has it on the belt still"
    return f"the ledger has it in chute {chute}" if chute else "the ledger has it lost"
