"""A day is the same for the same seed, and has exactly the shares it promises."""

import re
from collections import Counter
from pathlib import Path

import pytest

from plc_adapter.emulator import tables, traffic
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import HOURS, NS_PER_S, Day

HOUR_NS = 3600 * NS_PER_S


def files(day: Day, folder: Path) -> bytes:
    folder.mkdir()
    traffic.write_advices(day, folder / "advices.csv")
    traffic.write_intercepts(day, folder / "intercepts.csv")
    return (folder / "advices.csv").read_bytes() + (folder / "intercepts.csv").read_bytes()


def test_the_same_seed_gives_the_same_bytes(county: Site, county_day: Day, tmp_path: Path) -> None:
    again = traffic.day(county.tables, 4000, 11)
    assert again == county_day
    assert files(again, tmp_path / "a") == files(county_day, tmp_path / "b")
    other = traffic.day(county.tables, 4000, 12)
    assert other.parcels != county_day.parcels


def test_the_busiest_hour_has_exactly_its_share(county_day: Day) -> None:
    hours = Counter((parcel.arrive_ns - county_day.opens_ns) // HOUR_NS for parcel in county_day.parcels)
    assert sum(hours.values()) == 4000
    assert set(hours) == set(range(len(HOURS)))
    assert max(hours.values()) == hours[traffic.PEAK_HOUR] == county_day.peak_hour_items == 600


@pytest.mark.parametrize("items", [1, 7, 20, 333])
def test_a_small_day_has_all_its_items(county: Site, items: int) -> None:
    day = traffic.day(county.tables, items, 1)
    assert len(day.parcels) == items
    assert day.peak_hour_items == round(0.15 * items)


def test_parcels_come_in_order(county_day: Day) -> None:
    times = [parcel.arrive_ns for parcel in county_day.parcels]
    assert times == sorted(times)


def test_shares_are_exact_counts(county_day: Day) -> None:
    parcels, count = county_day.parcels, len(county_day.parcels)
    waybills = [[code for code in parcel.codes if is_waybill(code)] for parcel in parcels]
    assert sum(not parcel.codes for parcel in parcels) == round(0.02 * count)
    assert sum(len(set(codes)) == 2 for codes in waybills) == round(0.003 * count)
    assert sum(len(codes) == 2 and len(set(codes)) == 1 for codes in waybills) == round(0.05 * count)
    assert sum(bool(parcel.codes) and not codes for parcel, codes in zip(parcels, waybills, strict=True)) == 4
    assert sum(not parcel.advised for parcel in parcels) == round(0.02 * count)
    assert sum(parcel.intercepted for parcel in parcels) == len(county_day.intercepts) == round(0.001 * count)
    assert sum(advice.cancelled for advice in county_day.advices) == round(0.002 * count)
    assert sum(parcel.weight_g == 0 for parcel in parcels) == round(0.02 * count)
    assert sum(parcel.size_mm == (0, 0, 0) for parcel in parcels) == round(0.03 * count)


def is_waybill(code: str) -> bool:
    return len(code) > 8 and "-" not in code


def test_half_without_advice_show_a_sort_code_of_their_station(county: Site) -> None:
    day = traffic.day(county.tables, 20_000, 2)
    codes = {
        (row["carrier"], "-".join(filter(None, (row[name] for name in tables.SEGMENTS)))): row["station"]
        for row in county.tables.sort_codes
    }
    carriers = {carrier for carrier, _ in codes}
    seen = [
        (parcel, [code for code in parcel.codes if "-" in code])
        for parcel in day.parcels
        if not parcel.advised and parcel.carrier in carriers and len(parcel.codes) > 0
    ]
    labelled = [(parcel, found) for parcel, found in seen if found]
    assert 0.3 < len(labelled) / len(seen) < 0.6
    assert all(codes[parcel.carrier, found[0]] == parcel.station for parcel, found in labelled)


def test_advices_tell_the_truth_but_not_always_the_weight(county_day: Day) -> None:
    known = {parcel.waybill: parcel for parcel in county_day.parcels if parcel.advised}
    assert len(known) == len(county_day.advices)
    for advice in county_day.advices:
        parcel = known[advice.waybill]
        assert (advice.carrier, advice.station, advice.service, advice.flow) == (
            parcel.carrier,
            parcel.station,
            parcel.service,
            parcel.flow,
        )
    undeclared = sum(advice.weight_g == 0 for advice in county_day.advices) / len(known)
    assert 0.05 < undeclared < 0.15


def test_waybills_are_new_and_fit_a_valid_row_of_their_carrier(county: Site, county_day: Day) -> None:
    patterns: dict[str, str] = {}
    for row in county.tables.carriers:
        patterns.setdefault(row["carrier"], row["waybill"])
    assert all(re.fullmatch(patterns[parcel.carrier], parcel.waybill) for parcel in county_day.parcels)
    assert len({parcel.waybill for parcel in county_day.parcels}) == len(county_day.parcels)


def test_a_parcel_comes_to_a_line_that_has_chutes_for_it(county: Site, county_day: Day) -> None:
    lane = {row["station"]: row["lane"] for row in county.tables.stations}
    served = set(tables.chutes_of(county.tables))
    assert ("L2", "PLANE") not in served
    assert all((parcel.line, lane[parcel.station]) in served for parcel in county_day.parcels)
    lines = Counter(parcel.line for parcel in county_day.parcels)
    assert 0.45 < lines["L1"] / 4000 < 0.58


def test_the_mornings_come_in_and_the_afternoons_go_out(county_day: Day) -> None:
    noon_ns = county_day.opens_ns + 7 * HOUR_NS
    early = [parcel.flow for parcel in county_day.parcels if parcel.arrive_ns < noon_ns]
    late = [parcel.flow for parcel in county_day.parcels if parcel.arrive_ns >= noon_ns]
    assert early.count("outbound") < 0.15 * len(early)
    assert late.count("outbound") > 0.4 * len(late)


def test_the_day_begins_at_five_local_time(county_day: Day) -> None:
    assert county_day.opens_ns == 1_794_344_400 * NS_PER_S  # 2026-11-11T05:00:00+08:00


def test_tables_that_are_not_enough_are_refused(county: Site) -> None:
    with pytest.raises(ValueError, match="a line with chutes"):
        traffic.day(county.tables._replace(chutes=[]), 10, 1)


def test_tables_are_read_with_chinese_headers_and_old_encodings(tmp_path: Path) -> None:
    (tmp_path / "lanes.csv").write_bytes("路向,名称,类型,备用路向\r\nA,一线,客运,-\r\n\r\n".encode("gb18030"))
    (tmp_path / "chutes.csv").write_bytes("﻿格口号,线,位置(米),路向,容量\n７,L1,34,A|B,\n".encode())
    found = tables.read(tmp_path)
    assert found.lanes == [{"lane": "A", "name": "一线", "kind": "bus", "spill_to": ""}]
    assert tables.chutes_of(found) == {("L1", "A"): [7], ("L1", "B"): [7]}


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"chutes\.csv"):
        tables.read(tmp_path)


@pytest.mark.parametrize(
    ("cell", "word", "fit"),
    [
        ("", "A", True),
        ("A|B", "B", True),
        ("A|B", "C", False),
        ("78*", "781", True),
        ("!A|B", "A", False),
        ("!A", "C", True),
    ],
)
def test_cells(cell: str, word: str, fit: bool) -> None:
    assert tables.fits(cell, word) is fit
