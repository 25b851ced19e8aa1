"""A day of village parcels through the real core in two passes: each ends in its own station's bag.

The day, and the oracle that tells which parcels the hub's own tables reject, share no code with the sorter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import sorter
from plc_adapter.emulator import tables as emulator_tables
from plc_adapter.emulator import traffic
from plc_adapter.emulator.oracle import Known, Oracle, Seen
from plc_adapter.emulator.traffic import Day, Parcel
from sorter import rulebook
from sorter.records import NONE_16, AdviceFlag, Flow, Line, Role, SortPlan, Verb, Verdict
from sorter.replay import Standing
from sorter.rulebook.tables import read_folder
from sorter.rulebook.two_pass.bounds import lower_bounds
from sorter.rulebook.two_pass.figures import figures
from sorter.rulebook.two_pass.free_chutes import free_chutes
from sorter.rulebook.two_pass.kept_rules import rejecting
from sorter.rulebook.two_pass.pass_tables import tables
from sorter.rulebook.two_pass.planning import TwoPass, baseline, plan_two_pass
from sorter.rulebook.two_pass.request import Volumes, count_volumes
from sorter.wire.frames import Discharge, Scan
from sorter.wire.intake import Intake
from tests.rulebook.small_site import OFFSET_NS, write
from tests.rulebook.test_rulebook_two_pass import PASSES, as_saved

HUB: Final = Path(sorter.__file__).parent.parent / "rules"
ITEMS: Final = 20_000
DRAWN: Final = 30_000  # with the line-haul parcels among them, which are not brought to the belt
CHUTES: Final = 40
SEED: Final = 4
LINE: Final = "L1"
BATCH: Final = 64
S_NS: Final = 10**9
LOOP: Final = Line(60 * S_NS, 120 * S_NS, 1800 * S_NS, 3)
LINES: Final = {"L1": LOOP, "L2": LOOP}


class Work(NamedTuple):
    """A day's parcels and the plan made for it."""

    day: Day
    parcels: list[Parcel]
    volumes: Volumes
    chutes: tuple[int, ...]
    two_pass: TwoPass


class Pass(NamedTuple):
    """What one pass made of its parcels."""

    dropped: dict[int, list[Parcel]]  # chute -> what lies in its load units
    laps: int  # times a parcel went round because its chute was full


def prepare(drawn: int, items: int) -> Work:
    """`items` parcels for the villages out of a day of `drawn`, and the plan for these volumes."""
    all_tables = emulator_tables.read(HUB)
    villages = [row for row in all_tables.stations if row["kind"] == "village"]
    cities = [row for row in all_tables.stations if row["kind"] == "city"]
    day = traffic.day(all_tables._replace(stations=[*villages, cities[0]]), drawn, SEED)
    names = [row["station"] for row in villages]
    wanted = set(names)
    parcels = [parcel for parcel in day.parcels if parcel.station in wanted][:items]
    assert len(parcels) == items
    volumes = count_volumes(names, ((each.station, hour_of(each)) for each in parcels))
    checked = rulebook.check_folder(HUB, LINES, OFFSET_NS)
    chutes = free_chutes(checked, LINE)[:CHUTES]
    return Work(day, parcels, volumes, chutes, plan_two_pass(volumes, chutes))


