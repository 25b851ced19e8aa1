"""From a few small numbers to batches of events: what happens to the twin and to the core alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sorter import records
from sorter.core import state as core
from sorter.core.step import step
from sorter.limits import TIMEOUTS_PER_STEP_MAX
from sorter.records import Kind, Role, Verb
from tests.core.naive import Event
from tests.core.plans import JUNK, LABELS, SECOND_NS, WAYBILLS, Rows, small_rows

START_NS = 1_700_000_000 * SECOND_NS
WAITS_S = (0, 0, 0, 0, 0, 1, 5, 20, 40, 65, 200, 3600)
CODES = WAYBILLS + LABELS + JUNK
KINDS = (
    [Kind.SCAN] * 8
    + [Kind.DISCHARGE] * 5
    + [Kind.ADVICE] * 4
    + [Kind.ITEM] * 2
    + [Kind.CHUTE] * 2
    + [Kind.COMMAND] * 3
    + [Kind.HELLO, Kind.START, Kind.TICK, Kind.ALARM]
)

small = st.integers(0, 11)
events = st.tuples(st.sampled_from(KINDS), *[small] * 10)
batches = st.lists(st.lists(events, max_size=14), min_size=1, max_size=8)


def advices(seed: int, t_ns: int) -> list[Event]:
    """Most waybills are known beforehand."""
    known = [number for number in range(len(WAYBILLS)) if (seed >> number) % 5]
    return [
        Event(
            Kind.ADVICE,
            t_ns,
            [WAYBILLS[number]],
            station=(number + seed) % 4,
            carrier=(0, 0, 1, 1, 2, 2, 3, 3, 2, 2)[number],
            flow=number & 1,
            weight_g=700 * number,
        )
        for number in known
    ]


class Story:
    """Turns draws into events that make some sense: clients count on, discharges name what was told."""

    def __init__(self, seed: int) -> None:
        self.t_ns = START_NS
        self.last: Counter[int] = Counter()
        self.told: dict[tuple[int, int], tuple[int, int]] = {}
        self.seed = seed

    def event(self, kind: Kind, draw: tuple[int, ...]) -> Event:
        a, b, c, d, e, f, g, h, i, j = draw
        self.t_ns += WAITS_S[a] * SECOND_NS + (b << 20)
        event = Event(kind, self.t_ns - (5 * SECOND_NS if a == 4 else 0), item=c % 6, line=2 if d == 11 else d & 1)
        event.client, event.seq = self._numbered(e)
        if kind == Kind.SCAN:
            event.codes = _codes(f, g, h)
            event.weight_g, event.length_mm = (0, 1, 700, 2500, 4999, 70_000)[i % 6], (0, 1, 300, 640, 65_535)[j % 5]
            event.age_us = {9: 900_000, 10: 15_000_000, 11: 15_000_001}.get(j, 0)
            event.lap = (255, 255, 255, 0, 0, 0, 0, 1, 1, 2, 3, 251)[i]
        elif kind == Kind.ADVICE:
            event.codes = [(WAYBILLS + JUNK[:4])[(f * 4 + g) % 14]]
            event.station = (0, 1, 2, 3, 3, 4095, 65_535, 77)[h % 8]
            event.carrier, event.service, event.flow = i % 4, (0, 0, 1, 1, 7)[j % 5], f & 1
            event.weight_g, event.value = (0, 800, 3000, 300_000)[g % 4], int(i == 5)
        elif kind == Kind.DISCHARGE:
            event.value = (0, 0, 0, 0, 0, 1, 1, 2)[f % 8]
            chute, alternate = self.told.get((event.line, event.item), (0, 1))
            event.chute = (chute, chute, chute, alternate, g % 9, 65_535)[h % 6]
        elif kind == Kind.HELLO:
            event.client = (1, 2, 3, 3, 2000)[f % 5]
            event.value, event.boot, event.seq = (Role.SCANNER, Role.PLC, Role.PLC)[g % 3], 7 + h // 6, 1 + i % 3
            self.last[event.client] = event.seq - 1
        else:
            self._order(event, f, g, h)
        return event

    def _order(self, event: Event, f: int, g: int, h: int) -> None:
        event.chute = g if g < 9 else 65_535
        if event.kind == Kind.CHUTE:
            event.value = h % 4
        elif event.kind == Kind.COMMAND:
            event.value = (*Verb, Verb.TRIP_SEND, Verb.UNLOCK)[f % 8]
            event.codes = [(WAYBILLS + JUNK[:2])[(g * 3 + h) % 12]]
            event.station = g % 6

    def _numbered(self, draw: int) -> tuple[int, int]:
        """Mostly unnumbered or the next number; at times a repeat, a gap, or a client nobody knows."""
        client = 1 + draw % 3
        if draw < 8:
            return 0, 0
        if draw < 10:
            self.last[client] += 1
            return client, self.last[client]
        return (client, max(self.last[client], 1)) if draw < 11 else (client, self.last[client] + 2)

    def hear(self, decisions: list[dict[str, int]]) -> None:
        for row in decisions:
            if row["verdict"] == records.Verdict.DIVERT and row["chute"] != records.NONE_16:
                self.told[row["line"], row["item"]] = (row["chute"], row["alternate"])


def _codes(f: int, g: int, h: int) -> list[bytes]:
    """Mostly one waybill; at times with its label, twice, with another code, or none at all."""
    waybill = WAYBILLS[f % len(WAYBILLS)]
    label = LABELS[h % len(LABELS)]
    other = CODES[(f * 7 + h) % len(CODES)]
    return [
        [waybill],
        [waybill],
        [waybill],
        [waybill],
        [waybill],
        [waybill, label],
        [label, waybill, waybill.lower(), LABELS[f % len(LABELS)]],
        [waybill, other],
        [other],
        [],
        [label, other],
        [b"", *[JUNK[h % len(JUNK)]] * 7, waybill],
    ][g]


def batch_of(events: list[Event]) -> records.Batch:
    rows = np.zeros(len(events), records.EVENT)
    codes: list[bytes] = []
    for row, event in zip(rows, events, strict=True):
        row["code_at"], row["code_count"] = len(codes), len(event.codes)
        codes += event.codes
        for name in records.EVENT.names or ():
            if hasattr(event, name):
                row[name] = getattr(event, name)
    data = b"".join(records.code_row(code) for code in codes)
    return records.Batch(rows, np.frombuffer(data, np.uint8).reshape(-1, 32).copy())


def decisions_for(events: list[Event]) -> Any:
    """Room for what a step may write, filled with rubbish: every field must be written."""
    rows = np.zeros(2 * len(events) + TIMEOUTS_PER_STEP_MAX, records.DECISION)
    rows.view(np.uint8)[:] = 0xA5
    return rows


def run_core(state: core.State, plan: records.Plan, events: list[Event]) -> tuple[core.State, list[dict[str, int]]]:
    batch, out = batch_of(events), decisions_for(events)
    state = core.room_for(state, batch.events)
    count = step(state, plan, batch, out)
    names = records.DECISION.names or ()
    return state, [{name: int(row[name]) for name in names} for row in out[:count]]


def plan_event(number: int, t_ns: int) -> Event:
    return Event(Kind.PLAN, t_ns, chute=number)


def rows_for(seed: int, number: int) -> Rows:
    """The plan of this number in a story; every plan of a site has the same offset from UTC."""
    return replace(small_rows(seed + 1000 * number), utc_offset_ns=small_rows(seed).utc_offset_ns)
