"""The report says the figures it was given, in both languages, and nothing else is needed to read it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sorter.ledger.reader import Day, DisturbanceFigures, FlowFigures, LaneFigures, TripFigures
from sorter.reasons import EXCEPTIONS, SENTENCES, Alarm, Language, Reason
from sorter.report import Latency, number, page, text
from tests.ledger.figures import busy_day, latency

VOID = {"meta", "link", "br", "img"}
LANGUAGES: list[Language] = ["zh", "en"]


class Reading(HTMLParser):
    """Checks that every tag closes, and keeps the words and the names of tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.seen: set[str] = set()
        self.feed(html)
        self.close()
        assert self.tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.seen.add(tag)
        if tag not in VOID:
            self.tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_tell_every_figure(language: Language) -> None:
    day, times = busy_day(), latency()
    words = Reading(page(day, site="巫山县共配中心", language=language, latency=times)).words
    plain = text(day, site="巫山县共配中心", language=language, latency=times)
    for told in (words, plain):
        assert day.day in told
        assert "4f1c9ab27d30" in told
        for count in (day.inducted, day.sorted, day.on_belt, *day.exceptions.values()):
            assert number(count) in told
        for word in day.exceptions:
            sentence = SENTENCES[Reason[word.upper()]]
            assert (sentence.zh if language == "zh" else sentence.en) in told
        for lane in day.lanes[:16]:
            assert lane.title in told
            assert number(lane.items) in told
    for title in [lane.title for lane in day.lanes] + [trip.title for trip in day.trips]:
        assert title in words
    for flow in day.flows:
        assert number(flow.inducted) in words


@pytest.mark.parametrize(("language", "reader"), [("zh", "读码器断开"), ("en", "a reader was not connected")])
def test_every_disturbance_and_the_time_left_are_told(language: Language, reader: str) -> None:
    words = [alarm.word for alarm in Alarm] + ["blocked", "full", "missed"]
    every = tuple(DisturbanceFigures("L1", word, 4000 + at, 9, 0, 0, 0) for at, word in enumerate(words))
    made = busy_day()
    day = replace(made, disturbances=(*made.disturbances, *every))
    for told in (Reading(page(day, site="hub", language=language)).words, text(day, site="hub", language=language)):
        assert reader in told
        for times in (1234, 287, *range(4000, 4000 + len(words))):
            assert number(times) in told
        for figure in ("1:11:00", "2:00", "4.5 s", "-1.50 s", "41.23 s", "204,111"):
            assert figure in told


def test_every_reason_has_its_words() -> None:
    day = replace(busy_day(), ended={reason.word: 10 + reason for reason in Reason})
    assert set(day.exceptions) == {reason.word for reason in EXCEPTIONS}
    for language in LANGUAGES:
        page(day, site="x", language=language)
        assert len(text(day, site="x", language=language).splitlines()) > len(EXCEPTIONS)


def test_the_page_needs_nothing_else() -> None:
    html = page(busy_day(), site="x", latency=latency())
    assert not Reading(html).seen & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import|\son\w+=", html)


def test_words_from_outside_are_only_words() -> None:
    evil = '<script>alert("1")</script>&'
    day = replace(
        busy_day(),
        lanes=(LaneFigures("L", evil, "bus", 9),),
        flows=(FlowFigures("C", evil, evil, "inbound", 9, 9),),
        trips=(TripFigures("L", evil, 0, 0, 10, 9, None),),
        plans=(evil,),
    )
    html = page(day, site=evil, latency=latency())
    reading = Reading(html)
    assert "script" not in reading.seen
    assert reading.words.count(evil) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_day_without_items(language: Language) -> None:
    empty = Day("2025-11-11", 0, (), 0, {}, 0, (), (), (), (), {}, (), ())
    assert "2025-11-11" in text(empty, site="x", language=language)
    Reading(page(empty, site="x", language=language))


def test_one_item() -> None:
    day = busy_day(items=1)
    assert "= 已分拣 1 + 异常 0 + 在线上 0" in text(day, site="x")
    Reading(page(day, site="x", latency=Latency([0.0, 1.0], [1], 0.5, 0.5, 0.5, 0.5)))
    Reading(page(day, site="x", latency=Latency([0.0, 1.0], [0], 0.0, 0.0, 0.0, 0.0)))


def test_bars_are_as_long_as_their_counts() -> None:
    day = busy_day()
    html = page(day, site="x")
    widths = [float(width) for width in re.findall(r'<i class="data" style="width:([\d.]+)%', html)]
    longest = day.lanes[0].items
    assert widths[: len(day.lanes)] == [round(100 * lane.items / longest, 2) for lane in day.lanes]


def test_shares_are_never_rounded_to_all_or_nothing() -> None:
    day = replace(busy_day(), ended={"planned": 149_959, "lost": 1}, on_belt=40)
    plain = text(day, site="x")
    html = page(day, site="x")
    assert "<0.1 %" in html
    assert "99.9 %" in html
    assert "100.0 %" not in plain.split("按路向")[0]


def test_columns_align_over_chinese_words() -> None:
    whats = ("full", "missed", "plc_silent", "reader_away")
    day = replace(busy_day(), disturbances=tuple(DisturbanceFigures("L1", what, 77, 0, 0, 0, 0) for what in whats))
    block = text(day, site="x").split("设备故障与停顿\n")[1].split("\n\n")[0].splitlines()
    before = [line.split("77")[0] for line in block]
    assert len(before) == len(whats)
    assert len({len(words) for words in before}) > 1
    assert len({len(words.encode("gbk")) for words in before}) == 1  # in GBK too, a Chinese character is two wide
