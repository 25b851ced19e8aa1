"""The runner between a PLC and a daemon: each report on disk once, each divert told once or counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.loopback import LoopbackPort
from plc_adapter.mailbox import RING, HostState, LineState, Order, PlcSide, Told
from plc_adapter.runner import DIVERTS_MAX, FILL_MAX, HOLD
from plc_adapter.standing import CHANGES_MAX, Link
from sorter.records import NONE_16, ChuteState, Kind
from sorter.records import Discharge as Discharged
from sorter.wire.frames import Chute, Discharge, Divert, Item, Ping
from tests.plc_adapter.one_line_daemon import OneLineDaemon
from tests.plc_adapter.stepped_line import MS, Floor, S, host_state_of, link_of, met


def test_reports_become_messages_with_their_time() -> None:
    floor = met()
    at_ms = floor.now_ns // MS
    assert floor.plc.report(Kind.ITEM, 5, 3, 0, at_ms)
    assert floor.plc.report(Kind.DISCHARGE, 5, 101, Discharged.PASSED, at_ms + 4)
    assert floor.plc.report(Kind.DISCHARGE, 6, NONE_16, Discharged.LOST, at_ms + 4)
    assert floor.plc.report(Kind.CHUTE, 0, 102, ChuteState.FULL, at_ms + 10)
    floor.trip()
    began_ns = at_ms * MS
    assert floor.daemon.journal == [
        (7, Item(seq=1, item=5, induct=3, t_ns=began_ns)),
        (7, Discharge(seq=2, item=5, chute=101, outcome="passed", t_ns=began_ns + 4 * MS)),
        (7, Discharge(seq=3, item=6, outcome="lost", t_ns=began_ns + 4 * MS)),
        (7, Chute(seq=4, chute=102, state="full", t_ns=began_ns + 10 * MS)),
    ]


@pytest.mark.parametrize(
    ("kind", "point", "value"),
    [(99, 101, 0), (Kind.DISCHARGE, 101, 3), (Kind.CHUTE, 101, ChuteState.LOCKED), (Kind.CHUTE, NONE_16, 0)],
)
def test_a_report_without_meaning_uses_its_number_and_no_more(kind: int, point: int, value: int) -> None:
    floor = met()
    assert floor.plc.report(kind, 5, point, value, 0)
    floor.drop()
    floor.trip()
    assert [type(message) for _, message in floor.daemon.journal] == [Ping, Discharge]
    assert floor.runner.counts.unknown == 1


def test_diverts_become_orders() -> None:
    floor = met()
    floor.daemon.orders.append(
        Divert(line="L1", item=9, chute=101, alternate=102, reason="no_read", deadline_ns=floor.now_ns + 500 * MS)
    )
    floor.trips(2)
    assert floor.told == [Told(9, 101, 102, 480, 3)]
    floor.order(10)
    floor.trips(2)
    assert floor.told[1] == Told(10, 101, NONE_16, 980, 3)


def test_it_is_busy_when_orders_wait_or_much_was_carried() -> None:
    floor = met()
    assert not floor.runner.busy
    floor.order(1)
    floor.runner.talk()
    assert floor.runner.busy
    floor.trip()
    assert not floor.runner.busy
    for _ in range(HOLD):
        floor.drop()
    floor.trip()
    assert floor.runner.busy


def test_exchanges_that_carry_something_are_counted() -> None:
    floor = met()
    before = floor.runner.counts.laden
    floor.trips(7)
    assert floor.runner.counts.laden == before
    floor.drop()
    floor.trips(3)
    floor.order(1)
    floor.trips(3)
    assert floor.runner.counts.laden == before + 2


def test_a_divert_that_is_late_is_counted_and_not_given() -> None:
    floor = met()
    floor.order(1, in_ms=-1)
    floor.order(2, in_ms=0)
    floor.order(3)
    floor.trips(2)
    assert [told.item for told in floor.told] == [3]
    assert (floor.runner.counts.stale, floor.runner.counts.orders) == (2, 1)


def test_diverts_wait_while_the_plc_takes_none_and_the_oldest_are_given_up() -> None:
    floor = met()
    floor.port.broken = True
    for item in range(DIVERTS_MAX + 20):
        floor.order(item, in_ms=10_000)
    floor.trips(3)
    assert link_of(floor) is Link.AWAY
    floor.port.broken = False
    floor.trips(DIVERTS_MAX // RING + 20)
    given = [told.item for told in floor.told]
    assert floor.runner.counts.overflow > 0
    assert given == list(range(DIVERTS_MAX + 20))[floor.runner.counts.overflow :]


def test_no_orders_go_to_a_plc_whose_heart_stands_still() -> None:
    floor = met()
    frozen = floor.plc.block(0)

    def exchange(out: bytes) -> bytes:
        return frozen

    for _ in range(52):
        floor.now_ns += 10 * MS
        floor.runner.step(floor.now_ns, exchange)
    assert link_of(floor) is Link.SILENT
    given = floor.runner.counts.orders
    floor.order(1, in_ms=100)
    floor.order(2, in_ms=10_000)
    for _ in range(20):
        floor.now_ns += 10 * MS
        floor.runner.step(floor.now_ns, exchange)
    assert floor.runner.counts.orders == given
    floor.trips(3)
    assert link_of(floor) is Link.TALKING
    assert [told.item for told in floor.told] == [2]
    assert floor.runner.counts.stale == 1


def test_a_place_is_given_back_when_the_report_is_on_disk() -> None:
    floor = met()
    for _ in range(HOLD):
        floor.drop()
    floor.trips(5)
    assert len(floor.daemon.items(7)) == HOLD
    assert floor.plc.tail == 0
    floor.daemon.sync()
    floor.trips(2)
    assert floor.plc.tail == HOLD


def test_a_daemon_that_is_slow_or_away_does_not_stop_the_plc() -> None:
    floor = met()
    floor.daemon.away = True
    for _ in range(500):
        floor.drop()
    floor.trips(200)
    assert floor.pending == []
    assert floor.runner.unacknowledged == 500
    floor.settle()
    assert floor.daemon.items(7) == list(range(1, 501))
    assert floor.runner.unacknowledged == 0


def test_an_outbox_that_is_full_leaves_reports_with_the_plc() -> None:
    floor = met()
    floor.daemon.away = True
    floor.daemon.outbox_max = 40
    for _ in range(100):
        floor.drop()
    floor.trips(100)
    assert floor.runner.host.lost == 0
    assert len(floor.pending) >= 100 - 40 - RING
    floor.settle()
    assert floor.daemon.items(7) == list(range(1, 101))


def test_an_adapter_that_starts_again_loses_and_doubles_nothing() -> None:
    floor = met()
    for round_ in range(30):
        for _ in range(round_ % HOLD):
            floor.drop()
        floor.trips(1 + round_ % 3)
        floor.daemon.sync()
        if round_ % 4 == 0:
            floor.runner = floor.new_runner()
    floor.settle()
    assert floor.daemon.items(7) == list(range(1, floor.items + 1))
    assert floor.daemon.boots == [7]
    assert not any(isinstance(message, Ping) for _, message in floor.daemon.journal)


def test_what_died_with_an_adapter_is_counted_and_holds_nothing_back() -> None:
    floor = met()
    floor.daemon.away = True
    for _ in range(50):
        floor.drop()
    floor.trips(30)
    floor.runner = floor.new_runner()
    for _ in range(5):
        floor.drop()
    floor.settle()
    items = floor.daemon.items(7)
    assert floor.runner.counts.lost == 55 - len(items)
    assert items == list(range(floor.runner.counts.lost + 1, 56))
    assert floor.daemon.boots == [7]


def test_an_overrun_is_counted_and_holds_nothing_back() -> None:
    floor = met()
    for item in range(1, 12):
        floor.plc.tail = floor.plc.head
        floor.plc.report(Kind.DISCHARGE, item, 101, 0, 0)
    floor.trip()
    assert floor.daemon.items(7) == list(range(4, 12))
    assert floor.runner.counts.lost == 3


def test_a_plc_that_starts_again_is_another_boot_after_the_last_ones_reports() -> None:
    floor = met()
    floor.daemon.away = True
    for _ in range(10):
        floor.drop()
    floor.trips(10)
    floor.order(1)
    floor.plc.restart(8)
    floor.items = 100
    for _ in range(3):
        floor.drop()
    floor.trips(10)
    assert not floor.runner.deciding
    floor.settle()
    assert floor.daemon.items(7) == list(range(1, 11))
    assert floor.daemon.items(8) == [101, 102, 103]
    assert [boot for boot, _ in floor.daemon.journal] == sorted(boot for boot, _ in floor.daemon.journal)
    assert floor.told == []
    assert floor.runner.counts.void == 1
    assert floor.runner.counts.epochs == 2


def test_diverts_that_waited_for_the_last_epoch_are_void() -> None:
    floor = met()
    floor.port.broken = True
    for item in range(RING + 3):
        floor.order(item)
    floor.trip()
    floor.plc.restart(8)
    floor.settle()
    assert (floor.told, floor.runner.counts.void) == ([], RING + 3)


def test_numbers_too_many_to_make_up_begin_a_new_boot() -> None:
    floor = met()
    floor.daemon.last[7] = 5
    floor.plc.head = floor.plc.tail = 6 + FILL_MAX
    floor.runner = floor.new_runner()
    floor.drop()
    floor.settle()
    assert floor.daemon.items(1 << 32 | 7) == [1]
    assert floor.runner.counts.lost == 0


def test_an_epoch_that_was_used_before_does_not_swallow_reports() -> None:
    floor = met()
    for _ in range(20):
        floor.drop()
    floor.settle()
    floor.plc = PlcSide(7)
    floor.port = LoopbackPort(floor.plc, floor.told.extend, lambda: floor.now_ns)
    floor.runner = floor.new_runner()
    for _ in range(3):
        floor.drop()
    floor.settle()
    assert floor.daemon.items(7) == list(range(1, 21))
    assert floor.daemon.items(1 << 32 | 7) == [21, 22, 23]
    assert floor.runner.counts.reused == 1


def test_a_daemon_with_an_empty_ledger_goes_on_where_the_plc_is() -> None:
    floor = met()
    for _ in range(20):
        floor.drop()
    floor.settle()
    floor.daemon = OneLineDaemon(lambda: floor.now_ns)
    floor.runner = floor.new_runner()
    floor.drop()
    floor.settle()
    assert floor.daemon.items(7) == [21]
    assert floor.runner.counts.lost == 0


def test_the_plc_is_told_whether_the_daemon_decides() -> None:
    floor = Floor()
    floor.daemon.away = True
    floor.trips(4)
    assert host_state_of(floor) is HostState.AWAY
    floor.daemon.away = False
    floor.trips(3)
    assert host_state_of(floor) is HostState.DECIDING
    floor.daemon.away = True
    floor.trips(2)
    assert host_state_of(floor) is HostState.AWAY


def test_a_plc_that_is_garbled_for_a_moment_keeps_its_diverts_and_its_boot() -> None:
    floor = met()
    floor.drop()
    floor.trip()
    for item in range(RING + 3):
        floor.order(item)
    floor.runner.talk()
    floor.runner.step(floor.now_ns, lambda _: bytes(160))
    assert "does not run" in floor.runner.error
    floor.drop()
    floor.settle()
    assert [told.item for told in floor.told] == list(range(RING + 3))
    assert floor.daemon.items(7) == [1, 2]
    assert (floor.runner.counts.epochs, floor.runner.counts.void, floor.daemon.boots) == (1, 0, [7])


class Faults(Floor):
    """A floor on which anything may fail; it remembers what each epoch of the PLC reported."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: dict[int, list[int]] = {7: []}
        self.lost_before = 0

    def drop(self) -> None:
        super().drop()
        self.reported[self.plc.epoch].append(self.items)

    def divert(self) -> None:
        self.order(self.items, in_ms=10**6)

    def sync(self) -> None:
        self.daemon.sync()

    def cable(self) -> None:
        self.port.broken = not self.port.broken

    def daemon_goes_or_comes(self) -> None:
        self.daemon.away = not self.daemon.away

    def adapter_starts(self) -> None:
        self.lost_before += self.runner.counts.lost
        self.runner = self.new_runner()

    def plc_starts(self) -> None:
        self.reported[self.plc.epoch] = self.reported[self.plc.epoch][: self.plc.tail]  # the rest may die with it
        self.pending.clear()
        self.plc.restart(self.plc.epoch + 1)
        self.reported[self.plc.epoch] = []


