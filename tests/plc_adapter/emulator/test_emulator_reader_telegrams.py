"""Whatever a reader is set to, the adapter with the same settings understands what the emulated one sends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.emulator import telegrams
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.settings import JSON, MEASURES, Scanner, resolve
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Reading, read

MS = 1_000_000
NOW_NS = 1_794_344_400_000 * MS
CODES = st.lists(st.from_regex(r"[A-Z]{2}[0-9]{8,13}(-[0-9]{1,3})?", fullmatch=True), unique=True, max_size=8)
READINGS = st.builds(
    lambda codes, weight_g, size_mm, number, ms: Reading(
        tuple(codes), not codes, weight_g, size_mm, number, NOW_NS + ms * MS
    ),
    CODES,
    st.integers(0, 60_000),
    st.none() | st.tuples(*[st.integers(1, 2000)] * 3),
    st.integers(0, 2**32 - 1),
    st.integers(0, 86_400_000),
)
TEXT_FRAMES = st.sampled_from(
    [
        *({"framing": kind, "start": "", "end": ""} for kind in ("stx_etx", "cr", "lf", "crlf", "nul", "idle")),
        {"framing": "custom", "start": "\x1b", "end": "\r\n"},
        {"framing": "custom", "start": "", "end": ">>"},
    ]
)
OPTIONAL = ("id", "time", "weight", "volume", "status", "skip")


def scanner(**keys: Any) -> Scanner:
    return resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, **keys})


@st.composite
def text_scanners(draw: st.DrawFn) -> Scanner:
    named = ["code", *draw(st.lists(st.sampled_from(OPTIONAL), unique=True))]
    named += MEASURES if draw(st.booleans()) else ()
    delimiter = draw(st.sampled_from([",", ";", "|", "#", " : "]))
    return scanner(
        **draw(TEXT_FRAMES),
        template=delimiter.join(f"{{{field}}}" for field in draw(st.permutations(named))),
        **draw(meanings(separators=[",", ";", "\t", "\x1d", "/"])),
    )


@st.composite
def json_scanners(draw: st.DrawFn) -> Scanner:
    named = ["code", *draw(st.lists(st.sampled_from(["id", "time", "weight", "status", "kind"]), unique=True))]
    named += MEASURES if draw(st.booleans()) else ()
    outer = draw(st.sampled_from(["", "data.", "data.parcel."]))
    frame = draw(TEXT_FRAMES | st.just({"framing": "json"}))
    return scanner(
        **frame,
        template=JSON,
        fields={field: f"{outer}x{field}" for field in named},
        **draw(meanings(separators=[","])),
    )


def meanings(separators: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """What telegrams mean; every reader that is made has a word for a parcel without code."""
    return st.fixed_dictionaries(
        {
            "separators": st.permutations(separators),
            "prefixes": st.sampled_from([[], ["W="], ["B", "BA"]]),
            "no_read": st.sampled_from([["noread"], ["?", "ERR"], ["\x18"]]),
            "empty_is_no_read": st.booleans(),
            "weight_unit": st.sampled_from(["g", "kg"]),
            "length_unit": st.sampled_from(["mm", "cm"]),
        }
    )


def preset_scanners() -> st.SearchStrategy[Scanner]:
    return st.sampled_from(sorted(PRESETS)).map(lambda maker: scanner(maker=maker))


def carried(reading: Reading, by: Scanner) -> Reading:
    """What of a reading a telegram of these settings has room for."""
    fields = telegrams.fields_of(by)
    return reading._replace(
        codes=reading.codes[: telegrams.codes_max(by)],
        weight_g=reading.weight_g if "weight" in fields else 0,
        size_mm=reading.size_mm if "length" in fields else None,
        id=reading.id if "id" in fields else None,
        time_ns=reading.time_ns if "time" in fields else None,
    )


def heard(stream: bytes, by: Scanner) -> list[Reading | Heartbeat | Nonsense]:
    """What the adapter makes of a stream after which the reader is silent."""
    framer = by.framer()
    telegrams_ = [*framer.feed(stream), *framer.idle()]
    assert (framer.dropped_bytes, framer.standing) == (0, b"")
    return [read(telegram, by) for telegram in telegrams_]


@given(by=preset_scanners() | text_scanners() | json_scanners(), readings=st.lists(READINGS, min_size=1, max_size=3))
def test_what_a_reader_sends_is_understood_as_it_was_meant(by: Scanner, readings: list[Reading]) -> None:
    readings = [carried(reading, by) for reading in readings[: 1 if by.framing == "idle" else 3]]
    stream = b"".join(telegrams.write(reading, by) for reading in readings)
    assert heard(stream, by) == readings


@pytest.mark.parametrize(
    ("maker", "keys", "codes", "sent"),
    [
        ("sick", {}, ("731001", "731002"), b"\x02731001,731002\x03"),
        ("sick", {"no_read": ["NR"]}, (), b"\x02NR\x03"),
        ("keyence", {"template": "{id}:{code}"}, ("731001",), b"7:731001\r"),
        ("dws", {"weight_unit": "kg"}, ("731001",), b"731001,1.005,300,200,100,0,1794344400000\n"),
        ("dws", {}, (), b",1005,300,200,100,0,1794344400000\n"),
        ("dws_json", {"fields": {"weight": "", "time": ""}}, ("731001",), None),
        ("hikrobot", {}, (), b'{"code":[],"read":"noread","type":"1001","reqTime":"1794344400000"}'),
        ("generic", {"separators": []}, ("731001",), b"731001\r"),
    ],
)
def test_a_telegram_looks_as_its_maker_writes_it(
    maker: str, keys: dict[str, Any], codes: tuple[str, ...], sent: bytes | None
) -> None:
    said = telegrams.write(Reading(codes, not codes, 1005, (300, 200, 100), 7, NOW_NS), scanner(maker=maker, **keys))
    assert said == (sent or b'{"barcode":"731001","length":300,"width":200,"height":100}')


def test_a_reader_without_a_word_for_no_code_says_nothing() -> None:
    assert telegrams.write(Reading((), unread=True), scanner(no_read=[])) == b""


def test_two_codes_need_something_between_them() -> None:
    assert telegrams.codes_max(scanner(separators=[])) == 1
    assert telegrams.codes_max(scanner(template="{code},{weight}", separators=[","])) == 1
    assert telegrams.codes_max(scanner(separators=["\r"])) == 1
    assert telegrams.codes_max(scanner(separators=["\r", ";"])) == 8
    assert telegrams.codes_max(scanner(maker="hikrobot", separators=[])) == 8


@pytest.mark.parametrize(
    ("keys", "stream"),
    [
        ({"maker": "hikrobot"}, b'{"type":9000}'),
        ({"maker": "datalogic", "heartbeats": ["ALIVE"]}, b"ALIVE\r\n"),
        ({"maker": "sick", "heartbeats": ["HB*", "alive"]}, b"\x02alive\x03"),
    ],
)
def test_a_heartbeat_is_understood(keys: dict[str, Any], stream: bytes) -> None:
    by = scanner(**keys)
    assert telegrams.heartbeat(by) == stream
    (said,) = heard(stream, by)
    assert isinstance(said, Heartbeat)


def test_keyence_alone_answers_commands_and_has_no_heartbeat() -> None:
    by = scanner(maker="keyence")
    assert telegrams.heartbeat(by) == b""
    assert heard(telegrams.answer(b"LON", by), by) == [Heartbeat("OK,LON")]
    assert [maker for maker in PRESETS if telegrams.answer(b"LON", scanner(maker=maker))] == ["keyence"]
