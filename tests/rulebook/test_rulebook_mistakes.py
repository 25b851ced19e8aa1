"""Every mistake is told in Chinese and English, is really made by some cell, and who follows its advice gets on."""

import operator
import re
import string
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.reasons import Said, Sentence
from sorter.records import Names
from sorter.rulebook import Checked, Fault, Rejected, advice, cells, check_folder, crosscheck, meant, mistakes, tables
from sorter.rulebook import waybill as waybills
from sorter.rulebook.cells import CellError, Vocabulary
from sorter.rulebook.check import check_sheets
from sorter.rulebook.mistakes import QUOTED_MAX, Catalogue, Mistake, Wrong
from tests.rulebook import small_site, test_rulebook_advice, test_rulebook_tables, test_rulebook_waybill
from tests.rulebook.small_site import LINES, OFFSET_NS, changed, copy_of_small, errors_of, write
from tests.rulebook.test_rulebook_errors import CELLS, Case, grown

NOUNS = [value for value in vars(mistakes).values() if type(value) is Sentence]
FINDINGS = [value for value in vars(crosscheck).values() if type(value) is Sentence]
SENTENCES: list[Sentence] = [*Mistake, *NOUNS, *FINDINGS]
LANES = test_rulebook_tables.LANES
ENGLISH = re.compile(r"(?!CSV UTF)\b[A-Za-z]+(?: [A-Za-z]+)+")
CHINESE = re.compile(r"[\u4e00-\u9fff]{3,}|[，。；：“”]")


def ids(sentence: Sentence) -> str:
    return sentence.name if isinstance(sentence, Catalogue) else sentence.en


def facts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("sentence", SENTENCES, ids=ids)
def test_both_languages_tell_the_same_facts(sentence: Sentence) -> None:
    assert facts(sentence.zh) == facts(sentence.en)


@pytest.mark.parametrize("sentence", SENTENCES, ids=ids)
def test_each_language_keeps_to_itself(sentence: Sentence) -> None:
    assert re.search(r"[\u4e00-\u9fff；]", sentence.zh)
    assert not ENGLISH.search(sentence.zh)
    assert not CHINESE.search(sentence.en)


def test_a_kind_is_a_name_of_its_own() -> None:
    kinds = [mistake.kind for mistake in Mistake]
    assert len(set(kinds)) == len(kinds) == len(Mistake.__members__)
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", kind) for kind in kinds)
    assert not set(kinds) & set(dir(Sentence)), "a kind that hides what a Sentence can do"


def every_fact(said: Said) -> Iterator[object]:
    for fact in said.facts.values():
        if isinstance(fact, Said):
            yield from every_fact(fact)
        yield fact


def of_cells(folder: Path) -> Iterator[Fault]:
    for case in CELLS:
        yield from errors_of(write(folder, changed(case.table, case.row, case.column, case.text)))


def of_sets(folder: Path) -> Iterator[Fault]:
    """What tables say about each other."""
    chain = [[lane, lane, "local", spill] for lane, spill in zip("ABCDEF", [*"BCDEF", ""], strict=True)]
    yield from errors_of(write(folder, grown("sort_codes", [["YTO", "", "", "", "V001"]])))
    every_lane = [*copy_of_small()["chutes"], ["105", "L1", "46", "|".join("ABCDEF"), ""]]
    yield from errors_of(write(folder, grown("lanes", chain) | {"chutes": every_lane}))
    yield from errors_of(write(folder, copy_of_small() | {"exceptions": copy_of_small()["exceptions"][:1]}))
    yield from errors_of(write(folder, grown("stations", [[f"S{n}", "x", "city", "", "BUS"] for n in range(4092)])))
    wide = [["SF", "顺丰", rf"[A-Z]*{letter}[A-Z]{{8}}", "", ""] for letter in "AB"]
    yield from errors_of(write(folder, grown("carriers", wide)))


