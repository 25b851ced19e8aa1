"""A plan handed over takes force whole, once and in its turn; what is no plan changes nothing."""

import hashlib
import random
from typing import Any

import numpy as np
import pytest

from sorter import limits
from sorter.ledger.journal import BATCH_RECORD_BYTES
from sorter.offers import Offers
from sorter.records import Kind, SortPlan, plan_to_bytes
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import Command, Hello, Refuse, Reply
from tests.daemon.stepped_hub import DESK, PLC, SEGMENT_BYTES, Hub


def offer(hub: Hub, data: bytes, at: int = 0) -> Reply:
    return hub.order("plan.offer", digest=hashlib.sha256(data).hexdigest(), at=at, part=data[at:])


def publish(hub: Hub, version: str, turn: int = 1) -> Reply:
    """The order is answered a turn later, when the swap is on disk."""
    hub.ids += 1
    args = {"version": version, "turn": [turn, 0]}
    hub.control.sent.clear()
    hub.control.inbox.append(Frame(DESK, "", frames.encode(Command(id=hub.ids, verb="plan.publish", args=args))))
    hub.daemon.turn()
    hub.daemon.turn()
    [(_, reply)] = hub.control.sent
    assert isinstance(reply, Reply)
    return reply


def in_force(hub: Hub) -> str:
    return str(hub.order("status").result["plan"])


def test_a_plan_handed_over_takes_force(hub: Hub, sort_plans: list[SortPlan]) -> None:
    before, data = in_force(hub), plan_to_bytes(sort_plans[1])
    assert offer(hub, data).result["bytes"] == len(data)
    assert in_force(hub) == before != sort_plans[1].version
    assert publish(hub, sort_plans[1].version).result == {"accepted": 1, "refused": []}
    assert in_force(hub) == sort_plans[1].version
    assert hub.events().count(Kind.PLAN) == 2
    offer(hub, data)
    assert publish(hub, sort_plans[1].version).result == {"accepted": 0, "refused": []}
    assert hub.events().count(Kind.PLAN) == 2
    hub.restart(1)
    assert hub.events().count(Kind.PLAN) == 2
    hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))


def test_a_plan_may_come_in_parts_and_again(hub: Hub, sort_plans: list[SortPlan]) -> None:
    data = plan_to_bytes(sort_plans[1])
    digest, half = hashlib.sha256(data).hexdigest(), len(data) // 2
    for at, part, kept in (
        (0, data[:half], half),
        (half + 1, data[half + 1 :], half),  # does not follow
        (half, data[half:], len(data)),
        (half, data[half:], len(data)),  # said twice
    ):
        assert hub.order("plan.offer", digest=digest, at=at, part=part).result["bytes"] == kept
    assert hub.order("plan.offer", digest="00", at=5, part=b"x").result["bytes"] == len(data)
    assert publish(hub, sort_plans[1].version).ok


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"digest": 7, "at": 0, "part": b""}, "bad_command"),
        ({"digest": "00", "at": True, "part": b""}, "bad_command"),
        ({"digest": "00", "at": 0, "part": "text"}, "bad_command"),
        ({"digest": "00", "at": limits.PLAN_BYTES_MAX, "part": b"x"}, "too_large"),
    ],
)
def test_a_part_that_is_none_is_refused(hub: Hub, args: dict[str, Any], error: str) -> None:
    assert hub.order("plan.offer", **args).error == error


