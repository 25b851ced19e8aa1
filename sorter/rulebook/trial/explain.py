"""Why a parcel goes where it goes: each step of the decision in words, and of each row that did not win, why not.

It reads the checked rows themselves, one after the other, as a person would. What changes by the minute (a trip that
is full, a chute that is locked) is not asked.
"""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.reasons import SENTENCES, Declined, Language, Reason, Said, Sentence
from sorter.records import RecordedParcel, Target
from sorter.rulebook import rows, tables, waybill
from sorter.rulebook.cells import DAY_MIN
from sorter.rulebook.rows import Checked, Rule
from sorter.rulebook.trial.diff import clock, written

NEAR_MAX: Final = 10
NEAR_COLUMNS_MAX: Final = 2
ALSO_MAX: Final = 20
WEEK_MIN: Final = 7 * DAY_MIN
NOW: Final = -1
MONDAY_MORNING_MIN: Final = 8 * 60
TRIPS_MAX: Final = 3
WORDS: Final = ("carrier", "station", "township", "service", "flow")
FLOW: Final = "inbound"
COLUMNS: Final = (*WORDS, "weight_g", "length_mm", "time", "days")

ASSUMED: Final = Sentence("没有说明的按此处理：{facts}", "what was not told is taken as: {facts}")
FACT: Final = Sentence("{what} {value}", "{what} {value}")
NOT_ASKED: Final = Sentence(
    "未给条码：按读到一个运单号处理，承运商 {carrier}", "no code given: taken as read, of carrier {carrier}"
)
NO_CODE: Final = Sentence("没有读到条码", "no code was read")
NO_WAYBILL: Final = Sentence("{codes} 不符合任何承运商的运单格式", "{codes}: no carrier's waybill format fits")
WAYBILL: Final = Sentence("{code} 是运单号，符合 {carriers} 的格式", "{code} is a waybill; it fits {carriers}")
TWO_WAYBILLS: Final = Sentence("{codes} 是两个不同的运单号", "{codes} are two different waybills")
INTERCEPTED: Final = Sentence("在拦截名单上", "it is on the intercept list")
NOT_INTERCEPTED: Final = Sentence("不在拦截名单上，承运商没有取消", "it is neither intercepted nor cancelled")
CANCELLED: Final = Sentence("承运商已取消", "the carrier has cancelled it")
ADVISED: Final = Sentence(
    "预报：站点 {station}（{township}），承运商 {carrier}，服务 {service}，{flow}",
    "advice: station {station} ({township}), carrier {carrier}, service {service}, {flow}",
)
LABELLED: Final = Sentence(
    "没有预报；三段码给出站点 {station}（{township}），承运商 {carrier}",
    "no advice; the sort code on the label names station {station} ({township}), carrier {carrier}",
)
NOT_IN_PLAN: Final = Sentence(
    "预报中的“{name}”不在规则表中，按没有预报处理",
    'the tables do not know "{name}" of its advice: it is as if not advised',
)
UNADVISED: Final = Sentence(
    "没有预报，条码中也没有可用的三段码", "no advice, and no sort code among the codes names one station"
)
DECIDED: Final = Sentence(
    "规则 {row}（rules 第 {at} 行）最先符合：{cells}", "rule {row} (rules row {at}) is the first that fits: {cells}"
)
CELL: Final = Sentence("{column} {text}", "{column} {text}")
NO_RULE_FITS: Final = Sentence("{count} 条规则都不符合", "none of {count} rules fits")
OWN_LANE: Final = Sentence("走站点 {station} 自己的路向 {lane}", "it goes by lane {lane} of station {station}")
NO_LANE: Final = Sentence("站点 {station} 没有路向", "station {station} has no lane")
TRIPS: Final = Sentence("路向 {lane} 的下几班：{trips}", "next trips of lane {lane}: {trips}")
NO_TRIPS: Final = Sentence("路向 {lane} 没有班次表，随到随走", "lane {lane} has no timetable: it always departs")
TRIP: Final = Sentence(
    "{day} {departs} 发车（{cutoff} 截止，{capacity}）", "{day} {departs} (cut-off {cutoff}, {capacity})"
)
SPILLS: Final = Sentence("这一班满了改走路向 {lane}", "when that trip is full it goes by lane {lane}")
WAITS: Final = Sentence("这一班满了等下一班", "when that trip is full it waits for the next")
ITEMS: Final = Sentence("{items} 件", "{items} items")
UNLIMITED: Final = Sentence("不限量", "no limit")
AND: Final = Sentence("{one}；{rest}", "{one}; {rest}")
DAYS: Final = tuple(
    Sentence(f"周{zh}", en)
    for zh, en in zip("一二三四五六日", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True)
)
CHUTE: Final = Sentence("{chute}（{capacity}）", "{chute} ({capacity})")
CHUTES: Final = Sentence("分拣线 {line} 上的格口：{chutes}", "chutes on line {line}: {chutes}")
OTHER_LINE: Final = Sentence(
    "格口 {chute} 不在分拣线 {line} 上，改用同路向的格口",
    "chute {chute} is not on line {line}; another of its lane is used",
)
NO_CHUTE: Final = Sentence("分拣线 {line} 上没有这个路向的格口", "line {line} has no chute of that lane")
EXCEPTION: Final = Sentence("{reason}：异常格口 {chute}", "{reason}: exception chute {chute}")

