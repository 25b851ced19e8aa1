"""After a seed: the guarantees of DESIGN §9, 1 to 5, held against the journal, the devices and the plant's truth.

Nothing of the core's arithmetic is used to judge it but its own counters, which must agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from plc_adapter.emulator import plant
from sorter.core.state import counts, digest
from sorter.ledger.journal import BatchRecord, PlanRecord, read
from sorter.reasons import Reason, Refusal
from sorter.records import NONE_16, Kind, Role, SortPlan, Verdict, plan_from_bytes, waybill_text
from sorter.replay import Standing, walk
from tests.simulation.floor import EPOCH_MASK, Key, Line, Log, Said
from tests.simulation.hub import FOLDER, Hub
from tests.simulation.operators import Operator
from tests.simulation.world import World

PLACES: Final = 4096  # of the item table: so many are never on these belts at once
NOT_TAKEN: Final = frozenset({Refusal.REPEAT, Refusal.GAP, Refusal.UNKNOWN_CLIENT})
KINDS: Final = {"Item": Kind.ITEM, "Scan": Kind.SCAN, "Discharge": Kind.DISCHARGE, "Chute": Kind.CHUTE}
REPORTS: Final = {plant.Entered: Kind.ITEM, plant.Left: Kind.DISCHARGE, plant.Sensed: Kind.CHUTE}

Message = tuple[str, int, int]
"""Client, boot, number."""


class End(NamedTuple):
    """How the journal says an item ended; `chute` 0: nowhere."""

    reason: Reason
    chute: int


class Story:
    """The journal read from its first record to its last."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.taken: dict[Message, Any] = {}  # every numbered event that counted -> its row
        self.ends: dict[int, list[End]] = defaultdict(list)  # serial -> its ends
        self.keys: dict[int, Key] = {}  # serial -> who it is
        self.waybills: dict[int, set[str]] = defaultdict(set)  # serial -> as decided
        self.diverts: Counter[tuple[Any, ...]] = Counter()  # with the boot of the PLC they were decided for
        self.advised: set[str] = set()
        self.strangers: set[Key] = set()  # scans taken in another epoch than they were made in
        self.refused: Counter[Refusal] = Counter()
        self.scans = self.events = 0
        self.plans: dict[int, SortPlan] = {}  # in force so far
        self._published: dict[int, SortPlan] = {}
        self._clients: dict[int, tuple[str, int]] = {}  # index -> name, boot
        self._belts: dict[int, tuple[int, int]] = {}  # line -> the PLC's boot, how many boots before it
        self._boots: dict[tuple[int, int], int] = {}
        self._serials = 0

    def read(self, hub: Hub, said: dict[Message, Said]) -> Standing:
        """Walk the journal; returns where it stands at its end."""
        standing = Standing()
        for record, decisions in walk(self._see_plans(read(FOLDER, disk=hub.disk)), standing):
            if decisions.tobytes() != record.decisions.tobytes():
                self.faults.append(f"the replay decides the batch from event {record.seq} on otherwise")
            self._see(record, said)
            self._see_items(standing)
        return standing

    def _see_plans(self, found: Iterator[Any]) -> Iterator[Any]:
        for record in found:
            if isinstance(record, PlanRecord):
                self._published[record.number] = plan_from_bytes(record.data)
            yield record

    def _see(self, record: BatchRecord, said: dict[Message, Said]) -> None:
        if record.seq != self.events:
            self.faults.append(f"a batch begins with event {record.seq}, but {self.events} came before it")
        refused = {
            int(row["event"]): Refusal(int(row["reason"]))
            for row in record.decisions
            if row["verdict"] == Verdict.REFUSE
        }
        self.refused.update(refused.values())
        for at, event in enumerate(record.batch.events):
            self._see_event(event, record.batch.codes, refused.get(at), said)
            for row in record.decisions[record.decisions["event"] == at]:
                self._see_decision(row)
        self.events += len(record.batch.events)

    def _see_event(self, event: Any, codes: Any, refusal: Refusal | None, said: dict[Message, Said]) -> None:
        kind, client, seq = Kind(int(event["kind"])), int(event["client"]), int(event["seq"])
        if kind == Kind.PLAN:
            number = int(event["chute"])
            if number not in self._published:
                self.faults.append(f"plan {number} holds but was never written down")
            else:
                self.plans[number] = self._published[number]
        elif kind == Kind.HELLO:
            self._see_hello(event, codes)
        elif kind == Kind.ADVICE and refusal is None:
            self.advised.add(_code(codes, event))
        elif kind == Kind.ALARM:
            if seq or client not in self._clients:
                self.faults.append(f"an alarm {event['value']} of client {client} has number {seq}; it needs none")
        elif client and not seq:
            self.faults.append(f"a {kind.name} of {self._clients.get(client)} was taken without a number")
        elif client and refusal not in NOT_TAKEN:
            self._see_taken(event, kind, refusal, said)

    def _see_hello(self, event: Any, codes: Any) -> None:
        boot, line = int(event["boot"]), int(event["line"])
        self._clients[int(event["client"])] = (_code(codes, event), boot)
        if event["value"] == Role.PLC:
            before = self._belts.get(line)
            times = 0 if before is None else before[1] + (before[0] != boot)
            self._belts[line] = (boot, times)
            self._boots[line, times] = boot

    def _see_taken(self, event: Any, kind: Kind, refusal: Refusal | None, said: dict[Message, Said]) -> None:
        client, boot = self._clients[int(event["client"])]
        message = (client, boot, int(event["seq"]))
        if message in self.taken:
            self.faults.append(f"number {message[2]} of {client} counted twice")
        self.taken[message] = event
        self.scans += kind == Kind.SCAN and refusal is None
        posted = said.get(message)
        if posted is None:
            self.faults.append(f"number {message[2]} of {client}, boot {boot}, was taken but never said")
            return
        wanted = KINDS.get(type(posted.message).__name__, Kind.TICK)
        if kind not in {wanted, Kind.TICK} or (kind == wanted and _item(posted) not in {None, int(event["item"])}):
            self.faults.append(f"{message} was {posted.message} but counted as {kind.name} of item {event['item']}")
        if kind == Kind.SCAN and posted.item and refusal is None:
            name, epoch, item = posted.item
            now = self._belts.get(int(event["line"]), (0, 0))[0] & EPOCH_MASK
            if now != epoch:
                self.strangers |= {(name, now, item), (name, epoch, item)}

    def _see_decision(self, row: Any) -> None:
        verdict, serial, plan = Verdict(int(row["verdict"])), int(row["serial"]), int(row["plan"])
        if verdict == Verdict.REFUSE:
            return
        names = next(iter(self.plans.values())).names if self.plans else None
        if plan not in self.plans or names is None:
            self.faults.append(f"a decision on item {row['item']} names plan {plan}, which never held")
            return
        if row["row"] and row["row"] not in self.plans[plan].plan.table.row:
            self.faults.append(f"a decision on item {row['item']} names row {row['row']}, which plan {plan} has not")
        if row["waybill_hi"]:
            self.waybills[serial].add(waybill_text(row["waybill_hi"], row["waybill_lo"]))
        chute = 0 if row["chute"] == NONE_16 else names.chutes[row["chute"]]
        if verdict == Verdict.END:
            self.ends[serial].append(End(Reason(int(row["reason"])), chute))
        elif chute:
            alternate = None if row["alternate"] == NONE_16 else names.chutes[row["alternate"]]
            boot, _ = self._belts.get(int(row["line"]), (0, 0))
            told = (boot, names.lines[row["line"]], int(row["item"]), chute, alternate, Reason(int(row["reason"])).word)
            self.diverts[*told, int(row["row"]), plan, int(row["deadline_ns"])] += 1

    def _see_items(self, standing: Standing) -> None:
        """Whom the items are that this batch brought."""
        state, serials = standing.state, int(standing.state.totals[0]["serial"])
        if serials == self._serials:
            return
        assert standing.sort_plan is not None
        lines = standing.sort_plan.names.lines
        for at in np.flatnonzero(state.items["serial"][:PLACES] > self._serials):
            item = state.items[at]
            line, times = int(item["line"]), int(item["epoch"])
            epoch = self._boots.get((line, times), 0) & EPOCH_MASK
            self.keys[int(item["serial"])] = (lines[line], epoch, int(item["item"]))
        self._serials = serials


