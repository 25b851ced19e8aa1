"""Whatever stands in a cell or in a file: it loads as what it says, or is refused in words and by its place.

Whole files go through the real command, which is held to the time and memory a refusal may take.
"""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from sorter.rulebook import Fault, Rejected, compile_plan
from sorter.rulebook.check import check_sheets
from sorter.rulebook.tables import FILE_BYTES_MAX, NOTE, TABLES, Sheet, parse
from tests.rulebook.small_site import LINES, OFFSET_NS, Table, copy_of_small, csv_text

FILES: Final = Path(__file__).parent / "files"
BIN: Final = Path(sys.executable).parent
REFUSED: Final = 3
CPU_S_MAX: Final = 40  # four times what is promised: a slow machine passes, whatever runs away does not
RSS_MB_MAX: Final = 500

# Every table, every column, every kind of broken cell

FRESH: Final[Mapping[str, list[str]]] = {
    "carriers": ["JT", "极兔", r"JT\d{13}", ""],
    "stations": ["V009", "新村", "village", "新镇", "BUS"],
    "sort_codes": ["YTO", "777", "B01", "01", "V001"],
    "lanes": ["NEW", "新线", "local", "TRUCK"],
    "trips": ["PLANE", "", "10:00", "15", "50"],
    "chutes": ["105", "L1", "48", "BUS|NEW", ""],
    "rules": ["50", "", "", "", "", "", "", "", "", "", "BUS", ""],
    "exceptions": ["max_laps", "L1", "104"],
}
"""A row at the end of each table, in which a cell is broken; of no other row's making."""

BLANK: Final = {"", "-"}
UNSEEN: Final = {"\u200b", "\u202e"}  # they look blank, which would mean any
RUINED: Final = {"#N/A", "#REF!", "####", "1.23E+12", "1月2日", "2026-01-02", "=A1", '=HYPERLINK("x")', "a\nb"}
SIGNS: Final = {"|", "!", "*", "!*", "!!A", "A|A", "..", "../../etc/passwd", "<script>"}
LONG: Final = {"长" * 100_000, "9" * 5000}
CONTROL: Final = {"\x01", "\x7f", "a\tb"}
NUMBERS: Final = {"01", "０１", "²"}
LATIN: Final = {"TRUE", "NaN", "inf", "null", "None", "Ⅻ", "1e99", "00", "99999", "９９９９９９９９９９", *NUMBERS}
OTHER: Final = {
    "😀",
    "-1",
    "1.5",
    "50%",
    "１２：３０",
    "' OR 1=1; --",
    r"C:\Windows",
    "{text}",
    "%s",
    "()",
    "reject:",
    "٣",
}
BROKEN: Final = sorted(BLANK | UNSEEN | RUINED | SIGNS | LONG | CONTROL | LATIN | OTHER | {"\ufffd", r"\d{12}"})

NAMES: Final = LATIN | OTHER | {r"\d{12}"}
SEGMENTS: Final = LATIN | {"1.5", "..", "../../etc/passwd"}
LOADS: Final[Mapping[str, set[str]]] = {
    "carriers.carrier": NAMES,
    "carriers.waybill": LATIN | {"-1", "A|A", r"\d{12}"},
    "carriers.valid_from": BLANK | {"2026-01-02"},
    "stations.station": NAMES,
    "stations.township": (NAMES | BLANK) - {"null", "None"},
    "stations.lane": BLANK,
    "sort_codes.carrier": BLANK,
    "sort_codes.一段码": SEGMENTS,
    "sort_codes.二段码": SEGMENTS,
    "sort_codes.三段码": SEGMENTS | BLANK,
    "lanes.spill_to": BLANK,
    "trips.days": BLANK | {"²"},
    "trips.departs": {"１２：３０"},
    "trips.cutoff_min": NUMBERS | {"00"},
    "trips.capacity": NUMBERS | BLANK | {"99999"},
    "chutes.chute": NUMBERS,
    "chutes.position": NUMBERS | {"00", "99999", "1.5"},
    "chutes.capacity": NUMBERS | BLANK | {"99999"},
    "rules.carrier": BLANK,
    "rules.station": BLANK,
    "rules.township": BLANK,
    "rules.service": (NAMES | BLANK | {"A|A"}) - {"\ufffd"},
    "rules.flow": BLANK,
    "rules.weight_g": NUMBERS | BLANK | {"00", "99999"},
    "rules.length_mm": NUMBERS | BLANK | {"00"},
    "rules.time": BLANK,
    "rules.days": BLANK | {"²"},
}
"""The broken cells that say something there after all; where a column is not named, none does."""
EITHER: Final = CONTROL | {"\ufffd"}
"""Not decided for names: they may load or be refused."""
TITLES: Final = (
    set(BROKEN) - BLANK - UNSEEN - LONG - {"#N/A", "#REF!", "####", "1.23E+12", "=A1", '=HYPERLINK("x")', "a\nb"}
)
NEIGHBOUR: Final = {
    ("sort_codes", "二段码"): {"一段码"},  # the segments are too long together
    ("sort_codes", "三段码"): {"一段码"},
    ("exceptions", "line"): {"reason", "chute"},  # any line is one too many
}
"""Where two cells of a row contradict each other, the other one may be told."""


