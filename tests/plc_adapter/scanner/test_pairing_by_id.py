"""By id, a number is trusted at its time; after a restart no reading goes to a later parcel of the same number."""

from typing import Final

import pytest

from plc_adapter.scanner.pairing import Fate, Paired, Pairing, Tracking, pairing
from plc_adapter.scanner.pairing.either_way import READINGS_MAX
from sorter import limits
from tests.plc_adapter.scanner.pairing_story import BY_ID, MS, START, TRAVEL, WINDOW, Story, fates, said

LOOP_BY_ID: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, lap_ms=5000, by="id")
SLACK: Final = 500 + WINDOW  # ms that a reading may seem to be behind a start that it was before


def test_an_id_is_decided_at_once() -> None:
    pair = pairing(BY_ID)
    pair.entered(70_000, START, START)
    out = pair.read(said(960, "A", number=70_000), START + 960 * MS)
    assert fates(out) == [(70_000, ("A",), "paired")]
    assert pair.due(START + 5000 * MS) == []


def test_items_that_come_close_are_told_apart_by_id() -> None:
    _, out = Story(BY_ID).enter(1, 0).enter(2, 10).read(1000, "B", number=2).read(1001, "A", number=1).run()
    assert fates(out) == [(2, ("B",), "paired"), (1, ("A",), "paired")]


def test_sixteen_bits_of_the_number() -> None:
    sixteen = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, by="id", id_bits=16)
    assert fates(Story(sixteen).enter(70_000, 0).read(1000, "A", number=70_000 - 65_536).run()[1]) == [
        (70_000, ("A",), "paired")
    ]
    story = Story(sixteen).enter(1, 0).enter(65_537, 10).read(1000, "A", number=1)
    assert fates(story.run()[1]) == [(1, (), "ambiguous"), (65_537, (), "ambiguous")]


@pytest.mark.parametrize(
    ("number", "at_ms", "fate"),
    [(None, 1000, Fate.STRAY), (9, 1000, Fate.STRAY), (1, 900, Fate.OUTSIDE), (1, 1051, Fate.OUTSIDE)],
)
def test_an_id_that_does_not_agree_is_given_to_none(number: int | None, at_ms: float, fate: Fate) -> None:
    pair, out = Story(BY_ID).enter(1, 0).read(at_ms, "A", number=number).run()
    assert fates(out) == [(1, (), "silent")]
    assert pair.counts == {fate: 1, Fate.SILENT: 1}


def test_an_id_read_twice_counts_once() -> None:
    pair, out = Story(BY_ID).enter(1, 0).read(1000, "A", number=1).read(1010, "B", number=1).run()
    assert fates(out) == [(1, ("A",), "paired")]
    assert pair.counts == {Fate.PAIRED: 1, Fate.REPEATED: 1}


def test_by_id_other_codes_than_a_lap_before_are_a_contradiction() -> None:
    story = Story(LOOP_BY_ID).enter(1, 0).read(1000, "A", number=1).read(6000, "B", number=1).leave(1, 7000)
    assert fates(story.run()[1]) == [(1, ("A",), "paired"), (1, (), "contradicted")]


# ---- after a restart ----


def after_restart(tracking: Tracking = BY_ID, *, again: bool = False) -> Pairing:
    """The adapter has just started, or `again` the PLC: nobody told what is on the belt."""
    pair = pairing(tracking)
    pair.began(START, again=again)
    return pair


def run_to(pair: Pairing, t_ms: float) -> list[Paired]:
    """Call it until then so often that time has no hole."""
    if pair._now_ns is None:
        pair.due(START)
    out = []
    assert pair._now_ns is not None
    while pair._now_ns < START + round(t_ms * MS):
        out += pair.due(min(pair._now_ns + WINDOW * MS, START + round(t_ms * MS)))
    return out


def at(pair: Pairing, t_ms: float, *codes: str, number: int) -> list[Paired]:
    return run_to(pair, t_ms) + pair.read(said(t_ms, *codes, number=number), START + round(t_ms * MS))


def tell(pair: Pairing, item: int, t_ms: float, told_ms: float) -> list[Paired]:
    return run_to(pair, told_ms) + pair.entered(item, START + round(t_ms * MS), START + round(told_ms * MS))


