"""The tables say what the journal says: as it grows, after a kill, and built anew."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sorter.ledger import projection as projection_module
from sorter.ledger.fold import FoldError
from sorter.ledger.journal import InUse, Journal
from sorter.ledger.projection import Projection, run
from sorter.ledger.reader import Day, NotReady, Reader
from sorter.ledger.schema import DATABASE_NAME
from sorter.reasons import Reason
from sorter.records import NONE_16, ChuteState, Discharge, Kind, RecordedAdvice, Verb, Verdict, plan_to_bytes
from tests.ledger.plant import CHUTES, HOUR_NS, MINUTE_NS, MONDAY, OFFSET_NS, SORTED, Plant, sort_plan

ROOT = Path(__file__).parents[2]
DAY_NS = 24 * HOUR_NS


def tables(folder: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    database = apsw.Connection(str(folder / DATABASE_NAME), flags=apsw.SQLITE_OPEN_READONLY)
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
    database.close()
    return found


def project(folder: Path) -> None:
    with Projection(folder) as projection:
        projection.catch_up()


def rebuilt(folder: Path) -> dict[str, list[Any]]:
    for path in folder.glob(f"{DATABASE_NAME}*"):
        path.unlink()
    project(folder)
    return tables(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), rounds=st.integers(1, 5), reopen=st.booleans(), limit=st.sampled_from([1, 7, 8192]))
def test_as_it_grows_equals_built_anew(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rounds: int, reopen: bool, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    plant = Plant(seed)
    with pytest.MonkeyPatch.context() as patch, Journal.open(folder, segment_bytes=1 << 16) as journal:
        patch.setattr(projection_module, "ROWS_PER_TRANSACTION", limit)
        projection = Projection(folder)
        plant.begin(journal)
        for turn in range(rounds):
            plant.run(journal, 6)
            if turn == 2:
                plant.plan += 1
                plant.begin(journal, sort_plan("b" * 64))
            projection.catch_up()
            if reopen:
                projection.close()
                projection = Projection(folder)
                assert not projection.rebuilt
        projection.close()
    grown = tables(folder)
    assert grown == rebuilt(folder)
    compare(plant, folder)


def compare(plant: Plant, folder: Path) -> None:
    """Every item, and the report of every day, against the truth."""
    with Reader(folder) as reader:
        for item in plant.truth:
            if item.waybill:
                traced = reader.trace(item.waybill)
                assert traced is not None
                (found,) = traced["items"]
                assert len(found["scans"]) == item.scans
                assert (found["line"], found["item"]) == (("L1", "L2")[item.line], item.number)
                assert found["decision"]["reason"] == item.told["reason"].word  # type: ignore[index] # a waybill was told
                assert found["decision"]["t_ns"] == item.told["t_ns"]  # type: ignore[index] # as above
                if item.outcome is None:
                    assert found["discharge"] is None or found["discharge"]["reason"] is None
                else:
                    assert found["discharge"]["reason"] == item.outcome.word
                    assert found["discharge"]["chute"] == item.dropped
                assert (found["load_unit"] is not None) == (item.dropped is not None)
        days = {local_day(item.entered_ns) for item in plant.truth}
        assert set(reader.days()) == days
        for day in days:
            told, items = reader.report(day), [item for item in plant.truth if local_day(item.entered_ns) == day]
            compare_day(told, items)
            compare_disturbances(told, plant, items)
            compare_slack(told, plant, items)
        assert sum(sum(reader.report(day).refusals.values()) for day in span_of(plant)) == plant.refused


def span_of(plant: Plant) -> list[str]:
    days = range((plant.now_ns - plant.start_ns) // DAY_NS + 2)
    return [local_day(plant.start_ns + day * DAY_NS) for day in days]


def compare_day(day: Day, items: list[Any]) -> None:
    assert day.inducted == len(items)
    assert day.ended == Counter(item.outcome.word for item in items if item.outcome is not None)
    assert day.on_belt == sum(item.outcome is None for item in items)
    assert day.inducted == sum(day.ended.values()) + day.on_belt == sum(flow.inducted for flow in day.flows)
    assert day.sorted == sum(item.outcome in SORTED for item in items) == sum(lane.items for lane in day.lanes)
    assert day.sorted == sum(flow.sorted for flow in day.flows) == sum(slot.sorted for slot in day.slots)
    assert day.inducted == sum(slot.inducted for slot in day.slots) == sum(hour.inducted for hour in day.hours)
    assert sum(day.exceptions.values()) == sum(slot.exceptions for slot in day.slots)
    assert len(day.hours) == 24
    minutes = Counter((item.entered_ns + OFFSET_NS) % DAY_NS // MINUTE_NS // 15 * 15 for item in items)
    assert {slot.minute: slot.inducted for slot in day.slots if slot.inducted} == minutes


ENDS = {"plc_away": "plc", "plc_silent": "plc", "plc_back": "plc", "reader_away": "reader", "reader_back": "reader"}
ENDS |= {"line_stopped": "line", "line_fault": "line", "line_running": "line"}
ENDS |= dict.fromkeys(("open", "full", "blocked", "changing"), "chute")
CALM = {"plc_back", "reader_back", "line_running", "open", "changing"}
LASTS = ENDS.keys() - CALM


def compare_disturbances(day: Day, plant: Plant, items: list[Any]) -> None:
    """Each alarm and state of a chute looked at alone: what follows it of the same device ends it."""
    from_ns = day_begins_ns(day.day)
    now_ns = plant.truth[-1].entered_ns if plant.truth else from_ns
    found: dict[tuple[str, str], list[tuple[int, int, bool]]] = {}
    for at, (t_ns, whose, word, count) in enumerate(plant.told):
        same = [one for one in plant.told if one[1] == whose and ENDS.get(one[2]) == ENDS.get(word, "")]
        before = [one for one in plant.told[:at] if one in same]
        after = [one for one in plant.told[at + 1 :] if one in same and one[2] != word]
        if word in CALM or (before and before[-1][2] == word):
            continue
        lasts = word in LASTS and not after
        until_ns = t_ns if word not in LASTS else max(t_ns, now_ns) if lasts else after[0][0]
        if t_ns < from_ns + DAY_NS and until_ns >= from_ns:
            counted = 0 if word in LASTS | {"plc_restarted"} else count
            lasted_ns = min(until_ns, from_ns + DAY_NS) - max(t_ns, from_ns)
            found.setdefault((whose[:2], word), []).append((counted, lasted_ns, lasts))
    shown = {(one.line, one.what): one for one in day.disturbances if one.what != "missed"}
    assert shown.keys() == found.keys()
    for key, each in found.items():
        one = shown[key]
        assert (one.times, one.items) == (len(each), sum(count for count, _, _ in each))
        lengths = [lasted_ns for _, lasted_ns, _ in each]
        assert (one.lasted_ns, one.longest_ns) == (sum(lengths), max(lengths))
        assert one.lasting == sum(lasts for _, _, lasts in each)
    missed = {one.line: one.times for one in day.disturbances if one.what == "missed"}
    passes = Counter({line: sum(item.passes for item in items if f"L{item.line + 1}" == line) for line in ("L1", "L2")})
    assert missed == +passes


def day_begins_ns(day: str) -> int:
    return round(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 10**9 - OFFSET_NS


def compare_slack(day: Day, plant: Plant, items: list[Any]) -> None:
    line_of = {item.serial: f"L{item.line + 1}" for item in items}
    found: dict[str, list[tuple[int, bool]]] = {}
    for serial, left_ns, late in plant.slack:
        if serial in line_of:
            found.setdefault(line_of[serial], []).append((left_ns, late))
    assert {one.line for one in day.slack} == found.keys()
    for one in day.slack:
        left = sorted(left_ns for left_ns, _ in found[one.line])
        assert (one.decisions, one.late) == (len(left), sum(late for _, late in found[one.line]))
        assert one.least_ns == left[0]
        assert (one.p01_ns, one.p50_ns) == tuple(left[-(-len(left) * share // 100) - 1] for share in (1, 50))


def local_day(t_ns: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime((t_ns + OFFSET_NS) // 10**9))


def test_days_and_trips(tmp_path: Path) -> None:
    """Over several days, some empty: each trip's load is the items that dropped for it."""
    plant = Plant(3, step_ns=40 * MINUTE_NS)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        plant.run(journal, 60)
    project(tmp_path)
    compare(plant, tmp_path)
    with Reader(tmp_path) as reader:
        trips = [trip for day in span_of(plant) for trip in reader.report(day).trips]
    assert {(trip.cutoff_ns + OFFSET_NS) % DAY_NS // MINUTE_NS for trip in trips} == {480, 840}
    assert {trip.departs_ns - trip.cutoff_ns for trip in trips} == {10 * MINUTE_NS}
    assert {(trip.lane, trip.title) for trip in trips} == {("曲尺线", "曲尺客车")}
    loads: Counter[int] = Counter()
    for item in plant.truth:
        if item.outcome in SORTED and item.told is not None and item.told["trip"] != NONE_16:
            local_ns = item.told["t_ns"] - MONDAY
            minute = local_ns // MINUTE_NS % 1440
            ahead = 480 if minute < 480 else 840 if minute < 840 else 1920
            loads[MONDAY + local_ns // DAY_NS * DAY_NS + ahead * MINUTE_NS] += 1
    assert {trip.cutoff_ns: trip.load for trip in trips if trip.load} == loads
    assert len(trips) == 2 * len(span_of(plant))


def test_a_trip_sent_off(tmp_path: Path) -> None:
    plant = Plant(1, start_ns=MONDAY + 7 * HOUR_NS)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        for _ in range(2):
            plant._event(Kind.COMMAND, value=Verb.TRIP_SEND, station=0, **plant._codes(b"", b"ops"))
            plant.flush(journal)
            project(tmp_path)  # what was sent off is remembered by the next one
        plant.drop(trip=2)
        plant.drop(trip=0)
        plant.flush(journal)
    project(tmp_path)
    with Reader(tmp_path) as reader:
        assert [(trip.sent_ns, trip.load) for trip in reader.report("2025-11-10").trips] == [(plant.now_ns, 0)] * 2
        assert [(row["verb"], row["lane"], row["who"]) for row in reader.commands()] == [
            ("trip_send", "曲尺线", "ops")
        ] * 2


def test_the_same_answer_after_the_cut_off_keeps_its_trip(tmp_path: Path) -> None:
    plant = Plant(1, start_ns=MONDAY + 7 * HOUR_NS)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        item = plant._open_item(0, 1)
        for _ in range(2):
            plant._event(Kind.SCAN, line=0, item=1, **plant._read())
            plant._tell(item, Reason.PLANNED, 0, NONE_16, {"lane": 0, "trip": 0})
            plant.now_ns += 2 * HOUR_NS
        plant._event(Kind.DISCHARGE, line=0, item=1, chute=0)
        plant._end(item, Reason.PLANNED, 0)
        plant.flush(journal)
    project(tmp_path)
    with Reader(tmp_path) as reader:
        assert [trip.load for trip in reader.report("2025-11-10").trips] == [1, 0]


def test_a_departure_at_midnight_is_of_the_day_it_begins(tmp_path: Path) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal, sort_plan(minutes=(0, 1439)))
    project(tmp_path)
    with Reader(tmp_path) as reader:
        trips = reader.report("2025-11-12").trips
    assert [trip.cutoff_ns - MONDAY - 2 * DAY_NS for trip in trips] == [0, 1439 * MINUTE_NS]


def test_a_number_used_again_before_its_former_item_ended(tmp_path: Path) -> None:
    """After a restart of the PLC: what comes of the number is the new item's."""
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        for _ in range(2):
            plant._event(Kind.ITEM, line=0, item=5)
            plant._announce(0, 5)
        plant._event(Kind.TICK)
        plant._end(plant.truth[0], Reason.LOST)
        plant._event(Kind.DISCHARGE, line=0, item=5, value=Discharge.PASSED, chute=NONE_16)
        plant.flush(journal)
    project(tmp_path)
    assert [(row[0], row[4]) for row in tables(tmp_path)["discharge"]] == [(2, "passed")]


def test_an_item_read_before_it_was_announced_is_one_item(tmp_path: Path) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        item = plant._open_item(0, 9)
        plant._event(Kind.SCAN, line=0, item=9)
        plant._tell(item, Reason.NO_READ, 0, NONE_16, {})
        plant._event(Kind.ITEM, line=0, item=9, induct=3)
        plant._event(Kind.DISCHARGE, line=0, item=9, chute=0)
        plant._end(item, Reason.NO_READ, 0)
        plant.flush(journal)
    project(tmp_path)
    (row,) = tables(tmp_path)["item"]
    assert (row[0], row[3]) == (1, 3)


def test_a_plan_waits_for_its_event_across_a_restart(tmp_path: Path) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        journal.append_plan(1, plan_to_bytes(sort_plan()))
        project(tmp_path)
        plant._event(Kind.PLAN, chute=1)
        plant.flush(journal)
    project(tmp_path)
    with Reader(tmp_path) as reader:
        assert len(reader.chutes()) == len(CHUTES)


def test_a_load_unit_ends_with_its_change(tmp_path: Path) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        for states in (["full"], ["full", "open"], ["blocked", "open"], ["changing", "open"], []):
            plant.drop()
            for state in states:
                plant._event(Kind.CHUTE, line=0, chute=0, value=ChuteState[state.upper()])
        plant._event(Kind.COMMAND, value=Verb.CHANGE, chute=0, **plant._codes(b"", b"ops"))
        plant.drop()
        plant.flush(journal)
    project(tmp_path)
    with Reader(tmp_path) as reader:
        units = [reader.trace(item.waybill)["items"][0]["load_unit"] for item in plant.truth]  # type: ignore[index] # each waybill was traced
        assert units == ["101-1", "101-1", "101-2", "101-2", "101-3", "101-4"]
        assert {row["chute"]: row["items"] for row in reader.chutes()} == dict.fromkeys(CHUTES, 0) | {101: 1}


def test_codes_that_are_no_waybills_are_not_kept(tmp_path: Path) -> None:
    plant = Plant(5)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        plant.run(journal, 10)
    project(tmp_path)
    item = next(item for item in plant.truth if item.waybill)
    with Reader(tmp_path) as reader:
        trace = reader.trace(f" {item.waybill.lower()}\n")
        assert trace is not None
        assert item.waybill in trace["items"][0]["scans"][0]["codes"] or item.scans > 1
        assert trace["items"][0]["scans"][0]["codes"][1] == "(7 bytes)"
        assert reader.trace("YT000") is None
    assert "张".encode() not in (tmp_path / DATABASE_NAME).read_bytes()


def test_a_database_of_another_journal_is_rebuilt(tmp_path: Path) -> None:
    for folder, seed in ((tmp_path / "ours", 1), (tmp_path / "theirs", 2)):
        with Journal.open(folder, segment_bytes=1 << 20) as journal:
            plant = Plant(seed)
            plant.begin(journal)
            plant.run(journal, 5)
        project(folder)
    wanted = tables(tmp_path / "ours")
    (tmp_path / "theirs" / DATABASE_NAME).replace(tmp_path / "ours" / DATABASE_NAME)
    with Projection(tmp_path / "ours") as projection:
        assert projection.rebuilt
        projection.catch_up()
    assert tables(tmp_path / "ours") == wanted


@pytest.mark.parametrize("harm", ["version", "noise", "empty", "cut"])
def test_a_database_that_cannot_be_used_is_rebuilt(tmp_path: Path, harm: str) -> None:
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant = Plant(1)
        plant.begin(journal)
        plant.run(journal, 5)
    project(tmp_path)
    wanted = tables(tmp_path)
    path = tmp_path / DATABASE_NAME
    if harm == "version":
        apsw.Connection(str(path)).execute("PRAGMA user_version = 999")
    else:
        data = path.read_bytes()
        path.write_bytes({"noise": random.Random(1).randbytes(9000), "empty": b"", "cut": data[:5000]}[harm])
    with Projection(tmp_path) as projection:
        assert projection.rebuilt
        projection.catch_up()
    assert tables(tmp_path) == wanted


def test_a_journal_that_contradicts_itself_stops_the_projection(tmp_path: Path) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        plant._event(Kind.ITEM, line=0, item=1)
        item = plant._announce(0, 1)
        plant._end(item, Reason.LOST)
        plant._decide(Verdict.END, serial=1, item=1, reason=Reason.LOST)
        plant.flush(journal)
    with Projection(tmp_path) as projection, pytest.raises(FoldError, match="not on the belt"):
        projection.catch_up()


def test_one_projection_writes(tmp_path: Path) -> None:
    with Projection(tmp_path), pytest.raises(InUse, match=f"pid {os.getpid()}"):
        Projection(tmp_path)


def test_a_reader_before_the_projection(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="sorter run"):
        Reader(tmp_path)
    project(tmp_path)
    with Reader(tmp_path) as reader:
        assert reader.trace("X") is None
        assert reader.report("2025-11-10").inducted == 0
        assert reader.report("2025-11-10").trips == ()
        with pytest.raises(ValueError, match="isoformat"):
            reader.report("yesterday")


def test_run_ends_with_all_taken(tmp_path: Path) -> None:
    with Journal.open(tmp_path, segment_bytes=1 << 20) as journal:
        plant = Plant(4)
        plant.begin(journal)
        asked = iter([False, False])

        def stop() -> bool:
            plant.run(journal, 3)
            return next(asked, True)

        run(tmp_path, stop=stop, idle_s=0)
    compare(plant, tmp_path)


def test_killed_again_and_again_it_ends_up_right(tmp_path: Path) -> None:
    chance = random.Random(6)
    plant = Plant(6)
    with Journal.open(tmp_path, segment_bytes=1 << 16) as journal:
        plant.begin(journal)
        for _ in range(5):
            process = subprocess.Popen([sys.executable, "-m", "sorter.ledger.projection", str(tmp_path)], cwd=ROOT)
            for _ in range(20):
                plant.run(journal, 10)
                time.sleep(chance.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.wait()
        process = subprocess.Popen([sys.executable, "-m", "sorter.ledger.projection", str(tmp_path)], cwd=ROOT)
        plant.run(journal, 10)
        deadline = time.monotonic() + 60
        while not _taken(tmp_path, journal.next_seq) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        assert process.wait() == 0
    grown = tables(tmp_path)
    compare(plant, tmp_path)
    assert grown == rebuilt(tmp_path)


def _taken(folder: Path, seq: int) -> bool:
    try:
        with Reader(folder) as reader:
            return reader.seq() == seq
    except NotReady:
        return False


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_a_recorded_day_holds_the_scan_that_first_read_each_waybill(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    plant = Plant(seed, start_ns=MONDAY + 20 * HOUR_NS, step_ns=2 * HOUR_NS)
    with Journal.open(folder) as journal:
        plant.begin(journal)
        plant.run(journal, 10)
    project(folder)
    with Reader(folder) as reader:
        parcels = [parcel for day in reader.days() for parcel in reader.parcels(day)]
        scanned = [item for item in plant.truth if item.scans]
        for item, parcel in zip(scanned, parcels, strict=True):
            assert parcel.line == ("L1", "L2")[item.line]
            assert parcel.codes[1] == "(7 bytes)", "what may be a name is kept as a length alone"
            if not item.waybill:
                assert parcel.advice is None
                continue
            traced = reader.trace(item.waybill)
            assert traced is not None
            scans = traced["items"][0]["scans"]
            first = next((scan for scan in scans if item.waybill in scan["codes"]), scans[0])
            assert (parcel.t_ns, list(parcel.codes)) == (first["t_ns"], first["codes"])
            assert (parcel.weight_g, parcel.length_mm) == (first["weight_g"] or 0, (first["size_mm"] or [0])[0])
            names = plant_names(item.carrier, item.station)
            assert parcel.advice == RecordedAdvice(*names, service="standard", flow="inbound", cancelled=False)
            assert not parcel.intercepted


def plant_names(carrier: int, station: int) -> tuple[str, str]:
    names = sort_plan().names
    return names.carriers[carrier], names.stations[station]


@pytest.mark.parametrize(
    ("reason", "row", "cancelled", "intercepted"),
    [
        (Reason.CANCELLED, 0, True, False),
        (Reason.INTERCEPT, 0, False, True),
        (Reason.CANCELLED, 14, False, False),
        (Reason.INTERCEPT, 14, False, False),
        (Reason.NO_ADVICE, 0, False, False),
    ],
)
def test_what_held_an_item_back_is_recorded_unless_a_rule_did(
    tmp_path: Path, reason: Reason, row: int, cancelled: bool, intercepted: bool
) -> None:
    plant = Plant(1)
    with Journal.open(tmp_path) as journal:
        plant.begin(journal)
        item = plant._open_item(0, 1)
        plant._event(Kind.SCAN, line=0, item=1, **plant._read())
        plant._tell(item, reason, 3, NONE_16, {"row": row})
        plant.flush(journal)
        journal.sync()
    project(tmp_path)
    with Reader(tmp_path) as reader:
        (parcel,) = reader.parcels("2025-11-10")
        assert (bool(parcel.advice and parcel.advice.cancelled), parcel.intercepted) == (cancelled, intercepted)
        assert reader.parcels("2025-11-11") == []
        with pytest.raises(ValueError, match="month"):
            reader.parcels("2025-13-01")
