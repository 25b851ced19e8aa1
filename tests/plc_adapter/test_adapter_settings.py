"""site.toml's part for the adapter: what is right is read, what is wrong is told by its key."""

from pathlib import Path

import pytest

from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner
from plc_adapter.settings import Modbus, SettingsRefused, load

GOOD = """
name = "巫山县共配中心"
[wire]
devices = "tcp://127.0.0.1:6000"
control = "tcp://127.0.0.1:6001"
[line.L1]
speed_m_s = 2.0
[line.L2]
[plc.L1]
host = "10.0.0.7"
[plc.L2]
dialect = "modbus"
host = "10.0.0.8"
port = 5020
unit = 3
reports_at = 1000
orders_at = 2000
word_order = "little"
poll_ms = 5
"""


def site(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_site_is_read_with_its_defaults(tmp_path: Path) -> None:
    read = load(site(tmp_path, GOOD))
    assert read.wire.devices == "tcp://127.0.0.1:6000"
    assert read.keys is None
    assert list(read.plcs) == ["L1", "L2"]
    assert read.plcs["L1"] == Modbus(host="10.0.0.7")
    assert read.plcs["L2"] == Modbus(
        host="10.0.0.8", port=5020, unit=3, reports_at=1000, orders_at=2000, word_order="little", poll_ms=5.0
    )
    assert read.plcs["L2"].poll_ns == 5_000_000


def test_keys_are_a_folder_of_the_site(tmp_path: Path) -> None:
    assert load(site(tmp_path, GOOD.replace("[wire]", '[wire]\nkeys = "keys"'))).keys == tmp_path / "keys"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("port = 5020", 'port = "x"', "[plc.L2] port: Expected `int`, got `str`"),
        ("port = 5020", "port = 0", "[plc.L2] port: 0 is not a TCP port"),
        ("unit = 3", "unit = 300", "[plc.L2] unit: 300"),
        ("poll_ms = 5", "poll_ms = 0", "[plc.L2] poll_ms: 0.0 must be"),
        ("poll_ms = 5", "pol_ms = 5", "[plc.L2] pol_ms: there is no such key; did you mean poll_ms?"),
        ("poll_ms = 5", "scan = 5", "[plc.L2] scan: there is no such key; write host, port, word_order"),
        ("orders_at = 2000", "orders_at = 65500", "[plc.L2] orders_at: 65500 is not a register where 80 follow"),
        ("orders_at = 2000", "orders_at = 1079", "[plc.L2] orders_at: the two blocks overlap"),
        ('"little"', '"middle"', '[plc.L2] word_order: "middle" is none of big, little'),
        ('"modbus"', "[]", '[plc.L2] dialect: "[]" is none of modbus, s7, opcua'),
        ('"modbus"', '"profibus"', '[plc.L2] dialect: "profibus" is none of modbus, s7, opcua'),
        ('host = "10.0.0.7"', "", '[plc.L1] host: it is missing; write the PLC\'s address, such as host = "10.0.0.7"'),
        ("[plc.L1]", "[plc.L9]", "[plc.L9] there is no [line.L9]"),
        ("[wire]", "[wire]\nkeys = 1", "wire.keys: Expected `str`, got `int`"),
        ("tcp://127.0.0.1:6000", "127.0.0.1", '[wire] devices: "127.0.0.1" is not an address'),
        ("[plc.L1]\n", "[plc]\nL1 = 7\n[plc.L3]\n", "[plc.L1] this is no section; write [plc.L1] and its keys below"),
        ("[plc.L1]\n", "[plcs.L1]\n", "[plcs] there is no such section; did you mean [plc]?"),
        ("devices =", "device =", "[wire] device: there is no such key; did you mean devices?"),
        ("[plc.L1]", "[plc.L1", "site.toml: "),
    ],
)
def test_what_is_wrong_is_told_by_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, GOOD.replace(old, new, 1)))
    assert told in str(refused.value)


READERS = (
    GOOD
    + """
[scanner.side]
line = "L1"
host = "10.0.0.21"
port = 2112
[scanner.top]
line = "L1"
maker = "sick"
role = "server"
host = "0.0.0.0"
port = 2113
[tracking.L1]
travel_ms = 800
window_ms = 40
by = "id"
"""
)


