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
from typing import NamedTuple, Protocol

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


def compare(
    books: Mapping[Key, Sequence[Booked]], parcels: Sequence[Parcel], apart_ns: int, counts: Counter[str]
) -> Iterator[Difference]:
    """The differences; `counts` gets what the plant did to itself. Clocks may be `apart_ns` apart."""
    bearers: dict[Key, list[Bearer]] = {}
    first_epoch = {parcel.line: min(parcel.items)[0] for parcel in reversed(parcels) if parcel.items}
    for parcel in parcels:
        for at, (epoch, item) in enumerate(parcel.items):
            bearers.setdefault((parcel.line, item), []).append(Bearer(epoch, at, parcel))
    for key, several in bearers.items():
        several.sort()
        booked = list(books.get(key, ()))
        restarted = [each.scans[0] for each in several if each.scans and each.epoch > first_epoch[key[0]]]
        counts["twice"] += _drop_twice(booked, len(several), restarted, apart_ns)
        counts["unseen"] += _drop_unseen(several, len(booked))
        yield from _pairs(key, several, booked, counts)
    for key in books.keys() - bearers.keys():
        yield Difference(key, None, 0, "the ledger has an item that never was on the belt")


def _drop_twice(booked: list[Booked], bearers: int, first_scans: list[int], apart_ns: int) -> int:
    """Take out what is too many, lost, and was opened by one of these scans."""
    dropped = 0
    for scan_ns in first_scans:
        lost = [one for one in booked if one.chute == 0 and abs(one.entered_ns - scan_ns) <= apart_ns]
        if lost and len(booked) > bearers:
            booked.remove(lost[0])
            dropped += 1
    return dropped


def _drop_unseen(bearers: list[Bearer], booked: int) -> int:
    """Take out numbers of which nothing can be known, as far as the ledger has too few."""
    dropped = 0
    for bearer in list(bearers):
        if len(bearers) > booked and not bearer.scans and not bearer.chute:
            bearers.remove(bearer)
            dropped += 1
    return dropped


def _pairs(key: Key, bearers: list[Bearer], booked: list[Booked], counts: Counter[str]) -> Iterator[Difference]:
    for at, bearer in enumerate(bearers):
        parcel = bearer.parcel
        if at >= len(booked):
            yield Difference(key, parcel, parcel.chute, "the ledger does not have it")
        elif booked[at].chute == 0 and bearer.chute and parcel.unreported:
            counts["unreported"] += 1
        elif booked[at].chute != bearer.chute:
            yield Difference(key, parcel, parcel.chute, _words(booked[at].chute))
    for one in booked[len(bearers) :]:
        yield Difference(key, None, one.chute or 0, "the ledger has more items of this number than there were")


def _words(chute: int | None) -> str:
    if chute is None:
        return "the ledger has it on the belt still"
    return f"the ledger has it in chute {chute}" if chute else "the ledger has it lost"
