"""The oracle finds what is planted: a swapped chute, a missing item, a doubled item, a spill without need."""

import copy
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plc_adapter.emulator import audit, oracle
from plc_adapter.emulator.accounting import Booked, first_epochs
from plc_adapter.emulator.audit import Ledger, Truth
from plc_adapter.emulator.oracle import Demand, Known, Oracle, Seen
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.tables import Tables
from plc_adapter.emulator.traffic import Day

NS = 1_000_000_000
NOON_NS = 1_794_344_400 * NS + 7 * 3600 * NS  # Wednesday 2026-11-11 12:00 +08:00
PARCEL = Seen(("YT1234567890123",), 500, 300)
YTO = Known("YTO", "T1", "standard", "inbound", 0, cancelled=False)


def asked(
    tables: Tables, seen: Seen, known: Known | None, t_ns: int = NOON_NS, intercepts: tuple[str, ...] = ()
) -> Demand:
    advices = {seen.codes[0]: known} if known else {}
    return Oracle(tables, advices, intercepts).demand(seen, t_ns)


@pytest.mark.parametrize(
    ("codes", "demand"),
    [
        ((), "no_read"),
        (("69012342",), "unknown_code"),
        (("YT1234567890123", "YT1234567890123"), "BUS1"),
        (("69012342", "yt1234567890123"), "BUS1"),
        (("YT1234567890123", "YT1234567890124"), "multi_code"),
    ],
)
def test_codes(county: Site, codes: tuple[str, ...], demand: str) -> None:
    oracle_ = Oracle(county.tables, {"YT1234567890123": YTO}, ())
    assert oracle_.demand(PARCEL._replace(codes=codes), NOON_NS).name == demand


@pytest.mark.parametrize(
    ("known", "demand"),
    [
        (YTO, Demand("lane", "BUS1", 0)),
        (None, Demand("reject", "no_advice", 0)),
        (YTO._replace(cancelled=True), Demand("reject", "cancelled", 0)),
        (YTO._replace(station="CQ", service="fresh", flow="outbound"), Demand("lane", "PLANE", 30)),
        (YTO._replace(station="V11"), Demand("lane", "FRT1", 50)),
        (YTO._replace(station="T2", service="express"), Demand("lane", "BUS2", 60)),
        (YTO._replace(station="C2", service="express"), Demand("chute", "105", 70)),
        (YTO._replace(station="C2", service="express", carrier="POST"), Demand("chute", "105", 70)),
    ],
)
def test_advices_and_rules(county: Site, known: Known | None, demand: Demand) -> None:
    assert asked(county.tables, PARCEL, known) == demand


def test_an_intercept_comes_before_all_else(county: Site) -> None:
    code = PARCEL.codes[0]
    assert asked(county.tables, PARCEL, None, intercepts=(code,)).name == "intercept"
    assert asked(county.tables, PARCEL, YTO._replace(cancelled=True), intercepts=(code,)).name == "intercept"


@pytest.mark.parametrize(
    ("weight_g", "declared_g", "length_mm", "name"),
    [
        (30_000, 0, 300, "BUS1"),
        (30_001, 0, 300, "overweight"),
        (0, 30_001, 300, "overweight"),
        (100, 30_001, 300, "BUS1"),
        (0, 0, 300, "BUS1"),
        (100, 0, 1200, "BUS1"),
        (100, 0, 1201, "oversize"),
    ],
)
def test_weights_and_sizes(county: Site, weight_g: int, declared_g: int, length_mm: int, name: str) -> None:
    seen = Seen(PARCEL.codes, weight_g, length_mm)
    assert asked(county.tables, seen, YTO._replace(weight_g=declared_g)).name == name


def test_the_first_row_by_its_number_decides(county: Site) -> None:
    tables = county.tables._replace(rules=county.tables.rules[::-1])
    known = YTO._replace(station="CQ", service="fresh", flow="outbound")
    assert asked(tables, PARCEL._replace(weight_g=30_001), known) == Demand("reject", "overweight", 10)