def hour_of(parcel: Parcel) -> int:
    return (parcel.arrive_ns // S_NS // 3600 + 8) % 24


def plans_of(work: Work, folder: Path) -> list[SortPlan]:
    """The hub's own plan, then both passes', each written as CSV, read back and compiled after the one before."""
    sheets, _ = read_folder(HUB)
    stay, _ = rejecting(rulebook.check_folder(HUB, LINES, OFFSET_NS), work.volumes.stations)
    plans = [rulebook.load(HUB, LINES, OFFSET_NS)]
    for number in PASSES:
        made = folder / f"{number}"
        made.mkdir()
        write(made, as_saved(tables(sheets, work.two_pass, number, stay)))
        plans.append(rulebook.load(made, LINES, OFFSET_NS, plans[-1].names))
    return plans


class Hub:
    """The core behind the intake, with a scanner, a PLC and somebody who changes full load units."""

    def __init__(self, plan: SortPlan, t_ns: int) -> None:
        self.standing = Standing()
        self.intake = Intake(plan.names)
        self.t_ns = t_ns
        self.item = 0
        self.put_in_force(plan)

    def put_in_force(self, plan: SortPlan) -> None:
        self.standing.take_plan(self.standing.plans_written + 1, plan)
        self.intake.rename(plan.names)
        self.intake.plan(self.standing.plans_written, self.t_ns)
        self.flush()

    def flush(self) -> list[tuple[int, int]]:
        """Step what was taken in; (item, chute's number or 0) of every divert."""
        batch = self.intake.batch()
        if not len(batch.events):
            return []
        decisions = self.standing.take(batch)
        assert not (decisions["verdict"] == Verdict.REFUSE).any()
        chutes = [*self.intake.chutes]
        diverts = decisions[decisions["verdict"] == Verdict.DIVERT]
        told = [(int(row["item"]), 0 if row["chute"] == NONE_16 else chutes[row["chute"]]) for row in diverts]
        self.intake.clear()
        return told

    def advise(self, day: Day) -> None:
        for advice in day.advices:
            flow = Flow[advice.flow.upper()]
            flags = AdviceFlag.CANCELLED * advice.cancelled
            row = [advice.waybill, advice.carrier, advice.station, advice.service, flow, advice.weight_g, flags]
            assert self.intake.advice(row, self.t_ns) is None
            if not self.intake.room():
                self.flush()
        for waybill in day.intercepts:
            assert self.intake.command(Verb.INTERCEPT_ADD, self.t_ns, waybill=waybill) is None
        self.flush()

    def sort(self, parcels: Iterable[Parcel]) -> Pass:
        """Bring parcels to the line; one that finds its chute full goes round once the load unit was changed."""
        done = Pass(defaultdict(list), 0)
        laps = 0
        for some in in_batches(parcels):
            on_belt = {self.item + at: parcel for at, parcel in enumerate(some, 1)}
            self.item += len(some)
            lap = 0
            while on_belt:
                round_again = self._lap(on_belt, lap, done)
                lap += 1
                laps += len(round_again)
                on_belt = round_again
        return done._replace(laps=laps)

    def _lap(self, on_belt: dict[int, Parcel], lap: int, done: Pass) -> dict[int, Parcel]:
        for item, parcel in on_belt.items():
            self.t_ns = max(self.t_ns + S_NS // 1000, parcel.arrive_ns)
            scan = Scan(
                seq=item,
                item=item,
                line=LINE,
                codes=list(parcel.codes),
                weight_g=parcel.weight_g,
                size_mm=parcel.size_mm,
                lap=lap,
            )
            assert self.intake.take(scan, 0, Role.SCANNER, None, self.t_ns, 0) is None
        told = self.flush()
        assert sorted(item for item, _ in told) == sorted(on_belt)
        for item, chute in told:
            if chute:
                drop = Discharge(seq=item, item=item, line=LINE, chute=chute, outcome="dropped")
                assert self.intake.take(drop, 0, Role.PLC, self.intake.lines[LINE], self.t_ns, 0) is None
                done.dropped[chute].append(on_belt[item])
        self.flush()
        self._change_full_load_units()
        return {item: on_belt[item] for item, chute in told if not chute}

    def _change_full_load_units(self) -> None:
        rows = self.standing.state.chutes
        for number, chute in self.intake.chutes.items():
            if rows[chute]["dropped"] >= rows[chute]["capacity"]:
                self.intake.command(Verb.CHANGE, self.t_ns, chute=number)
        self.flush()


def in_batches(parcels: Iterable[Parcel]) -> Iterator[Sequence[Parcel]]:
    listed = list(parcels)
    return (listed[at : at + BATCH] for at in range(0, len(listed), BATCH))


class Asked:
    """What the label, the advices and the hub's own tables want of each parcel, by the oracle."""

    def __init__(self, work: Work) -> None:
        known = {
            each.waybill: Known(each.carrier, each.station, each.service, each.flow, each.weight_g, each.cancelled > 0)
            for each in work.day.advices
        }
        self.oracle = Oracle(emulator_tables.read(HUB), known, work.day.intercepts)
        self.t_ns = work.day.opens_ns

    def is_right(self, parcel: Parcel, chute: int, stations: tuple[str, ...]) -> bool:
        """Whether a parcel may lie in a chute that is for these stations; none: for exceptions."""
        seen = Seen(parcel.codes, parcel.weight_g, max(parcel.size_mm))
        demand = self.oracle.demand(seen, self.t_ns)
        if demand.kind == "reject":
            return chute in self.oracle.exception_chutes(LINE, demand.name)
        return parcel.station in stations


class Result(NamedTuple):
    """How many of the parcels ended where."""

    direct: int
    grouped: int
    exceptions: int
    second: int
    wrong: int  # parcels that are not where their label and the tables want them
    laps: int


def run(work: Work, folder: Path) -> Result:
    """Both passes through one core, whose plan is changed between them."""
    hub_plan, first_plan, second_plan = plans_of(work, folder)
    hub = Hub(hub_plan, work.day.opens_ns)
    hub.advise(work.day)
    hub.put_in_force(first_plan)
    first = hub.sort(work.parcels)
    asked = Asked(work)
    plan = work.two_pass
    of_chute = {chute: (station,) for station, chute in plan.direct.items()} | dict(plan.groups)
    wrong = sum(
        not asked.is_right(parcel, chute, of_chute.get(chute, ()))
        for chute, parcels in first.dropped.items()
        for parcel in parcels
    )
    hub.put_in_force(second_plan)
    second, laps = 0, first.laps
    for group, stations in plan.groups.items():
        again = hub.sort(first.dropped[group])
        second += sum(map(len, again.dropped.values()))
        own = {plan.second[station]: station for station in stations}
        wrong += sum(each.station != own.get(chute) for chute, parcels in again.dropped.items() for each in parcels)
        laps += again.laps
    direct = sum(len(first.dropped[chute]) for chute in plan.direct.values())
    grouped = sum(len(first.dropped[chute]) for chute in plan.groups)
    others = sum(map(len, first.dropped.values())) - direct - grouped
    return Result(direct, grouped, others, second, wrong, laps)


def test_every_parcel_ends_in_its_stations_place(tmp_path: Path) -> None:
    work = prepare(DRAWN, ITEMS)
    assert (len(work.volumes.stations), len(work.chutes)) == (301, CHUTES)
    result = run(work, tmp_path)
    ours = figures(work.two_pass, work.volumes)
    bounds = lower_bounds(work.volumes, work.chutes)
    simple = figures(baseline(work.volumes, work.chutes), work.volumes)
    assert result.wrong == 0
    assert result.direct + result.grouped + result.exceptions == ITEMS
    assert result.second == result.grouped
    assert result.laps > 0, "no load unit was full, so nothing showed that a full one keeps its parcels"
    no_reads = sum(not parcel.codes for parcel in work.parcels)
    assert no_reads < result.exceptions < ITEMS // 10
    assert result.grouped <= ours.handled_twice <= result.grouped + result.exceptions
    assert ours.handled_twice == bounds.handled_twice < simple.handled_twice
    assert bounds.busiest_hour <= ours.busiest_hour <= 1.01 * bounds.busiest_hour < simple.busiest_hour
    assert bounds.largest_group <= ours.largest_group <= 1.01 * bounds.largest_group < simple.largest_group
