"""The daemon stepped by hand: whatever a device or an operator sends gets a clear answer, and the sorting goes on."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from sorter import limits
from sorter.core.state import counts, digest
from sorter.daemon import Clocks, Daemon, Sockets
from sorter.ledger.journal import BATCH_RECORD_BYTES, DiskFull, Journal, read
from sorter.offers import Offers
from sorter.records import NONE_16, Kind, Role, SortPlan, Verdict, plan_to_bytes
from sorter.replay import prove, restore
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import (
    Ack,
    AnyMessage,
    Chute,
    Command,
    Discharge,
    Divert,
    Hello,
    Item,
    Ping,
    Pong,
    Refuse,
    Reply,
    Scan,
    Welcome,
)
from sorter.wire.keys import Key
from tests.ledger.faulty_disk import FaultyDisk
from tests.simulation import place
from tests.simulation.world import MS, OPENS_NS, SECOND

FOLDER = Path("/ledger")
SEGMENT_BYTES = 4 << 20
HOUR = 3600 * SECOND
GOOD = "SF00000007"
SCANNER, PLC, DESK = b"scanner", b"plc", b"desk"


class Post:
    """A socket of lists; what is sent is checked to be on disk."""

    def __init__(self, hub: Hub) -> None:
        self.inbox: deque[Frame] = deque()
        self.sent: list[tuple[bytes, AnyMessage]] = []
        self._hub = hub

    def receive(self, limit: int) -> list[Frame]:
        return [self.inbox.popleft() for _ in range(min(limit, len(self.inbox)))]

    def send(self, peer: bytes, data: bytes) -> bool:
        assert not any(content.pending for content in self._hub.disk.now.values()), "sent before it was on disk"
        self.sent += [(peer, message) for message in frames.decode(data)]
        return True


class Hub:
    """A daemon, its disk and its clock."""

    def __init__(self, sort_plans: list[SortPlan]) -> None:
        self.sort_plans = sort_plans
        self.now_ns = OPENS_NS
        self.disk = FaultyDisk()
        self.devices, self.control = Post(self), Post(self)
        self.ids = 0
        self.start(0)

    def start(self, plan: int, turn: tuple[int, int] = (0, 0)) -> None:
        self.journal = Journal.open(FOLDER, self.disk, segment_bytes=SEGMENT_BYTES)
        self.standing = restore(read(FOLDER, disk=self.disk))
        sockets = Sockets(self.devices, self.control, lambda _idle_ms: False)
        clocks = Clocks(lambda: self.now_ns, lambda: self.now_ns)
        self.daemon = Daemon(self.standing, self.sort_plans[plan], self.journal, sockets, clocks, turn=turn)

    def restart(self, plan: int = 0) -> None:
        self.disk.kill()
        self.start(plan)

    def bring(self, peer: bytes, data: bytes, key: Key | None = None) -> list[AnyMessage]:
        """One frame in, one turn; what the peer gets back."""
        self.devices.sent.clear()
        self.devices.inbox.append(Frame(peer, key.name if key else "", data, key))
        self.daemon.turn()
        return [message for to, message in self.devices.sent if to == peer]

    def say(self, peer: bytes, *messages: AnyMessage, key: Key | None = None) -> list[AnyMessage]:
        return self.bring(peer, frames.encode(*messages), key)

    def order(self, verb: str, **args: Any) -> Reply:
        self.ids += 1
        self.control.sent.clear()
        self.control.inbox.append(Frame(DESK, "", frames.encode(Command(id=self.ids, verb=verb, args=args))))
        self.daemon.turn()
        [(peer, reply)] = self.control.sent
        assert peer == DESK
        assert isinstance(reply, Reply)
        assert reply.id == self.ids
        return reply

    def events(self) -> list[int]:
        return [int(kind) for record in self.records() for kind in record.batch.events["kind"]]

    def records(self) -> list[Any]:
        return [record for record in read(FOLDER, disk=self.disk) if hasattr(record, "batch")]

    def sorts(self) -> bool:
        """A fresh scanner's parcel is decided and its divert reaches the PLC."""
        self.devices.sent.clear()
        messages = (
            Hello(role="scanner", client="fresh", line="L1", boot=self.now_ns),
            Scan(seq=1, item=self.ids + 4000, codes=[GOOD]),
        )
        self.devices.inbox.append(Frame(b"fresh", "", frames.encode(*messages)))
        self.ids += 1
        self.daemon.turn()
        told = [message for peer, message in self.devices.sent if peer == PLC]
        return any(isinstance(message, Divert) for message in told)