def test_a_plan_that_is_not_what_it_says_changes_nothing(hub: Hub, sort_plans: list[SortPlan]) -> None:
    before, plan = in_force(hub), sort_plans[1]
    data = plan_to_bytes(plan)
    hub.order("plan.offer", digest=hashlib.sha256(data).hexdigest(), at=0, part=data[:-1])
    assert publish(hub, plan.version).error == "hash_mismatch"
    offer(hub, data)
    assert publish(hub, "another").error == "hash_mismatch"
    wrong_lane = plan.plan.station_lane.copy()
    wrong_lane[0] = len(plan.plan.lane_spill)
    waybills, codes, table = plan.plan.waybills, plan.plan.sort_codes, plan.plan.table
    wild = waybills.next_state.copy()
    wild[1, 0] = 60_000
    narrow = table._replace(kind=np.hstack([table.kind, table.kind]), weight=table.weight[:, :0])
    spoilt = [
        plan._replace(plan=plan.plan._replace(waybills=waybills._replace(next_state=wild))),
        plan._replace(plan=plan.plan._replace(sort_codes=codes._replace(station=np.zeros(9, np.uint16)))),
        plan._replace(plan=plan.plan._replace(table=narrow)),
        plan._replace(plan=plan.plan._replace(table=table._replace(station=table.station.ravel()))),
        plan._replace(plan=plan.plan._replace(trip_at=plan.plan.trip_at[:0])),
        plan._replace(plan=plan.plan._replace(services=-5)),
        plan._replace(names=plan.names._replace(chutes=plan.names.chutes[:-1])),
        plan._replace(names=plan.names._replace(lane_titles=plan.names.lane_titles[:-1])),
        plan._replace(names=plan.names._replace(lanes=(7, *plan.names.lanes[1:]))),  # type: ignore[arg-type] # as a stranger may send it
        plan._replace(names=plan.names._replace(lines=(["L1"],))),  # type: ignore[arg-type] # as a stranger may send it
        plan._replace(names=plan.names._replace(station_townships=(99, *plan.names.station_townships[1:]))),
        plan._replace(names=plan.names._replace(station_townships=(-1, *plan.names.station_townships[1:]))),
        plan._replace(plan=plan.plan._replace(station_lane=wrong_lane)),
        plan._replace(plan=plan.plan._replace(chute_lane=plan.plan.chute_lane[:-1].copy())),
        plan._replace(plan=plan.plan._replace(chute_capacity=plan.plan.chute_capacity.astype("f4"))),
    ]
    for broken in (b"no plan", data[: len(data) // 2], *map(plan_to_bytes, spoilt)):
        offer(hub, broken)
        reply = publish(hub, plan.version)
        assert reply.error == "bad_plan", reply
    assert hub.order("plan.publish", version="").error == "bad_command"
    assert in_force(hub) == before
    assert hub.events().count(Kind.PLAN) == 1


def test_a_plan_that_others_have_overtaken_changes_nothing(hub: Hub, sort_plans: list[SortPlan]) -> None:
    first, second, third = map(plan_to_bytes, sort_plans)
    offer(hub, third)
    assert publish(hub, sort_plans[2].version, turn=3).ok
    offer(hub, second)
    assert publish(hub, sort_plans[1].version, turn=2).error == "overtaken"
    stale = sort_plans[1]._replace(names=sort_plans[1].names._replace(lanes=("other", *sort_plans[1].names.lanes[1:])))
    data = plan_to_bytes(stale)
    offer(hub, data)
    assert publish(hub, stale.version, turn=4).error == "stale_plan"
    offer(hub, first)
    assert publish(hub, sort_plans[0].version, turn=5).ok
    assert in_force(hub) == sort_plans[0].version


def test_the_turn_of_a_plan_in_force_counts_too(hub: Hub, sort_plans: list[SortPlan]) -> None:
    """Gone back to before it had taken force: what comes late of the plan in between is overtaken."""
    late = plan_to_bytes(sort_plans[1])
    offer(hub, late)
    assert publish(hub, in_force(hub), turn=3).result == {"accepted": 0, "refused": []}
    assert publish(hub, sort_plans[1].version, turn=2).error == "overtaken"


def test_a_start_knows_the_turn_of_its_plan(sort_plans: list[SortPlan]) -> None:
    hub = Hub(sort_plans)
    hub.disk.kill()
    hub.start(0, turn=(7, 0))
    offer(hub, plan_to_bytes(sort_plans[1]))
    assert publish(hub, sort_plans[1].version, turn=6).error == "overtaken"
    assert publish(hub, sort_plans[1].version, turn=7).ok


def test_a_byte_that_changed_is_refused_or_means_nothing(sort_plans: list[SortPlan]) -> None:
    whole, dice, refused = plan_to_bytes(sort_plans[1]), random.Random(7), 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        offers = Offers()
        offers.part({"digest": hashlib.sha256(data).hexdigest(), "at": 0, "part": bytes(data)})
        offered = offers.whole(sort_plans[1].version, sort_plans[0].names)
        if isinstance(offered, Refuse):
            refused += 1
        else:
            assert data == whole
    assert refused > 390


def test_two_who_publish_at_once(hub: Hub, sort_plans: list[SortPlan]) -> None:
    """The second comes while the first is just taking force."""
    data = plan_to_bytes(sort_plans[1])
    offer(hub, data)
    args = {"version": sort_plans[1].version, "turn": [1, 0]}
    hub.control.sent.clear()
    other = {"version": sort_plans[2].version, "turn": [2, 0]}
    for number, said in ((101, args), (102, other), (103, args)):
        hub.control.inbox.append(Frame(DESK, "", frames.encode(Command(id=number, verb="plan.publish", args=said))))
    hub.daemon.turn()
    hub.daemon.turn()
    answers = {reply.id: reply for _, reply in hub.control.sent if isinstance(reply, Reply)}
    assert answers[101].ok
    assert answers[102].error == answers[103].error == "busy"
    assert hub.events().count(Kind.PLAN) == 2


def large(sort_plan: SortPlan, version: str, characters: int) -> SortPlan:
    """The plan with a lane's title of so many random characters."""
    noise = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=characters)))
    titles = (noise, *sort_plan.names.lane_titles[1:])
    return SortPlan(version, sort_plan.plan, sort_plan.names._replace(lane_titles=titles))


def publish_in_parts(hub: Hub, sort_plan: SortPlan) -> Reply:
    data, step = plan_to_bytes(sort_plan), limits.FRAME_BYTES_MAX // 2
    for at in range(0, len(data), step):
        hub.order("plan.offer", digest=hashlib.sha256(data).hexdigest(), at=at, part=data[at : at + step])
    return publish(hub, sort_plan.version)


def test_a_full_disk_keeps_the_plan_in_force(hub: Hub, sort_plans: list[SortPlan]) -> None:
    """A plan that does not fit where a batch still does."""
    small, wide = large(sort_plans[1], "1" * 64, 450_000), large(sort_plans[1], "2" * 64, 1_700_000)
    assert publish_in_parts(hub, small).ok
    room = SEGMENT_BYTES - hub.journal.position.offset
    assert BATCH_RECORD_BYTES < room < len(plan_to_bytes(wide)) < SEGMENT_BYTES - 4096
    hub.disk.capacity = 0
    assert publish_in_parts(hub, wide).error == "disk_full"
    assert in_force(hub) == small.version
    hub.disk.capacity = 1 << 40
    assert publish_in_parts(hub, wide).ok
    assert in_force(hub) == wide.version