CALM = ["drop", "drop", "divert", "trip", "trip", "trip", "sync", "cable", "daemon_goes_or_comes", "plc_starts"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(CALM), max_size=150))
def test_whatever_fails_beside_it_the_adapter_loses_and_doubles_nothing(steps: list[str]) -> None:
    floor = Faults()
    for step in [*steps, "drop", "settle"]:
        getattr(floor, step)()
    for epoch, items in floor.reported.items():
        seen = floor.daemon.items(epoch)
        assert seen[: len(items)] == items
        assert seen == sorted(set(seen))
    assert floor.runner.counts.lost == floor.runner.unacknowledged == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*CALM, "adapter_starts"]), max_size=150))
def test_whatever_fails_all_is_on_disk_once_or_counted(steps: list[str]) -> None:
    floor = Faults()
    for step in [*steps, "drop", "settle"]:
        getattr(floor, step)()
    last = floor.plc.epoch
    seen = floor.daemon.items(last)
    assert seen == sorted(set(seen))
    pings = sum(isinstance(message, Ping) for epoch, message in floor.daemon.journal if epoch == last)
    assert len(seen) + pings == len(floor.reported[last])
    assert seen[-1] == floor.items
    assert floor.runner.unacknowledged == 0


def test_who_follows_the_items_is_told_of_each_once_with_its_time() -> None:
    floor = met()
    ((began, _),) = floor.tracker.told
    assert began == "began"
    floor.tracker.told.clear()
    at_ms = floor.now_ns // MS
    floor.plc.report(Kind.ITEM, 5, 3, 0, at_ms)
    floor.plc.report(Kind.DISCHARGE, 5, 101, Discharged.PASSED, at_ms + 2)
    floor.plc.report(Kind.DISCHARGE, 5, 101, Discharged.DROPPED, at_ms + 4)
    floor.plc.report(Kind.DISCHARGE, 6, NONE_16, Discharged.LOST, at_ms + 6)
    floor.trips(4)
    assert floor.tracker.told == [
        ("entered", 5, at_ms * MS, (at_ms + 10) * MS),
        ("left", 5, (at_ms + 4) * MS),
        ("left", 6, (at_ms + 6) * MS),
    ]