NEAR: Final = Sentence("上面差一点就符合的规则：", "rules above that nearly fit:")
ALSO: Final = Sentence("后面也符合、但没轮到的规则：{rows}", "later rules that fit too and were not asked: {rows}")
MISSED: Final = Sentence("规则 {row}（第 {at} 行）不符合：{failed}", "rule {row} (row {at}) does not fit: {failed}")
FAILED: Final = Sentence("{column} 写的是“{cell}”，包裹为：{value}", '{column} says "{cell}", the parcel has {value}')
WON: Final = Sentence("规则 {row} 就是决定去向的规则", "rule {row} is the one that decided")
BEHIND: Final = Sentence(
    "规则 {row} 也符合，但上面的规则 {winner} 先决定了", "rule {row} fits too, but rule {winner} above decided first"
)
UNHEARD: Final = Sentence(
    "规则表没有用到：之前已决定为“{reason}”", 'the rules were not asked: "{reason}" was decided before'
)
NO_SUCH_ROW: Final = Sentence("没有规则 {row}；{hint}", "there is no rule {row}; {hint}")
NEAREST: Final = Sentence("最近的序号是 {row}", "the nearest number is {row}")
NO_RULES: Final = Sentence("规则表是空的", "the table has no rules")
NOT_MEASURED: Final = Sentence("未测量", "no measure")
UNKNOWN: Final = Sentence("{what}“{name}”不在规则表中{hint}", '{what} "{name}" is not in the tables{hint}')
MEANT: Final = Sentence("；是不是“{name}”？", '; did you mean "{name}"?')
NOTHING: Final = Sentence("", "")
BLANK: Final = Sentence("无", "none")
THE_LINE: Final = Sentence("分拣线", "line")
THE_STATION: Final = Sentence("站点", "station")
THE_CARRIER: Final = Sentence("承运商", "carrier")
THE_SERVICE: Final = Sentence("服务", "service")
THE_FLOW: Final = Sentence("流向", "flow")
THE_WEIGHT: Final = Sentence("重量", "weight")
THE_LENGTH: Final = Sentence("最长边", "length")
THE_DAY: Final = Sentence("星期", "day")
THE_TIME: Final = Sentence("时间", "time")
THE_RULE: Final = Sentence("规则", "rule")


class Question(NamedTuple):
    """A parcel to ask about; whatever is left out is as its default says."""

    codes: tuple[str, ...] = ()  # as read; (): taken as one waybill of `carrier`; ("",): nothing was read
    line: str = ""  # "": the site's first line
    carrier: str = ""  # "": the first whose waybill format fits the codes, else the first of the table
    station: str = ""  # "": no advice
    service: str = ""  # "": standard
    flow: str = ""  # "": inbound
    weight_g: int | None = None  # None: not measured
    length_mm: int | None = None
    weekday: int = NOW  # local, Monday 0
    minute: int = NOW  # local, of the day
    date: str = ""  # local, 2026-11-11; "": every waybill format is in use
    cancelled: bool = False
    intercepted: bool = False
    unknown: str = ""  # a name in its recorded advice that the tables do not have; such an advice says nothing