def test_after_a_restart_an_item_that_nobody_told_of_is_taken_by_its_number() -> None:
    pair = after_restart()
    (out,) = at(pair, 600, "A", number=70_000)
    assert (out.item, out.codes, out.lap, out.t_ns) == (70_000, ("A",), None, START + 600 * MS)
    assert at(pair, 610, "A", number=70_000) == []
    assert pair.counts == {Fate.UNTOLD: 1, Fate.PAIRED: 1, Fate.REPEATED: 1}
    assert "item 70000: the PLC did not tell of it" in pair.events[0].text


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("number", [5, 9])
def test_a_reading_of_about_the_start_is_nobodys_whatever_its_number(number: int, again: bool) -> None:
    """Also where the new PLC has counted an item of that number at the reader."""
    pair = after_restart(Tracking(travel_ms=0, window_ms=WINDOW, by="id"), again=again)
    tell(pair, 5, SLACK - 1, SLACK - 1)
    assert at(pair, SLACK, "OLD", number=number) == []
    assert pair.counts == {Fate.BEFORE_START: 1}
    assert "may have meant another parcel" in pair.events[0].text
    assert fates(at(pair, SLACK + 1, "NEW", number=5)) == [(5, ("NEW",), "paired")]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("told_ms", [590, 600, 610])
def test_an_item_that_a_restarted_plc_counts_at_the_reader_comes_by_once(told_ms: float, again: bool) -> None:
    """Its report may come before the reading or behind it; in any case it is not waited for again."""
    pair = after_restart(again=again)
    out = tell(pair, 5, 600, told_ms) if told_ms <= 600 else []
    out += at(pair, 600, "A", number=5)
    out += tell(pair, 5, 600, told_ms) if told_ms > 600 else []
    assert fates(out) == [(5, ("A",), "paired")]
    assert tell(pair, 5, 600, 700) == []
    assert run_to(pair, 5 * TRAVEL) == []


def test_a_number_that_a_restarted_plc_never_tells_of_is_nobodys() -> None:
    """It may have been on its way for longer than anybody would think."""
    pair = after_restart(again=True)
    assert at(pair, 700, "OLD", number=5) == []
    assert at(pair, 720, "OLD", number=6) == []
    assert tell(pair, 5, 700 + WINDOW + 1, 700 + WINDOW + 1) == []  # the new item 5, elsewhere
    assert pair.counts == {Fate.OUTSIDE: 1}
    assert run_to(pair, 3000) == [Paired(5, 0, (), 0, None, START + 1751 * MS, Fate.SILENT)]
    assert pair.counts == {Fate.OUTSIDE: 1, Fate.STRAY: 1, Fate.SILENT: 1}


def test_readings_that_wait_for_their_announcement_are_bounded() -> None:
    pair = after_restart(again=True)
    for number in range(READINGS_MAX + 1):
        assert at(pair, 700, "A", number=number) == []
    assert pair.counts == {Fate.STRAY: 1}


def test_reports_that_are_missing_make_a_number_believed_and_a_reader_that_was_away_does_not() -> None:
    pair = pairing(BY_ID)
    run_to(pair, 100)
    pair.distrust(START + 100 * MS)
    assert at(pair, 700, "A", number=5) == []
    pair.missed(START + 700 * MS)
    assert at(pair, 700 + SLACK, "A", number=5) == []
    assert fates(at(pair, 701 + SLACK, "A", number=5)) == [(5, ("A",), "paired")]


def test_a_reader_that_flaps_never_keeps_the_doubt_open() -> None:
    pair = after_restart()
    for t_ms in range(0, 5000, 400):
        run_to(pair, t_ms)
        pair.distrust(START + t_ms * MS)
        assert at(pair, t_ms + 300, "A", number=5) == []
    assert Fate.UNTOLD not in pair.counts


def test_after_a_hole_in_time_no_number_is_believed_that_may_have_waited() -> None:
    pair = after_restart()
    run_to(pair, 10)
    assert pair.read(said(900, "OLD", number=5), START + 900 * MS) == []
    assert pair.due(START + 910 * MS) == []
    assert Fate.UNTOLD not in pair.counts


