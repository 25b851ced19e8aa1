"""What holds by id and by order: items come by, drop and come again; all is bounded, and no event carries a code."""

from typing import Final

import pytest

from plc_adapter.scanner.pairing import Fate, Tracking, pairing
from sorter import limits
from tests.plc_adapter.scanner.pairing_story import BY_ID, MS, ORDER, START, TRAVEL, WINDOW, Story, fates

LOOP: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, lap_ms=5000)


def test_the_same_report_twice_is_one_item() -> None:
    _, out = Story().enter(1, 0).enter(1, 0, told_ms=30).read(1000, "A").run()
    assert fates(out) == [(1, ("A",), "paired")]


@pytest.mark.parametrize("tracking", [ORDER, BY_ID])
def test_a_number_used_again_on_the_belt_gets_nothing(tracking: Tracking) -> None:
    story = Story(tracking).enter(1, 0).enter(1, 300).read(1000, "A", number=1).read(1300, "B", number=1)
    assert {one.codes for one in story.run()[1]} == {()}
    assert len(story.run()[1]) >= 1


def test_an_item_that_dropped_is_expected_no_more() -> None:
    pair, out = Story().enter(1, 0).enter(2, 60).leave(1, 500).read(1030, "A").run()
    assert fates(out) == [(2, ("A",), "paired")]
    assert pair.counts == {Fate.PAIRED: 1}


def test_the_number_of_an_item_that_dropped_may_come_again() -> None:
    _, out = Story().enter(1, 0).leave(1, 500).enter(1, 600).read(1600, "A").run()
    assert fates(out) == [(1, ("A",), "paired")]


def test_an_item_that_drops_in_its_window_keeps_its_reading_from_others() -> None:
    _, out = Story().enter(1, 0).enter(2, 60).read(1030, "A").leave(1, 1040).run()
    assert fates(out) == [(2, (), "ambiguous")]


def test_an_item_comes_by_each_lap_from_where_it_was_read() -> None:
    story = Story(LOOP).enter(1, 0)
    for lap in range(4):
        story.read(1000 + 5040 * lap, "A")
    _, out = story.leave(1, 17_000).run(until_ms=30_000)
    assert [(one.lap, one.codes) for one in out] == [(lap, ("A",)) for lap in range(4)]


def test_other_codes_than_a_lap_before_are_a_contradiction() -> None:
    pair, out = Story(LOOP).enter(1, 0).read(1000, "A").read(6000, "B").leave(1, 7000).run()
    assert fates(out) == [(1, ("A",), "paired"), (1, (), "contradicted")]
    assert pair.events[-1].fate is Fate.CONTRADICTED


def test_laps_end() -> None:
    tracking = Tracking(travel_ms=0, window_ms=10, lap_ms=100)
    pair = pairing(tracking)
    pair.entered(1, START, START)
    out = [one for at in range(0, 60_000, 10) for one in pair.due(START + at * MS)]
    assert [one.lap for one in out] == list(range(limits.LAPS_MAX + 1))


def test_drift_is_told_once_and_its_end_too() -> None:
    story = Story()
    for number in range(200):
        late_ms = 30 if number < 100 else 0
        story.enter(number + 1, 300 * number).read(TRAVEL + 300 * number + late_ms, f"P{number}")
    pair, out = story.run()
    assert {one.fate for one in out} == {Fate.PAIRED}
    assert [event.text for event in pair.events] == [
        "items come +30.0 ms from where they are expected; add that to travel_ms, or look at the belt's speed",
        "items come +0.0 ms from where they are expected, which is within bounds again",
    ]
    assert pair.drift_ns == 0


def test_items_that_never_come_by_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ITEMS_ON_BELT_MAX", 2)
    story = Story()
    for number in range(3):
        story.enter(number + 1, 300 * number).read(TRAVEL + 300 * number, f"P{number + 1}")
    pair, out = story.run()
    assert fates(out) == [(1, (), "overflow"), (2, (), "overflow")]
    assert pair.counts == {Fate.OVERFLOW: 3, Fate.STRAY: 1}


def test_no_event_carries_a_code() -> None:
    story = Story().enter(1, 0).enter(2, 60).read(1030, "SECRET1").read(1500, "SECRET2").read(1505, "SECRET2")
    assert not [event for event in story.run()[0].events if "SECRET" in event.text]


@pytest.mark.parametrize(
    ("tracking", "key"),
    [
        (Tracking(travel_ms=-1), "travel_ms"),
        (Tracking(travel_ms=1, window_ms=0), "window_ms"),
        (Tracking(travel_ms=1, lap_ms=300), "lap_ms"),
        (Tracking(travel_ms=1, merge_ms=0), "merge_ms"),
    ],
)
def test_settings_that_cannot_be_are_told_by_their_key(tracking: Tracking, key: str) -> None:
    assert [fault.split(":")[0] for fault in tracking.faults()] == [key]
    assert Tracking(travel_ms=1).faults() == []
