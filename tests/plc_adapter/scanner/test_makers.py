"""A table of telegrams per maker, as bytes on the line with where they are known from, and what each one says."""

from typing import Any, NamedTuple

import pytest

from plc_adapter.scanner import makers
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.settings import Scanner, resolve
from plc_adapter.scanner.telegram import Heartbeat, Nonsense, Reading, read

UNREAD = Reading((), unread=True)
ALIVE = "alive"
REFUSED = "the reader refuses a command"


def codes(*texts: str) -> Reading:
    return Reading(texts, unread=False)


class Line(NamedTuple):
    """Bytes as they come, what they say in order, and where the form is known from."""

    maker: str
    stream: bytes
    said: tuple[Reading | str, ...]
    source: str
    site: dict[str, Any] | None = None


CLV = "manual CLV 410, host interface: STX, separators, terminator CR LF, ETX"
DATAMAN = "DataMan Communications and Programming: CR LF, port 23"
SR = "manuals SR-750 and N-410: ends, ERROR, LON"
QUICKSCAN = "manual QuickScan Mobile 4.4: header, terminator"
CODE_PLATFORM = "BFS-Server, fHIKCamera.py"
IDMVS = "reader guide, TCP: prefix, suffix and separator are set in IDMVS"
ENGINE = "ZakYip sorting rule engine, DWS_CONFIGURATION_GUIDE.md"
KUAILV = "DWS request of another sorter: noread, kg, cm"
IMAGER = "manuals 4820 and HH490: no prefix, no suffix"
AIM = "AIM symbology identifiers: ] and two characters"
SITE = "site setting"

UID = "0d1c2b3a-4d5e-4f60-8a7b-9c0d1e2f3a4b"
HIK = f'{{"type":"1001","reqTime":"2025-12-10 19:12:44","regCode":"{UID}","uid":"{UID}","read":'
HIK_TIME_NS = 1_765_365_164 * 10**9  # 19:12:44 in China
COORDINATE = '"coordinate":{"X1":1,"Y1":2,"X2":3,"Y2":4}}'

LINES = [
    Line("sick", b"\x02731001\r\n\x03", (codes("731001"),), CLV),
    Line("sick", b"\x02731001\x03\x02731002\x03", (codes("731001"), codes("731002")), CLV),
    Line("sick", b"\x02731001;SF1234567890\r\n\x03", (codes("731001", "SF1234567890"),), CLV),
    Line("sick", b"\x02no code!\r\n\x03", (UNREAD,), "manual CLV 45x, read result of the terminal interface"),
    Line("sick", b"\x02NoRead\x03", (UNREAD,), SITE),
    Line("sick", b"\x02XX\x03", (UNREAD,), "CLV 410: the error string is made by the user", {"no_read": ["XX"]}),
    Line("sick", b"\x02\x03", (UNREAD,), SITE, {"empty_is_no_read": True}),
    Line("cognex", b"731001\r\n", (codes("731001"),), DATAMAN),
    Line("cognex", b"]C0731001\r\n]Q1JT0000000000001\r\n", (codes("731001"), codes("JT0000000000001")), AIM),
    Line("cognex", b"NO READ\r\n", (UNREAD,), SITE),
    Line("cognex", b"731001\t731002\r\n", (codes("731001", "731002"),), SITE),
    Line("keyence", b"731001\r", (codes("731001"),), SR),
    Line("keyence", b"ERROR\r", (UNREAD,), SR),
    Line("keyence", b"OK,LON\r731001\r", (ALIVE, codes("731001")), SR, {"hello": "LON\r", "goodbye": "LOFF\r"}),
    Line("keyence", b"ER,LON,00\r", (REFUSED,), SR),
    Line("keyence", b"\x02731001\x03", (codes("731001"),), SR, {"framing": "stx_etx"}),
    Line("keyence", b"\x1b731001\r\n", (codes("731001"),), SR, {"framing": "custom", "start": "\x1b", "end": "\r\n"}),
    Line("datalogic", b"731001\r\n", (codes("731001"),), QUICKSCAN),
    Line("datalogic", b"\x02731001\x03", (codes("731001"),), QUICKSCAN, {"framing": "stx_etx"}),
    Line("datalogic", b"\x18\r\n", (UNREAD,), "the usual no-read character CAN"),
    Line("datalogic", b"ALIVE\r\n731001\r\n", (ALIVE, codes("731001")), SITE, {"heartbeats": ["alive"]}),
    Line(
        "hikrobot",
        f'{HIK}"AlRead","code":["JT0000000000001"],{COORDINATE}{{"type":9000,"reqTime":"x","reqCode":"y"}}'.encode(),
        (codes("JT0000000000001")._replace(time_ns=HIK_TIME_NS), ALIVE),
        CODE_PLATFORM,
    ),
    Line(
        "hikrobot",
        f'{HIK}"NoRead","code":[],{COORDINATE}'.encode(),
        (UNREAD._replace(time_ns=HIK_TIME_NS),),
        CODE_PLATFORM,
    ),
    Line(
        "hikrobot",
        f'{HIK}"ErrRead","code":["731001","731002"],{COORDINATE}'.encode(),
        (codes("731001", "731002")._replace(time_ns=HIK_TIME_NS),),
        CODE_PLATFORM,
    ),
    Line("hikrobot_text", b"731001\r\n", (codes("731001"),), IDMVS),
    Line("hikrobot_text", b"noread\r\n", (UNREAD,), "Chinese code: NoRead and noread"),
    Line(
        "hikrobot_text",
        b"{731001|731002}",
        (codes("731001", "731002"),),
        IDMVS,
        {"framing": "custom", "start": "{", "end": "}"},
    ),
    Line(
        "dws",
        b"9811962888027,0.000,0,0,0,0,1765365164205\n",
        (codes("9811962888027")._replace(time_ns=1_765_365_164_205 * 10**6),),
        ENGINE,
    ),
    Line(
        "dws",
        b"TEST123,250.5,100.2,50.3,30.1,150.75,1765365164205\r\n",
        (Reading(("TEST123",), False, 250, (100, 50, 30), None, 1_765_365_164_205 * 10**6),),
        ENGINE,
    ),
    Line(
        "dws",
        b"PIPE123|456.78|100|50|25|125.0|1765365164\n",
        (Reading(("PIPE123",), False, 457, (100, 50, 25), None, 1_765_365_164 * 10**9),),
        ENGINE,
        {"template": "{code}|{weight}|{length}|{width}|{height}|{volume}|{time}"},
    ),
    Line(
        "dws",
        b"TEST123,0.2505,10.02,5.03,3.01,150.75,2025-12-10T18:40:36.344Z\n",
        (Reading(("TEST123",), False, 250, (100, 50, 30), None, 1_765_392_036_344 * 10**6),),
        f"{ENGINE}; kg and cm: {SITE}",
        {"weight_unit": "kg", "length_unit": "cm"},
    ),
    Line("dws", b",1200,0,0,0,0,0\n", (UNREAD._replace(weight_g=1200),), SITE),
    Line(
        "dws_json",
        b'{"barcode": "JSON123",\n "weight": 99.9,\n "length": 150, "width": 80, "height": 60, "volume": 720}',
        (Reading(("JSON123",), False, 100, (150, 80, 60)),),
        ENGINE,
    ),
    Line(
        "dws_json",
        b'{"barCode":"noread","weight":1.25,"length":30.5,"width":20,"height":10}\r\n',
        (Reading((), True, 1250, (305, 200, 100)),),
        KUAILV,
        {"fields": {"code": "barCode"}, "weight_unit": "kg", "length_unit": "cm"},
    ),
    Line("honeywell", b"731001", (codes("731001"),), IMAGER),
    Line("honeywell", b"731001\r", (codes("731001"),), "the imager given a CR suffix", {"framing": "cr"}),
    Line("generic", b"731001\r\n731002\r\nNR\r\n", (codes("731001"), codes("731002"), codes("NR")), SITE),
    Line("generic", "ＪＴ００１，ｓｆ２\r".encode(), (codes("JT001,SF2"),), "full-width input methods"),
    Line("generic", "申通快递 YT1\r".encode("gb18030"), (codes("申通快递 YT1"),), "text of Chinese Windows software"),
]


