"""The one workload that every benchmark draws from: advices and scans of a made-up hub, from one seed.

90 % of the scans carry an advised waybill, 5 % one that nobody advised, 5 % a code that is no
waybill. Which advice is scanned is uniform: no cache is warmed by chance.
"""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from bench.tables import CARRIERS, FORMATS, SEED, SERVICES, STATIONS, make_hub
from sorter import limits
from sorter.records import (
    EVENT,
    NONE_8,
    NONE_16,
    Batch,
    Bytes,
    ChuteState,
    Discharge,
    Ints64,
    Kind,
    Role,
    Rows,
    SortPlan,
)
from sorter.rulebook import Checked

START: Final = "2026-11-11T09:00:00+08:00"  # a Wednesday, half an hour before a rule's interval ends
START_NS: Final = round(datetime.fromisoformat(START).timestamp()) * 10**9
SCAN_NS: Final = 576_000_000  # between two scans of a day of 150,000
HIT_SHARE: Final = 0.90
UNKNOWN_SHARE: Final = 0.05
UNKNOWN_FROM: Final = 500_000_000  # waybill numbers from here on are advised to nobody
UNIQUE: Final = 10**9  # waybill numbers
SCANNER_CLIENT: Final = 1
PLC_CLIENT: Final = 2
AGE_US: Final = 5_000  # what a scan has waited before it is decided
CHUTES_CHANGED: Final = 16  # after each 256 scans


@cache
def hub(rules: int) -> tuple[Checked, SortPlan]:
    """The hub's checked rows and its plan with so many rules; made once in a process."""
    with tempfile.TemporaryDirectory() as folder:
        return make_hub(Path(folder), rules)


def waybill_codes(numbers: Ints64) -> Bytes:
    """CODE rows uint8[n, 32] of waybill numbers below UNIQUE, each another waybill; its format is number % 18."""
    rows = np.zeros((len(numbers), limits.CODE_BYTES), np.uint8)
    low = (numbers * 7_368_787 + 12_345) % UNIQUE  # a permutation: the factor has no divisor in common with 10**9
    high = (numbers * 48_271 + 11) % 10_000
    for at, each in enumerate(FORMATS):
        chosen = np.flatnonzero(numbers % len(FORMATS) == at)
        if len(chosen):
            rows[chosen] = _texts(each.prefix, each.digits, each.suffix, low[chosen], high[chosen])
    return rows