@pytest.mark.parametrize(
    ("hours", "name"), [(-4.02, "HAUL"), (-4, "PLANE"), (4.98, "PLANE"), (5, "HAUL"), (3 * 24, "HAUL")]
)
def test_times_and_days(county: Site, hours: float, name: str) -> None:
    known = YTO._replace(station="CQ", service="fresh", flow="outbound")
    assert asked(county.tables, PARCEL, known, NOON_NS + round(hours * 3600 * NS)).name == name


@pytest.mark.parametrize(
    ("cell", "minute_weekday", "fit"),
    [
        ("22:00..02:00", (23 * 60, 4), True),
        ("22:00..02:00", (60, 5), True),
        ("22:00..02:00", (60, 4), False),
        ("22:00..02:00", (120, 5), False),
        ("00:00..24:00", (0, 4), True),
        ("08:00..09:00|10:00..11:00", (10 * 60 + 59, 4), True),
        ("08:00..09:00|10:00..11:00", (9 * 60, 4), False),
        ("", (0, 4), True),
        ("", (0, 5), False),
    ],
)
def test_a_span_past_midnight_belongs_to_the_day_it_begins_on(
    county: Site, cell: str, minute_weekday: tuple[int, int], fit: bool
) -> None:
    row = county.tables.rules[0] | {"time": cell, "days": "周五"}
    minute, weekday = minute_weekday
    assert oracle._is_time(oracle._rule(row), weekday, minute) is fit


@pytest.mark.parametrize(
    ("cell", "days"),
    [
        ("", range(7)),
        ("1-5", range(5)),
        ("sat|sun", (5, 6)),
        ("周五..周一", (4, 5, 6, 0)),
        ("!sun", range(6)),
        ("3", (2,)),
    ],
)
def test_days(cell: str, days: Any) -> None:
    assert oracle._days(cell) == set(days)


@pytest.mark.parametrize(
    ("codes", "station"),
    [
        (("YT1234567890123", "531-A03-12"), "V11"),
        (("YT1234567890123", "531-A03-99"), "T1"),
        (("531-a03", "YT1234567890123"), "T1"),
        (("YT1234567890123", "531"), None),
        (("YT1234567890123", "77-B1-01"), None),  # another carrier's
        (("YT1234567890123", "531-A03-12", "900"), None),  # they do not agree
        (("YT1234567890123", "900-1-2"), "CQ"),
    ],
)
def test_a_sort_code_stands_in_for_an_advice(county: Site, codes: tuple[str, ...], station: str | None) -> None:
    demand = Oracle(county.tables, {}, ()).demand(PARCEL._replace(codes=codes), NOON_NS - 3600 * NS)
    lanes = {row["station"]: row["lane"] for row in county.tables.stations}
    assert demand.name == (lanes[station] if station else "no_advice")


def test_departures_are_cut_off_before_they_depart(county: Site) -> None:
    hours = [
        (cutoff_ns - NOON_NS) / NS / 3600
        for cutoff_ns, capacity in oracle.departures(county.tables, "BUS1", NOON_NS, 8.0)
        if abs(cutoff_ns - NOON_NS) < 12 * 3600 * NS and capacity == 100
    ]
    assert hours == pytest.approx([-4 - 1 / 3, -1 / 3, 4 - 1 / 3])


# ---- a whole day, judged ----------------------------------------------------


def booked(chute: int | None, entered_ns: int = 0) -> Booked:
    return Booked(chute, entered_ns)


