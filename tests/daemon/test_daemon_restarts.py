"""Full disks, new starts and lost connections lose nothing, and nothing is told that was not decided."""

from collections.abc import Iterator

import pytest

from sorter import limits
from sorter.core.state import counts
from sorter.ledger.journal import DiskFull
from sorter.records import NONE_16, Kind, SortPlan, plan_to_bytes
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import Ack, Divert, Hello, Item, Refuse, Scan, Welcome
from tests.daemon.stepped_hub import GOOD, PLC, SCANNER, Hub, only
from tests.simulation import place
from tests.simulation.world import SECOND


def test_a_full_disk_takes_nothing_and_loses_nothing(hub: Hub) -> None:
    hub.disk.capacity = 0
    scans = [Scan(seq=seq, item=seq) for seq in range(1, 30_001)]
    frames_in = iter([frames.encode(*scans[at : at + 1000]) for at in range(0, len(scans), 1000)])
    with pytest.raises(DiskFull):
        _until_it_is_full(hub, frames_in)
    assert len(hub.devices.inbox) == 1, "what comes to a full disk waits in its socket"
    taken = counts(hub.standing.state).scans
    hub.disk.capacity = 1 << 40
    hub.daemon.turn()
    assert counts(hub.standing.state).scans == taken + 1000


def _until_it_is_full(hub: Hub, frames_in: Iterator[bytes]) -> None:
    for data in frames_in:
        hub.bring(SCANNER, data)


def test_a_divert_told_again_names_the_plan_that_decided(hub: Hub) -> None:
    hub.say(SCANNER, Scan(seq=1, item=1, codes=[GOOD]))
    first = only([message for peer, message in hub.devices.sent if peer == PLC], Divert)
    hub.restart(plan=1)
    hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))
    welcome = only(hub.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=1)), Welcome)
    assert (welcome.plan, welcome.seq) == (2, 1)
    hub.say(SCANNER, Scan(seq=2, item=1, codes=[GOOD]))
    again = only([message for peer, message in hub.devices.sent if peer == PLC], Divert)
    assert (first.plan, again.plan, again.chute) == (1, 1, first.chute)


def test_a_plan_whose_event_was_not_written_never_held(hub: Hub) -> None:
    hub.journal.append_plan(2, plan_to_bytes(hub.sort_plans[2]))
    hub.journal.sync()
    hub.restart(plan=1)
    assert hub.standing.plan_number == 3
    assert hub.standing.sort_plan is hub.sort_plans[1]
    assert hub.order("status").result["plan"] == hub.sort_plans[1].version
    hub.restart(plan=1)
    assert hub.standing.plan_number == 3
    hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))


def test_a_start_gives_what_is_on_the_belt_its_time_anew(hub: Hub) -> None:
    hub.say(PLC, Item(seq=1, item=1))
    hub.now_ns += place.TIMEOUT_NS + SECOND
    hub.restart()
    hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))
    assert counts(hub.standing.state).on_belt == 1
    hub.now_ns += place.TIMEOUT_NS + SECOND
    hub.daemon.turn()
    assert counts(hub.standing.state).ended["lost"] == 1
    assert hub.events()[-1] == Kind.TICK


def test_a_plc_that_starts_again_has_forgotten_its_items(hub: Hub) -> None:
    hub.say(PLC, Item(seq=1, item=1), Item(seq=2, item=2))
    welcome = only(hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=2)), Welcome)
    assert welcome.seq == 0
    figures = counts(hub.standing.state)
    assert (figures.on_belt, figures.ended["lost"]) == (0, 2)


@pytest.mark.parametrize(
    ("boots", "told"),
    [((2,), [2]), ((1,), [1, 2]), ((2, 1), []), ((1, 2), [])],
    ids=["started again", "connected again", "another between", "started again at last"],
)
def test_what_was_decided_before_a_plc_started_again_is_not_told_to_it(
    hub: Hub, boots: tuple[int, ...], told: list[int]
) -> None:
    """All in one turn: a scan under a number of the PLC's life before, its hellos, a scan of its new life."""
    hub.say(PLC, Item(seq=1, item=1))
    hub.devices.sent.clear()
    hub.devices.inbox.append(Frame(SCANNER, "", frames.encode(Scan(seq=1, item=1, codes=[GOOD]))))
    for boot in boots:
        hello = Hello(role="plc", client="plc-1", line="L1", boot=boot)
        hub.devices.inbox.append(Frame(b"again", "", frames.encode(hello)))
        if boot == boots[0]:
            hub.devices.inbox.append(Frame(SCANNER, "", frames.encode(Scan(seq=2, item=2, codes=["SF00000008"]))))
    hub.daemon.turn()
    assert [message.item for _, message in hub.devices.sent if isinstance(message, Divert)] == told
    assert hub.daemon.traffic.unsent == 2 - len(told)
    hub.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=3))


def test_an_older_connection_of_a_client_no_longer_counts(hub: Hub) -> None:
    assert only(hub.say(b"again", Hello(role="scanner", client="scanner-1", line="L1", boot=1)), Welcome)
    assert only(hub.say(SCANNER, Scan(seq=1, item=1)), Refuse).error == "unknown_client"
    assert only(hub.say(b"again", Scan(seq=1, item=1)), Ack).seq == 1


@pytest.mark.parametrize("count", [1, limits.MESSAGES_PER_FRAME_MAX])
def test_frames_wait_for_room_in_their_order(hub: Hub, count: int) -> None:
    frames_in = limits.BATCH_EVENTS_MAX // count // 2 * 3 if count > 1 else 3
    seq = 0
    for _ in range(frames_in):
        scans = [Scan(seq=seq + at, item=1) for at in range(1, count + 1)]
        hub.devices.inbox.append(Frame(SCANNER, "", frames.encode(*scans)))
        seq += count
    for _ in range(frames_in):
        hub.daemon.turn()
    acks = [message.seq for peer, message in hub.devices.sent if peer == SCANNER and isinstance(message, Ack)]
    assert acks[-1] == seq == counts(hub.standing.state).scans


def test_nothing_is_told_to_a_line_without_a_plc(sort_plans: list[SortPlan]) -> None:
    hub = Hub(sort_plans)
    hub.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=1))
    hub.say(SCANNER, Scan(seq=1, item=1))
    assert hub.daemon.traffic.unsent == 1
    told = [row for record in hub.records() for row in record.decisions if row["chute"] != NONE_16]
    assert len(told) == 1
