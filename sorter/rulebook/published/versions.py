"""Published rule sets: each in a file named by its hash, written once and never changed.

What a file says is believed only when its rows give the hash that names it.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sorter.reasons import Declined, Sentence
from sorter.records import Line
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import version
from sorter.rulebook.findings import Rejected
from sorter.rulebook.rows import Checked
from sorter.rulebook.tables import Cells, Sheet

SUFFIX: Final = ".rules.gz"
_PREFIX_MIN: Final = 4

_DAMAGED: Final = Sentence(
    "方案文件 {file} 损坏或被改过（{why}），不启用。请从备份恢复，或重新发布",
    "the plan's file {file} is damaged or was changed ({why}), so it is not used. "
    "Restore it from a backup, or publish again",
)
_NO_LONGER: Final = Sentence(
    "版本 {version} 不再符合现在的检查，不能启用：{fault}",
    "version {version} no longer passes the checks, so it cannot be used: {fault}",
)
_WRONG_HASH: Final = Sentence("内容与文件名的校验值不符", "its rows do not give the hash that names it")
_UNREADABLE: Final = Sentence("无法读出", "it cannot be read")
_MISSING: Final = Sentence(
    "没有版本 {version}；用 sorter rules history 查看", "there is no version {version}; look at sorter rules history"
)
_SEVERAL: Final = Sentence(
    "{version} 是几个版本的开头：{found}；请多写几位", "{version} begins several versions: {found}; write more of it"
)


class NoVersion(Declined):
    """A version that is not there, or not what its name says."""


def save(folder: Path, sheets: Mapping[str, Sheet], checked: Checked) -> str:
    """Keep a rule set for ever; returns its version. On disk when this returns; a crash leaves nothing half done.

    `sheets` are what `checked` was read from.
    """
    name = version(checked)
    path = folder / (name + SUFFIX)
    if not _is_whole(folder, name):
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{name}.{os.getpid()}"
        try:
            with beside.open("wb") as file:
                file.write(_pack(sheets, checked))
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(0o444)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(folder)
    return name


def _is_whole(folder: Path, name: str) -> bool:
    try:
        load(folder, name)
    except NoVersion:
        return False
    return True


def load(folder: Path, name: str) -> tuple[dict[str, Sheet], Checked]:
    """A rule set as it was published. Raises NoVersion when it is missing or not what its name says."""
    path = folder / (name + SUFFIX)
    try:
        packed = json.loads(gzip.decompress(path.read_bytes()))
        sheets = {
            table: Sheet(table, [Cells(at, texts) for at, texts in rows]) for table, rows in packed["tables"].items()
        }
        lines = {line: Line(*figures) for line, figures in packed["lines"].items()}
        checked = check_sheets(sheets, lines, packed["utc_offset_ns"], [])
    except FileNotFoundError as error:
        raise NoVersion(_MISSING.about(version=name[:12])) from error
    except Rejected as error:
        raise NoVersion(_NO_LONGER.about(version=name[:12], fault=error.errors[0].said)) from error
    except (OSError, EOFError, zlib.error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoVersion(_DAMAGED.about(file=path.name, why=_UNREADABLE)) from error
    if version(checked) != name:
        raise NoVersion(_DAMAGED.about(file=path.name, why=_WRONG_HASH))
    return sheets, checked


def kept(folder: Path) -> set[str]:
    """Every version that is there."""
    return {path.name.removesuffix(SUFFIX) for path in folder.glob("*" + SUFFIX)}


def find(names: Iterable[str], beginning: str) -> str:
    """The one of `names` that begins so. Raises NoVersion."""
    found = sorted(names)
    fitting = [name for name in found if name.startswith(beginning.lower())]
    if len(beginning) < _PREFIX_MIN or not fitting:
        raise NoVersion(_MISSING.about(version=beginning))
    if len(fitting) > 1:
        raise NoVersion(_SEVERAL.about(version=beginning, found=", ".join(name[:12] for name in fitting)))
    return fitting[0]


def _pack(sheets: Mapping[str, Sheet], checked: Checked) -> bytes:
    content = {
        "lines": {name: list(line) for name, line in checked.lines.items()},
        "utc_offset_ns": checked.utc_offset_ns,
        "tables": {table: [[row.at, row.texts] for row in sheet.rows] for table, sheet in sheets.items()},
    }
    return gzip.compress(json.dumps(content, ensure_ascii=False).encode(), mtime=0)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
