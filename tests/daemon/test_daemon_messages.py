"""Whatever a device sends gets a clear answer, and who it is decides what it may say."""

from typing import Any

import msgspec
import pytest

from sorter import limits
from sorter.core.state import digest
from sorter.records import Role
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
    Refuse,
    Reply,
    Scan,
    Welcome,
)
from sorter.wire.keys import Key
from tests.daemon.stepped_hub import DESK, GOOD, PLC, SCANNER, Hub, only


def raw(**keys: Any) -> bytes:
    return msgspec.msgpack.encode(keys)


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