class Judged:
    """A day that went as the tables demand, with its ledger, to plant faults in."""

    def __init__(self, site: Site, day: Day) -> None:
        self.site = site
        advices = {advice.waybill: Known(*advice[1:6], cancelled=bool(advice.cancelled)) for advice in day.advices}
        self.oracle = Oracle(site.tables, advices, day.intercepts)
        self.truths: list[Truth] = []
        for line in site.belts:
            for number, parcel in enumerate(day.of_line(line), 1):
                demand = self.oracle.demand(
                    Seen(parcel.codes, parcel.weight_g, max(parcel.size_mm)), parcel.arrive_ns + 10 * NS
                )
                self.truths.append(
                    Truth(
                        line=line,
                        items=[(1, number)],
                        waybill=parcel.waybill,
                        codes=parcel.codes,
                        weight_g=parcel.weight_g,
                        size_mm=parcel.size_mm,
                        station=parcel.station,
                        scans=[parcel.arrive_ns + 10 * NS],
                        chute=self.chute(line, demand),
                        dropped_ns=parcel.arrive_ns + 60 * NS,
                        laps=0,
                    )
                )
        books = {(truth.line, truth.items[0][1]): [booked(truth.chute, truth.scans[0])] for truth in self.truths}
        self.ledger = Ledger(books, {}, {}, {})

    def chute(self, line: str, demand: Demand) -> int:
        if demand.kind == "reject":
            return min(self.oracle.exception_chutes(line, demand.name))
        lane = demand.name
        if demand.kind == "chute":
            if self.oracle.chute_line[int(demand.name)] == line:
                return int(demand.name)
            lane = self.oracle.chute_lanes[int(demand.name)][0]
        chutes = self.oracle.lane_chutes.get((line, lane), [])
        return chutes[0] if chutes else min(self.oracle.exception_chutes(line, "max_laps"))

    def judge(self) -> audit._Judge:
        return audit._Judge(self.site, self.oracle, self.ledger, first_epochs(self.truths))

    def report(self) -> dict[str, Any]:
        return audit.judge(self.site, self.oracle, self.ledger, self.truths)


@pytest.fixture(scope="module")
def clean_day(county: Site, county_day: Day) -> Judged:
    day = Judged(county, county_day)
    for truth in day.truths:
        if ("L2", "PLANE") not in day.oracle.lane_chutes and truth.line == "L2":
            demands = [demand.name for demand in day.judge().demands(truth)]
            truth.laps = 3 if demands == ["PLANE"] else 0
    return day


@pytest.fixture
def judged(clean_day: Judged) -> Judged:
    day = copy.copy(clean_day)
    day.truths = [copy.copy(truth) for truth in clean_day.truths]
    day.ledger = Ledger({key: list(told) for key, told in clean_day.ledger.books.items()}, {}, {}, {})
    return day


def test_a_right_day_is_right(judged: Judged) -> None:
    report = judged.report()
    assert (report["items"], report["missorted"], report["unaccounted"]) == (4000, 0, 0)
    assert report["examples"] == []
    assert report["by_reason"]["no_read"] == 80
    assert sum(report["by_reason"].values()) == 4000


def test_a_swapped_chute_is_found_twice(judged: Judged) -> None:
    """Swapped in the world: missorted. Swapped in the ledger: unaccounted. In both: missorted."""
    truth = next(truth for truth in judged.truths if truth.chute == 113)
    truth.chute = 101
    report = judged.report()
    assert (report["missorted"], report["unaccounted"]) == (1, 1)
    assert {example["item"] for example in report["examples"]} == {truth.items[0][1]}
    judged.ledger.books[truth.line, truth.items[0][1]] = [booked(101)]
    report = judged.report()
    assert (report["missorted"], report["unaccounted"]) == (1, 0)
    assert "lane HAUL" in report["examples"][0]["why"]


def test_every_wrong_chute_is_found(judged: Judged) -> None:
    """A tenth of the parcels is thrown into a chute that serves nothing of theirs."""
    rng = random.Random(5)
    thrown = rng.sample(judged.truths, 400)
    exceptions = {number for row in judged.site.tables.exceptions for number in [int(row["chute"])]}
    for truth in thrown:
        to = 113 if truth.line == "L1" else 213
        if truth.chute in range(to, to + 4):
            to = min(chute for chute in exceptions if judged.oracle.chute_line[chute] == truth.line) + 2
        truth.chute = to
        judged.ledger.books[truth.line, truth.items[0][1]] = [booked(to)]
    report = judged.report()
    assert report["missorted"] == 400
    assert report["unaccounted"] == 0


def test_missing_doubled_and_made_up_items_are_found(judged: Judged) -> None:
    keys = list(judged.ledger.books)
    del judged.ledger.books[keys[0]]
    judged.ledger.books[keys[1]] *= 2
    judged.ledger.books[keys[2]] = [booked(0)]
    judged.ledger.books[keys[3]] = [booked(None)]
    judged.ledger.books["L1", 999_999] = [booked(101)]
    report = judged.report()
    assert (report["missorted"], report["unaccounted"]) == (0, 5)
    assert {example["why"] for example in report["examples"]} == {
        "the ledger does not have it",
        "the ledger has more items of this number than there were",
        "the ledger has it lost",
        "the ledger has it on the belt still",
        "the ledger has an item that never was on the belt",
    }