def _texts(prefix: str, digits: int, suffix: str, low: Ints64, high: Ints64) -> Bytes:
    rows = np.zeros((len(low), limits.CODE_BYTES), np.uint8)
    rows[:, 0] = len(prefix) + digits + len(suffix)
    rows[:, 1 : 1 + len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    rest = low + high % 10 ** (digits - 9) * UNIQUE
    for place in range(len(prefix) + digits, len(prefix), -1):
        rest, digit = np.divmod(rest, 10)
        rows[:, place] = digit + ord("0")
    rows[:, 1 + len(prefix) + digits : 1 + len(prefix) + digits + len(suffix)] = np.frombuffer(
        suffix.encode(), np.uint8
    )
    return rows


def advices(count: int) -> Iterator[Batch]:
    """ADVICE events for the waybills 0 to count - 1, in the largest batches a daemon takes."""
    for first in range(0, count, limits.BATCH_EVENTS_MAX):
        numbers = np.arange(first, min(first + limits.BATCH_EVENTS_MAX, count), dtype=np.int64)
        dice = np.random.default_rng([SEED, 1, first])
        events = _events(Kind.ADVICE, len(numbers))
        events["station"] = dice.integers(0, STATIONS, len(numbers))
        events["service"] = dice.integers(0, len(SERVICES), len(numbers))
        events["flow"] = dice.integers(0, 2, len(numbers))
        events["weight_g"] = dice.integers(50, 30_000, len(numbers))
        events["carrier"] = _CARRIER_OF[numbers % len(FORMATS)]
        events["value"] = dice.random(len(numbers)) < 0.005
        yield Batch(events, waybill_codes(numbers))


_CARRIER_OF: Final = np.array([CARRIERS.index(each.carrier) for each in FORMATS], np.uint8)


def _events(kind: Kind, count: int, t_ns: int = START_NS) -> Rows:
    events = np.zeros(count, EVENT)
    events["kind"] = kind
    events["t_ns"] = t_ns
    events["code_at"] = np.arange(count)
    events["code_count"] = kind in (Kind.ADVICE, Kind.SCAN)
    events["lap"] = NONE_8
    return events


def opening() -> list[Batch]:
    """The plan takes force, then the scanner and the PLC of the line say hello."""
    first = _events(Kind.PLAN, 1)
    first["chute"] = 1
    hello = _events(Kind.HELLO, 2)
    hello["client"] = SCANNER_CLIENT, PLC_CLIENT
    hello["value"] = Role.SCANNER, Role.PLC
    hello["seq"] = hello["boot"] = 1
    names = np.zeros((2, limits.CODE_BYTES), np.uint8)
    names[:, :2] = (1, ord("S")), (1, ord("P"))
    hello["code_count"] = 1
    return [Batch(first, names[:0]), Batch(hello, names)]


def scans(first: int, count: int, advised: int, batch: int) -> Batch:
    """Scans number `first` and following, each of a new item, for `cut` into batches of `batch`."""
    dice = np.random.default_rng([SEED, 2, first])
    kind = dice.random(count)
    known = dice.integers(0, advised, count)
    numbers = np.where(kind < HIT_SHARE, known, UNKNOWN_FROM + known)
    codes = waybill_codes(numbers)
    _spoil(codes, np.flatnonzero(kind >= HIT_SHARE + UNKNOWN_SHARE), dice)
    events = _events(Kind.SCAN, count)
    serials = np.arange(first, first + count)
    events["t_ns"] = START_NS + serials // batch * batch * SCAN_NS
    events["seq"] = events["item"] = serials + 1
    events["client"] = SCANNER_CLIENT
    events["age_us"] = AGE_US
    events["code_at"] = np.arange(count) % batch
    events["weight_g"] = np.where(dice.random(count) < 0.05, 0, dice.integers(50, 30_000, count))
    events["length_mm"] = np.where(dice.random(count) < 0.05, 0, dice.integers(50, 1_500, count))
    return Batch(events, codes)


def cut(scans: Batch, batch: int) -> list[Batch]:
    """Batches of so many scans, which share a time as a daemon's do."""
    starts = range(0, len(scans.events), batch)
    return [Batch(scans.events[at : at + batch], scans.codes[at : at + batch]) for at in starts]


def _spoil(codes: Bytes, at: Ints64, dice: np.random.Generator) -> None:
    """Make codes no waybill: a letter too many, two digits too few, or a goods barcode."""
    way = dice.integers(0, 3, len(at))
    codes[at[way == 0], 5] = ord("#")
    short = at[way == 1]
    codes[short, 0] -= 2
    for row in short:
        codes[row, 1 + codes[row, 0] :] = 0
    goods = at[way == 2]
    codes[goods] = _texts("06", 11, "", dice.integers(0, UNIQUE, len(goods)), goods)


class Plc:
    """What a PLC reports: every item drops where it was told, and chutes are changed in turn."""

    def __init__(self, chutes: int, spare_chute: int) -> None:
        self._chutes, self._spare = chutes, spare_chute
        self._seq = 0
        self._changing = np.arange(0)

    def drop(self, decisions: Rows, t_ns: int) -> Batch:
        """DISCHARGE events of DIVERT rows; 16 chutes are taken out of use and those before come back empty.

        An item that was told nothing drops into the spare chute: nothing stays on the belt.
        """
        chutes = np.where(decisions["chute"] == NONE_16, self._spare, decisions["chute"])
        events = _events(Kind.DISCHARGE, len(decisions) + 2 * CHUTES_CHANGED, t_ns)
        dropped, opened, changing = np.split(events, [len(decisions), len(events) - CHUTES_CHANGED])
        dropped["item"], dropped["chute"], dropped["value"] = decisions["item"], chutes, Discharge.DROPPED
        opened["kind"] = changing["kind"] = Kind.CHUTE
        opened = opened[: len(self._changing)]
        opened["chute"], opened["value"] = self._changing, ChuteState.OPEN
        first = int(self._changing[-1]) + 1 if len(self._changing) else 0
        self._changing = (first + np.arange(CHUTES_CHANGED)) % self._chutes
        changing["chute"], changing["value"] = self._changing, ChuteState.CHANGING
        events = np.concatenate([dropped, opened, changing])
        events["client"] = PLC_CLIENT
        events["seq"] = self._seq + 1 + np.arange(len(events))
        self._seq += len(events)
        return Batch(events, np.zeros((0, limits.CODE_BYTES), np.uint8))
