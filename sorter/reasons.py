"""Codes inside, sentences outside: kernels return these integers, people read the words.

A `Reason` says why an item went where it went; one set serves all carriers.
A `Refusal` says why an event changed nothing. An `Alarm` says what disturbs a line.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, Literal, NamedTuple

Language = Literal["zh", "en"]


class Reason(IntEnum):
    """Why an item was sent to its chute, or how it ended. Stored in journals: never renumber."""

    PLANNED = 0
    SPILLED = 1
    ALTERNATE = 2
    NO_READ = 3
    UNKNOWN_CODE = 4
    MULTI_CODE = 5
    NO_ADVICE = 6
    NO_RULE = 7
    OVERWEIGHT = 8
    OVERSIZE = 9
    INTERCEPT = 10
    CANCELLED = 11
    MAX_LAPS = 12
    LATE = 13
    LOST = 14
    MISSORT = 15
    RECIRCULATE = 16

    @property
    def word(self) -> str:
        """The name used in tables, messages and reports, such as `no_read`."""
        return self.name.lower()


class Refusal(IntEnum):
    """Why an event was refused and changed nothing. Stored in journals: never renumber."""

    REPEAT = 0
    GAP = 1
    UNKNOWN_CLIENT = 2
    UNKNOWN_ITEM = 3
    UNKNOWN_CHUTE = 4
    NOT_A_WAYBILL = 5
    MANIFEST_FULL = 6
    CLIENTS_FULL = 7
    NO_TRIP = 8
    UNKNOWN_LINE = 9

    @property
    def word(self) -> str:
        """The name used on the wire, such as `unknown_item`."""
        return self.name.lower()


class Alarm(IntEnum):
    """What an adapter tells of a line's devices. Stored in journals: never renumber."""

    PLC_AWAY = 0
    PLC_SILENT = 1
    PLC_BACK = 2  # ends the two before
    PLC_RESTARTED = 3
    READER_AWAY = 4
    READER_BACK = 5  # ends the one before
    ORDERS_LATE = 6
    ORDERS_VOID = 7
    ORDERS_OVERFLOW = 8
    REPORTS_LOST = 9
    REPORTS_UNKNOWN = 10
    EPOCH_REUSED = 11
    UNPAIRED = 12
    LINE_STOPPED = 13
    LINE_FAULT = 14
    LINE_RUNNING = 15  # ends the two before

    @property
    def word(self) -> str:
        """The name used on the wire and in reports, such as `plc_away`."""
        return self.name.lower()


class Sentence(NamedTuple):
    """What people read, in both languages; `{name}` stands for a fact."""

    zh: str
    en: str

    def about(self, **facts: Any) -> "Said":
        """The sentence about these facts."""
        return Said(self, facts)

    def told(self, language: Language) -> str:
        """The sentence in one language."""
        return self.zh if language == "zh" else self.en


class Said(NamedTuple):
    """A sentence and what it is about, to be told in either language."""

    sentence: Sentence
    facts: Mapping[str, Any]

    def told(self, language: Language) -> str:
        """The text; a fact that is a sentence itself is told in the same language."""
        facts = {
            name: fact.told(language) if isinstance(fact, Sentence | Said) else fact
            for name, fact in self.facts.items()
        }
        return self.sentence.told(language).format(**facts)