def of_files(folder: Path) -> Iterator[Fault]:
    for table, data, _, _ in test_rulebook_tables.BROKEN:
        yield from test_rulebook_tables.broken(folder, table, data)
    yield from errors_of(folder / "nowhere")
    for extra in ("nam", "路向"):
        yield from test_rulebook_tables.broken(folder, "lanes", LANES.replace("spill_to", f"spill_to,{extra}").encode())
    with pytest.raises(Rejected) as caught:
        check_sheets({}, LINES, OFFSET_NS, [])
    assert [fault.table for fault in caught.value.errors if fault.kind == "no_table"] == list(tables.TABLES)
    yield from caught.value.errors
    write(folder)
    (folder / "路向.csv").write_bytes(b"x")
    yield from errors_of(folder)
    (folder / "路向.csv").unlink()
    (folder / "lanes.csv").rename(folder / "lane.csv")
    yield from errors_of(folder)
    (folder / "lane.csv").unlink()
    yield from errors_of(folder)
    (folder / "lanes.csv").mkdir()
    yield from errors_of(folder)
    (folder / "lanes.csv").rmdir()
    write(folder, changed("rules", 3, "station", "\u200b"))
    (folder / "lanes (1).csv").write_bytes(b"x")
    yield from errors_of(folder)
    (folder / "lanes (1).csv").unlink()
    (folder / "lanes.csv").write_text("," * (tables.COLUMNS_MAX + 1) + "x")
    yield from errors_of(folder)
    (folder / "lanes.csv").write_text("," * (tables.LINE_TEXT_MAX + 1))
    yield from errors_of(folder)
    for size in (tables.FILE_BYTES_MAX, tables.FOLDER_BYTES_MAX):
        with (folder / "lanes.csv").open("wb") as file:
            file.truncate(size + 1)
        yield from errors_of(folder)


def of_advices(folder: Path, names: Names) -> Iterator[Fault]:
    header, good = test_rulebook_advice.HEADER.split(","), test_rulebook_advice.GOOD
    for column, cell, _ in test_rulebook_advice.WRONG:
        row = [cell if name == column else text for name, text in zip(header, good, strict=True)]
        text = "\n".join(map(",".join, (header, row)))
        yield from test_rulebook_advice.read(folder, names, text).errors
    yield from test_rulebook_advice.read(folder, names, ",".join(header) + '\n"' + ",".join([*good, "x"])).errors
    yield from test_rulebook_advice.read(folder, names, "\n".join(map(",".join, (header, [*good, "x"])))).errors
    yield from test_rulebook_advice.read(folder, names, '{"waybill": 5\n[1]\n', "a.ndjson").errors
    for text, _ in (*test_rulebook_advice.REFUSED, (",".join([*header, "手机"]), "")):
        with pytest.raises(Rejected) as caught:
            test_rulebook_advice.read(folder, names, text, encoding="utf-8")
        yield from caught.value.errors
    with pytest.raises(Rejected) as caught:
        advice.read(folder / "nowhere.csv", names)
    yield from caught.value.errors


def of_plans(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Fault]:
    names = small_site.load(write(folder)).names
    full = names._replace(services=(*names.services, *(f"s{number}" for number in range(13))))
    with pytest.raises(Rejected) as caught:
        small_site.load(write(folder, changed("rules", 3, "service", "one more")), full)
    yield from caught.value.errors
    patch.setattr(limits, "PLAN_BYTES_MAX", 1000)
    yield from errors_of(write(folder))


def of_places(folder: Path) -> Iterator[Fault]:
    """A line whose first divert is not before its end."""
    with pytest.raises(Rejected) as caught:
        check_folder(write(folder), LINES, OFFSET_NS, {"L1": range(240_000, 240_000)})
    yield from caught.value.errors