class UnknownName(Declined):
    """The question names what the tables do not have; `said` says what, and a near name."""


class Failed(NamedTuple):
    """A column of a row that does not fit."""

    column: str
    cell: str  # as staff write it
    value: str  # the parcel's; "": not measured, or none

    @property
    def said(self) -> Said:
        """In words."""
        none = BLANK if self.column in WORDS else NOT_MEASURED
        return FAILED.about(column=_header(self.column), cell=self.cell, value=self.value or none)


class Missed(NamedTuple):
    """A row that does not fit, and why."""

    row: int
    at: int  # row of the spreadsheet
    failed: tuple[Failed, ...]

    @property
    def said(self) -> Said:
        """In words."""
        return MISSED.about(row=self.row, at=self.at, failed=_chain([each.said for each in self.failed]))


class Step(NamedTuple):
    """One step of the decision."""

    name: str  # assumed, codes, held, station, rules, lane, trips, chutes, exception
    said: Said


class Explanation(NamedTuple):
    """The decision, step by step."""

    steps: tuple[Step, ...]
    reason: Reason  # PLANNED, ALTERNATE, or why it is rejected
    row: int  # the rule that decided; 0: none did
    lane: str  # "": none
    chutes: tuple[int, ...]  # by position
    near: tuple[Missed, ...]  # above the winner, the nearest first
    also: tuple[int, ...]  # rules below the winner that fit as well
    expected: Said | Missed | None  # why the row that was asked for did not win

    def told(self, language: Language) -> str:
        """Lines for people."""
        lines = [f"{at}. {step.said.told(language)}" for at, step in enumerate(self.steps, start=1)]
        if self.expected is not None:
            lines.append(f"→ {_said(self.expected).told(language)}")
        if self.near:
            lines.append(NEAR.told(language))
            lines += [f"   {each.said.told(language)}" for each in self.near]
        if self.also:
            more = " …" * (len(self.also) > ALSO_MAX)
            lines.append(ALSO.about(rows=", ".join(map(str, self.also[:ALSO_MAX])) + more).told(language))
        return "\n".join(lines)

    def as_json(self, language: Language) -> dict[str, Any]:
        """{"reason", "row", "lane", "chutes", "steps": [{"step", "message"}], "near": […], "also": […], "expected"}."""
        return {
            "reason": self.reason.word,
            "row": self.row or None,
            "lane": self.lane or None,
            "chutes": list(self.chutes),
            "steps": [{"step": step.name, "message": step.said.told(language)} for step in self.steps],
            "near": [_missed_json(each) for each in self.near],
            "also": list(self.also),
            "expected": self.expected
            and {
                "message": _said(self.expected).told(language),
                "failed": _missed_json(self.expected)["failed"] if isinstance(self.expected, Missed) else [],
            },
        }


def _said(expected: Said | Missed) -> Said:
    return expected.said if isinstance(expected, Missed) else expected


def _missed_json(missed: Missed) -> dict[str, Any]:
    return {"row": missed.row, "at": missed.at, "failed": [each._asdict() for each in missed.failed]}


def _header(column: str) -> Sentence:
    """A column of the rules as a sheet in either language heads it."""
    return Sentence(tables.TABLES["rules"][column][0], column)


def _chain(saids: Sequence[Said]) -> Said:
    """One after the other."""
    *before, said = saids
    for each in reversed(before):
        said = AND.about(one=each, rest=said)
    return said