def sheet_of(table: str, rows: Table) -> tuple[Sheet, list[Fault]]:
    return parse(table, csv_text(rows), TABLES[table])


def tables() -> dict[str, Table]:
    """The small site and a fresh row in each table, every column there."""
    found = copy_of_small()
    found["exceptions"][1][0] = "!max_laps"
    for table, fresh in FRESH.items():
        rows = [*found[table], fresh]
        width = len(TABLES[table]) + 1
        found[table] = [[*row, *[""] * (width - len(row))] for row in rows]
        found[table][0] = [*TABLES[table], NOTE]
    return found


@pytest.mark.parametrize("table", TABLES)
def test_a_broken_cell_loads_or_is_told_where_it_stands(table: str) -> None:
    base = tables()
    sheets = {name: sheet_of(name, rows)[0] for name, rows in base.items()}
    check_sheets(sheets, LINES, OFFSET_NS, [])
    at = len(base[table])
    for place, column in enumerate(base[table][0]):
        for text in BROKEN:
            row = [*base[table][-1]]
            row[place] = text
            sheet, faults = sheet_of(table, [*base[table][:-1], row])
            loaded = True
            try:
                compile_plan(check_sheets(sheets | {table: sheet}, LINES, OFFSET_NS, faults), None)
            except Rejected as rejected:
                loaded = False
                here = [fault.column for fault in rejected.errors if fault[:2] == (table, at)]
                is_blank_lane = (table, column) == ("chutes", "lane") and text in BLANK  # a lane has no chute now
                assert {column, *NEIGHBOUR.get((table, column), ())} & {*here} or is_blank_lane, (column, text[:20])
                for fault in rejected.errors:
                    assert_readable(*(fault.told(language).replace(text or " ", " ") for language in ("zh", "en")))
            assert text in EITHER or loaded == (text in loading(table, column)), (column, text[:20])


def loading(table: str, column: str) -> set[str]:
    if column == NOTE:
        return set(BROKEN)
    return TITLES if column == "name" else LOADS.get(f"{table}.{column}", set())


PYTHON: Final = re.compile(r"Traceback|[A-Z]\w*Error|Exception|Errno|\bNone\b|<class|object at 0x|site-packages|\.py\b")


def assert_readable(chinese: str, english: str) -> None:
    """A sentence of its own language, without Python in it; what is quoted is not ours."""
    for told in (chinese, english):
        assert told.strip()
        assert not PYTHON.search(re.sub(r'"[^"]*"|“[^”]*”', "", told)), told
    assert re.search(r"[\u4e00-\u9fff]{2,}", chinese), chinese
    assert re.search(r"[a-z]{2,} [a-z]{2,}", english), english
    assert not re.search(r"[，；：]", english), english


# Whole files, through the command


def folder_with(folder: Path, table: str, data: bytes) -> Path:
    """The small site's tables, one of them these bytes."""
    path = folder / "tables"
    path.mkdir()
    for name, rows in copy_of_small().items():
        (path / f"{name}.csv").write_bytes(csv_text(rows).encode("utf-8-sig"))
    (path / f"{table}.csv").write_bytes(data)
    return path


