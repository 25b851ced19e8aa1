"""Every mistake that staff can make has one name here, and a sentence in Chinese and in English.

A sentence says what is wrong and what to write instead; the place is told by findings.Fault.
"""

from enum import Enum, unique
from typing import Any, Final

from sorter.reasons import Said, Sentence

QUOTED_MAX: Final = 200


class Catalogue(Sentence, Enum):
    """Sentences that go by a name; `kind` is that name as programs read it. It never changes."""

    @property
    def kind(self) -> str:
        """Such as `not_a_number`."""
        return self.name.lower()

    def about(self, **facts: Any) -> Said:
        """As Sentence.about; what is quoted from a cell is cut where nobody would read on."""
        text = facts.get("text")
        if isinstance(text, str) and len(text) > QUOTED_MAX:
            facts["text"] = f"{text[:QUOTED_MAX]}…"
        return super().about(**facts)


class Wrong(ValueError):
    """Something that staff wrote is wrong. `said` tells what it is, and what to write instead."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return self.said.told("en")


CARRIER: Final = Sentence("承运商", "carrier")
STATION: Final = Sentence("站点", "station")
TOWNSHIP: Final = Sentence("乡镇", "township")
SERVICE: Final = Sentence("产品", "service")
LANE: Final = Sentence("路向", "lane")
CHUTE: Final = Sentence("格口", "chute")
LINE: Final = Sentence("分拣线", "line")
FLOW: Final = Sentence("进出港", "flow")
STATION_KIND: Final = Sentence("站点类型", "kind of station")
LANE_KIND: Final = Sentence("路向类型", "kind of lane")
REASON: Final = Sentence("异常原因", "reason for an exception chute")
DAY: Final = Sentence("星期", "day")
TIME: Final = Sentence("时刻", "time")
TIME_SPAN: Final = Sentence("时段", "span of time")
"""What a cell names, after "no", "a" and 一个."""

IN_FILE: Final = Sentence("{file} 中", "in {file}")
ON_SHEET: Final = Sentence("工作表“{sheet}”中", "on sheet {sheet}")
IN_SITE: Final = Sentence("site.toml 中", "of site.toml")
IN_PLAN: Final = Sentence("分拣方案中", "of the sort plan")
KNOWN: Final = Sentence("系统里", "that is known")
"""Where the names stand that a cell may hold."""

GRAMS: Final = Sentence("克数", "grams")
WEIGHT_G: Final = Sentence("重量克数", "the weight in grams")
MILLIMETRES: Final = Sentence("毫米数", "millimetres")
METRES: Final = Sentence("米数", "metres")
MINUTES_BEFORE: Final = Sentence("发车前的分钟数", "minutes before departure")
ITEMS: Final = Sentence("件数", "a number of items")
CHUTE_NUMBER: Final = Sentence("格口号", "the chute's number")
ROW_NUMBER: Final = Sentence("序号", "the row's number")
"""What is counted."""

WHOLE_NUMBER: Final = Sentence("整数", "a whole number")
PLACE: Final = Sentence("位置", "a place")
RANGE_OF: Final = Sentence("{unit}的范围", "a range of {unit}")
"""What a wrong number should have been."""

FORMATS: Final = Sentence("种运单格式", "waybill formats")
CARRIERS: Final = Sentence("个承运商", "carriers")
STATIONS: Final = Sentence("个站点", "stations")
TOWNSHIPS: Final = Sentence("个乡镇", "townships")
SORT_CODES: Final = Sentence("个三段码（每个承运商各算一次）", "sort codes, counted once for each carrier,")
LANES: Final = Sentence("个路向", "lanes")
LINES: Final = Sentence("条分拣线", "lines")
DEPARTURES: Final = Sentence("个班次（按一周计）", "departures a week")
CHUTES: Final = Sentence("个格口", "chutes")
RULES: Final = Sentence("条规则", "rules")
SERVICES_AND_STANDARD: Final = Sentence("种产品（含 standard）", "services, standard among them,")
SERVICES: Final = Sentence("种产品", "services")
"""What there can be too many of."""

STATION_KEY: Final = Sentence("站点 {name} ", "station {name}")
LANE_KEY: Final = Sentence("路向 {name} ", "lane {name}")
CHUTE_KEY: Final = Sentence("格口 {name} ", "chute {name}")
NUMBER_KEY: Final = Sentence("序号 {name} ", "number {name}")
FORMAT_KEY: Final = Sentence("{carrier} 的运单格式 {name} ", "{carrier} {name}")
SORT_CODE_KEY: Final = Sentence("{carrier} 的三段码 {name} ", "{name} of {carrier}")
TRIP_KEY: Final = Sentence("路向 {name} 截止时间相同的班次", "a trip of {name} with the same cut-off")
EXCEPTION_KEY: Final = Sentence("分拣线 {line} 的异常原因 {name} ", "{name} on line {line}")
"""What stands in one row only."""

NO_SUCH_FILE: Final = Sentence("没有这个文件", "No such file or directory")
NO_PERMISSION: Final = Sentence("没有读取权限", "Permission denied")
SYSTEM_ERROR: Final = Sentence("系统错误 {number}", "system error {number}")
"""Why a file cannot be read."""

ALSO: Final = Sentence("；{said}{rest}", "; {said}{rest}")
"""One more thing about the same place."""


def _in_pattern(zh: str, en: str) -> tuple[str, str]:
    return "“{text}”第 {at} 个字符“{sign}”" + zh, '"{text}", character {at}: "{sign}" ' + en


@unique
class Mistake(Catalogue):
    """The mistakes of rule tables and advice files."""

    # Any cell
    LINE_BREAK = (
        "格子里有换行；请检查这一行或上面的行是否少了一个引号",
        "the cell holds a line break; is a quotation mark missing in this row or an earlier one?",
    )
    FORMULA = ("“{text}”是公式；请写成文本", '"{text}" is a formula; write its value as text')
    DIGITS_LOST = (
        "“{text}”是表格软件把长号码或 57E1 这样的代码改成的，数字已经丢失；请把这一列设成文本格式，重新填写完整",
        (
            '"{text}" is what a spreadsheet makes of a long number or of a code such as 57E1, and the digits are lost;'
            " format the column as text and write it again in full"
        ),
    )
    MADE_A_DATE = (
        "“{text}”是日期：表格软件会把 1-2 这样的内容改成日期；请把这一列设成文本格式，重新填写",
        '"{text}" is a date: a spreadsheet makes one of text such as 1-2; format the column as text and write it again',
    )
    ERROR_MARK = (
        "“{text}”是表格软件的出错标记，不是内容；请写成文本",
        '"{text}" is a spreadsheet\'s error mark, not a value; write the value as text',
    )

    # Names
    EMPTY_NAME = ("格子是空的；请填代码", "the cell is empty; write a name")
    EMPTY_TITLE = ("格子是空的；请填平时叫的名称", "the cell is empty; write what staff call it")
    EMPTY_WORD = ("格子是空的；请填{what}（{where}要有）", "the cell is empty; write a {what} {where}")
    RESERVED_SIGN = (
        "“{text}”里有 {sign}，它在别的格子里另有含义；代码里不要用",
        '"{text}" holds {sign}, which means something in other cells; leave it out of names',
    )
    NAME_TOO_LONG = (
        "“{text}”有 {length} 个字符；最多 {most} 个",
        '"{text}" has {length} characters; a name has at most {most}',
    )
    CONTROL_CHARACTER = (
        "代码里有制表符等看不见的控制字符；请重新填写",
        "the name holds a tab or another control character; write it again",
    )
    UNKNOWN = ("{where}没有{what}“{text}”；请改成已有的", '"{text}" is no {what} {where}')
    UNKNOWN_NEAR = (
        "{where}没有{what}“{text}”；是不是“{meant}”？",
        '"{text}" is no {what} {where}; did you mean "{meant}"?',
    )
    UNKNOWN_OF_FEW = (
        "{where}没有{what}“{text}”；可以写 {names}",
        '"{text}" is no {what} {where}; write one of {names}',
    )
    TITLE_FOR_CODE = (
        "{where}没有{what}“{text}”，它是名称；请写代码“{meant}”",
        '"{text}" is no {what} {where} but the name of one; write its code "{meant}"',
    )
    UNKNOWN_PREFIX = (
        "{where}没有以“{text}”开头的{what}；请检查开头",
        'no {what} {where} begins with "{text}"; write another beginning',
    )
    SEPARATOR = (
        "“{text}”里的{what}要用 | 分开，写“{meant}”",
        '"{text}" is not a {what}; separate values by |: "{meant}"',
    )
    NOT_ALONE = (
        "“{text}”：这里只能写一个{what}，不能用 |、! 和 *",
        '"{text}": here stands one {what} alone, without |, ! and *',
    )
    MISPLACED_NOT = (
        "“{text}”：! 只写一次，写在最前面，后面的全部排除，如 !A|B",
        '"{text}": a ! stands once, at the front, and excludes all that follows: !A|B',
    )
    VALUE_MISSING = (
        "“{text}”：| 旁边少了一个值；补上或删掉 |",
        '"{text}": a value is missing beside |; add it, or delete the |',
    )
    BLANK_MEANT = ("“{text}”表示不限；请把格子留空", '"{text}" would be any; leave the cell blank instead')
    NONE_MEANT = ("“{text}”表示没有；请把格子留空", '"{text}" would be none; leave the cell blank instead')

    # Numbers
    EMPTY_NUMBER = (
        "格子是空的；请写{unit}，只用数字，{least} 到 {most}",
        "the cell is empty; write {unit} as digits alone, from {least} to {most}",
    )
    NOT_A_NUMBER = (
        "“{text}”不是整数；请写{unit}，只用数字，{least} 到 {most}",
        '"{text}" is not a whole number; write {unit} as digits alone, from {least} to {most}',
    )
    OUT_OF_RANGE = (
        "{text} 超出范围；{unit}要在 {least} 到 {most} 之间",
        "{text} is out of range; write {unit} from {least} to {most}",
    )
    HAS_UNIT = (
        "“{text}”不是{what}；不带单位，写 {meant}",
        '"{text}" is not {what}; write {meant}, without unit',
    )
    THOUSANDS = (
        "“{text}”不是{what}；不带千位分隔符，写 {meant}",
        '"{text}" is not {what}; write {meant}, without separators',
    )
    PERCENT = (
        "“{text}”是百分数，不是{what}；请写{unit}，不带 %",
        '"{text}" is a percentage, not {what}; write {unit}, without %',
    )
    NO_CAPACITY = (
        "容量 0 等于什么都不收；不限就留空，不用就删掉这一行",
        "a capacity of 0 would take nothing; leave the cell blank for no limit, or delete the row",
    )
    NO_LIMIT_MEANT = ("“{text}”表示不限量；请把格子留空", '"{text}" would be no limit; leave the cell blank for that')
    CUTOFF_AFTER_DEPARTURE = (
        "“{text}”：截止会晚于发车；写发车前多少分钟，{meant} 或 0",
        '"{text}": the cut-off would be after departure; write how many minutes before it, {meant} or 0',
    )
    EMPTY_PLACE = (
        "格子是空的；请写在扫描仪之后多少米，如 36 或 36.5",
        "the cell is empty; write metres behind the scanner, such as 36 or 36.5",
    )
    NOT_A_PLACE = (
        "“{text}”不是位置；写在扫描仪之后多少米，如 36 或 36.5",
        '"{text}" is not a place; write metres behind the scanner, such as 36 or 36.5',
    )

    PLACE_BEFORE_DIVERT = (
        "{place} 米在 {line} 线第一个分流口（scanner_to_divert_m = {least}）前；写 {least} 到 {most}，或改正 site.toml",
        (
            "{place} m is before the first divert of line {line} (scanner_to_divert_m = {least}); "
            "write {least} to {most}, or correct site.toml"
        ),
    )
    PLACE_BEYOND_LAP = (
        "{place} 米超出了分拣线 {line}（lap_m）；写 {least} 到 {most}，或改正 site.toml",
        "{place} m is beyond the end of line {line} (lap_m); write {least} to {most}, or correct site.toml",
    )
    NO_PLACES = (
        ("{line} 线没有放格口的地方：scanner_to_divert_m = {least} 不小于 lap_m；两者都从扫描仪量起，请改正 site.toml"),
        (
            "line {line} has no place for a chute: scanner_to_divert_m = {least} is not below lap_m; "
            "measure both from the scanner on, and correct site.toml"
        ),
    )

    # Ranges
    NOT_A_RANGE = (
        "“{text}”不是{unit}的范围；写 0..3000、>3000 或一个整数，不带单位",
        '"{text}" is not a range of {unit}; write 0..3000, >3000 or one whole number, without unit',
    )
    RANGE_SIGN = (
        "“{text}”不是{unit}的范围；从几到几用两个点，写 {meant}",
        '"{text}" is not a range of {unit}; write {meant}, with two dots',
    )
    BOUND_IN_WORDS = (
        "“{text}”不是{unit}的范围；用符号写 {meant}",
        '"{text}" is not a range of {unit}; write {meant}',
    )
    EMPTY_RANGE = (
        "“{text}”里一个数也没有；小的写前面，在 0..{most} 之内",
        '"{text}" holds no number; write the smaller one first, within 0..{most}',
    )

    # Times, days, dates
    NOT_A_TIME = (
        "“{text}”不是时刻；按 24 小时写几点几分，如 08:00",
        '"{text}" is not a time; write hours and minutes of 24 hours, such as 08:00',
    )
    MISWRITTEN_TIME = (
        "“{text}”不是时刻的写法；写 {meant}（24 小时制）",
        '"{text}" is not a time; write {meant}, in hours and minutes of 24 hours',
    )
    EMPTY_DEPARTS = (
        "格子是空的；请写发车时间，如 08:00",
        "the cell is empty; write when the trip departs, such as 08:00",
    )
    DEPARTS_AT_24 = (
        "24:00 就是第二天的 00:00；请写 00:00，星期写第二天",
        "24:00 is 00:00 of the next day; write 00:00 and the day after in days",
    )
    NOT_A_TIME_SPAN = ("“{text}”不是时段；写 08:00..12:30", '"{text}" is not a span of time; write 08:00..12:30')
    TIME_SPAN_SIGN = (
        "“{text}”不是时段；从几点到几点用两个点，写 {meant}",
        '"{text}" is not a span of time; write {meant}, with two dots',
    )
    EMPTY_TIME_SPAN = (
        "“{text}”的开始和结束相同；全天请把格子留空",
        '"{text}" begins where it ends; for the whole day leave the cell blank',
    )
    BEGINS_AT_24 = ("“{text}”从 24:00 开始；请写 00:00", '"{text}" begins at 24:00; write 00:00')
    NOT_A_DAY = (
        "“{text}”不是星期；写 1（周一）到 7、周一、mon、从几到几 1..5，或几天 1|3|5",
        '"{text}" is not a day; write 1 (Monday) to 7, 周一, mon, a span 1..5, or several: 1|3|5',
    )
    NO_DAY_LEFT = (
        "“{text}”一天也不剩；请至少留一天",
        '"{text}" leaves no day of the week; leave at least one',
    )
    NOT_A_DATE = (
        "“{text}”不是日期；写 2026-11-01，或把格子留空",
        '"{text}" is not a date; write 2026-11-01, or leave the cell blank',
    )

    # Waybill formats
    EMPTY_FORMAT = (
        "格子是空的；请填运单格式，如 SF\\d{{12}}",
        "the cell is empty; write the waybill format, such as SF\\d{{12}}",
    )
    FORMAT_TOO_LONG = (
        "运单格式有 {length} 个字符；最多 {most} 个，或分成几行写",
        "the format has {length} characters; write at most {most}, or several rows",
    )
    FITS_NOTHING_READ = (
        "这个运单格式连空白条码也符合；至少要有一部分是必须的",
        "the pattern fits an empty code; make some part of it required",
    )
    FITS_TOO_LONG = (
        "这个运单格式会符合 {length} 个字符的条码；最多 {most} 个，请写短一些",
        "the pattern fits codes of {length} characters; the most is {most}, so make it shorter",
    )
    NEVER_OPENED = _in_pattern("没有对应的左括号；请删掉", "closes a group that was never opened; delete it")
    PART_MISSING = (
        "“{text}”第 {at} 个字符处少了内容；“可有可无”请写 ?",
        '"{text}", character {at}: something is missing here; for "may be left out" write ?',
    )
    SECOND_COUNT = _in_pattern(
        "跟在另一个次数后面；次数只写一个，如 {{2,4}}", "follows another count; write one count, such as {{2,4}}"
    )
    NOT_A_COUNT = _in_pattern(
        "开头的不是次数；写 {{12}}、{{12,13}} 或 {{11,}}", "begins no count; write {{12}}, {{12,13}} or {{11,}}"
    )
    COUNT_TOO_HIGH = _in_pattern(
        "的次数超过 {most}，运单没有这么长；请写小一些",
        "counts beyond {most}, the longest waybill; write a smaller count",
    )
    COUNTS_DOWN = _in_pattern(
        "的次数前大后小；小的写前面，后一个至少是 1",
        "counts down; write the smaller number first, and at least 1 as the second",
    )
    NEVER_IN_A_WAYBILL = _in_pattern(
        "不会出现在运单里；运单只有数字、A-Z、-、/ 和 \\.", "cannot be in a waybill; it has digits, A-Z, -, / and \\."
    )
    ANY_CHARACTER = _in_pattern(
        "代表任意字符；点请写 \\.，或写 [0-9A-Z] 这样的字符组",
        "would be any character; write \\. for a dot, or a class such as [0-9A-Z]",
    )
    NEEDLESS_ANCHOR = _in_pattern(
        "不需要，总是比对整个条码；请删掉",
        "is not needed: a pattern always stands for the whole code; delete it",
    )
    NOTHING_TO_COUNT = _in_pattern(
        "前面没有可以重复的内容；请补上或删掉", "has nothing before it to repeat; add that, or delete it"
    )
    UNKNOWN_ESCAPE = _in_pattern(
        "不认识；一位数字写 \\d，点写 \\.，其他字符直接写",
        "is not known; write \\d for a digit, \\. for a dot, or the character itself",
    )
    SPECIAL_GROUP = _in_pattern(
        "开头的是特殊括号；写普通的，如 (A|B)", "begins a special group; write a plain one: (A|B)"
    )
    GROUP_LEFT_OPEN = _in_pattern("没有对应的右括号；请补上 )", "opens a group that is never closed; add )")
    CLASS_LEFT_OPEN = _in_pattern("没有对应的右括号；请补上 ]", "opens a class that is never closed; add ]")
    EMPTY_CLASS = _in_pattern("里要列出符合的字符，如 [0-9A-Z]", "must list the characters that fit, such as [0-9A-Z]")
    NOT_A_CLASS_SPAN = _in_pattern(
        "不是一段；写数字或字母的一段，如 0-9 或 A-Z",
        "is no span; write one of digits or of letters, such as 0-9 or A-Z",
    )
    REPEATS_TOO_MUCH = (
        "运单格式重复太多；请写窄一些",
        "the format repeats too much; write it narrower",
    )
    TOO_MANY_STATES = (
        "运单格式展开后超过 {most} 个状态；请写窄一些",
        "the formats need more than {most} states; write them narrower",
    )
    FORMATS_TOGETHER = (
        "与其他运单格式合在一起太大：{why}",
        "together with the others this format is too much: {why}",
    )

    # What belongs to one table
    SEGMENT_GAP = (
        "格子是空的，后面的一段却填了；请补上",
        "the cell is empty although the next segment is not; fill it",
    )
    NO_SEGMENT = ("格子是空的；请填一段码", "the cell is empty; write the first segment")
    SORT_CODE_TOO_LONG = (
        "“{text}”连同短横有 {length} 个字符；最多 {most} 个，请检查各段",
        '"{text}" has {length} characters with its dashes; the most is {most}, so check the segments',
    )
    SEGMENT_WITH_DASH = (
        "“{text}”里有短横；三段码请分三列填写",
        '"{text}" holds a dash; write each segment in a column of its own',
    )
    SEGMENT_SIGN = (
        "“{text}”里有“{sign}”；三段码只能用数字、A-Z、. 和 /",
        '"{text}" holds "{sign}"; a segment is of digits, A-Z, . and /',
    )
    LANE_IS_A_NUMBER = (
        "“{text}”在去向里会被当成格口号；路向代码至少要有一个字母",
        '"{text}" could be a chute in send_to; a lane\'s name has at least one letter',
    )
    LANE_IS_A_REJECTION = (
        "“{text}”在去向里会被当成 reject: 加原因；路向请换一个代码",
        '"{text}" could be a rejection in send_to; name the lane otherwise',
    )
    EMPTY_SEND_TO = (
        "格子是空的；请写路向、格口号，或 reject: 加异常原因，如 reject:overweight",
        "the cell is empty; write a lane, a chute, or reject: and a reason, such as reject:overweight",
    )

    # What rows and tables say about each other
    DUPLICATE = (
        "{key}在第 {first} 行已经有了；两行只留一行",
        "{key} stands in row {first} already; keep one of the two",
    )
    TOO_MANY = (
        "{count} {what}太多了；最多 {most}，请删减",
        "{count} {what} are too many; the most is {most}, so delete some",
    )
    NO_ROWS = (
        "表头下面一行也没有；请至少填一行",
        "there is no row below the header; write at least one",
    )
    TWO_TITLES = (
        "{name} 在第 {first} 行的名称是“{title}”；各行名称要相同",
        '{name} is "{title}" in row {first}; write the same name in all its rows',
    )
    SPILL_CIRCLE = (
        "备用路向绕回了自己：{way}；请把其中一个路向的备用路向留空",
        "{way} is a circle; let one of these lanes spill nowhere",
    )
    SPILL_TOO_LONG = (
        "备用路向 {way} 连了 {steps} 步；最多 {most} 步，请缩短",
        "{way} has {steps} steps; the most that are tried is {most}, so end it earlier",
    )
    LANE_WITHOUT_CHUTE = (
        "哪条分拣线都没有格口给路向 {lane}；请在格口表里写上",
        "no chute of any line serves lane {lane}; name it in the table of chutes",
    )
    RULE_ORDER = (
        "{row} 排在 {highest} 下面；请按序号从小到大排列，从上往下第一行符合的生效",
        "{row} stands below {highest}; sort the rows by this column, the first that fits decides",
    )
    RULE_FOR_NO_STATION = (
        "没有站点同时符合这一格和“站点”一格；请改其中一个",
        "no station fits both this cell and the cell station; correct one",
    )
    CHUTE_OF_OTHER_LINE = (
        "格口 {chute} 在分拣线 {its_line}，不在 {line}；请写 {line} 的格口",
        "chute {chute} is on line {its_line}, not on {line}; name a chute of {line}",
    )
    NO_EXCEPTION_CHUTE = (
        "异常原因 {reason} 在分拣线 {line} 没有格口；请加一行：{reason}、{line} 和格口号",
        "{reason} has no chute on line {line}; add a row {reason}, {line} and a chute",
    )
    TOO_MANY_WITH_EARLIER = (
        "加上以前方案里的，共 {count} {what}，太多了；最多 {most}，请沿用以前的代码",
        "{count} {what}, with those of earlier plans, are too many; the most is {most}, so use earlier names again",
    )
    PLAN_TOO_LARGE = (
        "编好的分拣方案有 {size} MB；最多 {most} MB，请减少行数",
        "the compiled plan has {size} MB; the journal takes {most}; write fewer rows",
    )

    # Files
    NOT_A_FOLDER = (
        "{folder} 不是文件夹；请写 carriers.csv 等表格所在的文件夹",
        "{folder} is not a folder; name the folder that holds carriers.csv and so on",
    )
    NO_TABLE = ("缺少这张表；请补上", "the table is missing; add it")
    STRAY_FILE = (
        "{table}表已有自己的文件，这个文件不会被读；请移到别的文件夹，或删掉",
        "the table {table} has its own file, and this one is not read; move it to another folder, or delete it",
    )
    LOOKS_BLANK = (
        "格子看着是空的，里面却有公式或看不见的字符，而空格子另有意思；请清空它，或直接填写内容",
        "the cell looks blank, yet holds a formula or marks that nobody sees; clear it, or write what is meant as text",
    )
    MISSING_FILE = (
        "{folder} 里没有这个文件；请放进去",
        "the file is missing from {folder}; put it there",
    )
    MISSING_FILE_NEAR = (
        "{folder} 里没有这个文件；是不是“{meant}”？",
        'the file is missing from {folder}; is "{meant}" meant for it?',
    )
    TWO_FILES = (
        "{files} 是同一张表的几个文件；只留一个",
        "{files} are several files for one table; keep one",
    )
    FOLDER_FOR_FILE = (
        "这是文件夹，不是文件；请换成表格文件",
        "this is a folder, not a file; put the table's file in its place",
    )
    FILE_TOO_LARGE = ("文件有 {size} MB；最多 {most} MB", "the file has {size} MB; the most is {most} MB")
    FILE_UNREADABLE = ("文件读不了：{why}", "the file cannot be read: {why}")
    EMPTY_FILE = (
        "文件是空的；第一行要写列名：{columns}",
        "the file is empty; its first row names the columns: {columns}",
    )
    TOO_MANY_ROWS = (
        "文件超过 {most} 行；请删去多余的行",
        "the file has more than {most} rows; delete those that are not needed",
    )
    TOO_MANY_COLUMNS = (
        "表头超过 {most} 列；请删去多余的列",
        "the header has more than {most} columns; delete those that are not needed",
    )
    LINE_TOO_LONG = (
        "这一行有超过 {most} 个字符，不像表格的一行；请检查文件",
        "the row has more than {most} characters, which no row of a table has; look at the file",
    )
    FOLDER_TOO_LARGE = (
        "各表合计 {size} MB；最多 {most} MB",
        "the tables have {size} MB together; the most is {most} MB",
    )
    NUL_BYTE = (
        "文件里有空字符，不是文本；请另存为“CSV UTF-8”",
        'the file holds a NUL byte, so it is no text; save it again as "CSV UTF-8"',
    )
    WRONG_MARK = (
        "文件开头标明是 {encoding}，但第 {at} 个字节不是；请另存为“CSV UTF-8”",
        'the file says it is {encoding}, but byte {at} is not; save it again as "CSV UTF-8"',
    )
    NO_ENCODING = (
        "文件既不是 UTF-8 也不是 GB18030 文本；请另存为“CSV UTF-8”",
        'the file is neither UTF-8 nor GB18030 text; save it again as "CSV UTF-8"',
    )
    QUOTE_LEFT_OPEN = (
        '这一行里有引号（"）没有成对，或单独出现；请改正',
        'a quotation mark (") in this row or its cells is not closed or stands alone; correct the row',
    )
    BEYOND_LAST_COLUMN = (
        "“{text}”超出了最后一列；内容里有逗号时要加引号",
        '"{text}" stands beyond the last column; put a cell that holds a comma in quotes',
    )
    MISSING_COLUMNS = (
        "表头缺少 {missing} 列；应有的列：{columns}{strange}",
        "the header has no column {missing}; the columns are {columns}{strange}",
    )
    SECOND_COLUMN = (
        "“{text}”是第二个 {column} 列；只留一个",
        '"{text}" is a second column {column}; keep one',
    )
    UNKNOWN_COLUMN = (
        "这张表没有“{text}”列；请删掉，或改名为“备注”",
        '"{text}" is no column of this table; delete it, or name it "note"',
    )
    UNKNOWN_COLUMN_NEAR = (
        "这张表没有“{text}”列；请写“{meant}”",
        '"{text}" is no column of this table; write "{meant}"',
    )

    # Advice files
    PERSONAL_DATA = (
        "“{text}”列会有个人信息，系统从不保存，因此整个文件没有导入；请删掉这一列再导入",
        (
            'the column "{text}" would hold personal data, which is never stored here, so nothing was loaded;'
            " delete the column and load the file again"
        ),
    )
    COLUMN_TWICE = (
        "表头里 {column} 列出现两次；应有的列：{columns}",
        "the header names the column {column} twice; the columns are {columns}",
    )
    TOO_MANY_CELLS = (
        "这一行有 {count} 格，表头只有 {most} 格；内容里有逗号时要加引号",
        "the row has {count} cells, the header {most}; quote a cell that holds a comma",
    )
    NOT_JSON = ("这一行不是 JSON；每行写一个对象", "the line is not JSON; write one object a line")
    NOT_AN_OBJECT = (
        '这一行不是 JSON 对象；写 {{"waybill": …, "carrier": …, "station": …}}',
        'the line is no JSON object; write {{"waybill": …, "carrier": …, "station": …}}',
    )
    EMPTY_WAYBILL = ("格子是空的；请填运单号", "the cell is empty; write the waybill's number")
    NOT_A_WAYBILL = (
        "“{text}”不是运单号；最多 {most} 个字符，只用数字、A-Z、-、. 和 /",
        '"{text}" is no waybill; write up to {most} digits, letters A-Z, -, . and /',
    )
    NOT_A_FLOW = (
        "“{text}”不是进出港；写 inbound（进港）或 outbound（出港）",
        '"{text}" is no flow; write inbound (进港) or outbound (出港)',
    )
    NOT_YES_OR_NO = (
        "“{text}”既不是“是”也不是“否”；承运商已取消写 1，否则写 0",
        '"{text}" is neither yes nor no; write 1 when the carrier has cancelled the item, else 0',
    )
