"""What staff can do wrong with a workbook or a carrier's sheet, in Chinese and in English."""

from enum import unique

from sorter.rulebook.mistakes import Catalogue


@unique
class WorkbookMistake(Catalogue):
    """Sentences that say what is wrong and what to do."""

    NO_WORKBOOK = (
        "这是{what}，不是 .xlsx 工作簿；请用 Excel 或 WPS 打开它，另存为“Excel 工作簿（.xlsx）”",
        'this is {what}, not an .xlsx workbook; open it in Excel or WPS and save it as "Excel workbook (.xlsx)"',
    )
    PASSWORD = (
        "工作簿设了打开密码，读不了；请在 Excel 中选“文件→信息→保护工作簿→用密码进行加密”，清空密码后保存",
        (
            "the workbook opens with a password only; in Excel choose File, Info, Protect Workbook, Encrypt with"
            " Password, clear the password and save"
        ),
    )
    CUT_OFF = (
        "文件不完整或已损坏（{where}）；请重新复制一份，或在 Excel 中打开后另存为新的 .xlsx",
        "the file is cut off or damaged (at {where}); copy it again, or open it in Excel and save it as a new .xlsx",
    )
    TOO_LARGE = (
        "工作簿太大：{what}，最多 {most}；请删除多余的工作表，以及数据下方和右侧设过格式的空白行列，再保存",
        (
            "the workbook is too large: {what}, and the most is {most}; delete other sheets, and the formatted empty"
            " rows and columns below and beside the data, then save"
        ),
    )
    MISSING_SHEET = (
        "工作簿里没有这张表；请加一张工作表，取名“{title}”",
        'the workbook has no sheet for this table; add one and name it "{title}"',
    )
    MISSING_SHEET_NEAR = (
        "工作簿里没有这张表；如果就是“{near}”，请把它改名为“{title}”",
        'the workbook has no sheet for this table; if "{near}" is meant, name it "{title}"',
    )
    STRANGE_SHEET = (
        "“{name}”不是规则表；表名有 {titles}；多余的工作表请删除，说明文字请放在名为“说明”的工作表",
        '"{name}" is no table; the tables are {titles}; delete the sheet, or name it README if it is for people',
    )
    STRANGE_SHEET_NEAR = (
        "“{name}”不是规则表；是不是“{near}”？请改名，或删除这张工作表",
        '"{name}" is no table; is "{near}" meant? Rename the sheet or delete it',
    )
    TWO_SHEETS = (
        "“{one}”和“{other}”是同一张表；只留一张",
        '"{one}" and "{other}" are two sheets for one table; keep one',
    )
    EMPTY_SHEET = (
        "工作表是空的；第一行应为列名：{columns}",
        "the sheet is empty; its first row names the columns: {columns}",
    )
    BEYOND_RIGHT = (
        "{cell} 有内容，离表太远；请删除表右侧的各列",
        "{cell} holds something far right of the table; delete the columns beside the table",
    )
    NUMBER_FOR_CODE = (
        "“{text}”存成了数字，开头的 0 可能已丢；请把整列设成文本，再重新填写",
        '"{text}" is kept as a number, so zeros at its front may be lost; format the column as text and write it again',
    )
    ZEROS_LOST = (
        "“{text}”在草稿里是“{was}”，开头的 0 丢了；请在 Excel 里把这一列设成文本，再重新填写；本来就要改，用 --replace",
        (
            '"{text}" is "{was}" in the draft, and a spreadsheet drops zeros at the front; in Excel format the column'
            " as text and write it again, or import with --replace when it is meant"
        ),
    )
    NUMBER_FOR_TIME = (
        "“{text}”存成了数字，这一列填时间；请把整列设成文本，再写成 08:30 这样",
        '"{text}" is kept as a number, and this column holds times; format the column as text and write 08:30',
    )
    LONG_NUMBER = (
        "“{text}”存成了数字，位数太多，末尾几位可能已丢；请把整列设成文本，再完整填写",
        (
            '"{text}" is kept as a number and is so long that digits may be lost; format the column as text and write'
            " it again in full"
        ),
    )
    DATE_CELL = (
        "格子是日期 {text}：表格软件把 {written} 之类的内容改成了日期；请把整列设成文本，再重新填写",
        (
            "the cell is the date {text}: a spreadsheet makes one of text such as {written}; format the column as text"
            " and write it again"
        ),
    )
    TIME_CELL = (
        "格子是时间 {text}，这一列不填时间；请把整列设成文本，再重新填写",
        "the cell is the time {text}, and this column holds none; format the column as text and write it again",
    )
    TRUTH_CELL = (
        "格子是逻辑值 {text}；请把整列设成文本，再填写内容",
        "the cell is the truth value {text}; format the column as text and write what is meant",
    )
    ERROR_CELL = (
        "格子是错误值 {text}；请改正公式，或直接填写内容",
        "the cell is the error {text}; correct its formula, or write the value itself",
    )
    NO_VALUE = (
        "公式没有算出的值；请在 Excel 或 WPS 中打开、保存一次，或直接填写内容",
        "the formula has no value; open the workbook in Excel or WPS and save it once, or write the value itself",
    )
    MERGED = (
        "{cells} 是合并单元格，只有左上角一格有内容；请取消合并，每格都填写",
        "{cells} are merged, and only the first of them holds the value; unmerge them and fill each cell",
    )
    MORE_CELLS = (
        "还有 {count} 格有这样的问题，没有一一列出",
        "{count} more cells are wrong in these ways and are not listed",
    )
    NO_CARRIER_SHEET = (
        "没有承运商的格口表：表头要有 格口号、一段码（以及二段码、三段码）",
        "this is no carrier's sheet: its header needs 格口号 and 一段码 (with 二段码, 三段码)",
    )
    TWO_CARRIER_SHEETS = (
        "“{one}”和“{other}”都是格口表；只留一张",
        '"{one}" and "{other}" are both carriers\' sheets; keep one',
    )
    NO_SUCH_CARRIER = (
        "工作表“承运商”里没有“{text}”；请写已有的代码，或先加上这个承运商",
        '"{text}" is no carrier in carriers; write one that is there, or add it first',
    )
    CARRIER_NOT_GIVEN = (
        "这一行没有承运商；请填“承运商”列，或在导入时指明",
        "the row names no carrier; fill the column 承运商, or name the carrier when importing",
    )
    NO_SUCH_CHUTE = (
        "格口表里没有格口 {chute}；请改正，或先加上这个格口",
        "there is no chute {chute} in chutes; correct it, or add the chute first",
    )
    SORT_CODE_TWICE = (
        "{key} 在第{row}行已有；只留一行",
        "{key} stands in row {row} already; keep one of the two",
    )
    SORT_CODE_BY_HAND = (
        "{key} 已由三段码表第{row}行分到站点 {station}；请删掉那一行，或从承运商的表里删掉这一行",
        "{key} goes to station {station} by row {row} of sort_codes already; delete that row, or this one",
    )
    STATION_BY_HAND = (
        "站点 {station} 已在站点表第{row}行，不是导入生成的；请给它改个代码",
        "station {station} stands in row {row} of stations and was not made by an import; give it another code",
    )
    NO_NUMBER_ABOVE = (
        "序号 {number} 的规则会收走这些站点的所有包裹，它上面没有足够的空序号；请把规则重新编号，中间留空",
        (
            "rule {number} takes all items of these stations, and too few numbers are free above it; number the rules"
            " anew, with gaps"
        ),
    )
    MADE_ROW_EDITED = (
        "这一行是导入生成的，后来改过，再导入会丢掉改动；请把备注“{note}”改成别的，它就算您自己的，或用 --replace 覆盖",
        (
            'the row was made by an import and edited since, which importing would lose; change its note "{note}" to'
            " make the row your own, or overwrite it: --replace"
        ),
    )
    NO_ROW_NUMBER_LEFT = (
        "规则的序号已用到 {most}，没有空号了；请把规则重新编号",
        "the numbers of the rules are used up to {most}; number the rules anew",
    )
