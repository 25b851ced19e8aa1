"""The house keeps itself: sizes, laws, excuses, the tree and what the README names."""

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP = {"sorter", "plc_adapter", "rules", "bench", "tests", "pyproject.toml", "requirements.lock"}
TOP |= {"README.md", "README.zh-CN.md", "Makefile", "LICENSE"}
LINES_MAX = 70
LINES_P95 = 40
BAGS = re.compile(r"(^|_)(utils?|helpers?|managers?|base|common|misc)(_|$)")
EXCUSE = re.compile(r"#\s*(noqa|type:\s*ignore|pragma)\b[^#]*(#.*)?$")


def tracked() -> list[Path]:
    """Files git knows or would add, so that the check holds before a commit as after it."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(line) for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    spans = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (f"{path}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, spans)
    ]


def excuses_without_reason(text: str) -> list[str]:
    found = (EXCUSE.search(line) for line in text.splitlines())
    return [match.group(0) for match in found if match and len((match.group(2) or "").strip("# ")) < 8]


def test_top_level_holds_what_the_layout_names() -> None:
    tops = {path.parts[0] for path in tracked()}
    assert {top for top in tops if not top.startswith(".")} <= TOP


def test_functions_are_short() -> None:
    spans = [span for path in sources() for span in functions(path)]
    assert [name for name, lines in spans if lines > LINES_MAX] == []
    lengths = sorted(lines for name, lines in spans if not name.startswith("tests/"))
    assert lengths[int(len(lengths) * 0.95)] < LINES_P95


def test_every_file_opens_with_its_law() -> None:
    lawless = [
        path for path in sources() if not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    ]
    assert lawless == []


def test_no_file_is_a_bag() -> None:
    assert [path for path in tracked() if any(BAGS.search(part) for part in (*path.parent.parts, path.stem))] == []


def test_every_excuse_gives_its_reason() -> None:
    bare = {
        str(path): found
        for path in sources()
        if path.name != "test_tidy.py" and (found := excuses_without_reason((ROOT / path).read_text(encoding="utf-8")))
    }
    assert bare == {}


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("x = 1  # noqa: S101", True),
        ("x = 1  # type: ignore[arg-type]", True),
        ("x = 1  # noqa: S101 # the kernel needs it", False),
        ("x = 1  # a comment", False),
    ],
)
def test_a_bare_excuse_is_seen(line: str, bare: bool) -> None:
    assert bool(excuses_without_reason(line)) is bare


def test_only_jit_compiles() -> None:
    callers = [
        path
        for path in sources()
        if path.parts[0] in {"sorter", "plc_adapter"} and re.search(r"\bnjit\b", (ROOT / path).read_text("utf-8"))
    ]
    assert callers == [Path("sorter/core/jit.py")]


def test_rules_hold_data_only() -> None:
    kinds = {path.suffix for path in tracked() if path.parts[0] == "rules"}
    assert kinds <= {".csv", ".md", ".toml"}


def written(path: Path) -> str:
    """A file's text; tables in GBK stand among the tests."""
    return (ROOT / path).read_text("utf-8", errors="replace")


def test_no_address_or_path_of_a_machine_is_committed() -> None:
    wrong = re.compile(r"/(?:root|home)/[a-z]|(?<!emit-)index-url|https?://\S+/simple\b")
    texts = [path for path in tracked() if path.suffix in {".py", ".toml", ".lock", ".md", ".csv", ""}]
    hits = [path for path in texts if path.name != "test_tidy.py" and wrong.search(written(path))]
    assert hits == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_life_of_a_parcel_names_what_exists(name: str) -> None:
    """`package.module.attribute` in backquotes must import."""
    text = (ROOT / name).read_text(encoding="utf-8")
    dotted = re.findall(r"`((?:sorter|plc_adapter)(?:\.\w+)+)(?:\(\))?`", text)
    assert len(dotted) >= 8
    for path in dotted:
        assert resolves(path), f"{name} names {path}, which does not exist"


def resolves(path: str) -> bool:
    parts = path.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False