def test_a_parcel_still_on_the_belt_is_told_apart(judged: Judged) -> None:
    truth = judged.truths[0]
    truth.chute = 0
    judged.ledger.books["L1", 1] = [booked(None)]
    report = judged.report()
    assert (report["on_belt"], report["missorted"], report["unaccounted"]) == (1, 0, 0)
    judged.ledger.books["L1", 1] = [booked(101)]
    assert judged.report()["unaccounted"] == 1


def test_a_number_given_again_after_a_restart_is_matched_in_order(judged: Judged) -> None:
    first, second = judged.truths[:2]
    first.items = [(1, 1), (2, 1)]
    second.items = [(1, 2), (2, 2)]
    judged.ledger.books["L1", 1] = [booked(0), booked(first.chute)]
    judged.ledger.books["L1", 2] = [booked(0), booked(second.chute)]
    assert judged.report()["unaccounted"] == 0
    judged.ledger.books["L1", 1] = [booked(first.chute), booked(0)]
    assert judged.report()["unaccounted"] == 1


def test_a_drop_whose_report_the_plc_lost_may_be_lost_in_the_ledger(judged: Judged) -> None:
    truth = judged.truths[0]
    truth.unreported = True
    assert judged.report()["unreported"] == 0
    judged.ledger.books["L1", 1] = [booked(0)]
    assert (judged.report()["unaccounted"], judged.report()["unreported"]) == (0, 1)
    judged.ledger.books["L1", 1] = [booked(truth.chute + 1)]
    assert (judged.report()["unaccounted"], judged.report()["unreported"]) == (1, 0)


def test_what_was_opened_under_the_former_start_too_is_told_as_twice(judged: Judged) -> None:
    truth = judged.truths[0]
    truth.items, truth.first_scans = [(1, 1), (2, 77_777)], [0, 1]
    truth.scans = [truth.scans[0], truth.scans[0] + 120 * NS]
    judged.ledger.books["L1", 1] = [booked(0)]
    once, again = booked(0, truth.scans[1] + NS), booked(truth.chute, truth.scans[1] + 60 * NS)
    judged.ledger.books["L1", 77_777] = [once, again]
    assert (judged.report()["unaccounted"], judged.report()["twice"]) == (0, 1)
    for wrong in ([once, once, again], [booked(truth.chute, once.entered_ns), again], [booked(0, 7), again]):
        judged.ledger.books["L1", 77_777] = wrong
        assert judged.report()["unaccounted"] > 0


def test_a_number_under_which_nothing_was_seen_may_be_missing(judged: Judged) -> None:
    truth = judged.truths[0]
    truth.items, truth.first_scans = [(1, 1), (2, 77_777)], [0, 0]
    judged.ledger.books["L1", 77_777] = judged.ledger.books.pop(("L1", 1))
    assert (judged.report()["unaccounted"], judged.report()["unseen"]) == (0, 1)
    truth.first_scans = [0, 1]
    assert judged.report()["unaccounted"] == 1


def test_one_item_too_many_shifts_no_other(judged: Judged) -> None:
    """A number that many parcels bore: each is compared with its own item."""
    crowd = [truth for truth in judged.truths if truth.line == "L1"][:8]
    for epoch, truth in enumerate(crowd, 2):
        key = (truth.line, truth.items[0][1])
        judged.ledger.books.setdefault((truth.line, 88_888), []).extend(judged.ledger.books.pop(key))
        truth.items = [(epoch, 88_888)]
    assert judged.report()["unaccounted"] == 0
    judged.ledger.books["L1", 88_888].insert(1, booked(0, 1))
    assert judged.report()["unaccounted"] == 1


