"""Every parcel has one reason, one place and one end, however late, doubled or wrong its messages are."""

import pytest

from sorter.core.state import counts
from sorter.records import Verdict
from sorter.wire.frames import Ack, AnyMessage, Chute, Discharge, Divert, Hello, Item, Ping, Pong, Refuse, Scan
from tests.daemon.stepped_hub import GOOD, HOUR, PLC, SCANNER, Hub, only, reason_of
from tests.simulation.world import MS, SECOND


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([], "no_read"),
        ([""], "no_read"),
        (["7" * 300], "unknown_code"),
        (["\x00\x01\x1b[2J"], "unknown_code"),
        (["运单号" * 9], "unknown_code"),
        ([GOOD, "SF00000008"], "multi_code"),
        (["SF99999999"], "no_advice"),
    ],
)
def test_codes_of_any_kind_have_a_reason(hub: Hub, codes: list[str], reason: str) -> None:
    assert reason_of(hub, Scan(seq=1, item=1, codes=codes)) == reason


@pytest.mark.parametrize("off_ns", [-3 * HOUR, 3 * HOUR, -HOUR // 60])
def test_a_clock_that_is_hours_off_makes_nothing_late(hub: Hub, off_ns: int) -> None:
    hub.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=2, t_ns=hub.now_ns + off_ns))
    hub.now_ns += SECOND
    assert reason_of(hub, Scan(seq=1, item=1, codes=[], t_ns=hub.now_ns + off_ns - 100 * MS)) == "no_read"


@pytest.mark.parametrize("off_ns", [-3 * HOUR, 3 * HOUR])
def test_a_clock_that_is_set_on_the_way_is_measured_again(hub: Hub, off_ns: int) -> None:
    hub.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=2, t_ns=hub.now_ns))
    for _ in range(4):
        hub.now_ns += SECOND
        assert only(hub.say(SCANNER, Ping(t_ns=hub.now_ns + off_ns)), Pong).t_ns == hub.now_ns + off_ns
    assert reason_of(hub, Scan(seq=1, item=1, codes=[], t_ns=hub.now_ns + off_ns)) == "no_read"


def test_a_scan_that_waited_longer_than_the_window_is_late_and_nothing_is_sent(hub: Hub) -> None:
    hub.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=2, t_ns=hub.now_ns))
    made_ns = hub.now_ns
    hub.now_ns += 60 * SECOND
    assert only(hub.say(SCANNER, Scan(seq=1, item=1, codes=[GOOD], t_ns=made_ns)), Ack).seq == 1
    assert [message for peer, message in hub.devices.sent if peer == PLC] == []


def test_a_scan_for_another_line_is_refused(hub: Hub) -> None:
    assert only(hub.say(SCANNER, Scan(seq=1, item=1, line="L9")), Refuse).error == "unknown_line"
    assert only(hub.say(SCANNER, Scan(seq=2, item=1, line="L2")), Refuse).error == "wrong_line"
    assert only(hub.say(SCANNER, Scan(seq=3, item=1, line="L1")), Ack).seq == 3


def test_a_discharge_of_an_unknown_item_is_recorded_and_invents_nothing(hub: Hub) -> None:
    before = counts(hub.standing.state)
    answers = hub.say(PLC, Discharge(seq=1, item=77, outcome="dropped", chute=101))
    assert (only(answers, Refuse).error, only(answers, Refuse).seq) == ("unknown_item", 1)
    assert only(answers, Ack).seq == 1
    after = counts(hub.standing.state)
    assert (after.inducted, after.on_belt, after.ended) == (before.inducted, before.on_belt, before.ended)


@pytest.mark.parametrize(
    "message",
    [
        Discharge(seq=1, item=1, outcome="dropped", chute=999),
        Discharge(seq=1, item=1, outcome="dropped"),
        Chute(seq=1, chute=999, state="full"),
        Chute(seq=1, chute=201, state="full"),
    ],
)
def test_a_chute_that_is_not_there_is_refused(hub: Hub, message: AnyMessage) -> None:
    answers = hub.say(PLC, message)
    assert only(answers, Refuse).error == "unknown_chute"
    assert only(answers, Ack).seq == 1


def test_an_item_number_that_enters_twice_is_two_items(hub: Hub) -> None:
    hub.say(PLC, Item(seq=1, item=5))
    assert only(hub.say(PLC, Item(seq=2, item=5)), Ack).seq == 2
    figures = counts(hub.standing.state)
    assert (figures.inducted, figures.on_belt, figures.ended["lost"]) == (2, 1, 1)


def test_the_word_of_its_entry_may_come_after_the_scan(hub: Hub) -> None:
    """After a break the scanner is often heard before the PLC: that is one item, and it has one end."""
    hub.say(SCANNER, Scan(seq=1, item=5, codes=[GOOD]))
    told = only([message for peer, message in hub.devices.sent if peer == PLC], Divert)
    hub.say(PLC, Item(seq=1, item=5), Discharge(seq=2, item=5, outcome="dropped", chute=told.chute))
    figures = counts(hub.standing.state)
    assert (figures.inducted, figures.on_belt, figures.ended["lost"], figures.ended["missort"]) == (1, 0, 0, 0)


def test_a_repeat_counts_once_and_is_acknowledged_again(hub: Hub) -> None:
    scan = Scan(seq=1, item=1, codes=[GOOD])
    assert hub.say(SCANNER, scan) == hub.say(SCANNER, scan) == [Ack(seq=1)]
    assert counts(hub.standing.state).scans == 1
    diverts = [row for record in hub.records() for row in record.decisions if row["verdict"] == Verdict.DIVERT]
    assert len(diverts) == 1


def test_behind_a_gap_nothing_counts_until_it_is_filled(hub: Hub) -> None:
    answers = hub.say(SCANNER, Scan(seq=2, item=2, codes=[GOOD]))
    assert (only(answers, Refuse).error, only(answers, Refuse).seq, only(answers, Ack).seq) == ("gap", 2, 0)
    assert counts(hub.standing.state).scans == 0
    answers = hub.say(SCANNER, Scan(seq=1, item=1, codes=[GOOD]), Scan(seq=2, item=2, codes=[GOOD]))
    assert answers == [Ack(seq=2)]
