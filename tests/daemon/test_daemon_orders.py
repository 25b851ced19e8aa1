"""An order that cannot be is refused with its reason, and one that can takes effect at once."""

from typing import Any

import pytest

from sorter.core.state import counts, digest
from sorter.wire.frames import Divert, Scan
from tests.daemon.stepped_hub import GOOD, PLC, SCANNER, Hub, only, reason_of


@pytest.mark.parametrize(
    ("verb", "args", "error"),
    [
        ("fly", {}, "unknown_verb"),
        ("chute.lock", {}, "bad_command"),
        ("chute.lock", {"chute": "101"}, "bad_command"),
        ("chute.lock", {"chute": True}, "bad_command"),
        ("chute.lock", {"chute": 999}, "unknown_chute"),
        ("chute.unlock", {"chute": -1}, "unknown_chute"),
        ("trip.send", {}, "bad_command"),
        ("trip.send", {"lane": "nowhere"}, "unknown_lane"),
        ("intercept.add", {}, "bad_command"),
        ("intercept.add", {"waybills": GOOD}, "bad_command"),
        ("intercept.add", {"waybills": []}, "bad_command"),
        ("intercept.remove", {"waybills": [GOOD] * 4097}, "too_many"),
        ("advice.load", {"rows": {}}, "bad_command"),
    ],
)
def test_an_order_that_cannot_be_is_refused(hub: Hub, verb: str, args: dict[str, Any], error: str) -> None:
    before = digest(hub.standing.state)
    reply = hub.order(verb, **args)
    assert (reply.ok, reply.error) == (False, error)
    assert reply.detail
    assert digest(hub.standing.state) == before


def test_of_a_list_the_good_values_count_and_the_bad_ones_are_named(hub: Hub) -> None:
    reply = hub.order("intercept.add", waybills=["no waybill", GOOD, 7, "", "x" * 400])
    assert reply.ok
    assert reply.result["accepted"] == 1
    assert [fault["place"] for fault in reply.result["refused"]] == [0, 2, 3, 4]
    assert reason_of(hub, Scan(seq=1, item=1, codes=[GOOD])) == "intercept"


@pytest.mark.parametrize(
    "row",
    [
        [],
        None,
        ["SF00000009"],
        [9, "SF", 0, "standard", 0, 300, 0],
        ["SF00000009", "DHL", 0, "standard", 0, 300, 0],
        ["SF00000009", "SF", 4000, "standard", 0, 300, 0],
        ["SF00000009", "SF", 0, "standard", 0, -1, 0],
        ["SF00000009", "SF", 0, "standard", 0, 300.5, 0],
        ["SF00000009", "SF", 0, "standard", 7, 300, 0],
        ["no waybill", "SF", 0, "standard", 0, 300, 0],
    ],
)
def test_an_advice_that_cannot_be_is_named_and_answered_at_once(hub: Hub, row: object) -> None:
    before = counts(hub.standing.state).advices
    reply = hub.order("advice.load", rows=[row])
    assert reply.ok
    assert reply.result["accepted"] == 0
    assert [fault["place"] for fault in reply.result["refused"]] == [0]
    assert counts(hub.standing.state).advices == before


def test_a_trip_that_is_not_there_cannot_be_sent(hub: Hub) -> None:
    reply = hub.order("trip.send", lane="exceptions")
    assert [fault["error"] for fault in reply.result["refused"]] == ["no_trip"]


def test_a_locked_chute_gets_nothing_more(hub: Hub) -> None:
    hub.say(SCANNER, Scan(seq=1, item=1, codes=[GOOD]))
    told = only([message for peer, message in hub.devices.sent if peer == PLC], Divert)
    assert hub.order("chute.lock", chute=told.chute).ok

    def chutes_of(items: range) -> set[int]:
        found = set()
        for item in items:
            hub.say(SCANNER, Scan(seq=item, item=item, codes=[GOOD]))
            found |= {said.chute for peer, said in hub.devices.sent if peer == PLC and isinstance(said, Divert)}
        return found

    assert told.chute not in chutes_of(range(2, 12))
    assert hub.order("chute.unlock", chute=told.chute).ok
    assert told.chute in chutes_of(range(12, 32))
