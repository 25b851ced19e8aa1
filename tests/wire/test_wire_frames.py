"""Frames: what is sent is what arrives, and whatever else arrives is Malformed with a sentence."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any, get_args

import msgpack  # type: ignore[import-untyped] # msgpack ships no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from sorter import limits
from sorter.records import ChuteState, Discharge
from sorter.wire import frames
from sorter.wire.frames import AnyMessage, Malformed

VECTORS = json.loads(Path(__file__).with_name("frames.json").read_text(encoding="utf-8"))
SCAN: dict[str, Any] = {"type": "scan", "seq": 7, "line": "L1", "item": 3, "codes": ["YT1234567890123"]}

texts = st.text(max_size=31)
numbers = st.integers(1, frames.INT64_MAX)
times = st.integers(0, frames.INT64_MAX)
items = st.integers(0, limits.ITEM_NUMBER_MAX)
chutes = st.integers(0, limits.CHUTE_NUMBER_MAX)
sides = st.floats(0, limits.SIZE_MAX_MM)

messages: st.SearchStrategy[AnyMessage] = st.one_of(
    st.builds(
        frames.Hello,
        role=st.sampled_from(["scanner", "plc"]),
        client=st.text(min_size=1, max_size=31),
        boot=st.integers(0, (1 << 64) - 1),
        line=texts,
        seq=numbers,
        t_ns=times,
    ),
    st.builds(frames.Welcome, plan=st.integers(0, 65535), t_ns=times, seq=st.none() | times),
    st.builds(frames.Item, seq=numbers, item=items, line=texts, induct=st.integers(0, 65535), t_ns=times),
    st.builds(
        frames.Scan,
        seq=numbers,
        item=items,
        line=texts,
        codes=st.lists(st.text(max_size=400), max_size=limits.CODES_PER_SCAN_MAX),
        weight_g=st.none() | st.floats(0, limits.WEIGHT_MAX_G),
        size_mm=st.none() | st.tuples(sides, sides, sides),
        induct=st.integers(0, 65535),
        lap=st.none() | st.integers(0, limits.LAPS_MAX),
        t_ns=times,
    ),
    st.builds(
        frames.Divert,
        line=texts,
        item=items,
        chute=chutes,
        alternate=st.none() | chutes,
        reason=texts,
        row=st.integers(0, 65535),
        plan=st.integers(0, 65535),
        deadline_ns=times,
    ),
    st.builds(
        frames.Discharge,
        seq=numbers,
        item=items,
        outcome=st.sampled_from(list(frames.OUTCOMES)),
        line=texts,
        chute=st.none() | chutes,
        t_ns=times,
    ),
    st.builds(
        frames.Chute,
        seq=numbers,
        chute=chutes,
        state=st.sampled_from(list(frames.CHUTE_STATES)),
        line=texts,
        t_ns=times,
    ),
    st.builds(frames.Alarm, alarm=st.sampled_from(list(frames.ALARM_CODES)), line=texts, count=items, t_ns=times),
    st.builds(frames.Ack, seq=times),
    st.builds(frames.Refuse, error=texts, detail=st.text(max_size=300), seq=st.none() | numbers),
    st.builds(frames.Ping, t_ns=times, seq=st.none() | numbers),
    st.builds(frames.Pong, t_ns=times),
    st.builds(
        frames.Command,
        id=times,
        verb=st.text(min_size=1, max_size=31),
        args=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-5, 5) | texts | st.lists(texts)),
    ),
    st.builds(frames.Reply, id=times, ok=st.booleans(), result=st.none() | texts, error=texts, detail=texts),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(messages, min_size=1, max_size=5))
def test_what_is_encoded_is_decoded(sent: list[AnyMessage]) -> None:
    frame = frames.encode(*sent)
    assert frames.decode(frame) == sent
    assert frames.decode(frames.join([frames.encode(message) for message in sent])) == sent
    plain = msgpack.unpackb(frame)
    kinds = [message["type"] for message in (plain if isinstance(plain, list) else [plain])]
    assert kinds == [type(message).__name__.lower() for message in sent]


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["name"])
def test_the_vectors_hold(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    decoded = frames.decode(frame)
    means = [{"type": type(message).__name__.lower()} | asdict(message) for message in decoded]
    assert json.loads(json.dumps(means)) == vector["means"]
    assert msgpack.unpackb(frame) == vector["map"]
    assert frames.decode(msgpack.packb(vector["map"])) == decoded


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda vector: vector["name"])
def test_the_malformed_vectors_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        frames.decode(bytes.fromhex(vector["hex"]))
    assert (caught.value.error, caught.value.seq) == (vector["error"], vector["seq"])
    assert vector["says"] in caught.value.detail


def test_every_type_has_a_vector() -> None:
    named = {message["type"] for vector in VECTORS["messages"] for message in vector["means"]}
    assert named == {kind.__name__.lower() for kind in get_args(AnyMessage)}


def test_the_words_are_those_of_the_records() -> None:
    assert {word.upper(): value for word, value in frames.OUTCOMES.items()} == {
        outcome.name: outcome.value for outcome in Discharge
    }
    reported = [state for state in ChuteState if state != ChuteState.LOCKED]
    assert {word.upper(): value for word, value in frames.CHUTE_STATES.items()} == {
        state.name: state.value for state in reported
    }
    assert set(get_args(frames.Outcome)) == set(frames.OUTCOMES)
    assert set(get_args(frames.StateWord)) == set(frames.CHUTE_STATES)
    assert set(get_args(frames.RoleWord)) == set(frames.ROLES)


def test_unknown_keys_are_ignored_and_absent_ones_have_a_meaning() -> None:
    [scan] = frames.decode(msgpack.packb({"type": "scan", "seq": 1, "item": 0, "colour": {"deep": [1, {"er": None}]}}))
    assert scan == frames.Scan(seq=1, item=0, line="", codes=[], weight_g=None, size_mm=None, induct=0, lap=None)
    [same] = frames.decode(msgpack.packb(SCAN | {"weight_g": None, "size_mm": None, "lap": None}))
    assert same == frames.Scan(seq=7, line="L1", item=3, codes=["YT1234567890123"])


def test_strange_codes_are_taken_as_they_came() -> None:
    codes = ["", "x" * 300, "\x00\x1d\x02AB\r\n", "运单"]
    [scan] = frames.decode(msgpack.packb(SCAN | {"codes": codes}))
    assert isinstance(scan, frames.Scan)
    assert scan.codes == codes


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("negative weight", {"weight_g": -5}, "malformed", "weight_g: negative"),
    ("nan weight", {"weight_g": float("nan")}, "malformed", "weight_g: negative or not a number"),
    ("endless weight", {"weight_g": float("inf")}, "malformed", "at most 262143"),
    ("huge weight", {"weight_g": 1e300}, "malformed", "weight_g"),
    ("weight of text", {"weight_g": "3kg"}, "malformed", "weight_g"),
    ("nan side", {"size_mm": [1, float("nan"), 2]}, "malformed", "size_mm[1]"),
    ("two sides", {"size_mm": [1, 2]}, "malformed", "[length, width, height]"),
    ("nine codes", {"codes": ["a"] * 9}, "malformed", "at most 8 texts"),
    ("code of bytes", {"codes": [b"\xff\xfe"]}, "malformed", "codes[0]"),
    ("negative item", {"item": -1}, "malformed", "item: "),
    ("item past 32 bits", {"item": 1 << 32}, "malformed", "0 to 4294967295"),
    ("item of text", {"item": "3"}, "malformed", "item"),
    ("true item", {"item": True}, "malformed", "item"),
    ("lap 251", {"lap": 251}, "malformed", "lap"),
    ("time before 1970", {"t_ns": -1}, "malformed", "t_ns"),
    ("time past 63 bits", {"t_ns": 1 << 63}, "malformed", "t_ns"),
    ("long line", {"line": "L" * 32}, "malformed", "line"),
    ("no item", {"item": None}, "malformed", "item"),
    ("unknown type", {"type": "shout"}, "unknown_type", "shout"),
    ("type of a number", {"type": 5}, "malformed", "type"),
]


@pytest.mark.parametrize(("change", "error", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said(change: dict[str, Any], error: str, says: str) -> None:
    with pytest.raises(Malformed) as alone:
        frames.decode(msgpack.packb(SCAN | change))
    assert (alone.value.error, alone.value.seq) == (error, 7)
    assert says in alone.value.detail
    with pytest.raises(Malformed) as among:
        frames.decode(msgpack.packb([SCAN, SCAN | {"seq": 8}, SCAN | {"seq": 9} | change, SCAN]))
    assert (among.value.error, among.value.seq) == (error, 9)
    assert "message 2 of 4" in among.value.detail
    assert "seq 9" in among.value.detail
    assert says in among.value.detail
    assert frames.decode(frames.encode(among.value.refuse()))


@pytest.mark.parametrize("seq", [0, -1, 1 << 63, "7", None])
def test_a_wrong_number_is_no_number(seq: object) -> None:
    with pytest.raises(Malformed, match="number messages 1, 2, 3") as caught:
        frames.decode(msgpack.packb(SCAN | {"seq": seq}))
    assert caught.value.seq is None


@pytest.mark.parametrize(
    ("frame", "error", "says"),
    [
        (b"", "malformed", "is empty"),
        (b"\x05", "malformed", "begins with byte 0x05"),
        (b"\xc1", "malformed", "0xc1"),
        (b"\x90", "malformed", "at least one message"),
        (b"\xdc\x00\x00", "malformed", "at least one message"),
        (b"\xdd\xff\xff\xff\xff", "too_many", "claims 4294967295 messages"),
        (b"\xdc\x10\x01", "too_many", "claims 4097"),
        (b"\xdc\x10\x00", "malformed", "truncated"),
        (b"\xdf\xff\xff\xff\xff", "malformed", "truncated"),
        (msgpack.packb(SCAN) + b"\0", "malformed", "trailing"),
        (msgpack.packb([SCAN]) + b"\0", "malformed", "trailing"),
        (msgpack.packb(SCAN)[:-1], "malformed", "truncated"),
        (msgpack.packb([SCAN, 5]), "malformed", "message 1 of 2"),
        (b"\x91" * 5000, "malformed", "nested too deep"),
        (b"\x82\xa4type\xa3ack\xa1z" + b"\x91" * 100_000, "malformed", "nested too deep"),
        (b"\x81\xa4type\xd9\xff", "malformed", "truncated"),
        (b"\x82\xa4type\xa3ack\xa3seq\xdb\xff\xff\xff\xff", "malformed", "truncated"),
        (msgpack.packb(SCAN).replace(b"L1", b"\xff1"), "malformed", "seq 7: a text is not UTF-8"),
        (b"\x80" * (limits.FRAME_BYTES_MAX + 1), "too_large", "1048577 bytes; the most is 1048576"),
        (msgpack.packb({"type": "x" * 9999}), "unknown_type", "…"),
    ],
)
def test_bytes_that_are_no_frame(frame: bytes, error: str, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        frames.decode(frame)
    assert caught.value.error == error
    assert says in caught.value.detail
    assert len(caught.value.detail) <= 300


def test_claimed_lengths_allocate_nothing() -> None:
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff"):
        bomb = b"\x84" + msgpack.packb(SCAN | {"codes": 0})[1:-1] + head
        with pytest.raises(Malformed):
            frames.decode(bomb)


def test_the_largest_frames_are_taken() -> None:
    frame = frames.encode(*[frames.Scan(seq=n + 1, item=n, line="L1") for n in range(limits.MESSAGES_PER_FRAME_MAX)])
    assert len(frames.decode(frame)) == limits.MESSAGES_PER_FRAME_MAX


def test_mutated_bytes_are_messages_or_malformed() -> None:
    chance = random.Random(2026)
    seeds = [bytes.fromhex(vector["hex"]) for vector in VECTORS["messages"]]
    taken = refused = 0
    for _ in range(30_000):
        frame = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(frame))
            match chance.randrange(4):
                case 0:
                    frame[at] = chance.randrange(256)
                case 1:
                    del frame[at:]
                    frame += b"\xc0"
                case 2:
                    frame[at:at] = chance.randbytes(chance.randint(1, 6))
                case _:
                    frame[at : at + 1] = chance.choice(seeds)[: chance.randint(1, 40)]
        try:
            messages = frames.decode(bytes(frame))
        except Malformed as error:
            refused += 1
            frames.decode(frames.encode(error.refuse()))
        else:
            taken += 1
            assert frames.decode(frames.encode(*messages)) == messages
    assert taken > 300
    assert refused > 10_000


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_malformed(frame: bytes) -> None:
    with contextlib.suppress(Malformed):
        frames.decode(frame)