def _code(codes: Any, event: Any) -> str:
    row = codes[int(event["code_at"])]
    return bytes(row[1 : 1 + row[0]]).decode()


def _item(said: Said) -> int | None:
    return getattr(said.message, "item", None)


def judge(world: World, hub: Hub, lines: list[Line], log: Log, operator: Operator) -> int:
    """Everything at once; violations go to the world. Returns how many events the journal has."""
    live = digest(hub.standing.state)
    hub.disk.power_on()
    story = Story()
    standing = story.read(hub, log.said)
    for fault in story.faults:
        world.violated(fault)
    _check_kept(world, story, log, operator)
    _check_reports(world, story, log)
    _check_items(world, story, lines, log)
    _check_sums(world, story, standing)
    if standing.sort_plan is None or standing.sort_plan.version != hub.newest.version:
        world.violated(f"plan {standing.plan_number} sorts, which is not the one published last")
    if digest(standing.state) != live:
        world.violated("the replay ends in another state than the daemon")
    return story.events


def _check_kept(world: World, story: Story, log: Log, operator: Operator) -> None:
    """Nothing acknowledged or ordered is missing from the journal."""
    for client, boot, seq in log.said:
        if seq <= log.acknowledged.get((client, boot), 0) and (client, boot, seq) not in story.taken:
            world.violated(f"number {seq} of {client} was acknowledged and is lost")
    sent = Counter(
        (boot, told.line, told.item, told.chute, told.alternate, told.reason, told.row, told.plan, told.deadline_ns)
        for boot, told in log.diverts
    )
    for told in sent:
        if told not in story.diverts:
            world.violated(f"a divert reached the adapter and no decision of this PLC's boot says so: {told}")
    for waybill in operator.loaded:
        if waybill not in story.advised:
            world.violated(f"the advice of {waybill} was accepted and is lost")


