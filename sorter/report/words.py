"""The words of the report: each stands here once, in both languages, or among the vocabulary's sentences."""

from typing import Final

from sorter.reasons import ALARMS, REFUSALS, SENTENCES, Alarm, Language, Reason, Refusal, Sentence

_WORDS: Final[dict[str, Sentence]] = {
    "title": Sentence("分拣日报", "Sorting report"),
    "plan": Sentence("分拣方案", "Sort plan"),
    "inducted": Sentence("上线", "Inducted"),
    "sorted": Sentence("已分拣", "Sorted"),
    "exceptions": Sentence("异常", "Exceptions"),
    "on_belt": Sentence("在线上", "On the belt"),
    "peak": Sentence("高峰小时", "Peak hour"),
    "latency": Sentence("决定用时", "Time to decide"),
    "longest": Sentence("最长", "longest"),
    "day": Sentence("全天件量", "Items through the day"),
    "day_note": Sentence("按上线时间，每 15 分钟的件数", "by time of induction, items per 15 minutes"),
    "lanes": Sentence("按路向", "By lane"),
    "lanes_note": Sentence("已分拣的件", "sorted items"),
    "carriers": Sentence("按承运商与流向", "By carrier and flow"),
    "carriers_note": Sentence("上线的件", "inducted items"),
    "reasons": Sentence("异常原因", "Exceptions by reason"),
    "reasons_note": Sentence("占上线件的比例", "share of the items inducted"),
    "trips": Sentence("班次装载", "Trips"),
    "trips_note": Sentence("装载最满的在前", "fullest first"),
    "latency_note": Sentence("从扫描到下发，真实毫秒", "scan to divert, real milliseconds"),
    "flows": Sentence("承运商 × 乡镇 × 流向（补贴统计）", "Carrier × township × flow (for subsidies)"),
    "refusals": Sentence("未采纳的消息", "Messages that changed nothing"),
    "disturbances": Sentence("设备故障与停顿", "Disturbances"),
    "disturbances_note": Sentence("按分拣线，当天开始的", "by line, those that began on the day"),
    "line": Sentence("分拣线", "Line"),
    "what": Sentence("情况", "What"),
    "times": Sentence("次数", "Times"),
    "lasted": Sentence("合计", "Together"),
    "longest_one": Sentence("最长一次", "Longest"),
    "of_items": Sentence("涉及件数", "Items"),
    "lasting": Sentence("{count} 个还没结束", "{count} not over"),
    "hub": Sentence("全场", "hub"),
    "started": Sentence("守护进程启动", "the daemon started"),
    "blocked": Sentence("格口堵塞", "a chute was blocked"),
    "full": Sentence("格口满格，等人换袋", "a chute was full and waited for a new bag"),
    "missed": Sentence("指令已下，落格失败", "a divert failed, as the PLC reports"),
    "slack": Sentence("决定余量", "Time left to the deadline"),
    "slack_note": Sentence("决定做出时离时限还有多久", "when an item was decided"),
    "decided": Sentence("决定次数", "Decisions"),
    "late": Sentence("来不及", "Late"),
    "least": Sentence("最少", "Least"),
    "carrier": Sentence("承运商", "Carrier"),
    "township": Sentence("乡镇", "Township"),
    "flow": Sentence("流向", "Flow"),
    "inbound": Sentence("进港", "Inbound"),
    "outbound": Sentence("出港", "Outbound"),
    "": Sentence("未知", "Unknown"),
    "lane": Sentence("路向", "Lane"),
    "no_lane": Sentence("无路向的格口", "Chutes without lane"),
    "cutoff": Sentence("截止", "Cut-off"),
    "departs": Sentence("发车", "Departs"),
    "load": Sentence("装载", "Load"),
    "sent": Sentence("提前发车", "sent early"),
    "items": Sentence("件", "items"),
    "share": Sentence("占比", "Share"),
    "total": Sentence("合计", "Total"),
    "others": Sentence("其余 {count} 个", "{count} others"),
    "nothing": Sentence("没有", "none"),
    "decisions": Sentence("次决定", "decisions"),
    "adds_up": Sentence(
        "账目相符：上线 {inducted} = 已分拣 {sorted} + 异常 {exceptions} + 在线上 {on_belt}",
        "The counts add up: {inducted} inducted = {sorted} sorted + {exceptions} exceptions + {on_belt} on the belt",
    ),
    "empty": Sentence("这一天没有件上线。", "No item was inducted on this day."),
}


class Speech:
    """Words in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, word: str, **values: str) -> str:
        return _WORDS[word].told(self.language).format(**values)

    def reason(self, word: str) -> str:
        return SENTENCES[Reason[word.upper()]].told(self.language)

    def disturbance(self, word: str) -> str:
        """An alarm's sentence, or that of a chute's state."""
        return self(word) if word in _WORDS else ALARMS[Alarm[word.upper()]].told(self.language)

    def refusal(self, word: str) -> str:
        return REFUSALS[Refusal[word.upper()]].told(self.language)