def spilled(judged: Judged) -> Truth:
    """A parcel of BUS1 in a chute of FRT1."""
    judge = judged.judge()
    truth = next(truth for truth in judged.truths if [d.name for d in judge.demands(truth)] == ["BUS1"])
    truth.chute = judged.oracle.lane_chutes[truth.line, "FRT1"][0]
    judged.ledger.books[truth.line, truth.items[0][1]] = [booked(truth.chute)]
    return truth


def current_cutoff(judged: Judged, lane: str, t_ns: int) -> int:
    departures = oracle.departures(judged.site.tables, lane, t_ns, 8.0)
    return next(cutoff_ns for cutoff_ns, _ in departures if cutoff_ns > t_ns)


def test_a_spill_needs_a_full_trip(judged: Judged) -> None:
    truth = spilled(judged)
    assert judged.report()["missorted"] == 1
    key = ("BUS1", current_cutoff(judged, "BUS1", truth.scans[0]))
    judged.ledger.loads[key] = 99
    assert judged.report()["missorted"] == 1
    judged.ledger.loads[key] = 100
    report = judged.report()
    assert (report["missorted"], report["by_reason"]["spilled"]) == (0, 1)


def test_a_spill_is_right_after_a_trip_was_sent_off(judged: Judged) -> None:
    truth = spilled(judged)
    key = ("BUS1", current_cutoff(judged, "BUS1", truth.scans[0]))
    judged.ledger.sent_ns[key] = truth.scans[0] + 3600 * NS
    assert judged.report()["missorted"] == 1
    judged.ledger.sent_ns[key] = truth.scans[0] - 1
    assert judged.report()["missorted"] == 0


def test_the_chute_for_too_many_laps_needs_as_many(judged: Judged) -> None:
    truth = next(truth for truth in judged.truths if truth.chute == 113)
    truth.chute = min(judged.oracle.exception_chutes("L1", "max_laps"))
    judged.ledger.books["L1", truth.items[0][1]] = [booked(truth.chute)]
    truth.laps = 2
    assert judged.report()["missorted"] == 1
    truth.laps = 3
    assert judged.report()["missorted"] == 0


def test_around_a_full_minute_both_sides_are_right(judged: Judged) -> None:
    """A rule ends at 17:00; a parcel scanned at 16:59:50 may be decided before or after."""
    judge = judged.judge()
    truth = next(truth for truth in judged.truths if [demand.row for demand in judge.demands(truth)] == [30])
    end_ns = NOON_NS + 5 * 3600 * NS
    for before_s, names in ((16, {"PLANE"}), (10, {"PLANE", "HAUL"}), (0, {"HAUL"})):
        truth.scans = [end_ns - before_s * NS]
        assert {demand.kind + demand.name for demand in judge.demands(truth)} == {f"lane{name}" for name in names}


def test_an_old_line_of_truth_is_read(judged: Judged, tmp_path: Path) -> None:
    """Without readings each scan told the codes; without first scans all of them were of the last number."""
    keys = (
        "line",
        "items",
        "waybill",
        "codes",
        "weight_g",
        "size_mm",
        "station",
        "scans",
        "chute",
        "dropped_ns",
        "laps",
    )
    truth = judged.truths[0]
    truth.scans = [truth.scans[0], truth.scans[0] + 120 * NS]
    path = tmp_path / "truth.ndjson"
    path.write_bytes(msgspec.json.encode({key: getattr(truth, key) for key in keys}) + b"\n")
    (read,) = audit._truths(path)
    assert read == truth
    assert [seen.codes for _, seen in read.seen()] == [truth.codes] * 2


@pytest.mark.parametrize("keys", [{"readings": [[], []]}, {"first_scans": [0, 1]}])
def test_a_line_of_truth_that_does_not_add_up_is_refused(judged: Judged, keys: dict[str, Any]) -> None:
    told = msgspec.to_builtins(judged.truths[0]) | keys
    with pytest.raises(msgspec.ValidationError, match=r"too many for|do not belong to"):
        msgspec.convert(told, Truth)


# ---- what each scan told ----------------------------------------------------

OWN, OTHER, GOODS = "YT1234567890123", "YT1234567890124", "69012342"


