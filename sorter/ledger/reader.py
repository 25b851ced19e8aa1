"""Questions to ledger.db: where is this parcel, what happened on this day. Reads only, and never for long."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sorter.reasons import EXCEPTIONS

DATABASE_NAME: Final = "ledger.db"
SORTED: Final = frozenset(reason.word for reason in type(next(iter(EXCEPTIONS))) if reason not in EXCEPTIONS)


@dataclass(frozen=True, slots=True)
class Slot:
    """Items that came in during a quarter of an hour, by what became of them."""

    minute: int  # local, of the day
    inducted: int
    sorted: int
    exceptions: int
    on_belt: int


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Items sorted into a lane."""

    lane: str
    title: str
    kind: str
    items: int


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """Items of a carrier for a township in one direction; an empty word is unknown."""

    carrier: str
    title: str
    township: str
    flow: str
    inducted: int
    sorted: int


@dataclass(frozen=True, slots=True)
class TripFigures:
    """One departure."""

    lane: str
    title: str
    cutoff_ns: int
    departs_ns: int
    capacity: int  # items; 0: unlimited
    load: int
    sent_ns: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """A day's figures, of the items inducted on it: inducted == sum(ended.values()) + on_belt, as in every table."""

    day: str  # local, 2026-11-11
    utc_offset_ns: int
    plans: tuple[str, ...]  # versions that decided
    inducted: int
    ended: dict[str, int]  # reason word -> items
    on_belt: int
    slots: tuple[Slot, ...]
    lanes: tuple[LaneFigures, ...]
    flows: tuple[FlowFigures, ...]
    trips: tuple[TripFigures, ...]
    refusals: dict[str, int]  # refusal word -> events that changed nothing


class Reader:
    """A view of the projection. Every answer is from one transaction."""

    def __init__(self, folder: Path) -> None:
        """Open FOLDER/ledger.db. Raises NotReady when there is none yet."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def trace(self, waybill: str) -> dict[str, Any] | None:
        """All that is known of a waybill, in the shape of `sorter trace --json`; None when unknown."""
        raise NotImplementedError

    def days(self) -> list[str]:
        """Days with items, ascending."""
        raise NotImplementedError

    def report(self, day: str) -> Day:
        """The figures of a local day such as 2026-11-11; all zero for a day without items."""
        raise NotImplementedError

    def seq(self) -> int:
        """Events of the journal that the answers include."""
        raise NotImplementedError


class NotReady(Exception):
    """There is no projection yet."""
