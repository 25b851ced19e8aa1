"""Both READMEs name every key of site.toml that the adapter knows, with what holds where it is left out."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from plc_adapter import settings
from plc_adapter.emulator import readers
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import TEXT_FIELDS, Scanner

HOUSE = Path(__file__).parents[2]
IN_WORDS = {"host", "port", "separators", "no_read"}  # to be written in any case, or too long to be shown
EXAMPLES = re.compile(r"```toml\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])


def readme(name: str) -> str:
    return (HOUSE / name).read_text(encoding="utf-8")


def row_of(text: str, key: str) -> tuple[list[str], list[str]]:
    """The keys of a table's row that names this one, and what holds where they are left out."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 5 and f"`{key}`" in cells[1]:
            return re.findall(r"`(\w+)`", cells[1]), re.findall(r"`([^`]+)`", cells[2])
    raise AssertionError(f"no table has a row for {key}")


@pytest.mark.parametrize("section", [Tracking, Scanner])
def test_each_key_of_readers_stands_there_with_its_default(name: str, section: type[msgspec.Struct]) -> None:
    text = readme(name)
    for field in msgspec.structs.fields(section):
        keys, left_out = row_of(text, field.name)
        if not field.required and field.name not in IN_WORDS and field.default not in (msgspec.NODEFAULT, ()):
            told = dict(zip(keys, left_out if len(left_out) > 1 else left_out * len(keys), strict=True))
            assert told[field.name] == json.dumps(field.default), field.name


def test_each_key_of_a_plc_stands_there_with_its_default(name: str) -> None:
    text = readme(name)
    shared = {field.name for field in msgspec.structs.fields(settings.Plc)}
    for dialect, plc in settings.DIALECTS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {dialect} |"))
        for field in msgspec.structs.fields(plc):
            if field.name not in {"dialect", "host"}:
                where = text if field.name in shared - {"port"} else row
                assert f"`{field.name} = {json.dumps(field.default)}`" in where, field.name


def test_every_maker_and_every_field_of_a_template_is_named(name: str) -> None:
    text = readme(name)
    for key, words in (("maker", set(PRESETS) - {"generic"}), ("template", set(TEXT_FIELDS))):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
        assert words <= set(re.findall(r"\w+", row))


def test_the_examples_are_settings(name: str, tmp_path: Path) -> None:
    """Each block of site.toml is accepted beside the lines and PLCs that it is about."""
    seen = 0
    plcs, lines = "", "".join(f"[line.L{at}]\n" for at in (1, 2, 3))
    for example in EXAMPLES.findall(readme(name)):
        plcs = plcs or '[plc.L1]\nhost = "10.0.0.7"\n'
        whole = lines + (example if "[plc." in example else plcs + example)
        (tmp_path / "site.toml").write_text(whole, encoding="utf-8")
        site = settings.load(tmp_path)
        seen += len(site.tracking) + len(site.plcs)
    assert seen >= 7


def test_the_limits_of_a_fast_clock_are_those_of_the_emulator(name: str) -> None:
    text = readme(name)
    assert f"{readers.WINDOW_REAL_MS:g}" in text
    for window_ms, speed in ((50, 4), (500, 40)):
        tracking = {"L1": Tracking(travel_ms=1, window_ms=window_ms)}
        assert not readers.haste(tracking, speed)
        assert readers.haste(tracking, speed * 1.001)
        assert re.search(rf"{window_ms}\D+{speed}\b", text)