def renamed(name: str, ending: str) -> Callable[[Path], Path]:
    """A file of another kind, or its first part, under a workbook's name."""

    def make(folder: Path) -> Path:
        path = folder / "book.xlsx"
        data = (FILES / name).read_bytes()
        path.write_bytes(data[: len(data) // 2] if ending == "half" else data)
        return path

    return make


def bytes_of(data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "book.xlsx"
        path.write_bytes(data)
        return path

    return make


def table_of(table: str, data: bytes) -> Callable[[Path], Path]:
    return lambda folder: folder_with(folder, table, data)


def edited(folder: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """A right workbook with one part of its package changed."""
    path = folder / "book.xlsx"
    with zipfile.ZipFile(FILES / "kept.xlsx") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == part else data)
    return path


def two_sheets_of_one_name(folder: Path) -> Path:
    return edited(folder, "xl/workbook.xml", lambda xml: xml.replace('name="班次"'.encode(), 'name="路向"'.encode()))


def entities(folder: Path) -> Path:
    levels = b"".join(b'<!ENTITY e%d "%b">' % (at, b"&e%d;" % (at - 1) * 10) for at in range(1, 10))
    head = b'<!DOCTYPE x [<!ENTITY e0 "0123456789">' + levels + b"]>"
    return edited(folder, "xl/worksheets/sheet1.xml", lambda xml: re.sub(rb"(<worksheet)", head + rb"\1", xml, count=1))


def word_document(folder: Path) -> Path:
    path = folder / "book.xlsx"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("word/document.xml", "<document/>")
    return path


def big_sheet(block: bytes, times: int) -> Callable[[Path], Path]:
    """A workbook whose first sheet holds a block of XML many times."""

    def make(folder: Path) -> Path:
        path = edited(folder, "", bytes)
        with zipfile.ZipFile(path) as old:
            parts = {name: old.read(name) for name in old.namelist()}
        head, tail = parts.pop("xl/worksheets/sheet1.xml").split(b"</sheetData>")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
            for name, data in parts.items():
                new.writestr(name, data)
            with new.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
                sheet.write(head)
                for _ in range(times):
                    sheet.write(block)
                sheet.write(b"</sheetData>" + tail)
        return path

    return make


def without(table: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder_with(folder, table, b"")
        (path / f"{table}.csv").unlink()
        return path

    return make


def big_table(table: str, line: str, size: int) -> Callable[[Path], Path]:
    """A CSV of so many bytes, all of it the same row."""

    def make(folder: Path) -> Path:
        head = ",".join(TABLES[table]) + "\r\n"
        row = line.encode() + b"\r\n"
        return folder_with(folder, table, head.encode() + row * (size // len(row) + 1))

    return make


def empty_folder(folder: Path) -> Path:
    path = folder / "tables"
    path.mkdir()
    return path


def folder_for_table(folder: Path) -> Path:
    path = without("lanes")(folder)
    (path / "lanes.csv").mkdir()
    return path


def large_tables(folder: Path) -> Path:
    """Each as large as one may be."""
    path = folder / "tables"
    path.mkdir()
    for table, columns in TABLES.items():
        head = ",".join(columns).encode() + b"\r\n"
        row = b",".join(b"x%d" % at for at in range(len(columns))) + b"\r\n"
        (path / f"{table}.csv").write_bytes(head + row * (MOST // len(row)))
    return path


MOST: Final = FILE_BYTES_MAX - 1000
ROW: Final = b"<row>" + b'<c t="inlineStr"><is><t>YTO</t></is></c>' * 6 + b"</row>"
LANES: Final = csv_text(copy_of_small()["lanes"])


class Bad(NamedTuple):
    """A path that is no rule set: how it is made, and a word of what is said."""

    make: Callable[[Path], Path]
    chinese: str
    english: str


BAD: Final[Mapping[str, Bad]] = {
    "empty file": Bad(bytes_of(b""), "空", "empty"),
    "empty table": Bad(table_of("lanes", b""), "文件是空的", "lanes.csv: the file is empty"),
    "empty folder": Bad(empty_folder, "没有这个文件", "is missing"),
    "no such path": Bad(lambda folder: folder / "nowhere", "nowhere", "nowhere"),
    "a table is missing": Bad(without("trips"), "trips.csv", "trips.csv: the file is missing"),
    "a folder for a table": Bad(folder_for_table, "这是文件夹", "this is a folder"),
    "a table for a folder": Bad(lambda folder: table_of("lanes", b"x")(folder) / "rules.csv", "CSV", "CSV"),
    "quote left open": Bad(table_of("lanes", LANES.replace("客运", '"客运').encode()), "引号", "quotation mark"),
    "UTF-16 unmarked": Bad(table_of("lanes", LANES.encode("utf-16-le")), "空字符", "NUL"),
    "UTF-16 cut": Bad(table_of("lanes", LANES.encode("utf-16")[:-1]), "utf-16", "utf-16"),
    "other text": Bad(
        table_of("lanes", "lane,name,kind,spill_to\nBUS,\xff\xfe,bus,".encode("latin-1")), "UTF-8", "UTF-8"
    ),
    "binary table": Bad(table_of("lanes", bytes(range(256)) * 64), "空字符", "NUL"),
    "password": Bad(renamed("password.xlsx", "all"), "密码", "password"),
    "cut off": Bad(renamed("kept.xlsx", "half"), "不完整", "cut off"),
    "xls": Bad(renamed("old.xls", "all"), "旧格式", "old kind"),
    "ods": Bad(renamed("open.ods", "all"), "OpenDocument", "OpenDocument"),
    "docx": Bad(word_document, "文字文档", "text document"),
    "jpg": Bad(bytes_of(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(5000)), "图片", "picture"),
    "binary": Bad(bytes_of(bytes(range(256)) * 64), "不是 .xlsx", "not an .xlsx"),
    "two sheets of one name": Bad(two_sheets_of_one_name, "只留一张", "keep one"),
    "entity bomb": Bad(entities, "损坏", "damaged"),
    "zip bomb": Bad(big_sheet(bytes(1 << 20), 2000), "book.xlsx", "book.xlsx"),
    "a 200 MB sheet": Bad(big_sheet(ROW * 1000, 200_000_000 // (len(ROW) * 1000)), "太大", "too large"),
    "a 120 MB sheet": Bad(big_sheet(ROW * 1000, 120_000_000 // (len(ROW) * 1000)), "太大", "too large"),
    "a 200 MB table": Bad(big_table("sort_codes", "YTO,1,,,V001", 200 << 20), "MB", "MB"),
    "a table of one row": Bad(big_table("sort_codes", "YTO,1,,,V001", MOST), "sort_codes.csv", "sort_codes.csv"),
    "a table of nonsense": Bad(big_table("rules", "?,?,?,?,?,?,?,?,?,?,?", MOST), "rules.csv", "rules.csv"),
    "a table of short rows": Bad(big_table("stations", "a", MOST), "stations.csv", "stations.csv"),
    "a table of Chinese": Bad(big_table("stations", "巫山县共配中心,,,,", MOST), "stations.csv", "stations.csv"),
    "a long cell": Bad(big_table("rules", "x" * MOST, 0), "rules.csv", "rules.csv"),
    "many cells in a row": Bad(big_table("rules", "," * MOST, 0), "rules.csv", "rules.csv"),
    "a thousand headers": Bad(table_of("rules", b"a," * 1000), "rules.csv", "rules.csv"),
    "many headers": Bad(table_of("rules", b"a," * (MOST // 2)), "rules.csv", "rules.csv"),
    "many quotes": Bad(table_of("rules", b'"\n' * (MOST // 2)), "rules.csv", "rules.csv"),
    "many blank lines": Bad(table_of("rules", b"\n" * MOST), "rules.csv", "rules.csv"),
    "large tables all": Bad(large_tables, "合计", "together"),
}

MEASURE: Final = """
import json, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stdout + done.stderr, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10]))
"""
"""Run by a small process of its own: a child's memory counts that of the process that started it.

What takes twice the time is ended.
"""


class Answer(NamedTuple):
    """What a command said and took."""

    code: int
    text: str
    cpu_s: float
    rss_mb: int


def ask(*arguments: str | Path) -> Answer:
    command = [sys.executable, "-c", MEASURE, BIN / "sorter", "rules", *arguments]
    answer: list[Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return Answer(*answer)


@pytest.fixture(name="site", scope="module")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("hub") / "site"
    subprocess.run([BIN / "sorter", "init", site], check=True, capture_output=True)
    return site


def held(site: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_words_and_in_time(site: Path, tmp_path: Path, bad: Bad) -> None:
    path, before = bad.make(tmp_path), held(site)
    checked = ask("check", path, "--site", site, "--language", "zh")
    imported = ask("import", path, "--site", site, "--language", "en")
    for answer in (checked, imported):
        assert answer.code == REFUSED, answer.text[:2000]
        assert answer.cpu_s < CPU_S_MAX
        assert answer.rss_mb < RSS_MB_MAX
    assert_readable(checked.text[:20_000], imported.text[:20_000])
    assert bad.chinese in checked.text
    assert bad.english in imported.text
    assert held(site) == before