class Declined(Exception):
    """Something was not done; `said` tells whoever asked for it why, and what to do."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.told("en"))
        self.said = said


SENTENCES: Final[dict[Reason, Sentence]] = {
    Reason.PLANNED: Sentence("按分拣方案落格", "sorted as planned"),
    Reason.SPILLED: Sentence("班次已满或无车，改走备用路向", "the trip was full; sent by the spill lane"),
    Reason.ALTERNATE: Sentence(
        "原格口未开放，改落同路向其他格口", "its chute was not open; another chute of the lane was used"
    ),
    Reason.NO_READ: Sentence("未读到条码", "no barcode was read"),
    Reason.UNKNOWN_CODE: Sentence("读到的条码不是运单号", "none of the codes read is a waybill"),
    Reason.MULTI_CODE: Sentence("读到两个不同的运单号", "two different waybills were read on one item"),
    Reason.NO_ADVICE: Sentence(
        "没有预报，也没有可用的三段码",
        "no advice, and no known sort code on the label",
    ),
    Reason.NO_RULE: Sentence("没有适用规则，站点也没有路向", "no rule applies and the station has no lane"),
    Reason.OVERWEIGHT: Sentence("超重", "too heavy for the line"),
    Reason.OVERSIZE: Sentence("超尺寸", "too large for the line"),
    Reason.INTERCEPT: Sentence("拦截件", "on the intercept list"),
    Reason.CANCELLED: Sentence("承运商已取消", "cancelled by the carrier"),
    Reason.MAX_LAPS: Sentence("无圈可转仍未落格", "did not drop and had no lap left to go round"),
    Reason.LATE: Sentence("决定晚于分拣时限，未下发", "decided after its deadline, so nothing was sent to the PLC"),
    Reason.LOST: Sentence("在线上失去跟踪，没有落格回报", "lost on the belt: no discharge was reported in time"),
    Reason.MISSORT: Sentence("落入的格口与指令不符", "dropped into another chute than told"),
    Reason.RECIRCULATE: Sentence(
        "没有开放的格口，未下发；环线上再转一圈",
        "no chute for it is open, so nothing was told to the PLC; a loop takes it round once more",
    ),
}

REFUSALS: Final[dict[Refusal, Sentence]] = {
    Refusal.REPEAT: Sentence("此消息已收到过", "this message has been counted already"),
    Refusal.GAP: Sentence("中间缺少消息，请从未确认处重发", "messages before it are missing; resend them"),
    Refusal.UNKNOWN_CLIENT: Sentence("尚未登记，请先发送 hello", "not registered; send hello first"),
    Refusal.UNKNOWN_ITEM: Sentence("线上没有这个包裹号", "no item of that number is on the belt"),
    Refusal.UNKNOWN_CHUTE: Sentence("分拣方案中没有这个格口", "the sort plan has no such chute"),
    Refusal.NOT_A_WAYBILL: Sentence("不是运单号", "this is not a waybill of any carrier"),
    Refusal.MANIFEST_FULL: Sentence("预报已达上限", "the manifest is full"),
    Refusal.CLIENTS_FULL: Sentence("登记的设备已达上限", "too many clients have registered"),
    Refusal.NO_TRIP: Sentence("该路向没有班次", "the lane has no trip to send"),
    Refusal.UNKNOWN_LINE: Sentence("没有这条分拣线", "the site has no such line"),
}

READERS: Final[frozenset[Alarm]] = frozenset((Alarm.READER_AWAY, Alarm.READER_BACK, Alarm.UNPAIRED))
"""What those say who speak for a line's scanners; the others are the PLC's."""

ALARMS: Final[dict[Alarm, Sentence]] = {
    Alarm.PLC_AWAY: Sentence("与 PLC 通信不成", "no exchange with the PLC worked"),
    Alarm.PLC_SILENT: Sentence("PLC 程序停住，心跳不动", "the PLC's program stood still: no heartbeat"),
    Alarm.PLC_BACK: Sentence("PLC 恢复", "the PLC is back"),
    Alarm.PLC_RESTARTED: Sentence("PLC 重启，线上包裹改了号", "the PLC started again and gave its items new numbers"),
    Alarm.READER_AWAY: Sentence("读码器断开", "a reader was not connected"),
    Alarm.READER_BACK: Sentence("读码器恢复", "the readers are back"),
    Alarm.ORDERS_LATE: Sentence("指令来不及，没有交给 PLC", "orders came too late and were not given to the PLC"),
    Alarm.ORDERS_VOID: Sentence("PLC 重启，指令作废", "orders were void: the PLC had started again"),
    Alarm.ORDERS_OVERFLOW: Sentence("PLC 不取指令，积压作废", "orders were given up: the PLC took none"),
    Alarm.REPORTS_LOST: Sentence("PLC 的回报被冲掉", "reports of the PLC were overwritten before they were read"),
    Alarm.REPORTS_UNKNOWN: Sentence("PLC 的回报看不懂", "reports of the PLC made no sense"),
    Alarm.EPOCH_REUSED: Sentence("PLC 重启后沿用旧纪元号", "the PLC started again and kept its old epoch"),
    Alarm.LINE_STOPPED: Sentence("分拣线停机", "the line stood still"),
    Alarm.LINE_FAULT: Sentence("分拣线报故障", "the line reported a fault"),
    Alarm.LINE_RUNNING: Sentence("分拣线恢复运行", "the line runs again"),
    Alarm.UNPAIRED: Sentence("读码对不上包裹，不猜", "readings fitted no item for certain and were not used"),
}

REASON_COUNT: Final = len(Reason)

EXCEPTIONS: Final[frozenset[Reason]] = frozenset(Reason) - {Reason.PLANNED, Reason.SPILLED, Reason.ALTERNATE}
"""Ends that are not a sort into the item's own stream."""

REJECTIONS: Final[frozenset[Reason]] = EXCEPTIONS - {
    Reason.LATE,
    Reason.LOST,
    Reason.MISSORT,
    Reason.RECIRCULATE,
}
"""Reasons that send an item to an exception chute; each needs one on every line."""

assert set(SENTENCES) == set(Reason)
assert set(REFUSALS) == set(Refusal)
assert set(ALARMS) == set(Alarm)
