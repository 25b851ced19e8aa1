"""What a clerk should look at before a rule set sorts: nothing here is an error, and each is shown by an example."""

from collections.abc import Iterator
from typing import Final

from sorter.reasons import Said, Sentence
from sorter.records import Target
from sorter.rulebook import crosscheck
from sorter.rulebook.findings import Finding
from sorter.rulebook.review.analysis import Analysis, analyse
from sorter.rulebook.review.classes import Parcel
from sorter.rulebook.rows import REJECT, Checked

ROWS_TOLD: Final = 8

_MASKED: Final = Sentence(
    "这一行从不生效：符合它的件都先符合了{rows}。例如 {parcel}。把它移到上面，或删除",
    "this row is never reached: whatever fits it fits {rows} first. Such as {parcel}. Move it up, or delete it",
)
_OVERLAP: Final = Sentence(
    "有的件既符合这一行（去 {own}），也符合下面的{rows}（{other}）；上面的这一行先生效。例如 {parcel}。"
    "如果不是这个意思，调整顺序或写窄一些",
    "some items fit this row (to {own}) and also {rows} below ({other}); this row decides, as it stands above. "
    "Such as {parcel}. If that is not meant, change the order or write one of them narrower",
)
_TO: Final = Sentence("去 {target}", "to {target}")
_TO_SEVERAL: Final = Sentence("去 {target} 等处", "to {target} among others")
_SUBSUMED: Final = Sentence(
    "删掉这一行也没有区别：{rows}会把同样的件分到同样的去向 {own}。例如 {parcel}",
    "without this row nothing would change: {rows} would send the same items to the same {own}. Such as {parcel}",
)
_GAP: Final = Sentence(
    "站点 {station} 没有自己的路向，有的件也没有规则：例如 {parcel}，会走“无规则”异常口。给站点填路向，或加一行规则",
    "station {station} has no lane, and for some of its items there is no rule: {parcel} would go to the exception "
    "chute no_rule. Give the station a lane, or add a rule",
)
_IDLE: Final = Sentence(
    "没有任何件符合这一行：各格合起来自相矛盾（例如重量写 0，或产品写 !standard 而没有别的产品）。请改正或删除",
    "no item fits this row: its cells rule each other out (such as a weight of 0, or the service !standard where "
    "there is no other). Correct it, or delete it",
)
_UNEXAMINED: Final = Sentence(
    "{rows}没有检查完：这些行的条件交错太多，检查会太久。被遮住、重叠、多余的情况可能没有列出。把这些行写得简单一些",
    "{rows} could not be examined within bounds: their conditions cross too often. Whether they are reached, overlap "
    "or change nothing is not told. Write them simpler",
)
_UNEXAMINED_GAP: Final = Sentence(
    "站点 {station} 没有自己的路向；是不是每件都有规则，检查会太久，没有检查完。给站点填路向",
    "station {station} has no lane, and whether every item of it has a rule could not be examined within bounds. Give "
    "the station a lane",
)
_ROWS: Final = Sentence("第{rows}行", "row {rows}")
_AND_MORE: Final = Sentence("第{rows}等行", "row {rows} and others")
_OWN_LANES: Final = Sentence("站点自己的路向", "the stations' own lanes")
_PARCEL: Final = Sentence(
    "{carrier} {service} {flow} 到 {station}（{place}），{weight}，{length}，{day} {time}",
    "{carrier} {service} {flow} to {station} ({place}), {weight}, {length}, {day} {time}",
)
_GRAMS: Final = Sentence("{g} 克", "{g} g")
_NOT_WEIGHED: Final = Sentence("未称重", "not weighed")
_LONG: Final = Sentence("长 {mm} 毫米", "{mm} mm long")
_NOT_MEASURED: Final = Sentence("未量长度", "not measured")
_DAYS: Final = tuple(
    Sentence(f"周{zh}", en)
    for zh, en in zip("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True)
)


def review(checked: Checked) -> list[Finding]:
    """Every finding about checked rows, in the order of the tables."""
    analysis = analyse(checked)
    return [*crosscheck.findings(checked), *_of_stations(checked, analysis), *_of_rules(checked, analysis)]


def _of_stations(checked: Checked, analysis: Analysis) -> Iterator[Finding]:
    at = {row.station: row.at for row in checked.stations}
    for station, witness in analysis.gaps:
        said = _GAP.about(station=station, parcel=parcel_said(witness))
        yield Finding("gap", "stations", (at[station],), witness._asdict(), said)
    for station in analysis.unexamined_stations:
        yield Finding("unexamined", "stations", (at[station],), None, _UNEXAMINED_GAP.about(station=station))


def _of_rules(checked: Checked, analysis: Analysis) -> Iterator[Finding]:
    for rule in analysis.idle:
        yield Finding("fits_nothing", "rules", (checked.rules[rule].at,), None, _IDLE.about())
    if analysis.unexamined:
        at = tuple(checked.rules[rule].at for rule in analysis.unexamined)
        yield Finding("unexamined", "rules", at, None, _UNEXAMINED.about(rows=_rows(checked, analysis.unexamined)))
    told = (
        *(("masked", _MASKED, one.rule, one.by, one.witness) for one in analysis.masked),
        *(("overlap", _OVERLAP, one.rule, one.later, one.witness) for one in analysis.overlaps),
        *(("subsumed", _SUBSUMED, one.rule, one.by, one.witness) for one in analysis.subsumed),
    )
    for kind, sentence, rule, others, witness in told:
        said = sentence.about(
            rows=_rows(checked, others),
            own=_target(checked, rule),
            other=_targets(checked, others),
            parcel=parcel_said(witness),
        )
        at = tuple(checked.rules[each].at for each in (rule, *others))
        yield Finding(kind, "rules", at, witness._asdict(), said)


def _rows(checked: Checked, rules: tuple[int, ...]) -> Said:
    """Rows as the spreadsheet counts them."""
    told = ", ".join(str(checked.rules[rule].at) for rule in rules[:ROWS_TOLD])
    if not rules:
        return _OWN_LANES.about()
    return _ROWS.about(rows=told) if len(rules) <= ROWS_TOLD else _AND_MORE.about(rows=told)


def _targets(checked: Checked, rules: tuple[int, ...]) -> Said:
    """Where the first of several rules sends, and whether others send elsewhere."""
    found = list(dict.fromkeys(_target(checked, rule) for rule in rules)) or [""]
    return (_TO_SEVERAL if len(found) > 1 else _TO).about(target=found[0])


def _target(checked: Checked, rule: int) -> str:
    kind, name = checked.rules[rule].send_to
    return f"{REJECT}{name}" if kind == Target.REJECT else name


def parcel_said(parcel: Parcel) -> Said:
    """A parcel in words."""
    return _PARCEL.about(
        carrier=parcel.carrier,
        service=parcel.service,
        flow=parcel.flow,
        station=parcel.station,
        place=parcel.township or "-",
        weight=_NOT_WEIGHED if parcel.weight_g is None else _GRAMS.about(g=parcel.weight_g),
        length=_NOT_MEASURED if parcel.length_mm is None else _LONG.about(mm=parcel.length_mm),
        day=_DAYS[parcel.weekday],
        time=f"{parcel.minute // 60:02}:{parcel.minute % 60:02}",
    )
