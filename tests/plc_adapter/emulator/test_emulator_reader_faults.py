"""A reader's faults: from the seed alone, as often as they are set, and never anything but what a reader could see."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.emulator.plant import Scan
from plc_adapter.emulator.reading import Passage, Reading
from plc_adapter.emulator.traffic import Day, Parcel

SHARES = st.sampled_from([0.0, 0.1, 0.5, 1.0])
NAMES = ("double_share", "mirrored_share", "unread_share")


def reading_of(parcels: list[Parcel], line: str = "L1", seed: int = 7, **shares: Any) -> Reading:
    reading = Reading(line, parcels, seed)
    for name, share in shares.items():
        setattr(reading, name, share)
    return reading


def passed(reading: Reading, parcels: list[Parcel], lap: int = 0) -> list[Passage]:
    return [reading.read(Scan(1000 * at, at + 1, at, lap)) for at in range(len(parcels))]


def share_of(marked: list[bool]) -> float:
    return sum(marked) / len(marked)


def test_without_faults_each_label_is_read_as_it_is(county_day: Day) -> None:
    parcels = county_day.of_line("L1")
    for at, passage in enumerate(passed(reading_of(parcels), parcels)):
        parcel = parcels[at]
        assert passage == Passage(
            1000 * at, at + 1, at, parcel.induct, 0, parcel.codes, parcel.weight_g, parcel.size_mm, is_double=False
        )


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, SHARES)), st.integers(0, 3))
def test_a_reader_sees_its_own_label_or_none_and_at_most_the_one_before(
    county_day: Day, shares: dict[str, Any], lap: int
) -> None:
    parcels = county_day.of_line("L1")[:200]
    read = passed(reading_of(parcels, **shares), parcels, lap)
    assert read == passed(reading_of(parcels, **shares), parcels, lap)
    before: tuple[str, ...] = ()
    for parcel, passage in zip(parcels, read, strict=True):
        assert passage.codes in {(), parcel.codes, parcel.codes + before}
        assert parcel.codes or not passage.codes
        before = parcel.codes
    if shares["unread_share"] == 1:
        assert not any(passage.codes for passage in read)
    assert all(passage.is_double for passage in read) or shares["double_share"] < 1


def test_faults_come_as_often_as_they_are_set_on_every_lap(county_day: Day) -> None:
    parcels = [parcel for parcel in county_day.of_line("L1") if parcel.codes]
    reading = reading_of(parcels, double_share=0.1, mirrored_share=0.2, unread_share=0.3)
    doubles = []
    for lap in range(4):
        read = passed(reading, parcels, lap)
        unread = [not passage.codes for passage in read]
        mirrored = [passage.codes[len(parcel.codes) :] != () for parcel, passage in zip(parcels, read, strict=True)]
        doubles.append([passage.is_double for passage in read])
        assert 0.25 < share_of(unread) < 0.35
        assert 0.1 < share_of(mirrored) < 0.18  # of those that are read
        assert 0.07 < share_of(doubles[-1]) < 0.13
    assert len({tuple(marked) for marked in doubles}) == 4


def test_shares_may_change_while_the_line_runs(county_day: Day) -> None:
    parcels = county_day.of_line("L1")[:50]
    reading = reading_of(parcels)
    reading.double_share = 1.0
    assert all(passage.is_double for passage in passed(reading, parcels))
    reading.double_share = 0.0
    assert not any(passage.is_double for passage in passed(reading, parcels))


def test_seeds_and_lines_have_luck_of_their_own(county_day: Day) -> None:
    parcels = county_day.of_line("L1")[:200]
    readings = [
        reading_of(parcels, unread_share=0.5),
        reading_of(parcels, seed=8, unread_share=0.5),
        reading_of(parcels, line="L2", unread_share=0.5),
    ]
    unread = [tuple(not passage.codes for passage in passed(reading, parcels)) for reading in readings]
    assert len(set(unread)) == 3
