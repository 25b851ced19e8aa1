"""What the PLC's programmer is shown is what is sent: every field is found where its address says."""

import json
from enum import IntEnum
from pathlib import Path

import pytest
from click.testing import CliRunner

import plc_adapter
from plc_adapter import blocks, layout
from plc_adapter.cli import main
from plc_adapter.mailbox import BLOCK_BYTES, MARK, HostSide, HostState, LineState, Order, PlcSide, WordOrder, to_words
from plc_adapter.settings import S7, Modbus, OpcUa, Plc
from sorter.records import NONE_16, ChuteState, Discharge, Kind

PAGE = Path(plc_adapter.__file__).parent / "MAILBOX.md"
SITE = """
[line.L1]
[line.L2]
[plc.L1]
host = "10.0.0.1"
reports_at = 200
orders_at = 9950
[plc.L2]
dialect = "opcua"
host = "10.0.0.2"
"""


def read(words: list[int], writer: layout.Writer, name: str, word_order: WordOrder) -> int:
    """A field's value, as somebody reads it who knows the table alone."""
    (row,) = [row for row in layout.rows() if (row.writer, row.name) == (writer, name)]
    if row.type == "UINT":
        return words[row.word]
    first, second = words[row.word : row.word + 2]
    return first << 16 | second if word_order == "big" else second << 16 | first


@pytest.mark.parametrize("word_order", ["big", "little"])
def test_the_plcs_block_is_read_by_the_table(word_order: WordOrder) -> None:
    plc = PlcSide(0x0001_0002, word_order)
    plc.host_epoch, plc.taken = 7, 70_000
    plc.report(Kind.DISCHARGE, 0xAAAA_BBBB, 101, Discharge.PASSED, at_ms=70_000)
    words = to_words(plc.block(70_005, LineState.FAULT))
    head = ["mark", "epoch", "host_epoch", "heartbeat", "head", "tail", "taken", "line_state", "clock"]
    found = [read(words, "plc", name, word_order) for name in head]
    assert found == [MARK, 0x0001_0002, 7, 1, 1, 0, 70_000 & 0xFFFF, LineState.FAULT, 70_005 & 0xFFFF]
    report = [f"report[1].{name}" for name in ("seq", "kind", "item", "point", "value", "stamp", "seq_copy")]
    found = [read(words, "plc", name, word_order) for name in report]
    assert found == [1, Kind.DISCHARGE, 0xAAAA_BBBB, 101, Discharge.PASSED, 70_000 & 0xFFFF, 1]


@pytest.mark.parametrize("word_order", ["big", "little"])
def test_the_hosts_block_is_read_by_the_table(word_order: WordOrder) -> None:
    host, plc = HostSide(word_order), PlcSide(0x0001_0002, word_order)
    for _ in range(3):
        plc.receive(host.block(0, HostState.DECIDING), 0)
        host.receive(plc.block(0), 0)
    assert host.give(Order(0xAAAA_BBBB, 101, NONE_16, 250_000_000, 3))
    words = to_words(host.block(100_000_000, HostState.DECIDING))
    head = ["mark", "epoch", "host_epoch", "heartbeat", "head", "tail", "state"]
    found = [read(words, "host", name, word_order) for name in head]
    assert found == [MARK, 0x0001_0002, host.host_epoch, 4, 1, 0, HostState.DECIDING]
    order = [f"order[1].{name}" for name in ("seq", "item", "chute", "alternate", "left", "reason", "seq_copy")]
    found = [read(words, "host", name, word_order) for name in order]
    assert found == [1, 0xAAAA_BBBB, 101, NONE_16, 150, 3, 1]


def test_no_two_fields_share_a_word_and_all_lie_in_the_block() -> None:
    for writer in layout.PARTS:
        taken = [
            word
            for row in layout.rows()
            if row.writer == writer
            for word in range(row.word, row.word + (2 if row.type == "UDINT" else 1))
        ]
        assert len(taken) == len({*taken})
        assert 0 <= min(taken) <= max(taken) < BLOCK_BYTES // 2


@pytest.mark.parametrize(
    ("part", "name", "values"),
    [
        (blocks.PLC_HEAD, "line_state", [*LineState]),
        (blocks.HOST_HEAD, "state", [*HostState]),
        (blocks.REPORT, "kind", [Kind.ITEM, Kind.DISCHARGE, Kind.CHUTE]),
        (blocks.REPORT, "value", [*Discharge, *(state for state in ChuteState if state != ChuteState.LOCKED)]),
    ],
)
def test_a_meaning_names_every_value(part: blocks.Part, name: str, values: list[IntEnum]) -> None:
    (meaning,) = [field.meaning for field in part.fields if field.name == name]
    for value in values:
        assert f"{value.value} {value.name.lower()}" in meaning


@pytest.mark.parametrize(
    ("plc", "word", "words", "addresses"),
    [
        (Modbus(host="plc", reports_at=10), 4, 1, ("14 (40015)", "104 (40105)")),
        (Modbus(host="plc", orders_at=9_996), 2, 2, ("2-3 (40003-40004)", "9998-9999 (49999-410000)")),
        (S7(host="plc", orders_at=20), 6, 2, ("DB100.DBD12", "DB101.DBD32")),
        (S7(host="plc", word_order="little"), 6, 2, ("DB100.DBW12+DBW14", "DB101.DBW12+DBW14")),
        (S7(host="plc"), 11, 1, ("DB100.DBW22", "DB101.DBW22")),
        (OpcUa(host="plc", orders_node="ns=4;i=7"), 2, 2, ("ns=4;s=HubSorter.reports[2..3]", "ns=4;i=7[2..3]")),
        (None, 2, 2, ("", "")),
    ],
)
def test_an_address_is_in_the_words_of_the_dialect(
    plc: Plc | None, word: int, words: int, addresses: tuple[str, str]
) -> None:
    assert (layout.addresses(plc, "plc")(word, words), layout.addresses(plc, "host")(word, words)) == addresses


def test_the_command_shows_each_line_in_its_dialect(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    shown = CliRunner().invoke(main, ["layout", "--site", str(tmp_path), "--json"])
    assert shown.exit_code == 0
    one, two = json.loads(shown.stdout)["lines"]
    assert [one["line"], two["line"]] == ["L1", "L2"]
    assert [field["address"] for field in one["fields"][:2]] == ["200-201 (40201-40202)", "202-203 (40203-40204)"]
    assert two["fields"][0]["address"] == "ns=4;s=HubSorter.reports[0..1]"
    text = CliRunner().invoke(main, ["layout", "--site", str(tmp_path), "--line", "L1"]).stdout
    assert "host.order[7].seq_copy" in text
    assert "HubSorter.reports" not in text
    assert "high word first" in text


def test_the_command_without_a_site_shows_words() -> None:
    shown = CliRunner().invoke(main, ["layout"])
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[1].split() == ["word", "type", "name", "meaning"]
    assert len(lines) == 2 + len(layout.rows())


def test_a_line_is_one_of_this_folder_unless_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(main, ["layout", "--line", "L1"]).exit_code == 3
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    shown = CliRunner().invoke(main, ["layout", "--line", "L2"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith("L2  10.0.0.2:4840")
    assert CliRunner().invoke(main, ["layout", "--line", "L9"]).exit_code == 2


def test_the_page_is_what_the_code_says() -> None:
    anew = "make it anew with: .venv/bin/python -m plc_adapter.layout > plc_adapter/MAILBOX.md"
    assert PAGE.read_text(encoding="utf-8") == layout.markdown(), anew
    assert "How it is used" in layout.markdown()
    assert "is an overrun" in layout.markdown()