@pytest.mark.parametrize(
    ("readings", "name"),
    [
        ([(OWN,), (OWN,)], "BUS1"),
        ([(), (OWN,)], "BUS1"),
        ([(OWN,), ()], "BUS1"),
        ([(GOODS,), (OWN.lower(), GOODS)], "BUS1"),
        ([(OWN,), (OTHER,)], "multi_code"),
        ([(OWN, OTHER), (OWN,)], "multi_code"),
        ([(OWN,), (OTHER,), ()], "multi_code"),
        ([(), ()], "no_read"),
        ([(GOODS,), ()], "no_read"),
        ([(GOODS,), ("",)], "no_read"),
        ([(), (GOODS,)], "unknown_code"),
    ],
)
def test_what_earlier_scans_told_is_not_forgotten(county: Site, readings: list[tuple[str, ...]], name: str) -> None:
    oracle_ = Oracle(county.tables, {OWN: YTO, OTHER: YTO}, ())
    *before, codes = readings
    assert oracle_.demand(Seen(codes, 500, 300, tuple(before)), NOON_NS).name == name


@pytest.mark.parametrize(
    ("readings", "station"),
    [
        ([(OWN, "531-A03-12"), (OWN,)], "V11"),
        ([(OWN, "531-A03-12"), ()], "V11"),
        ([(OWN, "531-A03-12"), (OWN, "900-1-2")], "CQ"),
        ([(OWN, "531-A03-12"), (OWN, "531-A03", "900-1-2")], "V11"),
        ([("531-A03-12",), (OWN,)], None),
    ],
)
def test_the_last_label_that_names_a_station_counts(
    county: Site, readings: list[tuple[str, ...]], station: str | None
) -> None:
    *before, codes = readings
    demand = Oracle(county.tables, {}, ()).demand(Seen(codes, 500, 300, tuple(before)), NOON_NS - 3600 * NS)
    lanes = {row["station"]: row["lane"] for row in county.tables.stations}
    assert demand.name == (lanes[station] if station else "no_advice")


class Rounds:
    """A parcel of BUS1 on the loop, scanned once for each reading."""

    def __init__(self, judged: Judged, readings: list[tuple[str, ...]], first_scans: list[int] | None = None) -> None:
        judged.oracle = Oracle(judged.site.tables, {OWN: YTO, OTHER: YTO}, ())
        self.judge = judged.judge()
        first_scans = first_scans or [0]
        self.truth = Truth(
            line="L1",
            items=[(epoch, 1) for epoch in range(len(first_scans))],
            waybill=OWN,
            codes=(OWN,),
            weight_g=500,
            size_mm=(300, 200, 100),
            station="T1",
            scans=[NOON_NS + 120 * NS * at for at in range(len(readings))],
            chute=0,
            dropped_ns=0,
            laps=len(readings) - 1,
            readings=readings,
            first_scans=first_scans,
        )

    def words(self) -> dict[str, str]:
        """What is said of it in a chute of its lane, and in those for what was not read and for two waybills."""
        oracle_ = self.judge._oracle
        chutes = {"BUS1": oracle_.lane_chutes["L1", "BUS1"][0], "reject": 118}
        return {
            name: self.judge.word(msgspec.structs.replace(self.truth, chute=chute)) for name, chute in chutes.items()
        }


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ([(OWN,)], {"BUS1": "planned", "reject": ""}),
        ([()], {"BUS1": "", "reject": "no_read"}),
        ([(), (OWN,)], {"BUS1": "planned", "reject": ""}),
        ([(OWN,), ()], {"BUS1": "planned", "reject": ""}),
        ([(OWN,), (OWN, OTHER)], {"BUS1": "", "reject": "multi_code"}),
        ([(OWN,), (OTHER,), (OWN,)], {"BUS1": "", "reject": "multi_code"}),
    ],
)
def test_the_last_scan_decides_with_all_before_it(
    judged: Judged, readings: list[tuple[str, ...]], words: dict[str, str]
) -> None:
    assert Rounds(judged, readings).words() == words


def test_a_scan_of_which_nothing_was_told_read_nothing(judged: Judged) -> None:
    rounds = Rounds(judged, [(), ()])
    rounds.truth.readings = [()]
    assert rounds.words() == {"BUS1": "", "reject": "no_read"}


