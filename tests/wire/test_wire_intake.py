"""Intake: each message becomes the row that a slow, obvious twin writes; what may not be said changes nothing."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.reasons import READERS
from sorter.records import EVENT, NONE_8, NONE_16, AdviceFlag, Kind, Role, Verb, code_row
from sorter.wire import frames
from sorter.wire.frames import Alarm, Chute, Discharge, Hello, Item, Ping, Refuse, Scan
from sorter.wire.intake import Intake
from tests.wire.hub import NAMES

CLIENT, T_NS, AGE_US = 7, 1_762_808_400_000_000_000, 1500
LINES = {"": 0, "L1": 0}

codes = st.lists(st.text(max_size=300), max_size=limits.CODES_PER_SCAN_MAX)
sides = st.floats(0, limits.SIZE_MAX_MM)
scans = st.builds(
    Scan,
    seq=st.integers(1, frames.INT64_MAX),
    item=st.integers(0, limits.ITEM_NUMBER_MAX),
    line=st.sampled_from(list(LINES)),
    codes=codes,
    weight_g=st.none() | st.floats(0, limits.WEIGHT_MAX_G),
    size_mm=st.none() | st.tuples(sides, sides, sides),
    induct=st.integers(0, 65535),
    lap=st.none() | st.integers(0, limits.LAPS_MAX),
)


def intake() -> Intake:
    return Intake(NAMES)


def twin(kind: Kind, **fields: Any) -> np.ndarray[Any, Any]:
    row = np.zeros((), EVENT)
    row["kind"], row["t_ns"], row["client"], row["age_us"] = kind, T_NS, CLIENT, AGE_US
    for name, value in fields.items():
        row[name] = value
    return row


def taken(message: frames.AnyMessage, role: Role = Role.PLC, line: int | None = 0) -> np.ndarray[Any, Any]:
    into = intake()
    assert into.take(message, CLIENT, role, line, T_NS, AGE_US) is None
    [row] = into.batch().events
    return np.array(row)


def refused(message: frames.AnyMessage, role: Role, line: int | None = 0) -> Refuse:
    """The refusal, having seen that nothing but the number went into the batch."""
    into = intake()
    refuse = into.take(message, CLIENT, role, line, T_NS, AGE_US)
    assert refuse is not None
    events, rows = into.batch()
    seq = getattr(message, "seq", None)
    if isinstance(message, frames.NUMBERED):
        assert refuse.seq == seq
        assert events.tolist() == [twin(Kind.TICK, seq=seq, line=NONE_8, age_us=0).item()]
    else:
        assert len(events) == 0
    assert len(rows) == 0
    assert frames.decode(frames.encode(refuse)) == [refuse]
    return refuse


def half_up(value: float) -> int:
    return int(np.floor(value + 0.5))


@settings(max_examples=200, deadline=None)
@given(st.lists(scans, min_size=1, max_size=6))
def test_scans_become_the_rows_of_the_twin(messages: list[Scan]) -> None:
    into = intake()
    rows: list[bytes] = []
    expected = []
    for message in messages:
        assert into.take(message, CLIENT, Role.SCANNER, 0, T_NS, AGE_US) is None
        mine = [code_row(code.encode()) for code in message.codes if code]
        length, width, height = sorted((half_up(side) for side in message.size_mm or (0, 0, 0)), reverse=True)
        expected.append(
            twin(
                Kind.SCAN,
                seq=message.seq,
                item=message.item,
                code_at=len(rows),
                code_count=len(mine),
                weight_g=half_up(message.weight_g or 0),
                induct=message.induct,
                length_mm=length,
                width_mm=width,
                height_mm=height,
                line=0,
                lap=NONE_8 if message.lap is None else message.lap,
            ).item()
        )
        rows += mine
    batch = into.batch()
    assert batch.events.tolist() == expected
    assert [row.tobytes() for row in batch.codes] == rows


def test_what_a_plc_says_becomes_rows() -> None:
    for line in ("", "L1"):
        item = twin(Kind.ITEM, seq=4, item=9, induct=3, chute=NONE_16, line=0)
        assert taken(Item(seq=4, item=9, induct=3, line=line)) == item
    for outcome, value in frames.OUTCOMES.items():
        discharge = twin(Kind.DISCHARGE, seq=5, item=9, chute=1, value=value, line=0)
        assert taken(Discharge(seq=5, item=9, chute=102, outcome=outcome)) == discharge
    lost = twin(Kind.DISCHARGE, seq=5, item=9, chute=NONE_16, value=2, line=0)
    assert taken(Discharge(seq=5, item=9, outcome="lost")) == lost
    for state, value in frames.CHUTE_STATES.items():
        chute = twin(Kind.CHUTE, seq=6, chute=2, value=value, line=1)
        assert taken(Chute(seq=6, chute=201, state=state), line=1) == chute


def test_alarms_become_rows_that_have_no_number() -> None:
    for word, value in frames.ALARM_CODES.items():
        role = Role.SCANNER if value in READERS else Role.PLC
        row = twin(Kind.ALARM, item=3, chute=NONE_16, value=int(value), line=1)
        assert taken(Alarm(alarm=word, count=3, line="L2"), role, line=1) == row  # type: ignore[arg-type] # a key is a word
        assert taken(Alarm(alarm=word, count=3), role, line=1) == row  # type: ignore[arg-type] # a key is a word


def test_a_client_of_no_line_names_one() -> None:
    for anywhere in (None, NONE_8):
        assert taken(Item(seq=1, item=1, line="L2"), line=anywhere)["line"] == 1
        assert taken(Scan(seq=1, item=1, line="L2"), Role.SCANNER, line=anywhere)["line"] == 1
        for message, role in ((Item(seq=1, item=1), Role.PLC), (Scan(seq=1, item=1), Role.SCANNER)):
            refuse = refused(message, role, line=anywhere)
            assert (refuse.error, refuse.detail) == ("unknown_line", "say which line: one of L1, L2")


def test_an_empty_message_uses_up_its_number() -> None:
    row = twin(Kind.TICK, seq=8, line=NONE_8, age_us=0)
    assert taken(Ping(seq=8)) == row
    into = intake()
    assert into.take(Ping(t_ns=5), CLIENT, Role.PLC, 0, T_NS, 0) is None
    assert len(into.batch().events) == 0


@pytest.mark.parametrize(
    ("message", "role", "says"),
    [
        (Discharge(seq=3, item=1, outcome="lost"), Role.SCANNER, "a scanner may not say discharge"),
        (
            Item(seq=3, item=1),
            Role.SCANNER,
            "a scanner may not say item; a scanner says scan, alarms of readers and ping",
        ),
        (Chute(seq=3, chute=101, state="open"), Role.SCANNER, "a scanner may not say chute"),
        (Scan(seq=3, item=1), Role.PLC, "a plc may not say scan; a plc says item, discharge, chute"),
        (Scan(seq=3, item=1), Role.CONTROL, "commands go to the control address"),
        (frames.Command(id=3, verb="chute.lock"), Role.SCANNER, "a scanner may not say command"),
        (frames.Command(id=3, verb="chute.lock"), Role.PLC, "a plc may not say command"),
        (frames.Divert(line="L1", item=1, chute=101, reason="planned"), Role.SCANNER, "may not say divert"),
        (frames.Divert(line="L1", item=1, chute=101, reason="planned"), Role.PLC, "may not say divert"),
        (frames.Ack(seq=3), Role.PLC, "a plc may not say ack"),
        (Alarm(alarm="plc_away"), Role.SCANNER, "a scanner may not say alarm; a scanner says scan, alarms of readers"),
        (Alarm(alarm="unpaired"), Role.PLC, "a plc may not say alarm"),
        (Alarm(alarm="plc_away"), Role.CONTROL, "commands go to the control address"),
        (frames.Welcome(plan=1, t_ns=1), Role.SCANNER, "may not say welcome"),
    ],
)
def test_a_role_says_its_own_words_only(message: frames.AnyMessage, role: Role, says: str) -> None:
    refuse = refused(message, role)
    assert refuse.error == "wrong_role"
    assert says in refuse.detail


@pytest.mark.parametrize(
    ("message", "role", "error", "says"),
    [
        (
            Scan(seq=3, item=1, line="L9", codes=["A"]),
            Role.SCANNER,
            "unknown_line",
            'no line "L9"; its lines are L1, L2',
        ),
        (Item(seq=3, item=1, line="L9"), Role.PLC, "unknown_line", 'no line "L9"'),
        (Scan(seq=3, item=1, line="L2", codes=["A"]), Role.SCANNER, "wrong_line", "hello for line L1"),
        (Item(seq=3, item=1, line="L2"), Role.PLC, "wrong_line", 'line "L2" needs a client of its own'),
        (Alarm(alarm="plc_away", line="L2"), Role.PLC, "wrong_line", 'line "L2" needs a client of its own'),
        (Alarm(alarm="unpaired", line="L9"), Role.SCANNER, "unknown_line", 'no line "L9"'),
        (Chute(seq=3, chute=999, state="open"), Role.PLC, "unknown_chute", "chute 999 is not in the sort plan"),
        (Discharge(seq=3, item=1, chute=999, outcome="dropped"), Role.PLC, "unknown_chute", "table chutes"),
        (Discharge(seq=3, item=1, outcome="dropped"), Role.PLC, "unknown_chute", "where? give chute"),
    ],
)
def test_what_the_plan_does_not_have_is_refused(message: frames.AnyMessage, role: Role, error: str, says: str) -> None:
    refuse = refused(message, role)
    assert refuse.error == error
    assert says in refuse.detail


def test_hello_registers_with_its_name_as_code() -> None:
    into = intake()
    hello = Hello(role="plc", client="输送线-1", boot=(1 << 64) - 1, line="L2", seq=41)
    assert into.hello(hello, CLIENT, T_NS) is None
    [row] = into.batch().events
    expected = twin(Kind.HELLO, seq=41, boot=(1 << 64) - 1, line=1, value=Role.PLC, code_count=1, age_us=0, lap=NONE_8)
    assert row == expected
    assert into.batch().codes[0].tobytes() == code_row("输送线-1".encode())
    assert into.hello(Hello(role="scanner", client="s", boot=1), CLIENT, T_NS) is None
    assert into.batch().events[1]["line"] == NONE_8
    assert into.batch().events[1]["code_at"] == 1


@pytest.mark.parametrize(
    ("hello", "error", "says"),
    [
        (Hello(role="plc", client="p", boot=1), "unknown_line", "say which line: one of L1, L2"),
        (Hello(role="plc", client="p", boot=1, line="L9"), "unknown_line", 'no line "L9"'),
        (Hello(role="scanner", client="s", boot=1, line="L9"), "unknown_line", 'no line "L9"'),
        (Hello(role="scanner", client="扫" * 11, boot=1), "bad_name", "has 33 bytes; the most is 31"),
    ],
)
def test_a_wrong_hello_is_refused(hello: Hello, error: str, says: str) -> None:
    into = intake()
    refuse = into.hello(hello, CLIENT, T_NS)
    assert refuse is not None
    assert refuse.error == error
    assert says in refuse.detail
    assert len(into.batch().events) == 0


def test_advices_by_word_and_by_index() -> None:
    into = intake()
    assert into.advice(["YT1", "yto", "S3", "cold", 1, 700, AdviceFlag.CANCELLED], T_NS) is None
    assert into.advice(("YT1", 1, 2, 1, 1, 700, 1), T_NS) is None
    first, second = into.batch().events
    expected = twin(
        Kind.ADVICE, client=0, age_us=0, carrier=1, station=2, service=1, flow=1, weight_g=700, value=1, code_count=1,
        line=NONE_8, lap=NONE_8,
    )  # fmt: skip
    assert first == expected
    second["code_at"] = 0
    assert first == second
    assert [row.tobytes() for row in into.batch().codes] == [code_row(b"YT1")] * 2


@pytest.mark.parametrize(
    ("row", "error", "says"),
    [
        (["YT1", "dhl", 0, 0, 0, 0, 0], "unknown_carrier", "carrier 'dhl' is not in the sort plan"),
        (["YT1", 0, "S9", 0, 0, 0, 0], "unknown_station", "station 'S9' is not in the sort plan"),
        (["YT1", 0, 3, 0, 0, 0, 0], "unknown_station", "station 3"),
        (["YT1", 0, -1, 0, 0, 0, 0], "unknown_station", "station -1"),
        (["YT1", 0, 1.0, 0, 0, 0, 0], "unknown_station", "station 1.0"),
        (["YT1", 0, None, 0, 0, 0, 0], "unknown_station", "station None"),
        (["YT1", 0, 0, True, 0, 0, 0], "unknown_service", "service True"),
        (["YT1", 0, 0, 0, 2, 0, 0], "bad_advice", "flow is 2; give a whole number from 0 to 1"),
        (["YT1", 0, 0, 0, 0, -1, 0], "bad_advice", "weight_g is -1"),
        (["YT1", 0, 0, 0, 0, float("nan"), 0], "bad_advice", "weight_g is nan"),
        (["YT1", 0, 0, 0, 0, 0, 2], "bad_advice", "flags is 2"),
        (["YT1", 0, 0], "bad_advice", "an advice is [waybill, carrier"),
        ([17, 0, 0, 0, 0, 0, 0], "bad_advice", "the waybill as text"),
        (["", 0, 0, 0, 0, 0, 0], "bad_advice", "the waybill as text"),
        ([], "bad_advice", "this one is []"),
    ],
)
def test_a_wrong_advice_is_refused(row: list[Any], error: str, says: str) -> None:
    into = intake()
    refuse = into.advice(row, T_NS)
    assert refuse is not None
    assert refuse.error == error
    assert says in refuse.detail
    assert len(into.batch().events) == 0


def test_commands_become_rows_with_who_gave_them() -> None:
    into = intake()
    assert into.command(Verb.LOCK, T_NS, chute=102, who="王") is None
    assert into.command(Verb.TRIP_SEND, T_NS, lane="bus2", who="王") is None
    assert into.command(Verb.INTERCEPT_ADD, T_NS, waybill="YT1", who="王") is None
    lock, send, intercept = into.batch().events
    assert (lock["value"], lock["chute"], lock["station"], lock["code_count"]) == (Verb.LOCK, 1, NONE_16, 2)
    assert (send["value"], send["chute"], send["station"]) == (Verb.TRIP_SEND, NONE_16, 1)
    assert (intercept["value"], intercept["code_at"]) == (Verb.INTERCEPT_ADD, 4)
    rows = [row.tobytes() for row in into.batch().codes]
    assert rows == [code_row(text) for text in (b"", "王".encode(), b"", "王".encode(), b"YT1", "王".encode())]


@pytest.mark.parametrize(
    ("verb", "args", "error", "says"),
    [
        (Verb.LOCK, {"chute": 999}, "unknown_chute", "chute 999"),
        (Verb.UNLOCK, {}, "unknown_chute", "chute None"),
        (Verb.TRIP_SEND, {"lane": "bus9"}, "unknown_lane", 'lane "bus9"'),
        (Verb.INTERCEPT_ADD, {}, "bad_command", "intercept add needs a waybill"),
    ],
)
def test_a_wrong_command_is_refused(verb: Verb, args: dict[str, Any], error: str, says: str) -> None:
    into = intake()
    refuse = into.command(verb, T_NS, **args)
    assert refuse is not None
    assert refuse.error == error
    assert says in refuse.detail
    assert len(into.batch().events) == 0


def test_the_daemon_writes_its_own_rows() -> None:
    into = intake()
    into.plan(3, T_NS)
    into.start(T_NS)
    into.tick(T_NS + 1)
    events = into.batch().events
    assert events["kind"].tolist() == [Kind.PLAN, Kind.START, Kind.TICK]
    assert events["chute"].tolist() == [3, 0, 0]
    assert events["t_ns"].tolist() == [T_NS, T_NS, T_NS + 1]


def test_room_is_enough_for_what_it_promises() -> None:
    into = intake()
    fat = Scan(seq=1, item=1, codes=["A"] * limits.CODES_PER_SCAN_MAX)
    assert into.room() >= limits.MESSAGES_PER_FRAME_MAX
    while into.room():
        assert into.take(fat, CLIENT, Role.SCANNER, 0, T_NS, 0) is None
    assert len(into.batch().codes) == limits.BATCH_CODES_MAX
    before = len(into.batch().events)
    with pytest.raises(struct.error):
        into.take(fat, CLIENT, Role.SCANNER, 0, T_NS, 0)
    assert len(into.batch().events) == before
    into.clear()
    assert into.room() >= limits.MESSAGES_PER_FRAME_MAX
    assert [len(part) for part in into.batch()] == [0, 0]
    while into.room():
        into.tick(T_NS)
    assert len(into.batch().events) == limits.BATCH_EVENTS_MAX


def test_what_an_earlier_batch_left_does_not_show() -> None:
    into = intake()
    full = Scan(seq=1, item=1, codes=["B" * 31], weight_g=5, size_mm=(3, 2, 1), induct=4, lap=2)
    into.take(full, CLIENT, Role.SCANNER, 0, T_NS, 9)
    into.clear()
    into.take(Item(seq=2, item=2), CLIENT, Role.PLC, 0, T_NS, AGE_US)
    into.take(Scan(seq=3, item=3, codes=["A"]), CLIENT, Role.SCANNER, 0, T_NS, AGE_US)
    first, second = into.batch().events
    assert first == twin(Kind.ITEM, seq=2, item=2, chute=NONE_16, line=0)
    assert second == twin(Kind.SCAN, seq=3, item=3, code_count=1, lap=NONE_8, line=0)
    assert into.batch().codes[0].tobytes() == code_row(b"A")


def test_new_names_hold_from_then_on() -> None:
    into = intake()
    late = Chute(seq=1, chute=301, state="full")
    assert into.take(late, CLIENT, Role.PLC, 0, T_NS, 0) is not None
    into.rename(NAMES._replace(chutes=(*NAMES.chutes, 301)))
    assert into.take(late, CLIENT, Role.PLC, 0, T_NS, 0) is None
    assert into.batch().events[1]["chute"] == 3
