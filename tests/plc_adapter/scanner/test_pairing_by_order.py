"""By order, whatever does not fit one item and one reading alone leaves all concerned without codes."""

import pytest

from plc_adapter.scanner.pairing import Fate, Paired, Tracking, pairing
from plc_adapter.scanner.pairing.either_way import READINGS_MAX
from plc_adapter.scanner.pairing.tracking import QUIET_WINDOWS
from tests.plc_adapter.scanner.pairing_story import MS, ORDER, START, TRAVEL, TUNNEL, WINDOW, Story, fates, said


def test_an_item_gets_the_reading_in_its_window() -> None:
    pair, out = Story().enter(1, 0).read(1010, "A").run()
    assert out == [Paired(1, 0, ("A",), 7, None, START + 1010 * MS, Fate.PAIRED)]
    assert pair.counts == {Fate.PAIRED: 1}
    assert not pair.events


def test_it_is_told_when_its_window_has_passed_and_not_before() -> None:
    pair = pairing(Tracking(travel_ms=TRAVEL, window_ms=WINDOW, delay_ms=20, merge_ms=30), heads=2)
    for at_ms in range(0, 1000, 50):
        assert pair.due(START + at_ms * MS) == []
        if at_ms == 0:
            pair.entered(1, START, START)
    assert pair.read(said(1020, "A"), START + 1050 * MS) == []
    assert pair.next_ns() == START + 1075 * MS  # time is watched
    assert pair.due(START + 1090 * MS) == []
    assert pair.next_ns() == START + 1100 * MS  # 1000 + window 50 + delay 20 + merging 30
    assert pair.due(START + 1100 * MS - 1) == []
    assert pair.due(START + 1100 * MS) == [Paired(1, 0, ("A",), 0, None, START + 1000 * MS, Fate.PAIRED)]


def test_an_item_without_reading_is_silent() -> None:
    pair, out = Story().enter(1, 0).run()
    assert out == [Paired(1, 0, (), 0, None, START + 1000 * MS, Fate.SILENT)]
    assert pair.counts == {Fate.SILENT: 1}
    assert pair.events[0].text.startswith("item 1: no reading came for it; look at")


def test_a_no_read_of_the_reader_is_a_reading() -> None:
    pair, out = Story().enter(1, 0).read(1000).run()
    assert fates(out) == [(1, (), "paired")]
    assert out[0].weight_g == 7
    assert pair.counts == {Fate.PAIRED: 1}


def test_a_reading_without_item_is_stray() -> None:
    pair, out = Story().enter(1, 0).read(940, "A").run()
    assert fates(out) == [(1, (), "silent")]
    assert pair.counts == {Fate.SILENT: 1, Fate.STRAY: 1}


def test_two_readings_for_an_item_give_it_none() -> None:
    pair, out = Story().enter(1, 0).read(990, "A").read(1010, "B").run()
    assert fates(out) == [(1, (), "ambiguous")]
    assert pair.counts == {Fate.AMBIGUOUS: 1}


def test_two_items_for_a_reading_give_it_to_none() -> None:
    _, out = Story().enter(1, 0).enter(2, 60).read(1030, "A").run()
    assert fates(out) == [(1, (), "ambiguous"), (2, (), "ambiguous")]


def test_a_reading_said_twice_is_one() -> None:
    pair, out = Story().enter(1, 0).read(990, "A", "B").read(1020, "A").run()
    assert fates(out) == [(1, ("A", "B"), "paired")]
    assert pair.counts == {Fate.PAIRED: 1, Fate.REPEATED: 1}


def test_a_repeat_without_item_is_no_stray_and_no_doubt() -> None:
    pair, out = Story().enter(1, 0).enter(2, 250).read(1000, "A").read(1100, "A").read(1250, "B").run()
    assert fates(out) == [(1, ("A",), "paired"), (2, ("B",), "paired")]
    assert pair.counts == {Fate.PAIRED: 2, Fate.REPEATED: 1}


def test_a_repeat_in_the_next_window_is_not_the_next_parcels() -> None:
    _, out = Story().enter(1, 0).enter(2, 150).read(1000, "A").read(1150, "A").run()
    assert fates(out) == [(1, ("A",), "paired"), (2, (), "ambiguous")]


