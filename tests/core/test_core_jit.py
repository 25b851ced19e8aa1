"""Compiled code is kept where nobody else can plant it, under a name that every source and mode changes."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import NumbaError

from sorter.core import jit
from sorter.core.characters import read_code
from sorter.records import Bytes, waybill_key

ALPHABET = "0123456789ABCXYZabcxyz-./"

CORE = Path(jit.__file__).parent


@jit.entry
def read_compiled(codes: Bytes, row: int) -> tuple[int, int, int, int]:
    return read_code(codes, row)


@settings(deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=24), min_size=1, max_size=5))
def test_a_code_is_read_at_once_as_character_by_character(texts: list[str]) -> None:
    codes = np.zeros((len(texts), 32), np.uint8)
    for row, text in enumerate(texts):
        codes[row, : 1 + len(text)] = np.frombuffer(bytes([len(text)]) + text.encode(), np.uint8)
    for row, text in enumerate(texts):
        hi, lo, there, digits = (int(part) for part in read_compiled(codes, row))
        assert (hi, lo) == (waybill_key(text) if text else (0, 0))
        assert there == (1 << len(text)) - 1
        assert digits == sum(1 << at for at, char in enumerate(text) if char.isdigit())


def test_a_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = jit.private_folder(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    assert jit.private_folder(made) == made


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(PermissionError, match="0700"):
        jit.private_folder(folder)


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(PermissionError):
        jit.private_folder(tmp_path / "link")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12_345, 12_345)
    with pytest.raises(PermissionError):
        jit.private_folder(folder)


def cache_name(home: Path, **mode: str) -> str:
    code = "import numba; from sorter.core import jit; print(numba.config.CACHE_DIR)"
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "NUMBA_DISABLE_JIT": "0", **mode}
    environment.pop("CACHE_DIRECTORY", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_mode_has_its_own_cache(tmp_path: Path) -> None:
    fast, checked = cache_name(tmp_path), cache_name(tmp_path, NUMBA_BOUNDSCHECK="1")
    assert Path(fast).parent == Path(checked).parent == tmp_path / "hub-sorter"
    assert fast != checked


def test_an_edit_of_any_source_has_its_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "core").mkdir()
    names = ["core/step.py", "core/trips.py", "limits.py", "reasons.py", "records.py"]
    for name in names:
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(jit, "_ROOT", tmp_path)
    digests = {jit._sources_digest()}
    for name in names:
        (tmp_path / name).write_text("2")
        digests.add(jit._sources_digest())
    assert len(digests) == len(names) + 1


def test_only_jit_compiles() -> None:
    """One decorator's file, so that flags and cache are the same for all."""
    for path in CORE.parent.rglob("*.py"):
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert path.name == "jit.py" or not names & {"njit", "jit", "vectorize", "guvectorize"}, path


@pytest.mark.skipif(jit.UNCOMPILED, reason="uncompiled code may allocate")
def test_a_kernel_cannot_allocate() -> None:
    """So `step` never does, whatever is added to it."""

    def greedy() -> int:
        return len(np.zeros(3))

    compiled: Any = jit.kernel(greedy)
    with pytest.raises(NumbaError, match="zeros"):
        compiled.compile(())


@pytest.mark.parametrize("text", ["", "7310ß5678", "ı", "ſ1", "１", "A B", "A" * 25, "\0"])
def test_no_other_text_has_the_key_of_a_waybill(text: str) -> None:
    """Some small letters of other scripts have capitals of ours: they are no waybill all the same."""
    with pytest.raises(ValueError, match="a waybill"):
        waybill_key(text)