def of_parts() -> Iterator[Said]:
    """What is too rare for a whole set of tables."""
    tries: list[Callable[[], object]] = [
        *(lambda pattern=pattern: waybills.parse(pattern) for pattern, _ in test_rulebook_waybill.WRONG),
        lambda: waybills.compile_patterns([waybills.parse("B(((A*){24}){24}){24}")]),
        lambda: list(tables.records_of("\n" * (tables.ROWS_MAX + 1))),
        lambda: Vocabulary(mistakes.LANE, mistakes.KNOWN, map(str, range(100, 120))).find("elsewhere"),
    ]
    for attempt in tries:
        with pytest.raises(Wrong) as caught:
            attempt()
        yield caught.value.said


@pytest.fixture(name="said", scope="module")
def all_that_is_said(tmp_path_factory: pytest.TempPathFactory) -> list[Said]:
    folder = tmp_path_factory.mktemp("rules")
    names = small_site.load(write(folder)).names
    with pytest.MonkeyPatch.context() as patch:
        faults = [
            *of_cells(folder),
            *of_sets(folder),
            *of_advices(tmp_path_factory.mktemp("advices"), names),
            *of_places(folder),
            *of_plans(folder, patch),
            *of_files(folder),
        ]
    return [*(fault.said for fault in faults), *of_parts()]


def test_every_mistake_is_made_by_some_test(said: list[Said]) -> None:
    reached = {each.sentence for each in said}
    assert [mistake.name for mistake in Mistake if mistake not in reached] == []


def test_what_is_told_holds_every_fact_and_no_other_language(said: list[Said]) -> None:
    for each in said:
        assert set(each.facts) == facts(each.sentence.zh), each
        assert each.told("en").isprintable()
        assert not ENGLISH.search(each.told("zh")), each.told("zh")
        for fact in every_fact(each):
            assert not isinstance(fact, str) or isinstance(fact, Sentence) or not ENGLISH.search(fact), fact


def test_a_long_cell_is_cut_where_it_is_quoted() -> None:
    told = Mistake.NOT_A_DAY.about(text="x" * 5000).told("zh")
    assert "x" * QUOTED_MAX + "…”" in told
    assert len(told) < QUOTED_MAX + 100


# Who does what a message says gets on.

ADVISED = [case for case in CELLS if case.table != "carriers"]


@pytest.mark.parametrize("case", ADVISED, ids=[f"{case.table}.{case.column}={case.text[:20]!r}" for case in ADVISED])
def test_what_a_message_says_to_write_is_right(tmp_path: Path, case: Case) -> None:
    def faults(text: str) -> list[Fault]:
        found = errors_of(write(tmp_path, changed(case.table, case.row, case.column, text)))
        return [fault for fault in found if fault[:3] == (case.table, case.row, case.column)]

    for fault in faults(case.text):
        if "meant" in fault.said.facts:
            better = tables.plain(case.text).replace(str(fault.said.facts["text"]), str(fault.said.facts["meant"]))
            if case.column == "chute" and case.text == "109":
                continue  # 104 is a near name and no place for other goods
            assert [str(each) for each in faults(better)] == []


UNITS = {"": 1, "g": 1, "克": 1, "kg": 1000, " KG": 1000, "公斤": 1000, "千克": 1000, "斤": 500}
TO = ["-", "~", "～", "—", "——", "至", "到", " - ", "...", "…", "－"]


def advised(text: str, read: Callable[[str], object]) -> tuple[Mistake, str]:
    """The mistake of a cell, and what its message says to write."""
    with pytest.raises(CellError) as caught:
        read(tables.plain(text))
    said = caught.value.said
    assert isinstance(said.sentence, Mistake)
    return said.sentence, str(said.facts.get("meant", ""))


def weights(text: str) -> cells.Spans:
    return cells.spans(text, limits.WEIGHT_MAX_G, mistakes.GRAMS)


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(list(UNITS)), st.sampled_from(TO))
@settings(max_examples=150, deadline=None)
def test_a_range_with_a_wrong_sign(one: int, other: int, unit: str, to: str) -> None:
    low, high = sorted((one, other))
    found, better = advised(f"{low}{unit}{to}{high}{unit}", weights)
    assert found is Mistake.RANGE_SIGN
    assert weights(better) == ((low * UNITS[unit], high * UNITS[unit]),)
    assert advised(f"{low}{to}{high}{unit}", weights)[1] == better, "a unit behind the last number is that of both"


