"""Bytes that end no telegram are told with the framing they are of, and what was told never becomes a telegram."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.scanner.framing import Kind, framer
from plc_adapter.scanner.unended import GUESSED, GUESSED_BYTES_MAX, KEPT_BYTES_MAX, Unended, guess

FRAMES: dict[Kind, tuple[bytes, bytes]] = {
    "stx_etx": (b"\x02", b"\x03"),
    "json": (b'{"code":"', b'"}'),
    "crlf": (b"", b"\r\n"),
    "cr": (b"", b"\r"),
    "lf": (b"", b"\n"),
    "nul": (b"", b"\0"),
}
bodies = st.lists(
    st.text("0123456789ABCXYZ,;.- ", min_size=1).filter(str.strip).map(str.encode), min_size=1, max_size=5
)
kinds = st.sampled_from(GUESSED)


def framed(kind: Kind, telegrams: list[bytes]) -> bytes:
    start, end = FRAMES[kind]
    return b"".join(start + body + end for body in telegrams)


@given(kind=kinds, telegrams=bodies)
def test_whole_telegrams_are_known_by_their_frame(kind: Kind, telegrams: list[bytes]) -> None:
    assert guess(framed(kind, telegrams)) == kind


@given(kind=kinds, telegrams=bodies, data=st.data())
def test_where_one_is_cut_off_the_next_tells_the_frame(kind: Kind, telegrams: list[bytes], data: st.DataObject) -> None:
    stream = framed(kind, telegrams)
    cut = data.draw(st.integers(1, len(stream) - 1))
    assert guess(stream[cut:] + stream) == kind


@given(st.binary() | st.lists(st.sampled_from([b"\x02", b"\x03", b"\r", b"\n", b"\0", b"{", b"}", b"7"])).map(b"".join))
def test_a_framing_that_is_named_gives_telegrams_of_these_bytes(data: bytes) -> None:
    kind = guess(data)
    assert kind is None or framer(kind).feed(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", None),
        (b"\r\n\r\n", None),
        (b"7310", None),
        (b"<7310>", None),
        (b"\x16\x03\x01\x00\xc8\x01\x00\x00\r\n\x00", None),  # as TLS begins
        (b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00", None),  # as Modbus TCP does
        (b"\x02JT1\r\n\x03", "stx_etx"),
        (b"\x02JT1\r\n", "crlf"),
        (b'{"a":1}\r\n', "json"),
        ("申通,1\n".encode("gb18030"), "lf"),
    ],
)
def test_what_bytes_look_like(data: bytes, kind: Kind | None) -> None:
    assert guess(data) == kind


@given(kind=kinds, telegrams=bodies, lengths=st.lists(st.integers(1, 12), max_size=40))
def test_a_telegram_is_kept_as_it_came_however_it_is_cut(
    kind: Kind, telegrams: list[bytes], lengths: list[int]
) -> None:
    """All that came is shown once: the telegrams as they came are the stream."""
    stream, framing, came = framed(kind, telegrams), framer(kind), Unended(kind, FRAMES[kind][1])
    shown, at = [], 0
    for length in [*lengths, len(stream)]:
        data = stream[at : at + length]
        at += length
        came.came(data, 0.0)
        for telegram in framing.feed(data):
            came.ended(telegram)
            shown.append(came.last)
    assert len(shown) == len(telegrams)
    assert b"".join(shown) + came.begins == stream
    assert came.begins.strip(b"\r\n") == b""


def test_a_custom_end_belongs_to_its_telegram() -> None:
    came = Unended("custom", b"##")
    came.came(b"x<<A##<<B##<<", 5.0)
    came.ended(b"A")
    assert came.last == b"x<<A##"
    came.ended(b"B")
    assert (came.last, came.begins, came.count, came.waited_s(7.0)) == (b"<<B##", b"<<", 2, 2.0)


def test_a_line_end_after_the_frame_belongs_to_its_telegram() -> None:
    came = Unended("stx_etx", b"\x03")
    came.came(b"\x02A\x03\r\n\x02B", 0.0)
    came.ended(b"A")
    assert (came.last, came.begins) == (b"\x02A\x03\r\n", b"\x02B")


def test_bytes_wait_from_the_first_that_means_something() -> None:
    came = Unended("cr")
    came.came(b"\n\0 ", 1.0)
    assert came.waited_s(9.0) == 0.0
    came.came(b"7", 10.0)
    came.came(b"7", 12.0)
    assert came.waited_s(13.0) == 3.0
    came.ended(b"77")
    assert came.waited_s(13.0) == 0.0


def test_what_is_kept_has_an_end_and_all_is_counted() -> None:
    came = Unended("stx_etx", b"\x03")
    for _ in range(300):
        came.came(b"\r" * 4096, 0.0)
    assert (came.count, len(came.begins)) == (300 * 4096, KEPT_BYTES_MAX)
    came.forget()
    assert (came.count, came.begins) == (0, b"")
    came.came(b"7" * 3 * KEPT_BYTES_MAX, 1.0)
    came.ended(b"none of these")
    assert (came.last, came.count) == (b"none of these", 0)
    came.came(b"", 2.0)
    came.ended(b"A")
    assert came.last == b"A"


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("crlf", b"\x02A\x03", '3 bytes and no end of framing "crlf"; they look like framing = "stx_etx"'),
        ("crlf", b"<A>", '3 bytes and no end of framing "crlf"; have the reader end a telegram with CR, or write'),
        ("stx_etx", b"\x02A\x03", '3 bytes and no end of framing "stx_etx"'),
        ("stx_etx", b"\r\n\x02A", '4 bytes and no end of framing "stx_etx"; a telegram broke off'),
        ("json", b'{"a', '3 bytes and no end of framing "json"; a telegram broke off'),
    ],
)
def test_the_words_say_what_to_write_and_show_no_code(kind: Kind, data: bytes, words: str) -> None:
    came = Unended(kind)
    came.came(data, 0.0)
    assert came.words.startswith(words)
    assert "look" not in came.words or kind == "crlf"


def test_after_a_telegram_of_the_framing_another_broke_off() -> None:
    came = Unended("crlf", b"\r\n")
    came.came(b"\r\n<A", 0.0)
    came.ended(b"")
    assert "have the reader end" in came.words
    came.came(b">\r\n<B", 1.0)
    came.ended(b"<A>")
    assert "a telegram broke off" in came.words


def test_a_site_s_own_start_begins_a_telegram() -> None:
    came = Unended("custom", b">", b"<")
    came.came(b"<A", 0.0)
    assert "a telegram broke off" in came.words


def test_what_was_told_is_no_part_of_the_telegram_that_it_begins() -> None:
    came = Unended("cr", b"\r")
    came.came(b"73", 0.0)
    came.forget()
    came.came(b"10\r", 1.0)
    came.ended(b"7310")
    assert came.last == b"7310"


def test_the_first_bytes_tell_the_framing_and_more_that_trickle_in_are_not_looked_at() -> None:
    came = Unended("crlf", b"\r\n")
    came.came(b"\x02A\x03" * GUESSED_BYTES_MAX, 0.0)
    guess.cache_clear()
    for _ in range(20):
        assert came.looks_like == "stx_etx"
        came.came(b"\x02", 0.0)
    assert guess.cache_info().misses == 1