def test_a_clock_that_is_set_back_ends_the_belief_and_does_not_stretch_the_start() -> None:
    pair = after_restart()
    run_to(pair, 100)
    pair.due(START - 10_000 * MS)
    assert at(pair, -9000, "OLD", number=5) == []
    tell(pair, 6, -8000, -8000)
    assert fates(at(pair, -7000, "A", number=6)) == [(6, ("A",), "paired")]
    assert pair.counts == {Fate.STRAY: 1, Fate.PAIRED: 1}


def test_a_clock_that_is_set_back_leaves_no_reading_waiting_for_its_announcement() -> None:
    pair = after_restart(again=True)
    assert at(pair, 700, "OLD", number=5) == []
    pair.due(START - 10_000 * MS)
    assert tell(pair, 5, 700, -9000) == []
    assert pair.counts == {Fate.STRAY: 1}


@pytest.mark.parametrize("at_ms", [2000, 5580])
def test_the_announcement_of_a_number_ends_what_was_believed_of_it(at_ms: float) -> None:
    """On a loop the believed item would else be renewed with each lap, and its number's new item never be known."""
    pair = after_restart(LOOP_BY_ID)
    assert fates(at(pair, 600, "OLD", number=5)) == [(5, ("OLD",), "paired")]
    out = tell(pair, 5, at_ms, at_ms)
    assert fates(out + at(pair, at_ms + TRAVEL, "NEW", number=5))[-1:] == [(5, ("NEW",), "paired")]
    assert Fate.REUSED not in pair.counts
    pair.left(5, START + round(at_ms + TRAVEL + 100) * MS)
    assert run_to(pair, 20_000) == []


def test_an_announcement_that_comes_late_is_of_what_was_believed() -> None:
    pair = after_restart(LOOP_BY_ID)
    assert fates(at(pair, 1200, "A", number=5)) == [(5, ("A",), "paired")]
    assert tell(pair, 5, 210, 1300) == []
    assert fates(at(pair, 6200, "A", number=5)) == [(5, ("A",), "paired")]


def test_an_item_that_nobody_told_of_comes_by_on_every_lap() -> None:
    pair = after_restart(LOOP_BY_ID)
    assert fates(at(pair, 600, "A", number=5)) == [(5, ("A",), "paired")]
    assert fates(at(pair, 5600, "A", number=5)) == [(5, ("A",), "paired")]
    assert fates(at(pair, 10_610, "A", number=5)) == [(5, ("A",), "paired")]
    assert pair.counts[Fate.UNTOLD] == 1
    assert fates(run_to(pair, 16_000)) == [(5, (), "silent")]
    assert run_to(pair, 60_000) == []  # a number that nobody told of is not waited for again


@pytest.mark.parametrize(("tracking", "doubt_ms"), [(BY_ID, TRAVEL + WINDOW), (LOOP_BY_ID, 5000 + WINDOW)])
def test_a_number_is_taken_at_its_word_for_one_lap_after_a_restart(tracking: Tracking, doubt_ms: float) -> None:
    pair = after_restart(tracking)
    assert len(at(pair, doubt_ms, "A", number=5)) == 1
    assert at(pair, doubt_ms + 1, "B", number=6) == []
    assert pair.counts[Fate.STRAY] == 1


def test_half_a_number_is_never_taken_at_its_word() -> None:
    pair = after_restart(Tracking(travel_ms=TRAVEL, window_ms=WINDOW, by="id", id_bits=16))
    assert at(pair, 600, "A", number=5) == []
    assert pair.counts == {Fate.STRAY: 1}


def test_after_a_restart_an_item_that_is_elsewhere_still_is_not_taken() -> None:
    pair = after_restart()
    pair.entered(5, START, START)
    assert at(pair, 600, "A", number=5) == []
    assert pair.counts == {Fate.OUTSIDE: 1}
    assert fates(at(pair, TRAVEL, "B", number=5)) == [(5, ("B",), "paired")]


def test_numbers_that_nobody_told_of_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ITEMS_ON_BELT_MAX", 2)
    pair = after_restart(LOOP_BY_ID)
    assert [len(at(pair, 600, "A", number=number)) for number in range(4)] == [1, 0, 0, 0]