def question_of(parcel: RecordedParcel, checked: Checked) -> Question:
    """A recorded parcel as a question to the tables."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=(parcel.t_ns + checked.utc_offset_ns) // 10**9)
    advice = parcel.advice
    told = (advice.station, advice.carrier, advice.service) if advice else ()
    names = {*(row.station for row in checked.stations), *checked.carrier_names(), *checked.service_names(), ""}
    unknown = next((name for name in told if name not in names), "")
    known = advice._asdict() if advice and not unknown else {}
    return Question(
        codes=parcel.codes or ("",),
        line=parcel.line,
        weight_g=parcel.weight_g or None,
        length_mm=parcel.length_mm or None,
        weekday=local.weekday(),
        minute=local.hour * 60 + local.minute,
        date=local.date().isoformat(),
        intercepted=parcel.intercepted,
        unknown=unknown,
        **{name: value for name, value in known.items() if value},
    )


def explain(
    checked: Checked, question: Question, expected: int | None = None, now_min: int = MONDAY_MORNING_MIN
) -> Explanation:
    """Decide a parcel by the checked rows and tell how; `expected` is the number of a rule that should have won.

    `now_min` is the local minute of the week, for what the question leaves open. Raises UnknownName.
    """
    return _Reading(checked, question, now_min).explained(expected)


class _Reading:
    """One question on its way through the tables; `steps` grows on the way."""

    def __init__(self, checked: Checked, question: Question, now_min: int) -> None:
        self.checked = checked
        self.asked = _whole(checked, question, now_min)
        assumed = _assumed(question, self.asked)
        self.steps = [Step("assumed", ASSUMED.about(facts=_chain(assumed)))] if assumed else []
        self.who: dict[str, str] = {}

    def explained(self, expected: int | None) -> Explanation:
        reason = self._identified()
        winner = None
        failed: list[tuple[Failed, ...]] = []
        if reason is None:
            failed = [failures(rule, self.who, self.asked) for rule in self.checked.rules]
            winner = next((at for at, columns in enumerate(failed) if not columns), None)
        send_to = self._sent(winner) if reason is None else rows.SendTo(Target.REJECT, reason.word)
        outcome, lane, chutes = self._placed(send_to)
        above = failed if winner is None else failed[:winner]
        later = () if winner is None else range(winner + 1, len(failed))
        rules = self.checked.rules
        return Explanation(
            steps=tuple(self.steps),
            reason=outcome,
            row=0 if winner is None else rules[winner].row,
            lane=lane,
            chutes=chutes,
            near=tuple(_near(rules, above)),
            also=tuple(rules[at].row for at in later if not failed[at]),
            expected=None if expected is None else self._why_not(expected, winner, failed, reason),
        )

    def _tell(self, step: str, sentence: Sentence, **facts: Any) -> None:
        self.steps.append(Step(step, sentence.about(**facts)))

    # -- steps 1 to 3: what the parcel is

    def _identified(self) -> Reason | None:
        """What keeps the parcel from the rules; None: nothing does, and `who` says what is known of it."""
        found = self._read()
        if isinstance(found, Reason):
            return found
        if self.asked.intercepted or self.asked.cancelled:
            held = Reason.INTERCEPT if self.asked.intercepted else Reason.CANCELLED
            self._tell("held", INTERCEPTED if self.asked.intercepted else CANCELLED)
            return held
        self._tell("held", NOT_INTERCEPTED)
        return self._located(found)

    def _read(self) -> Reason | list[str]:
        """The carriers that the waybill fits, or why there is none."""
        codes = [code.upper() for code in self.asked.codes if code]
        if not self.asked.codes:
            self._tell("codes", NOT_ASKED, carrier=self.asked.carrier)
            return [self.asked.carrier]
        carriers = {code: fitting(self.checked, code, self.asked.date) for code in codes}
        waybills = [code for code in carriers if carriers[code]]
        if not codes:
            self._tell("codes", NO_CODE)
            return Reason.NO_READ
        if not waybills:
            self._tell("codes", NO_WAYBILL, codes=", ".join(carriers))
            return Reason.UNKNOWN_CODE
        if len(waybills) > 1:
            self._tell("codes", TWO_WAYBILLS, codes=", ".join(waybills))
            return Reason.MULTI_CODE
        self._tell("codes", WAYBILL, code=waybills[0], carriers=", ".join(carriers[waybills[0]]))
        return carriers[waybills[0]]

    def _located(self, carriers: Sequence[str]) -> Reason | None:
        asked = self.asked
        station, carrier, service, flow, sentence = asked.station, asked.carrier, asked.service, asked.flow, ADVISED
        if not station:
            if asked.unknown:
                self._tell("station", NOT_IN_PLAN, name=asked.unknown)
            found = _station_of_labels(self.checked, asked, carriers)
            if found is None:
                self._tell("station", UNADVISED)
                return Reason.NO_ADVICE
            (station, carrier), service, flow, sentence = found, rows.STANDARD, FLOW, LABELLED
        township = next(row.township for row in self.checked.stations if row.station == station)
        self.who = dict(zip(WORDS, (carrier, station, township, service, flow), strict=True))
        facts = {"township": township or BLANK, "flow": Sentence(rows.FLOWS[flow][0], flow)}
        self._tell("station", sentence, **{**self.who, **facts})
        return None

    # -- steps 4 to 6: where it goes

    def _sent(self, winner: int | None) -> rows.SendTo:
        if winner is not None:
            rule = self.checked.rules[winner]
            cells = [
                CELL.about(column=_header(column), text=text)
                for column, text in written(rule).items()
                if text and column not in ("row", tables.NOTE)
            ]
            self._tell("rules", DECIDED, row=rule.row, at=rule.at, cells=_chain(cells))
            return rule.send_to
        self._tell("rules", NO_RULE_FITS, count=len(self.checked.rules))
        station = next(row for row in self.checked.stations if row.station == self.who["station"])
        if not station.lane:
            self._tell("lane", NO_LANE, station=station.station)
            return rows.SendTo(Target.REJECT, Reason.NO_RULE.word)
        self._tell("lane", OWN_LANE, station=station.station, lane=station.lane)
        return rows.SendTo(Target.LANE, station.lane)

    def _placed(self, send_to: rows.SendTo) -> tuple[Reason, str, tuple[int, ...]]:
        """Reason, lane and chutes."""
        kind, name = send_to
        if kind == Target.REJECT:
            return self._excepted(Reason[name.upper()])
        if kind == Target.LANE:
            self._tell_trips(name, may_spill=True)
            return self._of_lane(name, Reason.PLANNED)
        chute = next(row for row in self.checked.chutes if row.chute == int(name))
        lane = next(iter(chute.lanes), "")
        if lane:
            self._tell_trips(lane, may_spill=False)  # the rule named the place
        if chute.line == self.asked.line:
            self._tell("chutes", CHUTES, line=chute.line, chutes=_chutes([chute]))
            return Reason.PLANNED, lane, (chute.chute,)
        self._tell("chutes", OTHER_LINE, chute=chute.chute, line=self.asked.line)
        return self._of_lane(lane, Reason.ALTERNATE)

    def _of_lane(self, lane: str, reason: Reason) -> tuple[Reason, str, tuple[int, ...]]:
        mine = [row for row in self.checked.chutes if row.line == self.asked.line and lane in row.lanes]
        if not mine:
            self._tell("chutes", NO_CHUTE, line=self.asked.line)
            return self._excepted(Reason.MAX_LAPS)
        mine.sort(key=lambda row: (row.position_mm, row.chute))
        self._tell("chutes", CHUTES, line=self.asked.line, chutes=_chutes(mine))
        return reason, lane, tuple(row.chute for row in mine)

    def _excepted(self, reason: Reason) -> tuple[Reason, str, tuple[int, ...]]:
        line = self.asked.line
        number = next(
            row.chute for row in self.checked.exceptions if row.reason.has(reason.word) and row.line.has(line)
        )
        lanes = next(row.lanes for row in self.checked.chutes if row.chute == number)
        self._tell("exception", EXCEPTION, reason=SENTENCES[reason], chute=number)
        return reason, next(iter(lanes), ""), (number,)

    def _tell_trips(self, lane: str, *, may_spill: bool) -> None:
        spill_to = next(row.spill_to for row in self.checked.lanes if row.lane == lane)
        trips = _next_trips(self.checked, lane, self.asked.weekday * DAY_MIN + self.asked.minute)
        if not trips:
            self._tell("trips", NO_TRIPS, lane=lane)
            return
        full = SPILLS.about(lane=spill_to) if spill_to and may_spill else WAITS.about()
        self._tell("trips", TRIPS, lane=lane, trips=_chain([*trips, full]))

    # -- the row that was asked for

    def _why_not(
        self, number: int, winner: int | None, failed: Sequence[tuple[Failed, ...]], reason: Reason | None
    ) -> Said | Missed:
        rules = self.checked.rules
        at = next((at for at, rule in enumerate(rules) if rule.row == number), None)
        if at is None:
            near = min((rule.row for rule in rules), key=lambda row: abs(row - number), default=None)
            hint = NO_RULES if near is None else NEAREST.about(row=near)
            return NO_SUCH_ROW.about(row=number, hint=hint)
        if reason is not None:
            return UNHEARD.about(reason=SENTENCES[reason])
        if at == winner:
            return WON.about(row=number)
        if failed[at]:
            return Missed(number, rules[at].at, failed[at])
        assert winner is not None
        return BEHIND.about(row=number, winner=rules[winner].row)


# ---- what stands in the tables ----------------------------------------------------


def _whole(checked: Checked, question: Question, now_min: int) -> Question:
    """The question with its defaults filled in. Raises UnknownName."""
    known = (
        (THE_LINE, question.line, list(checked.lines)),
        (THE_STATION, question.station, [row.station for row in checked.stations]),
        (THE_CARRIER, question.carrier, list(checked.carrier_names())),
        (THE_SERVICE, question.service.lower(), list(checked.service_names())),
        (THE_FLOW, question.flow, list(rows.FLOWS)),
    )
    for what, name, names in known:
        if name and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise UnknownName(UNKNOWN.about(what=what, name=name, hint=MEANT.about(name=near[0]) if near else NOTHING))
    codes = question.codes[: limits.CODES_PER_SCAN_MAX]
    fitted = [each for code in codes for each in fitting(checked, code.upper(), question.date)]
    return question._replace(
        codes=codes,
        line=question.line or next(iter(checked.lines)),
        carrier=question.carrier or next(iter((*fitted, *checked.carrier_names()))),
        service=question.service.lower() or rows.STANDARD,
        flow=question.flow or FLOW,
        weight_g=min(question.weight_g or 0, limits.WEIGHT_MAX_G) or None,
        length_mm=question.length_mm or None,
        weekday=now_min // DAY_MIN if question.weekday == NOW else question.weekday,
        minute=now_min % DAY_MIN if question.minute == NOW else question.minute,
    )


def _assumed(question: Question, whole: Question) -> list[Said]:
    """What the question leaves open, and what it is taken as."""
    flow = Sentence(rows.FLOWS[whole.flow][0], whole.flow)
    advised = bool(question.station)
    facts = (
        (not question.line, THE_LINE, whole.line),
        (advised and not question.carrier, THE_CARRIER, whole.carrier),
        (advised and not question.service, THE_SERVICE, whole.service),
        (advised and not question.flow, THE_FLOW, flow),
        (whole.weight_g is None, THE_WEIGHT, NOT_MEASURED),
        (whole.length_mm is None, THE_LENGTH, NOT_MEASURED),
        (question.weekday == NOW, THE_DAY, DAYS[whole.weekday]),
        (question.minute == NOW, THE_TIME, clock(whole.minute)),
    )
    return [FACT.about(what=what, value=value) for is_open, what, value in facts if is_open]


@lru_cache(4)
def _automaton(patterns: tuple[str, ...]) -> waybill.Automaton:
    return waybill.compile_patterns([waybill.parse(pattern) for pattern in patterns])


def fitting(checked: Checked, code: str, date: str) -> list[str]:
    """The carriers of which a code in capitals fits a waybill format in use on a date, "": ever; in table order."""
    mask = waybill.fits(_automaton(tuple(row.waybill for row in checked.carriers)), code)
    fits = (
        row.carrier for bit, row in enumerate(checked.carriers) if mask >> bit & 1 and row.valid_from <= (date or "9")
    )
    return list(dict.fromkeys(fits))


def _station_of_labels(checked: Checked, asked: Question, carriers: Sequence[str]) -> tuple[str, str] | None:
    """The station and carrier that the sort codes read name; None when they name none, or two stations."""
    codes = [code.upper() for code in asked.codes if len(code.encode()) <= limits.CODE_TEXT_MAX]
    labels = [code for code in codes if not fitting(checked, code, asked.date)]
    found = [each for code in labels if (each := _station_of_label(checked, code, carriers)) is not None]
    return found[-1] if len({station for station, _ in found}) == 1 else None


def _station_of_label(checked: Checked, code: str, carriers: Sequence[str]) -> tuple[str, str] | None:
    """Try the code, then what is left of it before each dash from the right. Two carriers name no station."""
    while code:
        same = [row for row in checked.sort_codes if row.key == code]
        hits = [(row.station, carrier) for row in same for carrier in filter(row.carrier.has, carriers)]
        if hits:
            return hits[0] if len(hits) == 1 else None
        code = code.rpartition("-")[0]
    return None


def failures(rule: Rule, who: Mapping[str, str], asked: Question) -> tuple[Failed, ...]:
    """The columns of a rule that do not fit a parcel; none: it fits. `who` has a name for each of WORDS."""
    values = {column: who[column] for column in WORDS if not getattr(rule, column).has(who[column])}
    for column in ("weight_g", "length_mm"):
        spans, value = getattr(rule, column), getattr(asked, column)
        if spans and (value is None or not any(low <= value <= high for low, high in spans)):
            values[column] = "" if value is None else str(value)
    values |= _wrong_time(rule, asked)
    if not values:
        return ()
    cells = written(rule)
    return tuple(Failed(column, cells[column], values[column]) for column in COLUMNS if column in values)


def _wrong_time(rule: Rule, asked: Question) -> dict[str, str]:
    """A span past midnight belongs to the day on which it begins."""
    spans = rule.time or ((0, DAY_MIN),)
    moments = ((asked.weekday, asked.minute), ((asked.weekday - 1) % 7, asked.minute + DAY_MIN))
    days = [day for day, minute in moments if any(start <= minute < end for start, end in spans)]
    if days:
        return {} if any(day in rule.days for day in days) else {"days": str(days[0] + 1)}
    wrong = {"time": clock(asked.minute)}
    return wrong if asked.weekday in rule.days else {**wrong, "days": str(asked.weekday + 1)}


def _near(rules: Sequence[Rule], failed: Sequence[tuple[Failed, ...]]) -> list[Missed]:
    """Rows that fail in a column or two, the fewest first."""
    missed = [
        Missed(rule.row, rule.at, columns)
        for rule, columns in zip(rules, failed, strict=False)
        if 0 < len(columns) <= NEAR_COLUMNS_MAX
    ]
    return sorted(missed, key=lambda each: len(each.failed))[:NEAR_MAX]


def _next_trips(checked: Checked, lane: str, now_min: int) -> list[Said]:
    """The trips of a lane that can be caught next, from a minute of the week on."""
    coming = []
    for trip in (trip for trip in checked.trips if trip.lane == lane):
        for day in trip.days:
            for departs in trip.departs:
                ahead = (day * DAY_MIN + departs - trip.cutoff_min - now_min) % WEEK_MIN or WEEK_MIN
                coming.append((ahead, day, departs, trip))
    return [
        TRIP.about(
            day=DAYS[day],
            departs=clock(departs),
            cutoff=clock((departs - trip.cutoff_min) % DAY_MIN),
            capacity=_capacity(trip.capacity),
        )
        for _, day, departs, trip in sorted(coming)[:TRIPS_MAX]
    ]


def _capacity(items: int) -> Said:
    return ITEMS.about(items=items) if items else UNLIMITED.about()


def _chutes(found: Sequence[rows.Chute]) -> Said:
    return _chain([CHUTE.about(chute=row.chute, capacity=_capacity(row.capacity)) for row in found])
