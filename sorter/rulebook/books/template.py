"""What an empty workbook tells whoever fills it in: a word on each column, what it may hold, and one example row."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sorter.reasons import Language, Sentence
from sorter.rulebook import rows
from sorter.rulebook.tables import NOTE, TABLES, Sheet, folded

_LANE_OF_A_TABLE: Final = Sentence("路向代码，见工作表“路向”。", "A lane's code, see the sheet lanes.")
_LINE: Final = Sentence("分拣线，写 site.toml 中的线名，如 L1。", "The line, by its name in site.toml, such as L1.")
_CAPACITY: Final = Sentence("件数，只写数字；留空：不限。", "Items, digits alone; blank: no limit.")
_DAYS: Final = Sentence(
    "星期：1 是周一，7 是周日；如 1..5、周一..周五、6|7。留空：每天。不要写 1-5，会被变成日期。",
    "Days: 1 is Monday; such as 1..5, mon..fri, 6|7. Blank: every day. 1-5 may be turned into a date.",
)
_CONDITION: Final = Sentence(
    "条件，写代码；几个用 | 隔开，! 放最前表示除外，* 放最后表示以此开头。留空：不限。",
    "A condition, by code; several by |, a ! in front excludes, a * at the end means all that begin so. Blank: any.",
)
_TITLE: Final = Sentence("平时叫的名称，必填。", "What staff call it; needed.")

COLUMNS_TOLD: Final[Mapping[tuple[str, str], Sentence]] = {
    ("carriers", "carrier"): Sentence(
        "承运商代码，如 SF。有几种运单格式就写几行。", "The carrier's code, such as SF. A row for each waybill format."
    ),
    ("carriers", "name"): Sentence("名称，同一承运商各行相同。", "Its name, the same in all its rows."),
    ("carriers", "waybill"): Sentence(
        r"运单格式：SF\d{12} 表示 SF 加 12 位数字；[0-9A-Z] 其中一个字符，(A|B) 二选一，{12,13} 12 到 13 次。"
        "总是比对整个条码，能窄则窄。",
        r"The waybill format: SF\d{12} is SF and 12 digits; [0-9A-Z] one of these, (A|B) either, {12,13} 12 or 13"
        " times. The whole code must fit; write it narrow.",
    ),
    ("carriers", "valid_from"): Sentence(
        "生效日期，如 2026-11-01；留空：一直有效。", "Such as 2026-11-01; blank: always."
    ),
    ("stations", "station"): Sentence("站点代码，不可重复。", "The station's code, once."),
    ("stations", "name"): _TITLE,
    ("stations", "kind"): Sentence(
        "village 村、township 乡镇、counter 网点、city 外地；写中文也可以。", "village, township, counter or city."
    ),
    ("stations", "township"): Sentence(
        "所属乡镇，统计和规则使用；外地留空。", "The township it belongs to; blank: none."
    ),
    ("stations", "lane"): Sentence(
        "没有规则时走的路向代码，见工作表“路向”。", "The lane it goes by when no rule says otherwise."
    ),
    ("sort_codes", "carrier"): Sentence(
        "承运商代码，几个用 | 隔开；留空：所有承运商。", "Carriers' codes, several by |; blank: all."
    ),
    ("sort_codes", "一段码"): Sentence("一段码，开头的 0 不能丢。", "The first segment, with its leading zeros."),
    ("sort_codes", "二段码"): Sentence("二段码；留空：以一段码开头的都算。", "The second; blank: all that begin so."),
    ("sort_codes", "三段码"): Sentence("三段码；留空：以前两段开头的都算。", "The third; blank: all that begin so."),
    ("sort_codes", "station"): Sentence("站点代码，见工作表“站点”。", "A station's code, see the sheet stations."),
    ("lanes", "lane"): Sentence("路向代码，不可重复，不能全是数字。", "The lane's code, once, not digits alone."),
    ("lanes", "name"): _TITLE,
    ("lanes", "kind"): Sentence(
        "bus 客运、freight 货运、village 村线、air 航空、cold 冷链、linehaul 干线、local 本地、exception 异常。",
        "bus, freight, village, air, cold, linehaul, local or exception.",
    ),
    ("lanes", "spill_to"): Sentence(
        "班次装满后改走的路向；最多连续 4 步，不能绕圈。",
        "The lane to use when the trip is full; at most 4 steps, no circle.",
    ),
    ("trips", "lane"): _LANE_OF_A_TABLE,
    ("trips", "days"): _DAYS,
    ("trips", "departs"): Sentence(
        "发车时间，如 08:00；几班写 08:00|14:30。", "Such as 08:00, several as 08:00|14:30."
    ),
    ("trips", "cutoff_min"): Sentence(
        "发车前多少分钟停止装车，只写数字，如 15。", "Minutes before departure that loading stops, such as 15."
    ),
    ("trips", "capacity"): _CAPACITY,
    ("chutes", "chute"): Sentence("格口号，全中心唯一的数字。", "The chute's number, once in the hub."),
    ("chutes", "line"): _LINE,
    ("chutes", "position"): Sentence(
        "沿环线在扫描仪之后多少米，如 36 或 36.5。", "Metres behind the scanner along the loop, such as 36 or 36.5."
    ),
    ("chutes", "lane"): Sentence(
        "路向代码，几个用 | 隔开，第一个为主；留空：备用格口。", "Lanes' codes by |, its own first; blank: spare."
    ),
    ("chutes", "capacity"): Sentence("一袋（笼）多少件；留空：不限。", "Items a bag or cage; blank: no limit."),
    ("rules", "row"): Sentence(
        "序号，唯一，从小到大；从上往下第一行符合的生效。",
        "A number, once, ascending; the first row that fits decides.",
    ),
    ("rules", "carrier"): _CONDITION,
    ("rules", "station"): _CONDITION,
    ("rules", "township"): _CONDITION,
    ("rules", "service"): Sentence(
        "产品，standard 为普通件，其他名称自定；几个用 | 隔开。留空：不限。",
        "The service; standard is the ordinary one, others are free words, several by |. Blank: any.",
    ),
    ("rules", "flow"): Sentence("进港（inbound）或出港（outbound）；留空：不限。", "inbound or outbound; blank: any."),
    ("rules", "weight_g"): Sentence(
        "克数：0..3000 两头都含，>3000，<=500。不写单位。留空：不限；没有称重的件只符合留空。",
        "Grams: 0..3000 with both ends, >3000, <=500, no unit. Blank: any; an item not weighed fits only a blank cell.",
    ),
    ("rules", "length_mm"): Sentence(
        "最长边毫米数：0..600，>1200。不写单位。留空：不限。",
        "The longest side in millimetres: 0..600, >1200, no unit. Blank: any.",
    ),
    ("rules", "time"): Sentence(
        "时段，如 08:00..12:30，含 08:00，不含 12:30；22:00..02:00 过零点。留空：不限。",
        "Such as 08:00..12:30, without 12:30 itself; 22:00..02:00 runs past midnight. Blank: any.",
    ),
    ("rules", "days"): _DAYS,
    ("rules", "send_to"): Sentence(
        "去向，必填：路向代码、格口号，或 reject: 加原因，如 reject:overweight。",
        "Where to, needed: a lane, a chute's number, or reject: and a reason, such as reject:overweight.",
    ),
    ("exceptions", "reason"): Sentence(
        "原因，几个用 | 隔开；留空：所有原因。每条线上每个原因都要有格口。",
        "Reasons by |; blank: all. Every line needs a chute for each reason.",
    ),
    ("exceptions", "line"): _LINE,
    ("exceptions", "chute"): Sentence("格口号，必须在这条线上。", "The chute's number, on that line."),
}
NOTE_TOLD: Final = Sentence(
    "备注，随便写，不影响分拣。模板里的示例行原样留着不会导入，改过任何一格就算数。",
    "A note; it changes nothing. The template's example row is not imported as it is; change any cell and it counts.",
)
EXAMPLE_NOTE: Final = Sentence("示例，不导入；改过就算数", "example, not imported; it counts once changed")

# A spreadsheet that opens the examples as CSV changes none of them: no zero at a front, no date.
_EXAMPLES: Final[Mapping[str, tuple[str | Sentence, ...]]] = {
    "carriers": ("SF", Sentence("顺丰", "SF Express"), r"SF\d{12}", ""),
    "stations": (
        "V001",
        Sentence("示例村", "Example village"),
        Sentence("村", "village"),
        Sentence("示例镇", "Town"),
        "BUS-1",
    ),
    "sort_codes": ("SF", "531", "A03", "12", "V001"),
    "lanes": ("BUS-1", Sentence("客运一线", "Bus line 1"), Sentence("客运", "bus"), ""),
    "trips": ("BUS-1", "1..5", "08:00|14:30", "15", "100"),
    "chutes": ("101", "L1", "36.5", "BUS-1", "60"),
    "rules": ("10", "SF", "V001", "", "", Sentence("进港", "inbound"), "0..3000", "", "08:00..12:30", "1..5", "BUS-1"),
    "exceptions": ("no_read|unknown_code", "L1", "101"),
}


def example(table: str, language: Language) -> dict[str, str]:
    """The example row of a table, by column, as it is read back."""
    cells = zip((*TABLES[table], NOTE), (*_EXAMPLES[table], EXAMPLE_NOTE), strict=True)
    return {
        column: folded(column, cell.told(language) if isinstance(cell, Sentence) else cell) for column, cell in cells
    }


def without_examples(sheet: Sheet) -> Sheet:
    """The sheet without a template's example row. One cell changed, or no such note, and the row is staff's own."""
    examples = [example(sheet.table, language) for language in ("zh", "en")]
    return sheet._replace(rows=[row for row in sheet.rows if row.texts not in examples])


class Choice(NamedTuple):
    """What a column's dropdown offers: words, or what stands in a column of a table."""

    words: tuple[Sentence, ...] = ()
    table: str = ""
    column: str = ""
    is_one: bool = True  # False: the cell may hold several, or begin with a !, so other texts are no mistake


