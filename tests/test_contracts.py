"""Who may import whom: the contracts hold, and each one is broken by a planted breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).parent / "lint-imports"
PACKAGES = ("sorter", "plc_adapter", "bench")

BREACHES = [
    ("one-way", "sorter/ledger/journal.py", "import sorter.core.step"),
    ("one-way", "sorter/forgotten.py", '"""A file that no layer names."""'),
    ("nouns", "sorter/records.py", "import msgspec"),
    ("stages", "sorter/wire/frames.py", "import sorter.clock"),
    ("rooms", "sorter/rulebook/trial/diff.py", "import sorter.rulebook.books.writing"),
    ("pure-core", "sorter/core/step.py", "import time"),
    ("joiners", "sorter/words.py", "import sorter.core.step"),
    ("plc-agnostic", "sorter/daemon.py", "import plc_adapter.mailbox"),
    ("adapter", "plc_adapter/runner.py", "import sorter.ledger.journal"),
    ("dialects", "plc_adapter/modbus.py", "import plc_adapter.loopback"),
    ("no-emulator", "plc_adapter/runner.py", "import plc_adapter.emulator"),
    ("unseen", "sorter/site.py", "import bench"),
]


def lint(root: Path, contract: str = "") -> subprocess.CompletedProcess[str]:
    only = ["--contract", contract] if contract else []
    return subprocess.run(
        [LINTER, "--no-cache", *only], cwd=root, check=False, capture_output=True, text=True, env={"PYTHONPATH": "."}
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("contract", "path", "line"), BREACHES)
def test_a_breach_is_refused(copy: Path, contract: str, path: str, line: str) -> None:
    file = copy / path
    before = file.read_bytes() if file.exists() else None
    try:
        file.write_bytes((before or b"") + f"\n{line}\n".encode())
        assert lint(copy, contract).returncode == 1
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
    assert lint(copy, contract).returncode == 0


def test_every_contract_has_its_breach() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = {line.split('"')[1] for line in text.splitlines() if line.startswith("id = ")}
    assert named == {contract for contract, _, _ in BREACHES}