def test_a_plc_that_was_away_is_not_trusted_and_a_new_one_begins_anew() -> None:
    floor = met()
    floor.tracker.told.clear()
    floor.port.broken = True
    floor.trips(3)
    assert floor.tracker.told == []
    floor.port.broken = False
    floor.plc.report(Kind.ITEM, 5, 3, 0, floor.now_ns // MS)
    floor.trip()
    assert [told[0] for told in floor.tracker.told] == ["distrust", "entered"]
    floor.tracker.told.clear()
    floor.plc = PlcSide(8)
    floor.port = LoopbackPort(floor.plc, floor.told.extend, lambda: floor.now_ns)
    floor.trips(5)
    floor.plc.report(Kind.ITEM, 5, 3, 0, floor.now_ns // MS)
    floor.trips(2)
    assert [told[0] for told in floor.tracker.told] == ["began", "entered"]


def test_an_adapter_that_is_replaced_lets_go_and_comes_back_with_nothing_counted_twice() -> None:
    floor = met()
    for _ in range(3):
        floor.drop()
    floor.order(1)
    floor.trips(2)
    first, first_saw = floor.runner, floor.tracker
    floor.runner = floor.new_runner()
    floor.trips(4)
    floor.drop()
    floor.settle()
    assert not first.step(floor.now_ns, floor.port.exchange_now)
    assert (first.ousted, first.unacknowledged, first.link) == (True, 0, Link.AWAY)
    floor.drop()
    floor.settle()
    first_saw.told.clear()
    floor.runner = first
    floor.drop()
    floor.settle()
    assert not first.ousted
    assert "missed" in [told[0] for told in first_saw.told]
    assert floor.daemon.items(7) == [1, 2, 3, 4, 5, 6]


def test_an_adapter_whose_reports_another_has_told_lets_go_of_its_line() -> None:
    floor = met()
    floor.drop()
    floor.settle()
    floor.daemon.away = True
    floor.trip()
    floor.daemon.last[7] += 3  # by another that goes by the same name
    floor.daemon.away = False
    floor.drop()
    for _ in range(300):
        floor.trip()
        if floor.runner.ousted:
            break
    assert "another adapter speaks to the daemon for this line's PLC" in floor.runner.error
    wire = floor.daemon.wire
    floor.runner.talk()
    assert floor.daemon.wire is wire, "it opens none while another drives"


def test_reports_that_are_gone_leave_the_items_in_doubt() -> None:
    floor = Floor()
    floor.settle()
    floor.tracker.told.clear()
    for _ in range(RING + 1):
        floor.plc.tail = floor.plc.head
        floor.plc.report(Kind.DISCHARGE, 1, 101, 0, floor.now_ns // MS)
    floor.trip()
    assert floor.tracker.told[0] == ("missed", floor.now_ns)


def told_of(floor: Floor) -> list[tuple[str, int]]:
    return [(alarm.alarm, alarm.count) for alarm in floor.daemon.alarms]


def test_what_disturbs_the_line_is_told_once_each_with_its_time() -> None:
    floor = Floor()
    floor.settle()
    assert told_of(floor) == [("plc_back", 1), ("line_running", 1)]
    floor.daemon.alarms.clear()
    floor.port.broken = True
    away_ns = floor.now_ns + 10 * MS
    floor.trips(3)
    floor.port.broken = False
    floor.trips(3)
    floor.order(1, in_ms=0)
    floor.order(2, in_ms=0)
    floor.trips(120)
    assert told_of(floor) == [("plc_away", 1), ("plc_back", 1), ("orders_late", 2)]
    assert [alarm.t_ns for alarm in floor.daemon.alarms[:2]] == [away_ns, away_ns + 30 * MS]
    floor.trips(200)
    assert len(floor.daemon.alarms) == 3


def test_a_restart_and_what_it_makes_void_are_told_and_the_first_start_is_not() -> None:
    floor = Floor()
    floor.settle()
    floor.daemon.alarms.clear()
    floor.runner.host.give(Order(1, 101, NONE_16, floor.now_ns + S, 0))
    floor.plc.restart(8)
    floor.settle()
    floor.trips(100)
    assert set(told_of(floor)) == {("plc_back", 1), ("line_running", 1), ("plc_restarted", 1), ("orders_void", 1)}


def test_a_line_that_stands_still_is_told_while_its_plc_talks() -> None:
    floor = Floor()
    floor.settle()
    floor.daemon.alarms.clear()
    for state in (LineState.STOPPED, LineState.STOPPED, LineState.FAULT, LineState.RUNNING, 9, LineState.RUNNING):
        floor.runner.step(floor.now_ns, lambda _out, state=state: floor.plc.block(floor.now_ns // MS, state))  # type: ignore[misc] # a default is bound now
    floor.trips(2)
    assert [word for word, _ in told_of(floor)] == ["line_stopped", "line_fault", "line_running"]


def test_what_happens_without_a_daemon_is_told_when_there_is_one() -> None:
    floor = Floor()
    floor.settle()
    floor.daemon.alarms.clear()
    floor.daemon.away = True
    floor.trips(2)
    for _ in range(RING + 3):
        floor.plc.tail = floor.plc.head
        floor.plc.report(Kind.DISCHARGE, 1, 101, 0, floor.now_ns // MS)
    floor.trips(3)
    away_ns = floor.now_ns + 10 * MS
    for broken in [True, False] * 100:
        floor.port.broken = broken
        floor.trip()
    assert floor.daemon.alarms == []
    floor.settle()
    floor.trips(100)
    told = told_of(floor)
    assert ("reports_lost", 3) in told
    assert sum(word.startswith("plc_") for word, _ in told) == CHANGES_MAX
    assert floor.daemon.alarms[0].t_ns > away_ns, "the oldest are forgotten"


def test_a_daemon_that_is_met_anew_hears_again_how_things_stand() -> None:
    floor = Floor()
    floor.settle()
    floor.daemon.alarms.clear()
    floor.daemon.away = True
    floor.trips(2)
    floor.settle()
    assert told_of(floor) == [("plc_back", 1), ("line_running", 1)]


def test_a_plc_that_is_away_from_the_start_is_told_with_the_time_since_when() -> None:
    floor = Floor()
    floor.port.broken = True
    floor.trip()
    since_ns = floor.now_ns
    floor.trips(500)
    floor.port.broken = False
    floor.settle()
    assert told_of(floor)[:2] == [("plc_away", 1), ("plc_back", 1)]
    assert floor.daemon.alarms[0].t_ns == since_ns