@pytest.fixture(scope="module")
def sort_plans() -> list[SortPlan]:
    return place.make(random.Random(1)).sort_plans


@pytest.fixture
def hub(sort_plans: list[SortPlan]) -> Iterator[Hub]:
    """A daemon that knows a scanner and a PLC of L1, and a parcel's advice; what it did must replay."""
    made = Hub(sort_plans)
    made.say(SCANNER, Hello(role="scanner", client="scanner-1", line="L1", boot=1))
    made.say(PLC, Hello(role="plc", client="plc-1", line="L1", boot=1))
    assert made.order("advice.load", rows=[[GOOD, "SF", 0, "standard", 0, 300, 0]]).result["accepted"] == 1
    yield made
    assert made.sorts()
    figures = counts(made.standing.state)
    assert figures.inducted == sum(figures.ended.values()) + figures.on_belt
    proof = prove(read(FOLDER, disk=made.disk))
    assert proof.differences == []
    assert proof.digest == digest(made.standing.state)


def only(messages: list[AnyMessage], kind: type[AnyMessage]) -> Any:
    [found] = [message for message in messages if isinstance(message, kind)]
    return found


def raw(**keys: Any) -> bytes:
    return msgspec.msgpack.encode(keys)


# ---- frames that are no messages ---------------------------------------------


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "malformed"),
        (b"\xc1", "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        (b"\x81\xa4type", "malformed"),
        (b"\x90", "malformed"),
        (b"\xdc\xff\xff", "too_many"),
        (b"\x91" * 3000, "malformed"),
        (bytes(limits.FRAME_BYTES_MAX + 1), "too_large"),
        (raw(type="dance"), "unknown_type"),
        (raw(type="scan"), "malformed"),
        (raw(type="scan", seq=-1, item=1), "malformed"),
        (raw(type="scan", seq=1, item=2**32), "malformed"),
        (raw(type="scan", seq=1, item=1, codes=["1"] * 9), "malformed"),
        (raw(type="scan", seq=1, item=1, codes=b"\xff"), "malformed"),
        (raw(type="hello", role="boss", client="x", boot=1), "malformed"),
        (raw(type="hello", role="scanner", client="", boot=1), "malformed"),
        (raw(type="hello", role="scanner", client="x" * 32, boot=1), "malformed"),
    ],
)
def test_what_is_no_message_is_refused_and_changes_nothing(hub: Hub, data: bytes, error: str) -> None:
    before = digest(hub.standing.state)
    refuse = only(hub.bring(b"stranger", data), Refuse)
    assert refuse.error == error
    assert refuse.detail
    assert digest(hub.standing.state) == before
    assert hub.daemon.traffic.malformed == 1


@pytest.mark.parametrize("weight_g", [-1, -0.5, float("nan"), float("inf"), 1e9, "heavy"])
def test_a_weight_that_cannot_be_is_refused_and_its_number_is_spent(hub: Hub, weight_g: object) -> None:
    answers = hub.bring(SCANNER, raw(type="scan", seq=1, item=1, codes=[GOOD], weight_g=weight_g))
    assert "weight_g" in only(answers, Refuse).detail
    assert only(answers, Refuse).seq == 1
    assert only(hub.say(SCANNER, Scan(seq=2, item=1, codes=[GOOD])), Ack).seq == 2


def test_an_unknown_type_spends_its_number(hub: Hub) -> None:
    assert only(hub.bring(SCANNER, raw(type="dance", seq=1)), Refuse).seq == 1
    assert only(hub.say(SCANNER, Scan(seq=2, item=1)), Ack).seq == 2


def test_unknown_keys_are_ignored(hub: Hub) -> None:
    assert only(hub.bring(SCANNER, raw(type="scan", seq=1, item=1, mood="good")), Ack).seq == 1


# ---- who may say what ---------------------------------------------------------