def scanner(maker: str, **site: Any) -> Scanner:
    return resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, "maker": maker, **site})


def heard(line: Line, segment: int) -> list[Reading | str]:
    """What the line says when the network cuts it into segments of this length."""
    reader = scanner(line.maker, **(line.site or {}))
    stream = reader.framer()
    segments = [line.stream[at : at + segment] for at in range(0, len(line.stream), segment)]
    telegrams = [telegram for each in segments for telegram in stream.feed(each)]
    said: list[Reading | str] = []
    for telegram in [*telegrams, *stream.idle()]:
        match read(telegram, reader):
            case Reading() as reading:
                said.append(reading)
            case Heartbeat():
                said.append(ALIVE)
            case Nonsense(words):
                said.append(words)
    assert (stream.dropped_bytes, stream.resyncs, stream.standing) == (0, 0, b"")
    return said


@pytest.mark.parametrize("segment", [1, 5, 10_000])
@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.maker}-{line.stream[:24]!r}")
def test_every_makers_telegrams_are_understood(line: Line, segment: int) -> None:
    said = [REFUSED if isinstance(each, str) and each.startswith(REFUSED) else each for each in heard(line, segment)]
    assert said == list(line.said), line.source


def test_every_maker_stands_in_the_table_and_is_told_about() -> None:
    assert {line.maker for line in LINES} == set(PRESETS)
    notes = makers.__doc__ or ""
    assert [maker for maker in PRESETS if f"\n- {maker}: " not in notes] == []


@pytest.mark.parametrize("maker", PRESETS)
def test_everything_a_maker_sets_can_be_overridden(maker: str) -> None:
    site: dict[str, Any] = {
        "framing": "nul",
        "template": "{id};{code}",
        "fields": dict.fromkeys(PRESETS[maker].get("fields", {}), ""),
        "no_read": ["XX"],
        "empty_is_no_read": False,
        "heartbeats": ["HB"],
        "complaints": [],
        "heartbeat_send": "",
        "heartbeat_every_s": 0,
        "port": 7000,
    }
    assert set(PRESETS[maker]) <= set(site)
    reader = scanner(maker, **site)
    assert (reader.port, reader.framing, reader.fields, reader.heartbeat_send) == (7000, "nul", {}, "")
    assert read(b"17;731001", reader) == Reading(("731001",), unread=False, id=17)
    assert read(b"HB", reader) == Heartbeat("HB")
    assert read(b"17;xx", reader) == Reading((), unread=True, id=17)


def test_cognex_alone_knows_its_port() -> None:
    assert resolve({"line": "L1", "host": "10.0.0.9", "maker": "cognex"}).port == 23