def _words(spellings: Mapping[str, tuple[str, ...]]) -> tuple[Sentence, ...]:
    return tuple(Sentence(others[0], word) for word, others in spellings.items())


_REASONS: Final = tuple(Sentence(word, word) for word in rows.REASON_WORDS)

CHOICES: Final[Mapping[tuple[str, str], Choice]] = {
    ("stations", "kind"): Choice(_words(rows.STATION_KINDS)),
    ("stations", "lane"): Choice(table="lanes", column="lane"),
    ("sort_codes", "carrier"): Choice(table="carriers", column="carrier", is_one=False),
    ("sort_codes", "station"): Choice(table="stations", column="station"),
    ("lanes", "kind"): Choice(_words(rows.LANE_KINDS)),
    ("lanes", "spill_to"): Choice(table="lanes", column="lane"),
    ("trips", "lane"): Choice(table="lanes", column="lane"),
    ("chutes", "lane"): Choice(table="lanes", column="lane", is_one=False),
    ("rules", "carrier"): Choice(table="carriers", column="carrier", is_one=False),
    ("rules", "station"): Choice(table="stations", column="station", is_one=False),
    ("rules", "flow"): Choice(_words(rows.FLOWS), is_one=False),
    ("rules", "send_to"): Choice(table="lanes", column="lane", is_one=False),
    ("exceptions", "reason"): Choice(_REASONS, is_one=False),
    ("exceptions", "chute"): Choice(table="chutes", column="chute"),
}

assert COLUMNS_TOLD.keys() == {(table, column) for table, columns in TABLES.items() for column in columns}
assert CHOICES.keys() <= COLUMNS_TOLD.keys()