def _check_reports(world: World, story: Story, log: Log) -> None:
    """What the PLC reported and was told is taken care of, counted: each report under its own number."""
    counted = {
        (client.removeprefix("plc-"), boot & EPOCH_MASK, seq): event
        for (client, boot, seq), event in story.taken.items()
        if client.startswith("plc-")
    }
    for key, report in log.reports.items():
        event = counted.get(key)
        if key in log.excused:
            if isinstance(report, plant.Left):
                log.untold.add((key[0], key[1], report.item))
        elif event is None or event["kind"] != REPORTS[type(report)] or event["item"] != getattr(report, "item", 0):
            world.violated(f"report {key} was {report} and counted as {event}")


def _check_items(world: World, story: Story, lines: list[Line], log: Log) -> None:
    """Every number the PLC ever gave has one end, and it is what happened."""
    ends: dict[Key, list[End]] = defaultdict(list)
    for serial, key in story.keys.items():
        found = story.ends.get(serial, [])
        if len(found) != 1:
            world.violated(f"item {key} has {len(found)} ends: {found}")
        ends[key] += found
    for line in lines:
        for at, numbers in enumerate(line.plant.numbers):
            for epoch, item in numbers:
                key = (line.name, epoch, item)
                chute = line.plant.drop_chute[at] if (epoch, item) == numbers[-1] else 0
                why = _wrong(ends.pop(key, []), chute, key in log.untold, key in story.strangers)
                if why:
                    world.violated(f"item {key} dropped into {chute or 'nothing'}, {why}")
    for key, found in ends.items():
        if key not in story.strangers or any(end.chute for end in found):
            world.violated(f"item {key} never was on the belt but ended {found}")
    _check_waybills(world, story, lines)


def _wrong(ends: list[End], chute: int, is_untold: bool, is_strange: bool) -> str:
    """What does not fit; empty when all does."""
    drops = [end.chute for end in ends if end.chute]
    if drops not in ([], [chute]):
        return f"but the journal has {drops}"
    lost = len(ends) - len(drops)
    if any(end.reason != Reason.LOST for end in ends if not end.chute):
        return f"but ended {ends}"
    if chute and not drops and not is_untold:
        return f"was reported, but ended {ends}"
    if lost > (0 if drops else 1) and not is_strange:
        return f"but ended {ends}"
    return ""


def _check_waybills(world: World, story: Story, lines: list[Line]) -> None:
    """A decision names no other parcel's waybill."""
    parcels = {
        (line.name, epoch, item): line.parcels[at]
        for line in lines
        for at, numbers in enumerate(line.plant.numbers)
        for epoch, item in numbers
    }
    for serial, waybills in story.waybills.items():
        key = story.keys.get(serial)
        if key in parcels and key not in story.strangers and not waybills <= set(parcels[key].codes):
            world.violated(f"item {key} carries {parcels[key].codes} but was decided as {waybills}")


def _check_sums(world: World, story: Story, standing: Standing) -> None:
    """The core's counters are those of the journal, and the belt is empty."""
    figures = counts(standing.state)
    ended = Counter(end.reason.word for found in story.ends.values() for end in found)
    if figures.on_belt or figures.inducted != ended.total():
        world.violated(f"{figures.inducted} inducted, {ended.total()} ended, {figures.on_belt} on the belt")
    if {word: count for word, count in figures.ended.items() if count} != dict(ended):
        world.violated(f"the core counted {figures.ended}, the journal has {dict(ended)}")
    refused = {refusal.word: count for refusal, count in story.refused.items()}
    if {word: count for word, count in figures.refused.items() if count} != refused:
        world.violated(f"the core refused {figures.refused}, the journal has {refused}")
    if figures.scans != story.scans:
        world.violated(f"the core counted {figures.scans} scans, the journal has {story.scans}")
