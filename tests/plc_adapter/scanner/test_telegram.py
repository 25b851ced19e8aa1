"""What a telegram says is read as it stands; what does not fit is nonsense with a reason, and nothing raises."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.framing import TELEGRAM_BYTES_MAX
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.settings import Scanner, resolve
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Reading, Units, read
from sorter import limits
from sorter.wire import frames

DWS = "{code},{weight},{length},{width},{height},{volume},{time},{id}"
NESTED = {"code": "data.codes.text", "weight": "data.weight", "status": "state", "kind": "type", "id": "trigger"}


def scanner(**site: Any) -> Scanner:
    return resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, **site})


PLAIN = scanner()
BOX = scanner(template=DWS)
JSON = scanner(framing="json", template="json", fields=NESTED, heartbeats=["9000"])
ALL = [scanner(maker=maker) for maker in PRESETS] + [PLAIN, BOX, JSON]


def reading(telegram: bytes | str, reader: Scanner = PLAIN, units: Units | None = None) -> Reading:
    said = read(telegram.encode() if isinstance(telegram, str) else telegram, reader, units)
    assert isinstance(said, Reading), said
    return said


def words(telegram: bytes | str, reader: Scanner = PLAIN) -> str:
    said = read(telegram.encode() if isinstance(telegram, str) else telegram, reader)
    assert isinstance(said, Nonsense), said
    return said.words


@pytest.mark.parametrize(
    ("telegram", "codes"),
    [
        (b"731001", ["731001"]),
        (b" 731001 \r\n", ["731001"]),
        (b"\x02731001\x03", ["731001"]),
        (b"\0\x007\x003\x001\0", ["731"]),
        (b"jt001-a", ["JT001-A"]),
        (b"]C0jt001", ["JT001"]),
        (b"]C1\x1d00123", ["00123"]),
        (b"A\x1dB", ["A", "B"]),
        (b"A;B|C\tD,E\r\nF", ["A", "B", "C", "D", "E", "F"]),
        (b"A;A;B;a", ["A", "B"]),
        (b";A;;", ["A"]),
        ("ＪＴ００１".encode(), ["JT001"]),
        ("\ufeff731001".encode(), ["731001"]),
        ("73\u00b2001".encode(), ["73\u00b2001"]),
        ("stra\u00dfe".encode(), ["STRA\u00dfE"]),
        (b"100137", ["100137"]),
        (b"7310", ["7310"]),
        (b"NoRead;731001;ERROR", ["731001"]),
        (b"???;731001", ["731001"]),
        (b"]", ["]"]),
    ],
)
def test_codes_come_out_as_the_wire_wants_them(telegram: bytes, codes: list[str]) -> None:
    assert reading(telegram) == Reading(tuple(codes), unread=False)


@pytest.mark.parametrize(
    "said", ["NoRead", "NO READ", "no_read", "ERROR", " fail ", "?", "????", "\x18", "ＮｏＲｅａｄ", "Null;?"]
)
def test_no_read_is_known_in_any_case(said: str) -> None:
    assert reading(said) == Reading((), unread=True)


def test_a_site_has_its_own_no_read() -> None:
    site = scanner(no_read=["99999999", "Straße"])
    assert reading("99999999", site).unread
    assert reading("STRASSE", site).unread
    assert reading("NoRead", site).codes == ("NOREAD",)


@pytest.mark.parametrize("empty", [b"", b"\r\n", b";;", b" \0", b"]C1"])
def test_a_telegram_without_a_code_is_a_no_read_only_where_the_site_says_so(empty: bytes) -> None:
    assert "empty_is_no_read" in words(empty)
    assert reading(empty, scanner(empty_is_no_read=True)) == Reading((), unread=True)


def test_further_codes_are_counted_after_doubles_are_gone() -> None:
    names = [f"C{number}" for number in range(11)]
    many = reading(";".join(names + names))
    assert many.codes == tuple(names[: limits.CODES_PER_SCAN_MAX])
    assert many.surplus == 3


def test_a_prefix_is_taken_off_once() -> None:
    site = scanner(prefixes=["S1:", "S1"])
    assert reading("S1:S1731;]C0S2;S19", site).codes == ("S1731", "S2", "9")


@pytest.mark.parametrize("damage", range(256))
def test_a_damaged_byte_never_makes_a_shorter_or_another_waybill(damage: int) -> None:
    """Whatever one byte within a code becomes, what looks like a waybill afterwards has the other bytes in place."""
    damaged = b"7310" + bytes([damage]) + b"5678"
    for code in reading(damaged, scanner(separators=[])).codes:
        if damage in (0, *b"abcdefghijklmnopqrstuvwxyz"):
            continue
        if re.fullmatch(r"[0-9A-Z./-]+", code):
            assert code.encode() == damaged


def test_bytes_of_no_alphabet_are_told() -> None:
    assert reading(b"7310\xff;731001") == Reading(("7310\u00ff", "731001"), unread=False, garbled=True)
    assert reading("申通快递;731001".encode("gb18030")) == Reading(("申通快递", "731001"), unread=False)


@pytest.mark.parametrize(
    ("telegram", "weight_g", "size_mm"),
    [
        ("A,0.000,0,0,0,0,0,", 0, None),
        ("A,,,,,,,", 0, None),
        ("A,1250.4,300,200,100,6,0,", 1250, (300, 200, 100)),
        ("A,+1250 g,300mm,200 mm,100,6,0,", 1250, (300, 200, 100)),
        ("A,1,300,200,0,0,0,", 1, None),
        ("A,-0.2,0,0,0,0,0,", 0, None),
        (f"A,{limits.WEIGHT_MAX_G},{limits.SIZE_MAX_MM},1,1,0,0,", limits.WEIGHT_MAX_G, (limits.SIZE_MAX_MM, 1, 1)),
    ],
)
def test_zero_means_not_measured(telegram: str, weight_g: int, size_mm: tuple[int, int, int] | None) -> None:
    assert reading(telegram, BOX) == Reading(("A",), unread=False, weight_g=weight_g, size_mm=size_mm)


def test_units_are_the_sites() -> None:
    kilograms = scanner(template=DWS, weight_unit="kg", length_unit="cm")
    assert reading("A,1.2504kg,30.5,20,10,6,0,", kilograms)[2:4] == (1250, (305, 200, 100))


@pytest.mark.parametrize(
    ("telegram", "told"),
    [
        ("A,1.5kg,0,0,0,0,0,", 'weight: "1.5kg", but weight_unit is "g"'),
        ("A,heavy,0,0,0,0,0,", 'weight: "heavy" is no number'),
        ("A,1e3,0,0,0,0,0,", 'weight: "1e3" is no number'),
        ("A,nan,0,0,0,0,0,", 'weight: "nan" is no number'),
        ("A,0,0,0,0,0,yesterday,", 'time: "xxxxxxxxx" is neither'),
        ("A,0,0,0,0,0,99999999999999,", "time: "),
        ("A,0,0,0,0,0,0001-01-01,", "time: "),
        ("A,0,0,0,0,0,0,-1", 'id: "-1" is no number'),
        ("A,0,0,0,0,0,0,4294967296", "id: "),
        ("A,B,0,0,0,0,0,0,1", "9 fields, the template has 8"),
        ("A,0", "2 fields, the template has 8"),
    ],
)
def test_what_cannot_be_is_nonsense_with_words(telegram: str, told: str) -> None:
    assert words(telegram, BOX).startswith(told)


@pytest.mark.parametrize(
    ("telegram", "weight_g", "size_mm", "told"),
    [
        ("A,-5,3,2,1,0,0,", 0, (3, 2, 1), 'weight: "-5" is negative; set the scale or the frame to zero'),
        (
            "A,262144,3,2,1,0,0,",
            0,
            (3, 2, 1),
            'weight: "262144" g is beyond 262143 g and is left out; correct weight_unit',
        ),
        ("A,731001234567,0,0,0,0,0,", 0, None, 'weight: "############" g is beyond 262143 g'),
        ("A,7,3,-2,1,0,0,", 7, None, 'width: "-2" is negative; set'),
        ("A,7,65536,2,1,0,0,", 7, None, 'length: "65536" mm is beyond 65535 mm and is left out; correct length_unit'),
        ("A,-5,3,2,-1,0,0,", 0, None, 'weight: "-5" is negative; set the scale or the frame to zero; height: "-1" is'),
    ],
)
def test_a_measure_that_no_parcel_has_costs_the_measure_and_not_the_codes(
    telegram: str, weight_g: int, size_mm: tuple[int, int, int] | None, told: str
) -> None:
    said = reading(telegram, BOX)
    assert (said.codes, said.weight_g, said.size_mm) == (("A",), weight_g, size_mm)
    assert said.unmeasured.startswith(told)


@pytest.mark.parametrize(
    ("telegram", "told"),
    [
        (
            "A,1.25,300,200,100,0,0,",
            'weight: "1.25" with unit g is left out until 50 or more comes; is it kg? write weight_unit = "kg"',
        ),
        ("A,0.3,300,200,100,0,0,", 'weight: "0.3" with unit g'),
        ("A,2.000,300,200,100,0,0,", 'weight: "2.000" with unit g'),
        ("A,45.5,300,200,100,0,0,", 'weight: "45.5" with unit g'),
        (
            "A,7,30.0,20,10,0,0,",
            (
                'length, width, height: "30.0" x "20" x "10" with unit mm is left out until 100 or more comes; '
                'is it cm? write length_unit = "cm"'
            ),
        ),
        ("A,12.3500000,0,0,0,0,0,", 'weight: "##.#######" with unit g'),
        ("A,1.5,3,2,-1,0,0,", 'height: "-1" is negative; set the scale or the frame to zero; weight: "1.5" with'),
    ],
)
def test_what_may_be_of_a_larger_unit_is_left_out_and_told(telegram: str, told: str) -> None:
    said = reading(telegram, BOX)
    assert (said.codes, said.weight_g in (0, 7), said.size_mm in (None, (300, 200, 100))) == (("A",), True, True)
    assert not said.weight_g or not said.size_mm
    assert said.unmeasured.startswith(told)


@pytest.mark.parametrize(
    "measures", ["7,30,20,10", "1.25g,30mm,20mm,10.5mm", "100.5,100.2,50.3,30.1", "50.0,99,100,60.5"]
)
def test_grams_and_millimetres_are_not_doubted_without_a_sign(measures: str) -> None:
    said = reading(f"A,{measures},0,0,", BOX)
    assert said.weight_g
    assert said.size_mm
    assert not said.unmeasured


def test_a_reader_that_has_shown_its_units_is_not_doubted_again() -> None:
    """Each unit for itself; one reader says nothing of another."""
    units = Units()
    small = "A,45.5,30.5,20,10,0,0,"
    assert reading(small, BOX, units)[2:4] == (0, None)
    assert reading("A,1250.5,30.5,20,10,0,0,", BOX, units)[2:4] == (1250, None)
    said = reading(small, BOX, units)
    assert (said.weight_g, said.size_mm, "weight" in said.unmeasured) == (46, None, False)
    assert reading("A,0,30,20,100,0,0,", BOX, units).size_mm == (30, 20, 100)
    assert reading(small, BOX, units) == Reading(("A",), unread=False, weight_g=46, size_mm=(30, 20, 10))
    assert reading(small, BOX, Units())[2:4] == (0, None)


@pytest.mark.parametrize(
    "telegram",
    [
        "A,49,99,99,99,0,0,",
        "A,1250g,300mm,20,10,0,0,",
        "A,262144,65536,2,1,0,0,",
        "A,-60,-300,2,1,0,0,",
        "A,1250,300,0,10,0,yesterday,",
    ],
)
def test_a_unit_is_shown_by_bare_numbers_of_a_good_telegram_only(telegram: str) -> None:
    units = Units()
    read(telegram.encode(), BOX, units)
    assert reading("A,2.0,30.0,20.0,10.0,0,0,", BOX, units)[2:4] == (0, None)


@pytest.mark.parametrize(
    ("weight", "weight_g", "told"),
    [
        ("12.35", 0, 'weight: "12.35" with'),
        ("2.0", 0, 'weight: "2.0" with'),
        ("0.000012", 0, 'weight: "#.######" with'),
        ("0.0", 0, ""),
        ("2", 2, ""),
        ("1250.0", 1250, ""),
        ('"2.0"', 0, 'weight: "2.0" with'),
    ],
)
def test_a_number_of_json_is_told_as_it_was_written(weight: str, weight_g: int, told: str) -> None:
    said = reading(f'{{"data":{{"codes":{{"text":"A"}},"weight":{weight}}}}}', JSON)
    assert (said.codes, said.weight_g, said.unmeasured[: len(told) or None]) == (("A",), weight_g, told)


def test_grams_where_kilograms_are_set_are_left_out_and_told() -> None:
    said = reading("A,3190,0,0,0,0,0,", scanner(template=DWS, weight_unit="kg"))
    assert (said.weight_g, said.unmeasured) == (
        0,
        'weight: "3190" kg is beyond 262143 g and is left out; correct weight_unit or the template',
    )


@pytest.mark.parametrize(
    ("said", "time_ns"),
    [
        ("1765365164", 1_765_365_164 * 10**9),
        ("1765365164.205", 1_765_365_164_205 * 10**6),
        ("1765365164205", 1_765_365_164_205 * 10**6),
        ("2025-12-10T11:12:44Z", 1_765_365_164 * 10**9),
        ("2025-12-10 19:12:44", 1_765_365_164 * 10**9),
        ("2025-12-10T13:12:44.205+02:00", 1_765_365_164_205 * 10**6),
        ("0", None),
        ("", None),
    ],
)
def test_the_readers_time(said: str, time_ns: int | None) -> None:
    assert reading(f"A,0,0,0,0,0,{said},", BOX).time_ns == time_ns


def test_the_readers_number_of_the_parcel() -> None:
    assert reading("A,0,0,0,0,0,0,0007", BOX).id == 7
    assert reading("A,0,0,0,0,0,0,0", BOX).id == 0
    assert reading("A,0,0,0,0,0,0,", BOX).id is None


@pytest.mark.parametrize(
    ("telegram", "said"),
    [
        (
            '{"data":{"codes":[{"text":"A"},{"text":"b"}],"weight":7},"trigger":9}',
            Reading(("A", "B"), False, 7, None, 9),
        ),
        ('{"data":{"codes":{"text":"A;B"}},"state":"AlRead"}', Reading(("A", "B"), unread=False)),
        ('{"data":{"codes":{"text":["A;B"]}}}', Reading(("A;B",), unread=False)),
        ('{"data":{"codes":{"text":12345678901234567890123}}}', Reading(("12345678901234567890123",), unread=False)),
        ('{"state":"NoRead"}', Reading((), unread=True)),
        ('{"state":"NoRead","data":{"codes":[]}}', Reading((), unread=True)),
        ('{"type":9000,"data":{"codes":{"text":"A"}}}', Heartbeat("9000")),
    ],
)
def test_json_is_read_by_its_paths(telegram: str, said: Reading | Heartbeat) -> None:
    assert read(telegram.encode(), JSON) == said


@pytest.mark.parametrize(
    ("telegram", "told"),
    [
        ("{}", 'there is no "data.codes.text"; correct fields.code'),
        ('{"data":{"codes":{"text":null}}}', "a telegram without a code"),
        ('{"data":{"codes":{"text":9811962888027.5}}}', "data.codes.text: a number with a fraction is no code"),
        ('{"data":{"codes":{"text":true}}}', "data.codes.text: this is neither"),
        ('{"data":{"codes":{"text":{"a":1}}}}', "data.codes.text: this is neither"),
        ('{"data":{"codes":{"text":"A"},"weight":[1,2]}}', "data.weight: 2 values, one is expected"),
        ('{"state":"NoRead","data":{"codes":{"text":"A"}}}', 'it says "NoRead" and yet has 1 codes'),
        ("[1]", "no JSON object"),
        ('{"a":', "no JSON: "),
        ('{"data":{"codes":{"text":"\\ud800"}}}', "no JSON: "),
        ("[" * 2000, "no JSON: "),
        ("7310", "no JSON object"),
    ],
)
def test_json_that_does_not_fit_is_nonsense_with_words(telegram: str, told: str) -> None:
    assert words(telegram, JSON).startswith(told)


def test_heartbeats_and_complaints_are_no_parcels() -> None:
    site = scanner(heartbeats=["HB", "alive*"], complaints=["ER,*"])
    assert read(b"hb\r\n", site) == Heartbeat("hb")
    assert read(b"ALIVE 17", site) == Heartbeat("ALIVE 17")
    assert reading("HB1", site).codes == ("HB1",)
    assert words("ER,LON,00", site).startswith("the reader refuses a command")


def test_a_sentence_shows_the_shape_and_no_waybill() -> None:
    told = words("JT0012345678901,王,1.5", BOX)
    assert '"xx#############,x,#.#"' in told
    assert "JT001" not in told


def test_a_sentence_shows_what_cannot_be_seen_and_is_short() -> None:
    told = words(b"\x1b[2J" + b"x" * 4000 + b",1", BOX)
    assert '"\\x1b[#x' in told
    assert len(told) < 300
    assert told.isprintable()


def test_a_telegram_longer_than_a_framer_gives_is_nonsense() -> None:
    assert "4097 bytes" in words(b"7" * (TELEGRAM_BYTES_MAX + 1))
    assert reading(b"7" * TELEGRAM_BYTES_MAX).codes == ("7" * TELEGRAM_BYTES_MAX,)


GOOD = [
    b"731001;]C0JT1\r\n",
    b"NoRead",
    b"9811962888027,0.000,0,0,0,0,1765365164205",
    DWS.encode(),
    b"TEST123,250.5,100.2,50.3,30.1,150.75,1765365164205,17",
    b'{"barcode":"JSON123","weight":99.9,"length":150,"width":80,"height":60,"timestamp":1765365164}',
    b'{"type":"1001","reqTime":"2025-12-10 18:12:44","read":"AlRead","code":["JT1"]}',
    b'{"data":{"codes":[{"text":"A"}],"weight":7},"state":"x","type":1,"trigger":9}',
    "申通快递,１２,３".encode("gb18030"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good telegram with bytes changed, cut out, doubled or put in."""
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 6)))
        data[at:to] = draw(
            st.binary(max_size=6)
            | st.sampled_from(
                [b"", data[at:to] * 2, b"null", b"-", b"1e999", b"[[[", b"9" * 30, b'\\ud800"', b"\xef\xbb\xbf"]
            )
        )
    return bytes(data)


