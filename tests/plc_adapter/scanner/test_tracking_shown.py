"""`plc-adapter scanner` shows how readings find their items with every setting, so that it can be pasted back."""

import tomllib
from pathlib import Path

import msgspec
from click.testing import CliRunner

from plc_adapter.cli import main
from plc_adapter.scanner.pairing import Tracking

SITE = """\
[line.L1]
[plc.L1]
host = "127.0.0.1"
[line.L2]
[plc.L2]
host = "127.0.0.2"
[tracking.L1]
travel_ms = 900
[tracking.L2]
travel_ms = 13330
by = "id"
[scanner.top]
line = "L1"
host = "127.0.0.3"
port = 2112
[scanner.side]
line = "L1"
host = "127.0.0.4"
port = 2112
[scanner.far]
line = "L2"
host = "127.0.0.5"
port = 2112
template = "{id};{code}"
"""


def test_a_lines_tracking_is_shown_once_with_its_readers(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    shown = CliRunner().invoke(main, ["scanner", "--site", str(tmp_path)])
    sections = tomllib.loads(shown.output)
    assert list(sections["scanner"]) == ["top", "side", "far"]
    assert {line: msgspec.convert(keys, Tracking) for line, keys in sections["tracking"].items()} == {
        "L1": Tracking(travel_ms=900),
        "L2": Tracking(travel_ms=13330, by="id"),
    }
    assert sections["tracking"]["L1"] == msgspec.to_builtins(Tracking(travel_ms=900))
    only = CliRunner().invoke(main, ["scanner", "--site", str(tmp_path), "--name", "far"])
    assert list(tomllib.loads(only.output)["tracking"]) == ["L2"]