BOUNDS: list[tuple[str, Callable[[int, int], bool]]] = [
    *((f"{word}{{}}", operator.gt) for word in ("大于", "超过", "高于", "多于")),
    *((f"{word}{{}}", operator.ge) for word in ("≥", "大于等于", "不小于", "不低于", "至少", "=>")),
    *((f"{{}}{word}", operator.ge) for word in ("以上", "及以上")),
    *((f"{word}{{}}", operator.lt) for word in ("小于", "不足", "低于", "不满")),
    *((f"{word}{{}}", operator.le) for word in ("≤", "小于等于", "不超过", "不大于", "最多", "=<")),
    *((f"{{}}{word}", operator.le) for word in ("以下", "以内")),
]


@pytest.mark.parametrize(("written", "fits"), BOUNDS, ids=[written for written, _ in BOUNDS])
@pytest.mark.parametrize("unit", ["", "公斤"])
def test_a_bound_in_words(written: str, fits: Callable[[int, int], bool], unit: str) -> None:
    found, better = advised(written.format(f"20{unit}"), weights)
    assert found is Mistake.BOUND_IN_WORDS
    bound = 20 * UNITS[unit]
    ((low, high),) = weights(better)
    for value in (0, bound - 1, bound, bound + 1, limits.WEIGHT_MAX_G):
        assert (low <= value <= high) == fits(value, bound)


@pytest.mark.parametrize(
    ("text", "meant_time"),
    [
        ("8.30", "08:30"),
        ("8：3", ""),
        ("0830", "08:30"),
        ("830", "08:30"),
        ("8点", "08:00"),
        ("8点半", "08:30"),
        ("8时05分", "08:05"),
        ("下午2:15", "14:15"),
        ("中午12点", "12:00"),
        ("2:15 PM", "14:15"),
        ("12:15 pm", "12:15"),
        ("12:15 am", "00:15"),
        ("凌晨12点", "00:00"),
        ("晚上12点", ""),
        ("0.333333333", "08:00"),
        ("0.9999", ""),
        ("08:00:30", ""),
        ("25:00", ""),
        ("8:60", ""),
        ("2460", ""),
        ("noon", ""),
    ],
)
def test_a_time_written_otherwise(text: str, meant_time: str) -> None:
    found, better = advised(text, cells.departures)
    assert better == meant_time
    assert found is (Mistake.MISWRITTEN_TIME if meant_time else Mistake.NOT_A_TIME)


READERS: list[Callable[[str], object]] = [
    weights,
    cells.times,
    cells.days,
    cells.departures,
    cells.metres,
    cells.capacity,
    lambda text: cells.minutes_before(text, 10079),
    lambda text: cells.words(text, Vocabulary(mistakes.STATION, mistakes.KNOWN, ("1", "2", "kg"), titles={"克": "1"})),
]
_PIECES = st.sampled_from([*"0123589.,~-:|!*>< 克点半一%、", "..", "kg", "公斤", "以上", "大于", "am"])


@given(st.lists(_PIECES, min_size=1, max_size=7).map("".join), st.sampled_from(READERS))
@settings(max_examples=1500, deadline=None)
def test_whoever_follows_the_messages_gets_to_an_end(text: str, read: Callable[[str], object]) -> None:
    """No message makes another mistake of the same cell, and none leads in a circle."""
    written = [text]
    while (said := refused(written[-1], read)) is not None and "meant" in said.facts:
        better = written[-1].replace(str(said.facts["text"]), str(said.facts["meant"]), 1)
        assert better not in written, "advice goes round"
        written.append(better)


def refused(text: str, read: Callable[[str], object]) -> Said | None:
    try:
        read(text)
    except CellError as error:
        return error.said
    return None