def test_readers_stand_by_their_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    read = load(site(tmp_path, READERS))
    assert list(read.scanners) == ["L1"]
    assert list(read.scanners["L1"]) == ["side", "top"]
    assert read.scanners["L1"]["side"] == Scanner(line="L1", host="10.0.0.21", port=2112)
    assert read.scanners["L1"]["top"].framing == "stx_etx"
    assert read.tracking == {"L1": Tracking(travel_ms=800, window_ms=40, by="id")}
    plain = load(site(tmp_path, GOOD))
    assert (plain.scanners, plain.tracking) == ({}, {})


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("port = 2112", "port = 0", "[scanner.side] port: 0 is not a TCP port"),
        (
            '[scanner.side]\nline = "L1"',
            "[scanner.side]\nline = [1]",
            "[scanner.side] line: Expected `str`, got `array`",
        ),
        ("port = 2112", "prot = 2112", "[scanner.side] prot: there is no such key"),
        ("[scanner.side]", "[scanner]\nside = 7\n[x]", "[scanner.side] this is no section; write [scanner.NAME]"),
        ('[scanner.side]\nline = "L1"', '[scanner.side]\nline = "L9"', "[scanner.side] line: there is no [plc.L9]"),
        ("port = 2113", "port = 2113\ndelay_ms = 5", "[scanner.top] delay_ms: there is no such key"),
        ("travel_ms = 800\n", "", "[tracking.L1] travel_ms: it is missing; write the time from"),
        ("travel_ms = 800", "travel_ms = -1", "[tracking.L1] travel_ms: -1.0 must be 0 to"),
        ("window_ms = 40", 'heads = ["top"]', "[tracking.L1] heads: there is no such key; write travel_ms, by"),
        ('by = "id"', 'by = "sight"', '[tracking.L1] by: "sight" is none of id, order'),
        ('by = "id"', "id_bits = 8", "[tracking.L1] id_bits: 8 is none of 16, 32"),
        ("[tracking.L1]\n", "[tracking]\nL1 = 7\n[x]\n", "[tracking.L1] this is no section; write [tracking.L1]"),
        ("[scanner.side]", "[scaner.side]", "[scaner] there is no such section; did you mean [scanner]?"),
        ("[tracking.L1]", "[tracking.L2]", "[tracking.L2] no reader is of this line"),
        (
            "[tracking.L1]",
            "[tracking.L2]",
            '[tracking.L1] is missing; write travel_ms, from the PLC\'s sensor to the reader, and by = "id"',
        ),
    ],
)
def test_what_is_wrong_with_readers_is_told_by_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in READERS
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, READERS.replace(old, new, 1)))
    assert told in str(refused.value)


def test_two_readers_cannot_be_reached_at_one_address(tmp_path: Path) -> None:
    twice = READERS.replace('role = "server"\nhost = "0.0.0.0"\nport = 2113', 'host = "10.0.0.21"\nport = 2112')
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, twice))
    (told,) = str(refused.value).splitlines()
    assert "[scanner.top] port: 2112 is where [scanner.side] is reached, at 10.0.0.21; write" in told


def test_two_readers_cannot_send_to_one_port(tmp_path: Path) -> None:
    twice = READERS.replace('host = "10.0.0.21"\nport = 2112', 'role = "server"\nhost = "0.0.0.0"\nport = 2113')
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, twice))
    (told,) = str(refused.value).splitlines()
    assert "[scanner.top] port: 2113 is where [scanner.side] is listened for" in told


def test_a_refused_reader_is_still_the_reader_of_its_line(tmp_path: Path) -> None:
    faulty = READERS.replace("port = 2112", "port = 0").replace("port = 2113", "port = 0")
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, faulty))
    assert [line.split("] ")[1][:5] for line in str(refused.value).splitlines()] == ["port:", "port:"]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("unit = 3", "unit = 300").replace("poll_ms = 5", "poll_ms = 0").replace('"10.0.0.7"', "7")
    with pytest.raises(SettingsRefused) as refused:
        load(site(tmp_path, text))
    assert len(str(refused.value).splitlines()) == 3


def test_a_site_without_plc_or_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="sorter init"):
        load(tmp_path)
    with pytest.raises(SettingsRefused, match=r"add a section such as \[plc.L1\]"):
        load(site(tmp_path, "[line.L1]\n"))
