"""A stream's telegrams do not depend on where the network cuts it, garbage is counted, and memory has an end."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.framing import TELEGRAM_BYTES_MAX, Framer, Kind, framer

CLOSED: list[Kind] = ["stx_etx", "cr", "lf", "crlf", "nul", "custom"]
KINDS: list[Kind] = [*CLOSED, "json", "idle"]
AROUND: dict[str, tuple[bytes, bytes]] = {
    "stx_etx": (b"\x02", b"\x03"),
    "cr": (b"", b"\r"),
    "lf": (b"", b"\n"),
    "crlf": (b"", b"\r\n"),
    "nul": (b"", b"\0"),
    "custom": (b"<<", b"##"),
    "json": (b"", b""),
    "idle": (b"", b""),
}
STANDING_MAX = TELEGRAM_BYTES_MAX + 1  # and one byte of an end of two

code = st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ-,;.", min_size=1, max_size=40).map(str.encode)
pieces = st.lists(st.integers(1, 12), max_size=60)
noise = st.lists(
    st.sampled_from(
        [b"\x02", b"\x03", b"\r", b"\n", b"\0", b"{", b"}", b'"', b"\\", b"<", b"<<", b"#", b"##", b"7", b" ", b"\xff"]
    )
    | st.binary(max_size=20)
    | st.integers(TELEGRAM_BYTES_MAX - 3, TELEGRAM_BYTES_MAX + 3).map(lambda count: b"9" * count),
    max_size=30,
).map(b"".join)


def made(kind: Kind) -> Framer:
    return framer(kind, b"<<", b"##") if kind == "custom" else framer(kind)


def good(kind: Kind) -> bytes:
    """A telegram's inside that every kind can carry."""
    return b'{"code": "7{3\\"\\\\}"}' if kind == "json" else b"73100112345678"


def closed(kind: Kind, body: bytes) -> bytes:
    start, end = AROUND[kind]
    return start + body + end


def fed(kind: Kind, segments: list[bytes]) -> tuple[list[bytes], int, int, bytes]:
    """Telegrams, dropped bytes, resyncs and what stands, after these segments."""
    stream = made(kind)
    telegrams = [telegram for segment in segments for telegram in stream.feed(segment)]
    return telegrams, stream.dropped_bytes, stream.resyncs, stream.standing


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    """The data in segments of these lengths, the rest in one."""
    segments, at = [], 0
    for length in lengths:
        segments.append(data[at : at + length])
        at += length
    return [*segments, data[at:]]


@given(st.sampled_from(KINDS), noise, pieces, st.integers(1, 5000))
@example("custom", b"<<" + b"9" * (TELEGRAM_BYTES_MAX + 1) + b"##", [], 1)
@example("stx_etx", b"\x02" + b"9" * (TELEGRAM_BYTES_MAX + 1) + b"\x03\x02A\x03", [1], 3)
@settings(max_examples=400, deadline=None)
def test_every_cut_of_a_stream_gives_the_same(kind: Kind, stream: bytes, lengths: list[int], length: int) -> None:
    whole = fed(kind, [stream])
    assert fed(kind, cut(stream, lengths)) == whole
    assert fed(kind, [stream[at : at + length] for at in range(0, len(stream), length)]) == whole
    assert fed(kind, [bytes([byte]) for byte in stream]) == whole


@given(st.sampled_from(CLOSED), st.lists(code, min_size=1, max_size=8), pieces)
@settings(deadline=None)
def test_what_is_sent_is_what_comes_out(kind: Kind, codes: list[bytes], lengths: list[int]) -> None:
    stream = b"".join(closed(kind, each) for each in codes)
    assert fed(kind, cut(stream, lengths)) == (codes, 0, 0, b"")


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=6),
            st.recursive(st.text(max_size=8) | st.integers(), lambda inner: st.lists(inner, max_size=3)),
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([b"", b"\r\n", b"\0", b", "]),
    pieces,
)
@settings(deadline=None)
def test_json_objects_need_nothing_between(values: list[dict[str, object]], between: bytes, lengths: list[int]) -> None:
    texts = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    assert fed("json", cut(between.join(texts), lengths)) == (texts, 0, 0, b"")


@given(st.sampled_from(KINDS), noise, noise)
@settings(max_examples=300, deadline=None)
def test_memory_has_an_end(kind: Kind, first: bytes, then: bytes) -> None:
    stream = made(kind)
    handed_on = 0
    for segment in (first, then, b"8" * 3 * TELEGRAM_BYTES_MAX, b"{" * 3 * TELEGRAM_BYTES_MAX, then):
        telegrams = stream.feed(segment)
        handed_on += sum(map(len, telegrams))
        assert max(map(len, telegrams), default=0) <= TELEGRAM_BYTES_MAX
        assert len(stream.standing) <= STANDING_MAX
    assert stream.dropped_bytes > TELEGRAM_BYTES_MAX
    assert (
        handed_on + stream.dropped_bytes + len(stream.standing) <= len(first) + 2 * len(then) + 6 * TELEGRAM_BYTES_MAX
    )


@given(st.sampled_from(KINDS), noise)
@settings(max_examples=300, deadline=None)
def test_after_garbage_and_a_silence_a_telegram_is_understood(kind: Kind, garbage: bytes) -> None:
    stream = made(kind)
    stream.feed(garbage)
    stream.idle()
    stream.give_up()
    told = (stream.dropped_bytes, stream.resyncs)
    body = good(kind)
    telegrams = [telegram for byte in closed(kind, body) for telegram in stream.feed(bytes([byte]))]
    assert [*telegrams, *stream.idle()] == [body]
    assert (stream.dropped_bytes, stream.resyncs) == told
    assert stream.standing == b""


