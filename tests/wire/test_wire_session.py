"""The session against a daemon that writes before it answers, over a wire that loses, doubles and reorders."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.records import Kind
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import Ack, Alarm, AnyMessage, Divert, Hello, Malformed, Ping, Pong, Refuse, Scan, Welcome
from sorter.wire.session import (
    ACK_NS,
    ALARMS_MAX,
    HELLO_NS,
    NS_PER_S,
    PING_NS,
    SILENT_NS,
    TOGETHER_MAX,
    OutboxFull,
    Session,
)
from tests.wire.hub import Hub

STEP_NS = NS_PER_S // 10


class MadeUpRouter:
    """What Hub needs of a router, with lists for wires."""

    def __init__(self) -> None:
        self.inbox: list[Frame] = []
        self.sent: list[tuple[bytes, bytes]] = []

    def poll(self, timeout_ms: int) -> bool:
        assert timeout_ms == 0
        return bool(self.inbox)

    def receive(self, limit: int) -> list[Frame]:
        taken, self.inbox = self.inbox[:limit], self.inbox[limit:]
        return taken

    def send(self, peer: bytes, data: bytes) -> bool:
        self.sent.append((peer, data))
        return True


class Plant:
    """One session, one hub, a wire between them and a seed."""

    def __init__(self, seed: int, faults: float) -> None:
        self.chance = random.Random(seed)
        self.faults = faults
        self.now_ns = NS_PER_S
        self.session = Session(role="scanner", client="s", line="L1", boot=77)
        self.router = MadeUpRouter()
        self.hub = Hub(self.router)
        self.connection = 0
        self.down: list[bytes] = []
        self.up: list[bytes] = []

    def happens(self) -> bool:
        return self.chance.random() < self.faults

    def reconnect(self) -> None:
        self.up.clear()
        self.down.clear()
        self.router.inbox.clear()
        self.connection += 1
        self.session.connected()

    def restart_hub(self) -> None:
        before = self.hub
        self.hub = Hub(self.router)
        self.hub.last, self.hub.index, self.hub.accepted = before.last, before.index, before.accepted

    def carry(self, wire: list[bytes]) -> list[bytes]:
        carried = []
        for data in wire:
            copies = 0 if self.happens() else 2 if self.happens() else 1
            carried += [data] * copies
        if self.happens():
            self.chance.shuffle(carried)
        wire.clear()
        return carried

    def step(self) -> None:
        self.now_ns += STEP_NS
        if self.happens():
            self.reconnect()
        if self.happens():
            self.restart_hub()
        peer = b"d%d" % self.connection
        for data in self.carry(self.down):
            self.session.receive(data, self.now_ns)
        self.up += self.session.send(self.now_ns, self.now_ns)
        self.router.inbox += [Frame(peer, "", data) for data in self.carry(self.up)]
        self.hub.turn()
        self.down += [data for to, data in self.router.sent if to == peer]
        self.router.sent.clear()
        if self.happens():
            self.down.clear()  # it died between writing and answering

    def on_disk(self) -> list[int]:
        return [seq for _, kind, seq, _ in self.hub.accepted if kind == Kind.SCAN]


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_doubled_whatever_the_wire_does(seed: int) -> None:
    plant = Plant(seed, faults=0.08)
    posted = 0
    for _ in range(150):
        for _ in range(plant.chance.randrange(4)):
            posted += 1
            assert plant.session.post(Scan(seq=0, item=posted)) == posted
        plant.step()
        assert plant.on_disk() == list(range(1, len(plant.on_disk()) + 1))
        assert posted - plant.session.unacknowledged <= len(plant.on_disk())
    plant.faults = 0
    plant.reconnect()
    for _ in range(400):
        plant.step()
    assert plant.session.unacknowledged == 0
    assert plant.on_disk() == list(range(1, posted + 1))
    assert [item for _, kind, _, item in plant.hub.accepted if kind == Kind.SCAN] == plant.on_disk()


def scan(item: int = 1) -> Scan:
    return Scan(seq=0, item=item)


def session(first: int | None = None) -> Session:
    made = Session(role="plc", client="p", line="L1", boot=5, first=first)
    made.connected()
    return made


def sent(made: Session, now_ns: int = 0, t_ns: int = 0) -> list[AnyMessage]:
    return [message for frame in made.send(now_ns, t_ns) for message in frames.decode(frame)]


def hear(made: Session, *messages: AnyMessage, now_ns: int = 0) -> Sequence[Divert | Refuse]:
    return made.receive(frames.encode(*messages), now_ns)


def welcomed(first: int | None = None) -> Session:
    made = session(first)
    sent(made)
    hear(made, Welcome(plan=1, t_ns=1, seq=(first or 1) - 1))
    assert made.welcomed
    return made


def numbers(messages: Sequence[AnyMessage]) -> list[int]:
    return [message.seq for message in messages if isinstance(message, Scan)]


def test_hello_comes_first_and_again_until_it_is_answered() -> None:
    made = session()
    made.post(scan())
    [hello] = sent(made, t_ns=9)
    assert hello == Hello(role="plc", client="p", line="L1", boot=5, seq=1, t_ns=9)
    assert sent(made, HELLO_NS - 1) == []
    assert made.due_ns() == HELLO_NS
    assert sent(made, HELLO_NS, t_ns=10) == [Hello(role="plc", client="p", line="L1", boot=5, seq=1, t_ns=10)]
    hear(made, Welcome(plan=1, t_ns=1, seq=0))
    assert numbers(sent(made)) == [1]


def test_without_a_connection_nothing_is_sent() -> None:
    made = welcomed()
    made.post(scan())
    made.disconnected()
    assert not made.welcomed
    assert sent(made, 10 * NS_PER_S) == []
    assert made.due_ns() > 10**18


def test_only_what_is_not_on_disk_is_sent_again() -> None:
    made = welcomed()
    for _ in range(5):
        made.post(scan())
    assert numbers(sent(made)) == [1, 2, 3, 4, 5]
    hear(made, Ack(seq=2))
    assert made.unacknowledged == 3
    assert made.last == 2
    made.connected()
    [hello] = sent(made)
    assert isinstance(hello, Hello)
    assert hello.seq == 3
    hear(made, Welcome(plan=1, t_ns=1, seq=4))
    assert numbers(sent(made)) == [5]
    hear(made, Ack(seq=5))
    assert made.unacknowledged == 0


def test_silence_brings_the_messages_again_less_and_less_often() -> None:
    made = welcomed()
    made.post(scan())
    assert numbers(sent(made, 0)) == [1]
    assert numbers(sent(made, ACK_NS - 1)) == []
    hear(made, Pong(), now_ns=ACK_NS)
    assert numbers(sent(made, ACK_NS)) == [1]
    hear(made, Pong(), now_ns=2 * ACK_NS)
    assert numbers(sent(made, 2 * ACK_NS)) == []
    assert numbers(sent(made, 3 * ACK_NS)) == [1]
    hear(made, Ack(seq=1), now_ns=3 * ACK_NS)
    assert numbers(sent(made, 100 * ACK_NS)) == []


def test_a_gap_brings_everything_again_once() -> None:
    made = welcomed()
    for _ in range(4):
        made.post(scan())
    sent(made)
    gaps = [Refuse(error="gap", seq=seq) for seq in (2, 3, 4)]
    assert hear(made, *gaps) == []
    assert numbers(sent(made)) == [1, 2, 3, 4]
    hear(made, *gaps)
    assert sent(made) == []
    hear(made, Ack(seq=1))
    hear(made, gaps[0])
    assert numbers(sent(made)) == [2, 3, 4]


def test_a_gap_before_the_oldest_is_told() -> None:
    made = welcomed()
    made.post(scan())
    sent(made)
    gap = Refuse(error="gap", seq=1)
    assert hear(made, gap) == [gap]


@pytest.mark.parametrize("error", ["unknown_client", "dropped"])
def test_who_is_not_known_says_hello_again(error: str) -> None:
    made = welcomed()
    made.post(scan())
    sent(made)
    told = hear(made, Refuse(error=error))
    assert [news.error for news in told if isinstance(news, Refuse)] == (["dropped"] if error == "dropped" else [])
    assert not made.welcomed
    [hello] = sent(made)
    assert isinstance(hello, Hello)
    hear(made, Welcome(plan=1, t_ns=1, seq=0))
    assert numbers(sent(made)) == [1]


def test_a_message_the_daemon_cannot_read_gives_its_place_to_an_empty_one() -> None:
    made = welcomed()
    for _ in range(3):
        made.post(scan())
    sent(made)
    refuse = Refuse(error="malformed", detail="no", seq=2)
    assert hear(made, refuse) == [refuse]
    again = sent(made)
    assert again == [Scan(seq=1, item=1), Ping(seq=2), Scan(seq=3, item=1)]
    assert hear(made, refuse) == []
    assert sent(made) == []
    hear(made, Ack(seq=3))
    assert made.unacknowledged == 0


def test_a_refusal_is_told_once_and_the_number_counts_on() -> None:
    made = welcomed()
    made.post(scan())
    sent(made)
    refuse = Refuse(error="unknown_line", detail="no", seq=1)
    assert hear(made, Ack(seq=1), refuse) == [refuse]
    assert hear(made, refuse) == []
    assert hear(made, Refuse(error="repeat", seq=1)) == []
    whole = Refuse(error="too_large", detail="no")
    assert hear(made, whole) == [whole]
    assert made.post(scan()) == 2


def test_a_ping_that_is_not_answered_means_hello() -> None:
    made = welcomed()
    assert made.due_ns() == PING_NS
    assert sent(made, PING_NS, t_ns=5) == [Ping(t_ns=5)]
    assert sent(made, 2 * PING_NS) == [Ping()]
    hear(made, Pong(t_ns=5), now_ns=2 * PING_NS)
    assert sent(made, 3 * PING_NS) == [Ping()]
    at_ns = 3 * PING_NS
    assert sent(made, at_ns + SILENT_NS - 1) == [Ping()]
    assert [type(message) for message in sent(made, at_ns + SILENT_NS)] == [Hello]
    assert not made.welcomed


def test_pings_are_answered() -> None:
    made = welcomed()
    hear(made, Ping(t_ns=3), Ping(t_ns=4))
    assert made.due_ns() < 0
    assert sent(made) == [Pong(t_ns=3), Pong(t_ns=4)]
    assert sent(made) == []


def test_alarms_wait_for_a_daemon_and_are_told_once() -> None:
    made = session()
    made.disconnected()
    for count in range(1, ALARMS_MAX + 2):
        made.tell(Alarm(alarm="reports_lost", count=count))
    assert sent(made) == []
    made.connected()
    assert [type(message) for message in sent(made)] == [Hello]
    hear(made, Welcome(plan=1, t_ns=1, seq=0))
    assert made.due_ns() < 0
    assert sent(made) == [Alarm(alarm="reports_lost", count=count) for count in range(2, ALARMS_MAX + 2)]
    made.connected()
    assert [type(message) for message in sent(made)] == [Hello]
    hear(made, Welcome(plan=1, t_ns=1, seq=0))
    assert sent(made) == []


def test_a_full_outbox_says_so_and_takes_nothing() -> None:
    made = session()
    for _ in range(limits.RESEND_MAX):
        made.post(scan())
    with pytest.raises(OutboxFull, match=r"65536 messages wait .* oldest is number 1; is the daemon running"):
        made.post(scan())
    sent(made)
    hear(made, Welcome(plan=1, t_ns=1, seq=0))
    batch = made.send(0, 0)
    assert len(batch) == limits.RESEND_MAX // TOGETHER_MAX
    assert max(map(len, batch)) < limits.FRAME_BYTES_MAX
    hear(made, Ack(seq=10))
    assert made.post(scan()) == limits.RESEND_MAX + 1


def test_large_messages_go_in_smaller_frames() -> None:
    made = welcomed()
    for item in range(20):
        made.post(Scan(seq=0, item=item, codes=["x" * 100_000]))
    batch = made.send(0, 0)
    assert len(batch) > 1
    assert max(map(len, batch)) < limits.FRAME_BYTES_MAX
    assert [message.seq for frame in batch for message in frames.decode(frame)] == list(range(1, 21))  # type: ignore[union-attr] # all are scans


@pytest.mark.parametrize(
    "message", [Scan(seq=0, item=1, weight_g=-1), Scan(seq=0, item=-1), Scan(seq=0, item=1, codes=["x" * 2_000_000])]
)
def test_what_the_daemon_would_not_take_is_refused_at_once(message: Scan) -> None:
    made = welcomed()
    with pytest.raises(Malformed):
        made.post(message)
    assert made.unacknowledged == 0
    assert made.post(scan()) == 1


@pytest.mark.parametrize(("client", "boot"), [("", 1), ("n" * 32, 1), ("n", -1)])
def test_a_hello_that_cannot_be_is_refused_at_once(client: str, boot: int) -> None:
    with pytest.raises(Malformed):
        Session(role="scanner", client=client, boot=boot)


def test_a_boot_that_was_used_before_is_told_and_loses_nothing() -> None:
    made = session()
    made.post(scan())
    sent(made)
    [refuse] = hear(made, Welcome(plan=1, t_ns=1, seq=500))
    assert isinstance(refuse, Refuse)
    assert (refuse.error, made.unacknowledged, made.welcomed) == ("boot_reused", 1, False)


def test_a_device_that_remembers_its_numbers_goes_on_with_them() -> None:
    made = session(first=11)
    assert made.last is None
    assert [made.post(scan()), made.post(scan())] == [11, 12]
    [hello] = sent(made)
    assert isinstance(hello, Hello)
    assert hello.seq == 11
    hear(made, Welcome(plan=1, t_ns=1, seq=11))
    assert made.last == 11
    assert numbers(sent(made)) == [12]
    ahead = session(first=11)
    sent(ahead)
    hear(ahead, Welcome(plan=1, t_ns=1, seq=14))
    assert ahead.last == 14
    assert ahead.post(scan()) == 15


def test_a_daemon_that_has_forgotten_is_told() -> None:
    made = welcomed()
    made.post(scan())
    sent(made)
    hear(made, Ack(seq=1))
    made.connected()
    sent(made)
    [refuse] = hear(made, Welcome(plan=1, t_ns=1, seq=0))
    assert isinstance(refuse, Refuse)
    assert refuse.error == "forgotten"
    assert not made.welcomed


def test_acknowledgements_that_make_no_sense_change_nothing() -> None:
    made = welcomed()
    made.post(scan())
    sent(made)
    hear(made, Ack(seq=0), Ack(seq=9))
    assert made.unacknowledged == 1
    hear(made, Ack(seq=1))
    late = Welcome(plan=1, t_ns=1, seq=0)
    assert hear(made, late) == []
    assert sent(made) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["post", "send", "ack", "connect", "cut", "gap", "late"]), max_size=60))
def test_the_outbox_is_always_the_numbers_after_the_last_acknowledgement(steps: list[str]) -> None:
    made = welcomed()
    posted = acked = now_ns = 0
    for step in steps:
        now_ns += NS_PER_S // 4
        if step == "post":
            posted = made.post(scan())
        elif step == "send":
            out = numbers(sent(made, now_ns))
            assert out == list(range(posted - len(out) + 1, posted + 1))
        elif step == "ack" and acked < posted:
            acked += 1
            hear(made, Ack(seq=acked), now_ns=now_ns)
        elif step == "connect":
            made.connected()
            sent(made, now_ns)
            hear(made, Welcome(plan=1, t_ns=1, seq=acked), now_ns=now_ns)
        elif step == "cut":
            made.disconnected()
        elif step == "gap":
            hear(made, Refuse(error="gap", seq=posted), now_ns=now_ns)
        elif step == "late":
            now_ns += ACK_NS
        assert made.unacknowledged == posted - acked