@given(st.text("0123456789.:点时半 amp下午", max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_time_that_is_guessed_is_a_time(text: str) -> None:
    better = meant.clock(text)
    assert better == "" or cells.minute(better) < cells.DAY_MIN


# Places.

IN_CHINESE = test_rulebook_tables.CHINESE


def mirrored() -> dict[str, small_site.Table]:
    """The small site with Chinese headers and all columns from right to left, one blank column before them."""
    site = copy_of_small()
    return {
        name: [["", *reversed(IN_CHINESE[name])], *(["", *reversed(row)] for row in rows[1:])]
        for name, rows in site.items()
    }


def test_cells_are_named_as_the_spreadsheet_shows_them(tmp_path: Path) -> None:
    site = mirrored()
    header = site["rules"][0]
    site["rules"][2][header.index("重量（克）")] = "3kg"
    site["rules"].insert(1, [""] * len(header))
    (fault,) = errors_of(write(tmp_path, site, "gbk"))
    assert (fault.table, fault.row, fault.column, fault.kind) == ("rules", 4, "weight_g", "has_unit")
    assert fault.cell == f"{chr(ord('A') + header.index('重量（克）'))}4" == "G4"
    assert str(fault) == (
        'rules.csv row 4, column weight_g (G4): "3kg" is not a range of grams; write 3000, without unit'
    )
    assert fault.told("zh") == "rules.csv 第4行 “重量（克）”列（G4）：“3kg”不是克数的范围；不带单位，写 3000"
    assert fault.as_json("zh") == {
        "table": "rules",
        "row": 4,
        "column": "weight_g",
        "kind": "has_unit",
        "message": "“3kg”不是克数的范围；不带单位，写 3000",
        "cell": "G4",
        "file": "rules.csv",
        "sheet": "",
    }


def test_every_fault_of_a_cell_names_it(tmp_path: Path) -> None:
    for case in CELLS:
        site = copy_of_small()
        site[case.table][case.row - 1][site[case.table][0].index(case.column)] = case.text
        plain = errors_of(write(tmp_path, site))
        turned = {name: [["", *reversed(row)] for row in rows] for name, rows in site.items()}
        for before, after in zip(plain, errors_of(write(tmp_path, turned)), strict=True):
            assert before[:4] == after[:4]
            if before.cell:
                width = len(site[before.table][0])
                place = site[before.table][0].index(before.column)
                assert before.cell == f"{chr(ord('A') + place)}{before.row}"
                assert after.cell == f"{chr(ord('A') + width - place)}{before.row}"
            else:
                assert before.row == 0


def test_a_workbooks_fault_names_its_sheet() -> None:
    records = iter([(3, ["原因", "格口", "", "", "分拣线"]), (7, ["noread", "104", "", "", "L1", "x"])])
    sheet, found = tables.parse_records(
        "exceptions", records, tables.TABLES["exceptions"], source="book.xlsx", title="异常口"
    )
    assert [str(fault) for fault in found] == [
        'book.xlsx sheet 异常口 row 7 (F7): "x" stands beyond the last column; put a cell that holds a comma in quotes'
    ]
    with pytest.raises(Rejected) as caught:
        check_alone(sheet)
    told = caught.value.told("zh").splitlines()
    assert "book.xlsx 工作表“异常口” 第7行 “原因”列（A7）：系统里没有异常原因“noread”；是不是“no_read”？" in told
    assert caught.value.told("en") == str(caught.value)


def check_alone(sheet: tables.Sheet) -> Checked:
    return check_sheets({sheet.table: sheet}, LINES, OFFSET_NS, [])


def test_names_of_a_workbook_are_looked_for_on_its_sheets() -> None:
    lane = dict.fromkeys((*tables.TABLES["lanes"], tables.NOTE), "") | {"lane": "TRUCK"}
    lanes = tables.Sheet("lanes", [tables.Cells(2, lane)], "book.xlsx", "路向")
    rows = iter([(1, list(tables.TABLES["stations"])), (2, ["V1", "x", "city", "", "BUS"])])
    stations, _ = tables.parse_records("stations", rows, tables.TABLES["stations"], source="book.xlsx", title="站点")
    with pytest.raises(Rejected, match='"BUS" is no lane on sheet 路向') as caught:
        check_sheets({"lanes": lanes, "stations": stations}, LINES, OFFSET_NS, [])
    assert "工作表“路向”中没有路向“BUS”" in caught.value.told("zh")


def test_a_name_of_two_codes_stands_for_neither(tmp_path: Path) -> None:
    site = changed("rules", 3, "station", "龙雾村")
    (fault,) = errors_of(write(tmp_path, site))
    assert fault.message("zh") == "stations.csv 中没有站点“龙雾村”，它是名称；请写代码“V001”"
    site["stations"][2][1] = "龙雾村"
    (fault,) = errors_of(write(tmp_path, site))
    assert fault.kind == "unknown_of_few"


def test_headers_are_placed(tmp_path: Path) -> None:
    site = copy_of_small()
    for row in site["lanes"]:
        row.insert(1, "x")
    site["lanes"][0][1] = "颜色"
    (fault,) = errors_of(write(tmp_path, site))
    assert fault.told("zh") == "lanes.csv 第1行 “颜色”列（B1）：这张表没有“颜色”列；请删掉，或改名为“备注”"
    site["lanes"][0][1] = "路向代码"
    (fault,) = errors_of(write(tmp_path, site))
    assert (fault.cell, fault.kind) == ("B1", "second_column")


LETTERS = {0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA", 16383: "XFD"}


@pytest.mark.parametrize(("place", "letters"), LETTERS.items())
def test_addresses(place: int, letters: str) -> None:
    assert tables.address(place, 7) == f"{letters}7"


CHINESE_FILES = {table: f"{titles[-1]}.csv" for table, titles in tables.TITLES.items()}


def test_files_may_have_chinese_names(tmp_path: Path) -> None:
    plain = small_site.load(write(tmp_path)).version
    for table, name in CHINESE_FILES.items():
        (tmp_path / f"{table}.csv").rename(tmp_path / name)
    assert small_site.load(tmp_path).version == plain
    (tmp_path / "规则.csv").rename(tmp_path / "规则表.CSV")
    assert small_site.load(tmp_path).version == plain
    (tmp_path / "异常.csv").write_bytes(b"x")
    (fault,) = errors_of(tmp_path)
    assert (fault.table, fault.file) == ("exceptions", "异常.csv")
    (tmp_path / "异常口.csv").write_bytes(b"y")
    (fault,) = errors_of(tmp_path)
    assert fault.message("zh") == "异常.csv, 异常口.csv 是同一张表的几个文件；只留一个"


MEANT_TITLES = {
    "规则": "rules",
    " 规 则 ": "rules",
    "RULES": "rules",
    "Sort Codes": "sort_codes",
    "三段码表": "sort_codes",
    "Sheet1": "",
    "": "",
}


@pytest.mark.parametrize(("title", "table"), MEANT_TITLES.items())
def test_titles(title: str, table: str) -> None:
    assert tables.by_title(title) == table


# Findings between rows.


def checked(folder: Path, site: dict[str, small_site.Table]) -> Checked:
    return check_folder(write(folder, site), LINES, OFFSET_NS)


def carriers(formats: list[tuple[str, str]]) -> dict[str, small_site.Table]:
    """The small site with these carriers beside its own, whose formats need letters."""
    site = copy_of_small()
    site["carriers"] = site["carriers"][:2] + site["carriers"][3:]
    site["carriers"] += [[carrier, carrier, text, "", ""] for carrier, text in formats]
    return site


def test_formats_of_two_carriers_that_overlap(tmp_path: Path) -> None:
    site = carriers(
        [("A", r"7[0-5]\d{3,8}"), ("A", r"9\d{5}"), ("B", r"75\d{4}|9[7-9]\d{4}"), ("C", "X[AB]?"), ("D", "XB|XAA")]
    )
    found = crosscheck.pattern_overlaps(checked(tmp_path, site))
    assert found == [(4, 6, "750000"), (7, 8, "XB")]
    first, *_ = crosscheck.findings(checked(tmp_path, site))
    assert first.as_json("en") == {
        "kind": "waybill_overlap",
        "table": "carriers",
        "rows": [4, 6],
        "witness": "750000",
        "message": first.said.told("en"),
    }
    assert "750000" in first.told("zh")
    assert first.told("zh").startswith("carriers 第4行：")


def test_an_overlap_longer_than_a_waybill_is_none(tmp_path: Path) -> None:
    longest = limits.WAYBILL_TEXT_MAX
    for length, found in ((longest, 1), (longest + 1, 0)):
        site = carriers([("A", f"Q*Z{{{length // 2}}}Z*"), ("B", f"Q{{{length - length // 2},}}Z*")])
        assert len(crosscheck.pattern_overlaps(checked(tmp_path, site))) == found


_FORMAT = st.lists(st.sampled_from(["1", "2", "[12]", "A", "1?", "A*", "(1|2A)", r"\d{2}"]), min_size=1, max_size=3)


@given(st.lists(_FORMAT.map("".join), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_overlaps_against_all_short_codes(tmp_path_factory: pytest.TempPathFactory, formats: list[str]) -> None:
    kept = [each for each in dict.fromkeys(formats) if not re.fullmatch(each, "")]
    rows = [(f"C{number}", each) for number, each in enumerate(kept)]
    found = crosscheck.pattern_overlaps(checked(tmp_path_factory.mktemp("rules"), carriers(rows)))
    codes = ["".join(code) for size in range(1, 6) for code in product("012A", repeat=size)]
    fitting = {code: [at for at, (_, each) in enumerate(rows, 4) if re.fullmatch(each, code)] for code in codes}
    shortest: dict[tuple[int, int], int] = {}
    for code, places in fitting.items():
        for pair in combinations(places, 2):
            shortest.setdefault(pair, len(code))
    told = {(a, b): code for a, b, code in found}
    assert {pair: len(code) for pair, code in told.items() if len(code) < 6} == shortest
    assert all({a, b} <= set(fitting[code]) for (a, b), code in told.items() if len(code) < 6)


def test_lanes_that_a_line_cannot_serve(tmp_path: Path) -> None:
    site = copy_of_small()
    assert crosscheck.lanes_without_chute_on(checked(tmp_path, site)) == []
    site["chutes"][6][3] = ""  # chute 202: PLANE has none left on L2
    assert crosscheck.lanes_without_chute_on(checked(tmp_path, site)) == [(4, "L2")]
    (found,) = [each for each in crosscheck.findings(checked(tmp_path, site)) if each.kind == "lane_without_chute"]
    assert (found.table, found.rows, found.witness) == ("lanes", (4,), {"lane": "PLANE", "line": "L2"})
    assert found.told("en").startswith("lanes row 4: lane PLANE has no chute on line L2")


def test_lines_with_more_lanes_than_chutes(tmp_path: Path) -> None:
    site = copy_of_small()
    assert crosscheck.crowded_lines(checked(tmp_path, site)) == [("L2", 3, 2)]
    site["chutes"][2][3] = "OUT"  # an exception lane's chute is none for the others
    assert crosscheck.crowded_lines(checked(tmp_path, site)) == [("L1", 3, 2), ("L2", 3, 2)]
    found = [each for each in crosscheck.findings(checked(tmp_path, site)) if each.kind == "crowded_line"]
    assert [each.rows for each in found] == [(), ()]
    assert found[0].told("zh") == "chutes：分拣线 L1 的 2 个格口要分 3 个路向；有的格口会混装几个路向"