@pytest.mark.parametrize("kind", CLOSED)
def test_after_a_telegram_too_long_the_next_one_counts(kind: Kind) -> None:
    stream = made(kind)
    assert stream.feed(closed(kind, b"9" * 1_000_000)) == []
    assert stream.resyncs == 1
    assert stream.dropped_bytes >= 1_000_000
    assert stream.feed(closed(kind, good(kind))) == [good(kind)]
    assert stream.resyncs == 1


@pytest.mark.parametrize("kind", CLOSED)
def test_the_longest_telegram_is_taken_and_one_byte_more_is_not(kind: Kind) -> None:
    longest = b"9" * TELEGRAM_BYTES_MAX
    assert fed(kind, [closed(kind, longest)])[0] == [longest]
    assert fed(kind, [closed(kind, longest + b"9")])[0] == []


@pytest.mark.parametrize("segment", [1, 7, 4096, 10_000])
def test_the_longest_object_is_taken_and_one_byte_more_is_not(segment: int) -> None:
    longest = b'{"code":"' + b"9" * (TELEGRAM_BYTES_MAX - 11) + b'"}'
    longer = longest.replace(b"}", b" }")
    stream = longer + longest + longer + b'{"code":"2"}'
    telegrams, dropped, resyncs, _ = fed("json", [stream[at : at + segment] for at in range(0, len(stream), segment)])
    assert telegrams == [longest, b'{"code":"2"}']
    assert (dropped, resyncs) == (2 * len(longer), 2)


def test_an_object_too_long_is_dropped_to_its_end_not_to_the_next_brace() -> None:
    inner = b'{"code":"1"},' * 1000
    stream = framer("json")
    assert stream.feed(b'{"codes":[' + inner + b'{}]}{"code":"2"}') == [b'{"code":"2"}']
    assert stream.resyncs == 1


def test_an_object_without_end_is_given_up_at_a_silence() -> None:
    stream = framer("json")
    assert stream.feed(b"{" + b'{"code":"1"}' * 1000) == []
    assert stream.idle() == []
    assert stream.feed(b'{"code":"2"}') == [b'{"code":"2"}']


def test_a_lost_quote_costs_no_more_than_its_line() -> None:
    stream = framer("json")
    assert stream.feed(b'{"code:"1"}\r\n{"code":"2"}\r\n') == [b'{"code":"2"}']
    assert (stream.resyncs, stream.dropped_bytes) == (1, 12)


@pytest.mark.parametrize(
    ("kind", "stream", "telegrams"),
    [
        ("cr", b"A\rB\r", [b"A", b"B"]),
        ("cr", b"A\r\nB\r\n", [b"A", b"B"]),
        ("cr", b"A\r\r\nB\r", [b"A", b"", b"B"]),
        ("lf", b"A\nB\r\n", [b"A", b"B"]),
        ("crlf", b"A\r\nB\rC\nD\r\n", [b"A", b"B\rC\nD"]),
        ("stx_etx", b"\x02A\r\n\x03\x02\x03", [b"A\r\n", b""]),
        ("nul", b"A\0B\0", [b"A", b"B"]),
        ("custom", b"<<A##<<B<C#D##", [b"A", b"B<C#D"]),
    ],
)
def test_ends_are_told_apart(kind: Kind, stream: bytes, telegrams: list[bytes]) -> None:
    assert fed(kind, [stream]) == (telegrams, 0, 0, b"")
    assert fed(kind, [bytes([byte]) for byte in stream]) == (telegrams, 0, 0, b"")


def test_bytes_before_a_start_are_counted() -> None:
    assert fed("stx_etx", [b"99999\x02A\x03777\x02B\x03"]) == ([b"A", b"B"], 8, 0, b"")


def test_a_start_inside_a_telegram_drops_what_was_cut_off() -> None:
    assert fed("stx_etx", [b"\x02731001\x02731002\x03"]) == ([b"731002"], 6, 1, b"")


def test_half_a_telegram_is_never_one_however_long_the_silence() -> None:
    for kind in CLOSED:
        stream = made(kind)
        start, end = AROUND[kind]
        assert stream.feed(start + b"7310") == []
        assert stream.idle() == []
        assert stream.standing == b"7310"
        assert stream.feed(b"01" + end) == [b"731001"]


def test_what_was_given_up_does_not_come_back() -> None:
    for kind in CLOSED:
        stream = made(kind)
        start, _end = AROUND[kind]
        stream.feed(start + b"7310")
        stream.give_up()
        assert (stream.standing, stream.resyncs, stream.dropped_bytes) == (b"", 1, 4)
        assert stream.feed(closed(kind, b"55")) == [b"55"]


def test_silence_ends_a_telegram_that_has_no_end() -> None:
    stream = framer("idle")
    assert stream.feed(b"7310") == []
    assert stream.feed(b"01") == []
    assert stream.idle() == [b"731001"]
    assert stream.idle() == []
    stream.feed(b"9" * 5000)
    assert stream.idle() == []
    assert stream.resyncs == 1
    stream.feed(b"2")
    assert stream.idle() == [b"2"]


@pytest.mark.parametrize(("start", "end"), [(b"<", b""), (b"", b""), (b"<x", b"x>")])
def test_what_cannot_close_a_telegram_is_refused(start: bytes, end: bytes) -> None:
    with pytest.raises(ValueError, match=r"needs an end|share a byte"):
        framer("custom", start, end)
