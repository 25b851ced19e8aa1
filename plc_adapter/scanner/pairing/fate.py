"""What an item or a reading can come to at the reader, and what to do about it; no text carries a code."""

from enum import StrEnum
from typing import Final, NamedTuple


class Fate(StrEnum):
    """What became of an item at the reader, or of a reading without item."""

    PAIRED = "paired"
    SILENT = "silent"  # an item: no reading
    AMBIGUOUS = "ambiguous"  # an item: several readings, or its reading fits another item too
    SLIPPED = "slipped"  # an item: the order was in doubt
    STALLED = "stalled"  # an item: time had a hole while it was under way
    TOLD_LATE = "told_late"  # an item: the PLC told of it when its neighbours were decided
    REUSED = "reused"  # an item: the PLC gave its number twice
    CONTRADICTED = "contradicted"  # an item: it had other codes a lap before
    STRAY = "stray"  # a reading: no item was expected
    REPEATED = "repeated"  # a reading: it says again what was just said
    MISDATED = "misdated"  # a reading: its time is to come, or longer gone than its telegrams take
    OUTSIDE = "outside"  # a reading: its item is known by id, but not expected now
    OVERFLOW = "overflow"  # an item or reading for which there was no room
    BEFORE_START = "before_start"  # a reading: its number may be one of before the PLC's start
    UNTOLD = "untold"  # no fate: an item was paired where the PLC did not tell of it, by its number
    AWAY = "away"  # no fate: what an absence of the adapter cost is told in sum
    DRIFT = "drift"  # no fate: the offset of pairs left half the window, or came back


UNUSED: Final = (
    Fate.AMBIGUOUS,
    Fate.SLIPPED,
    Fate.STALLED,
    Fate.TOLD_LATE,
    Fate.REUSED,
    Fate.CONTRADICTED,
    Fate.STRAY,
    Fate.MISDATED,
    Fate.OUTSIDE,
    Fate.OVERFLOW,
    Fate.BEFORE_START,
)
"""Fates of codes that were read, or may have been, and were given to no item."""

ADVICE: Final = {
    Fate.SILENT: "no reading came for it; look at the reader's trigger, its link and travel_ms",
    Fate.AMBIGUOUS: "two readings or two items fit; keep parcels apart, or shorten window_ms",
    Fate.SLIPPED: "the order of the belt is in doubt until a gap in traffic; see what came before",
    Fate.STALLED: "the adapter or its clock stood still or jumped; look at the machine's load",
    Fate.TOLD_LATE: "the PLC reported it when its window had begun; look at the PLC link, or raise travel_ms",
    Fate.REUSED: "the PLC gave its number again while it was on the belt; let the PLC count items up",
    Fate.CONTRADICTED: "other codes than a lap before; look at lap_ms and the belt",
    Fate.STRAY: "a reading without item; does the PLC report every item, and does travel_ms fit?",
    Fate.REPEATED: "the same reading twice; look at the reader's trigger",
    Fate.MISDATED: "a reading from another time; the clock was set, or the adapter stood still",
    Fate.OUTSIDE: "a reading for an item that is not at the reader; does the PLC give the reader the right number?",
    Fate.UNTOLD: "the PLC did not tell of it, but gave the reader its number: it was on the belt before the restart",
    Fate.BEFORE_START: "a reading of about when the PLC started: its number may have meant another parcel then",
    Fate.OVERFLOW: "too many items or readings; look for an item that is never reported as dropped",
}


class Paired(NamedTuple):
    """An item has passed the reader."""

    item: int
    lap: int | None  # 0: the first time; None: it was on the belt before we knew of it
    codes: tuple[str, ...]  # (): not read, or not surely its own
    weight_g: int  # 0: not measured
    size_mm: tuple[int, int, int] | None
    t_ns: int  # when it was at the reader; without a reading, when it was expected there
    fate: Fate


class Event(NamedTuple):
    """Something for the log. It never carries a code."""

    t_ns: int
    fate: Fate
    item: int | None
    text: str