def test_a_lost_reading_puts_those_close_behind_in_doubt_until_a_gap() -> None:
    quiet = QUIET_WINDOWS * WINDOW
    story = Story().enter(1, 0).enter(2, 150).enter(3, 300).enter(4, 300 + quiet + 1)
    for at, code in ((150, "B"), (300, "C"), (300 + quiet + 1, "D")):
        story.read(TRAVEL + at, code)
    pair, out = story.run()
    assert fates(out) == [(1, (), "silent"), (2, (), "slipped"), (3, (), "slipped"), (4, ("D",), "paired")]
    assert pair.counts == {Fate.SILENT: 1, Fate.SLIPPED: 2, Fate.PAIRED: 1}


def test_a_belt_that_slips_by_one_parcel_is_noticed_at_the_first() -> None:
    """Each reading lies well in the window of the item behind its own."""
    story = Story()
    for number in range(10):
        story.enter(number + 1, 150 * number).read(TRAVEL + 150 * (number + 1), f"P{number + 1}")
    _, out = story.run()
    assert [one.codes for one in out] == [()] * 10


def test_a_hole_in_time_leaves_all_under_way_without_codes() -> None:
    story = Story().enter(1, 0).enter(2, 600).read(1000, "A", at_ms=1000).read(1600, "B")
    story.enter(3, 1000).read(2000, "C")
    pair, out = story.run(hole_ms=(700, 900))
    assert fates(out) == [(1, (), "stalled"), (2, (), "stalled"), (3, (), "slipped")]
    assert [one.codes for one in story.run(hole_ms=(700, 799))[1]] == [("A",), ("B",), ("C",)]
    assert "stood still" in pair.events[0].text


def test_a_clock_that_is_set_back_leaves_all_under_way_without_codes() -> None:
    pair = pairing(ORDER)
    pair.entered(1, START, START)
    assert pair.due(START - 3_600_000 * MS) == []
    now_ns = START - 3_600_000 * MS
    out: list[Paired] = []
    while not out:
        now_ns += 20 * MS
        out = pair.read(said((now_ns - START) / MS, "A"), now_ns) if not out else []
        assert now_ns < START - 3_598_000 * MS
    assert fates(out) == [(1, (), "stalled")]


def test_after_a_clock_was_set_back_it_goes_on() -> None:
    pair = pairing(ORDER)
    pair.due(START)
    back_ms, out = -3_600_000, []
    for at_ms in range(back_ms, back_ms + 5000, 20):
        now_ns = START + at_ms * MS
        if at_ms == back_ms + 2000:
            pair.entered(1, now_ns, now_ns)
        out += pair.read(said(at_ms, "A"), now_ns) if at_ms == back_ms + 3000 else pair.due(now_ns)
    assert fates(out) == [(1, ("A",), "paired")]


def test_who_was_away_says_so() -> None:
    pair = pairing(ORDER)
    pair.entered(1, START, START)
    pair.distrust(START)
    out = [one for at in range(0, 1200, 20) for one in pair.due(START + at * MS)]
    assert fates(out) == [(1, (), "stalled")]


@pytest.mark.parametrize("at_ms", [999.9, 1140])
def test_a_reading_from_another_time_is_given_to_none(at_ms: float) -> None:
    pair, out = Story(TUNNEL, heads=2).enter(1, 0).read(1000, "A", at_ms=at_ms).run()
    assert fates(out) == [(1, (), "silent")]
    assert pair.counts == {Fate.MISDATED: 1, Fate.SILENT: 1}
    assert fates(Story(TUNNEL, heads=2).enter(1, 0).read(1000, "A", at_ms=1040).run()[1]) == [(1, ("A",), "paired")]


def test_an_item_told_when_its_window_has_passed_gets_nothing() -> None:
    pair, out = Story().enter(1, 0, told_ms=1200).read(1000, "A").run()
    assert fates(out) == [(1, (), "told_late")]
    assert pair.counts[Fate.STRAY] == 1


def test_an_item_told_when_its_neighbour_has_its_reading_gets_nothing() -> None:
    _, out = Story().enter(1, 0).enter(2, 60, told_ms=1065).read(1030, "A").run()
    assert fates(out) == [(1, ("A",), "paired"), (2, (), "told_late")]


def test_a_flood_of_readings_is_bounded_and_nothing_is_paired_in_it() -> None:
    story = Story().enter(1, 0)
    for number in range(4 * READINGS_MAX):
        story.read(900 + number / 10, f"P{number}")
    pair, out = story.run()
    assert [one.codes for one in out] == [()]
    assert pair.counts[Fate.OVERFLOW] == 3 * READINGS_MAX + 1  # the readings, and the item among them
    assert len(pair.events) <= 256
