"""A scanner's section is told every fault at once, each by its key, and never guessed."""

from typing import Any

import pytest

from plc_adapter.scanner.makers import NO_READ, SEPARATORS
from plc_adapter.scanner.settings import Scanner, ScannerRefused, Template, parse_template, resolve

GOOD: dict[str, Any] = {"line": "L1", "host": "10.0.0.9", "port": 2112}


def faults(**site: Any) -> list[str]:
    with pytest.raises(ScannerRefused) as refused:
        resolve({**GOOD, **site})
    return refused.value.faults


def test_a_section_has_its_defaults() -> None:
    assert resolve(GOOD) == Scanner(line="L1", host="10.0.0.9", port=2112)
    plain = resolve(GOOD)
    assert (plain.role, plain.framing, plain.no_read, plain.separators) == ("client", "cr", NO_READ, SEPARATORS)


def test_the_sites_word_stands_over_the_makers() -> None:
    keyence = resolve({**GOOD, "maker": "keyence", "framing": "crlf", "hello": "LON\r"})
    assert (keyence.framing, keyence.heartbeats, keyence.hello) == ("crlf", ("OK,*",), "LON\r")
    hikrobot = resolve({**GOOD, "maker": "hikrobot", "fields": {"code": "data.code", "time": "", "id": "trigger"}})
    assert hikrobot.fields == {"code": "data.code", "status": "read", "kind": "type", "id": "trigger"}


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ({"maker": "sik"}, 'maker: "sik" is none of generic, sick'),
        ({"maker": 7}, 'maker: "7" is none of'),
        ({"line": ""}, "line: a name has 1 to 31 bytes"),
        ({"line": 7}, "line: Expected `str`, got `int`"),
        ({"host": ""}, "host: it is missing; write the reader's address"),
        ({"host": "", "role": "server"}, "host: it is missing; write where we listen"),
        ({"role": "master"}, 'role: "master" is none of client, server'),
        ({"port": "x"}, "port: Expected `int`, got `str`"),
        ({"port": 70_000}, "port: 70000 is not a TCP port"),
        ({"framing": "crcr"}, 'framing: "crcr" is none of stx_etx, cr, lf'),
        ({"framing": "custom", "start": "<"}, "end: a telegram needs an end"),
        ({"framing": "custom", "start": "<>", "end": ">"}, "end: start and end share a byte"),
        ({"end": "\n"}, 'end: framing "cr" has its own start and end'),
        ({"idle_ms": 0}, "idle_ms: 0.0 must be 1 to 1000"),
        ({"idle_ms": float("nan")}, "idle_ms: nan must be 1 to 1000"),
        ({"template": "{code},{wieght}"}, "template: there is no field {wieght}"),
        ({"template": "{weight}"}, "template: there is no {code}"),
        ({"template": "{code},{code}"}, "template: {code} stands there twice"),
        ({"template": "#{code}"}, "template: it begins and ends with a field"),
        ({"template": "{code},{weight};{id}"}, "template: the same text must stand between all fields"),
        ({"template": "{code}{weight}"}, "template: the same text must stand between all fields"),
        ({"template": "{code},{kind}"}, "template: there is no field {kind}"),
        ({"template": "{code},{length},{width}"}, "template: there is no height"),
        ({"template": "json"}, "fields: there is no code"),
        ({"template": "json", "fields": {"code": "c", "wieght": "w"}}, "fields: there is no field wieght"),
        ({"template": "json", "fields": {"code": "c", "height": "h"}}, "fields: there is no length"),
        ({"fields": {"code": "c"}}, "fields: only JSON has them"),
        ({"separators": [""]}, 'separators: "" stands for nothing'),
        ({"no_read": "NoRead"}, "no_read: Expected `array`, got `str`"),
        ({"heartbeat_send": "HB"}, "heartbeat_every_s: heartbeat_send and this go together"),
        ({"heartbeat_every_s": 5}, "heartbeat_every_s: heartbeat_send and this go together"),
        ({"heartbeat_every_s": -5}, "heartbeat_every_s: -5.0 must be 0 to 3600"),
        (
            {"template": "json", "fields": {"code": "c"}, "heartbeats": ["9"]},
            "heartbeats: in JSON they are told by a field",
        ),
        ({"weight_unit": "kgs"}, 'weight_unit: "kgs" is none of g, kg'),
        ({"rack": 0}, "rack: there is no such key; write line, maker, role"),
        ({"no_raed": ["x"]}, "no_raed: there is no such key; did you mean no_read?"),
    ],
)
def test_each_fault_is_told_by_its_key(site: dict[str, Any], told: str) -> None:
    found = faults(**site)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ScannerRefused) as refused:
        resolve({"maker": "sik", "port": 0, "framing": "x", "frame": 1, "template": "{}"})
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "maker",
        "framing",
        "frame",
        "line",
        "host",
        "port",
        "template",
    ]
    assert str(refused.value) == "\n".join(refused.value.faults)


@pytest.mark.parametrize("section", [None, 7, "sick", []])
def test_what_is_no_section_is_told(section: Any) -> None:
    with pytest.raises(ScannerRefused, match=r"write \[scanner\.NAME\]"):
        resolve(section)


def test_a_template_is_its_fields_and_what_stands_between() -> None:
    assert parse_template("{code}") == Template(("code",), "")
    assert parse_template("{id} | {skip} | {code} | {skip}") == Template(("id", "skip", "code", "skip"), " | ")