def test_a_new_number_forgets_what_was_read(judged: Judged) -> None:
    assert Rounds(judged, [(OTHER,), (OWN,)], [0, 1]).words() == {"BUS1": "planned", "reject": ""}
    assert Rounds(judged, [(OWN,), ()], [0, 1]).words() == {"BUS1": "", "reject": "no_read"}
    assert Rounds(judged, [(OWN,), ()], [0, 0]).words() == {"BUS1": "planned", "reject": ""}


@pytest.mark.parametrize(
    ("starts", "scanned_ns", "words"),
    [
        (1, [], {"BUS1": "planned", "reject": "no_read"}),
        (1, [NOON_NS + 120 * NS], {"BUS1": "planned", "reject": "no_read"}),
        (1, [NOON_NS + NS, NOON_NS + 120 * NS], {"BUS1": "planned", "reject": ""}),
        (0, [], {"BUS1": "planned", "reject": ""}),
    ],
    ids=["none came", "the last one came", "both came", "no new start"],
)
def test_a_scan_that_came_before_a_new_start_was_known_need_not_count(
    judged: Judged, starts: int, scanned_ns: list[int], words: dict[str, str]
) -> None:
    rounds = Rounds(judged, [(OWN,), ()])
    rounds.truth.items = [(first_epochs(judged.truths)["L1"] + starts, 1)]
    judged.ledger.scans["L1", 1] = scanned_ns
    assert rounds.words() == words


# ---- a straight belt --------------------------------------------------------

END = 218


@pytest.fixture
def straight(judged: Judged) -> Judged:
    """The same day with line L2 a straight belt."""
    belts = judged.site.belts | {"L2": judged.site.belts["L2"]._replace(end_chute=END)}
    judged.site = judged.site._replace(belts=belts, max_laps=judged.site.max_laps | {"L2": 0})
    return judged


def run_out(straight: Judged, lane: str = "BUS1") -> Truth:
    """A parcel of a lane that ran off the end."""
    judge = straight.judge()
    truth = next(
        truth
        for truth in straight.truths
        if truth.line == "L2" and [demand.name for demand in judge.demands(truth)] == [lane]
    )
    truth.chute, truth.laps = END, 0
    straight.ledger.books["L2", truth.items[0][1]] = [booked(END)]
    return truth


def test_what_the_tables_send_to_the_end_is_right_there(straight: Judged) -> None:
    """So is what no chute of the line serves."""
    report = straight.report()
    assert (report["missorted"], report["untold"]) == (0, 0)
    assert any(truth.chute == END for truth in straight.truths)


@pytest.mark.parametrize("why", ["missed", "closed", "untold"])
def test_what_ran_out_for_a_reason_of_the_plant_is_right(straight: Judged, why: str) -> None:
    run_out(straight).ran_out = why
    report = straight.report()
    assert (report["missorted"], report["by_reason"][why], report["untold"]) == (0, 1, int(why == "untold"))


def test_what_was_told_to_run_out_without_need_is_wrong(straight: Judged) -> None:
    truth = run_out(straight)
    assert straight.report()["missorted"] == 1
    chutes = straight.oracle.lane_chutes["L2", "BUS1"]
    assert len(chutes) > 1
    truth.shut = chutes[1:]
    assert straight.report()["missorted"] == 1
    truth.shut = chutes
    assert straight.report()["missorted"] == 0
    assert straight.judge().word(truth) == "max_laps"


def test_to_have_run_out_excuses_the_end_chute_alone(straight: Judged) -> None:
    truth = run_out(straight)
    truth.ran_out = "missed"
    truth.chute = 217
    straight.ledger.books["L2", truth.items[0][1]] = [booked(217)]
    assert straight.report()["missorted"] == 1


def test_on_a_loop_nothing_runs_out(judged: Judged) -> None:
    truth = run_out(judged)
    truth.ran_out = "missed"
    assert judged.report()["missorted"] == 1


def test_files_that_are_not_there_are_told(county: Site, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"truth\.ndjson does not exist; emulate writes it"):
        audit.audit(county, tmp_path, tmp_path / "truth.ndjson", tmp_path / "ledger.db")