@given(st.binary(max_size=200) | mutated() | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
@example(b'{"barcode":' + b"9" * 4000 + b"}")
@example(b"A,0,0,0,0,0,9999-12-31T23:59:59-23:59,")
@example(b"A,0,0,0,0,0,0001-01-01T00:00:00+23:59,")
@settings(max_examples=1500, deadline=None)
def test_no_bytes_raise_and_every_reading_is_fit_for_the_wire(telegram: bytes) -> None:
    for reader in ALL:
        said = read(telegram, reader)
        if isinstance(said, Reading):
            assert said.unread == (said.codes == ())
            assert all(said.codes)
            assert len(set(said.codes)) == len(said.codes)
            scan = frames.Scan(
                seq=1,
                item=said.id or 0,
                codes=list(said.codes),
                weight_g=said.weight_g,
                size_mm=said.size_mm,
                t_ns=said.time_ns or 0,
            )
            assert frames.decode(frames.encode(scan)) == [scan]
            fit_for_a_log(said.unmeasured)
        elif isinstance(said, Nonsense):
            assert said.words
            fit_for_a_log(said.words)


def fit_for_a_log(words: str) -> None:
    for digits in re.findall(r"[0-9]{7,}", re.sub(r"\\x..", " ", words)):
        assert digits == str(limits.ITEM_NUMBER_MAX)
    assert words.isprintable()