@pytest.mark.parametrize(
    "message", [Scan(seq=1, item=1), Discharge(seq=1, item=1, outcome="passed"), Ping(seq=1), Item(seq=1, item=1)]
)
def test_who_never_said_hello_is_told_so(hub: Hub, message: AnyMessage) -> None:
    assert only(hub.say(b"stranger", message), Refuse).error == "unknown_client"


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        (SCANNER, Discharge(seq=1, item=1, outcome="dropped", chute=101)),
        (SCANNER, Item(seq=1, item=1)),
        (SCANNER, Chute(seq=1, chute=101, state="full")),
        (PLC, Scan(seq=1, item=1, codes=[GOOD])),
    ],
)
def test_a_wrong_role_is_refused_and_the_number_is_spent(hub: Hub, peer: bytes, message: AnyMessage) -> None:
    answers = hub.say(peer, message)
    assert only(answers, Refuse).error == "wrong_role"
    assert only(answers, Ack).seq == 1


@pytest.mark.parametrize(
    "message",
    [
        Divert(line="L1", item=1, chute=101, reason="planned"),
        Command(id=1, verb="chute.lock", args={"chute": 101}),
        Ack(seq=1),
    ],
)
def test_a_device_neither_diverts_nor_commands(hub: Hub, message: AnyMessage) -> None:
    before = digest(hub.standing.state)
    assert only(hub.say(SCANNER, message), Refuse).error == "wrong_role"
    assert digest(hub.standing.state) == before


def test_a_key_is_good_for_its_role_and_line_alone(hub: Hub) -> None:
    key = Key("scanner-2", Role.SCANNER, "L2", b"")
    for hello in (
        Hello(role="plc", client="x", line="L2", boot=1),
        Hello(role="scanner", client="x", line="L1", boot=1),
    ):
        assert only(hub.say(b"x", hello, key=key), Refuse).error == "wrong_role"
    assert only(hub.say(b"x", Hello(role="scanner", client="x", line="L2", boot=1), key=key), Welcome)
    assert only(hub.say(b"x", Scan(seq=1, item=1), key=Key("x", Role.PLC, "", b"")), Refuse).error == "wrong_role"


def test_device_messages_do_not_belong_to_the_control_address(hub: Hub) -> None:
    hub.control.sent.clear()
    hub.control.inbox.append(Frame(DESK, "", frames.encode(Scan(seq=1, item=1))))
    hub.daemon.turn()
    [(_, reply)] = hub.control.sent
    assert isinstance(reply, Reply)
    assert (reply.ok, reply.error) == (False, "wrong_role")


@pytest.mark.parametrize(
    ("hello", "error"),
    [
        (Hello(role="scanner", client="x", line="L9", boot=1), "unknown_line"),
        (Hello(role="plc", client="x", boot=1), "unknown_line"),
        (Hello(role="scanner", client="运" * 20, line="L1", boot=1), "bad_name"),
    ],
)
def test_a_hello_that_cannot_be_is_refused(hub: Hub, hello: Hello, error: str) -> None:
    assert only(hub.say(b"x", hello), Refuse).error == error
    assert only(hub.say(b"x", Scan(seq=1, item=1)), Refuse).error == "unknown_client"


def test_the_registry_of_clients_has_an_end(hub: Hub) -> None:
    hellos = [Hello(role="scanner", client=f"c{at}", line="L1", boot=1) for at in range(limits.CLIENTS_MAX)]
    refused = [message for message in hub.say(b"x", *hellos) if isinstance(message, Refuse)]
    assert {refuse.error for refuse in refused} == {"clients_full"}
    assert only(hub.say(SCANNER, Scan(seq=1, item=1)), Ack).seq == 1
    hub.sorts = lambda: True  # type: ignore[method-assign] # there is no place left for the fresh scanner


# ---- parcels --------------------------------------------------------------------


def reason_of(hub: Hub, scan: Scan) -> str:
    hub.say(SCANNER, scan)
    return str(only([message for peer, message in hub.devices.sent if peer == PLC], Divert).reason)


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


# ---- orders -----------------------------------------------------------------------


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


# ---- plans, disks, restarts -----------------------------------------------------------


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


# a plan handed over


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
