"""Telegrams and items in, scans out: each with what is its own, and every other thing counted and told."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from plc_adapter.scanner.gateway import COMPLAINTS_MAX, Gateway
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner, resolve
from sorter.wire.frames import Scan
from sorter.wire.session import OutboxFull

MS: Final = 1_000_000
START: Final = 10_000_000 * MS
TRAVEL: Final = 1000
WINDOW: Final = 50
TRACKING: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, merge_ms=30)


def scanner(**site: object) -> Scanner:
    return resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, **site})


TOP: Final = scanner(heartbeats=["HB"], heartbeat_reply="OK\r")
SIDE: Final = scanner()
DWS: Final = scanner(maker="dws")
HEADS: Final[Mapping[str, Scanner]] = {"top": TOP, "side": SIDE, "dws": DWS}


@dataclass
class Belt:
    """A gateway whose time runs in steps of 20 ms, so that no hole is in it."""

    heads: Mapping[str, Scanner] = field(default_factory=lambda: HEADS)
    tracking: Tracking = TRACKING
    now_ms: int = 0
    full: bool = False
    scans: list[Scan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gateway = Gateway("L1", self.heads, self.tracking, self._post)

    def _post(self, scan: Scan) -> None:
        if self.full:
            raise OutboxFull("full")
        self.scans.append(scan)

    @property
    def now_ns(self) -> int:
        return START + self.now_ms * MS

    def until(self, at_ms: int) -> None:
        while self.now_ms < at_ms:
            self.now_ms = min(self.now_ms + 20, at_ms)
            self.gateway.due(self.now_ns)

    def enter(self, item: int, at_ms: int) -> None:
        self.until(at_ms)
        self.gateway.entered(item, self.now_ns, self.now_ns)

    def say(self, head: str, telegram: bytes, at_ms: int) -> bytes | None:
        self.until(at_ms)
        return self.gateway.telegram(head, telegram, self.now_ns)

    @property
    def codes(self) -> list[tuple[int, list[str]]]:
        return [(scan.item, scan.codes) for scan in self.scans]


def single(tracking: Tracking = TRACKING) -> Belt:
    return Belt({"top": TOP}, tracking)


def test_two_heads_and_a_dws_become_one_scan() -> None:
    belt = Belt()
    belt.enter(7, 100)
    belt.say("dws", b"JT1,1250.4,300,200,100,6,0", 1090)
    belt.say("side", b"SF2;JT1", 1095)
    belt.say("top", b"JT1", 1100)
    belt.until(1300)
    own = Scan(
        seq=0,
        item=7,
        codes=["JT1", "SF2"],
        weight_g=1250,
        size_mm=(300, 200, 100),
        lap=0,
        t_ns=START + 1090 * MS,
    )
    assert belt.scans == [own]
    assert belt.gateway.figures == {"telegrams": 3, "scans": 1, "merged": 1, "cut": 0, "paired": 1}
    assert belt.gateway.news() == []


def test_a_head_that_says_nothing_costs_its_own_words_only() -> None:
    """Also where the others are waited for until the item's window has passed."""
    belt = Belt()
    belt.enter(7, 0)
    belt.say("top", b"JT1", 1000 + WINDOW - 5)
    belt.until(1300)
    assert belt.codes == [(7, ["JT1"])]


def test_an_item_without_reading_is_posted_without_codes_and_told() -> None:
    belt = single()
    belt.enter(7, 0)
    belt.until(1300)
    own = Scan(seq=0, item=7, weight_g=0, lap=0, t_ns=START + TRAVEL * MS)
    assert belt.scans == [own]
    (told,) = belt.gateway.news()
    assert told.startswith("item 7: no reading came for it")
    assert belt.gateway.news() == []


def test_a_loop_counts_laps() -> None:
    belt = single(Tracking(travel_ms=TRAVEL, window_ms=WINDOW, lap_ms=2000))
    belt.enter(7, 0)
    belt.say("top", b"JT1", 1000)
    belt.say("top", b"JT1", 3000)
    belt.until(3200)
    assert [(scan.item, scan.codes, scan.lap) for scan in belt.scans] == [(7, ["JT1"], 0), (7, ["JT1"], 1)]
    belt.gateway.left(7, belt.now_ns)
    belt.until(9000)
    assert len(belt.scans) == 2


def test_nonsense_is_told_once_with_its_count() -> None:
    belt = Belt()
    for at_ms in (100, 200, 300):
        assert belt.say("dws", b"JT1,1", at_ms) is None
    assert belt.say("top", b"", 400) is None
    assert belt.gateway.counts == Counter(telegrams=4, nonsense=4)
    first, second = belt.gateway.news()
    assert first.startswith("head dws: 2 fields, the template has 7")
    assert first.endswith("(3 telegrams)")
    assert second.startswith("head top: a telegram without a code")
    assert belt.gateway.news() == []


def test_many_kinds_of_nonsense_are_bounded_and_those_known_still_counted() -> None:
    belt = Belt()
    for fields in range(8, 8 + 2 * COMPLAINTS_MAX):
        belt.say("dws", b"," * fields, 100)
    belt.say("dws", b"," * 8, 100)
    told = belt.gateway.news()
    assert len(told) == COMPLAINTS_MAX
    assert told[0].endswith("(2 telegrams)")
    assert belt.gateway.counts["nonsense"] == 2 * COMPLAINTS_MAX + 1


def test_a_measure_that_cannot_be_costs_itself_and_is_told_once() -> None:
    belt = Belt({"dws": DWS})
    for item, at_ms in ((7, 0), (8, 500)):
        belt.enter(item, at_ms)
    for code, at_ms in ((b"JT1", 1000), (b"JT2", 1500)):
        belt.say("dws", code + b",-5,300,200,100,6,0", at_ms)
    belt.until(1800)
    assert [(scan.codes, scan.weight_g, scan.size_mm) for scan in belt.scans] == [
        (["JT1"], 0, (300, 200, 100)),
        (["JT2"], 0, (300, 200, 100)),
    ]
    assert belt.gateway.counts["unmeasured"] == 2
    assert belt.gateway.news() == [
        'head dws: weight: "-5" is negative; set the scale or the frame to zero (2 telegrams)'
    ]


def test_a_scale_is_doubted_until_it_has_shown_its_unit_and_no_other_with_it() -> None:
    belt = Belt({"dws": DWS, "other": DWS})
    for item, (head, weight, weight_g) in enumerate(
        [("dws", "45.5", 0), ("dws", "1250.5", 1250), ("dws", "45.5", 46), ("other", "45.5", 0)], start=1
    ):
        belt.enter(item, item * 2000)
        belt.say(head, f"JT{item},{weight},300,200,100,6,0".encode(), item * 2000 + TRAVEL)
        belt.until(item * 2000 + TRAVEL + 200)
        assert (belt.scans[-1].codes, belt.scans[-1].weight_g) == ([f"JT{item}"], weight_g)
    left_out = 'weight: "45.5" with unit g is left out until 50 or more comes; is it kg? write weight_unit = "kg"'
    assert [told for told in belt.gateway.news() if "left out" in told] == [
        f"head dws: {left_out} (1 telegrams)",
        f"head other: {left_out} (1 telegrams)",
    ]


def test_a_heartbeat_is_answered_and_is_no_parcel() -> None:
    belt = Belt()
    assert belt.say("top", b"HB", 100) == b"OK\r"
    assert belt.say("top", b"JT1", 200) == b""
    assert belt.gateway.counts == Counter(telegrams=2, heartbeats=1)


@pytest.mark.parametrize(("for_ms", "codes"), [(20, ["JT1"]), (30, [])])
def test_what_had_to_wait_longer_than_half_a_window_is_not_taken_at_its_word(for_ms: int, codes: list[str]) -> None:
    belt = single(Tracking(travel_ms=1000, window_ms=50))
    belt.enter(7, 0)
    belt.until(1000)
    belt.gateway.held(for_ms * MS, belt.now_ns)
    belt.say("top", b"JT1", 1000)
    belt.until(1300)
    assert belt.codes == [(7, codes)]


def test_an_outbox_without_room_is_counted() -> None:
    belt = single()
    belt.full = True
    belt.enter(7, 0)
    belt.until(1300)
    assert belt.gateway.counts == Counter(unposted=1)
    belt.full = False
    belt.enter(8, 1400)
    belt.until(2700)
    assert belt.codes == [(8, [])]


def test_distrust_costs_the_codes_of_what_is_under_way_and_of_nothing_later() -> None:
    belt = single()
    belt.enter(7, 0)
    belt.until(500)
    belt.gateway.distrust(belt.now_ns)
    belt.enter(8, 800)
    belt.say("top", b"JT1", 1000)
    belt.say("top", b"JT2", 1800)
    belt.until(2000)
    assert belt.codes == [(7, []), (8, ["JT2"])]


def test_a_plc_that_begins_again_has_forgotten_its_items() -> None:
    belt = single()
    belt.enter(1, 0)
    belt.enter(2, 300)
    belt.say("top", b"OLD1", 1000)
    belt.until(1150)
    belt.gateway.began(belt.now_ns)
    belt.say("top", b"OLD2", 1300)  # the old item 2 is still on the belt, and its number means another now
    belt.enter(1, 1400)
    belt.enter(2, 1700)
    belt.say("top", b"NEW1", 2400)
    belt.say("top", b"NEW2", 2700)
    belt.until(3000)
    assert belt.codes == [(1, ["OLD1"]), (1, ["NEW1"]), (2, ["NEW2"])]


def test_what_an_old_item_says_is_never_a_new_ones_after_a_new_beginning() -> None:
    """The new item's own parcel gave nothing, and one of before the restart is read in its window."""
    belt = single()
    belt.until(100)
    belt.gateway.began(belt.now_ns)
    belt.enter(1, 120)
    belt.say("top", b"OLD", 1125)
    belt.until(1400)
    assert belt.codes == [(1, [])]


BY_ID: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, merge_ms=30, by="id")
NUMBERED: Final = scanner(template="{id}|{code}")


def test_two_heads_of_before_the_start_are_nobodys_after_it() -> None:
    """One half came before the start was noticed; a head without numbers speaks when the new item does."""
    belt = Belt({"top": NUMBERED, "side": SIDE}, BY_ID)
    belt.until(100)
    belt.gateway.began(belt.now_ns)
    belt.until(2000)
    belt.say("top", b"7|OLD", 2000)
    belt.gateway.began(belt.now_ns + 5 * MS)
    belt.say("top", b"7|NEW", 2010)
    belt.say("side", b"OLD", 2015)
    belt.until(4000)
    assert belt.codes == []
    assert belt.gateway.figures["before_start"] == 1


def test_a_head_that_speaks_when_the_tunnel_has_forgotten_its_parcel_does_not_outlive_a_start() -> None:
    belt = Belt(
        {"top": NUMBERED, "side": NUMBERED}, Tracking(travel_ms=TRAVEL, window_ms=WINDOW, merge_ms=300, by="id")
    )
    belt.until(100)
    belt.say("top", b"7|OLD", 100)
    belt.gateway.began(belt.now_ns + 5 * MS)
    belt.say("side", b"7|OLD", 100 + 2 * 300)
    belt.until(4000)
    assert belt.codes == []
    assert belt.gateway.figures["before_start"] == 2


def test_the_first_start_is_the_adapters_and_any_further_the_plcs() -> None:
    """A number that the PLC does not tell of is believed after the adapter's start alone."""
    belt = Belt({"top": NUMBERED}, BY_ID)
    belt.until(100)
    belt.gateway.began(belt.now_ns)
    belt.say("top", b"7|JT7", 800)
    belt.until(1000)
    belt.gateway.began(belt.now_ns)
    belt.say("top", b"8|OLD", 1700)
    belt.say("top", b"9|JT9", 1720)
    belt.gateway.entered(9, belt.now_ns - 10 * MS, belt.now_ns)
    belt.until(4000)
    assert belt.codes == [(7, ["JT7"]), (9, ["JT9"])]
    assert belt.gateway.unpaired == 1


def test_missing_reports_make_a_number_believed() -> None:
    belt = Belt({"top": NUMBERED}, BY_ID)
    belt.until(100)
    belt.gateway.missed(belt.now_ns)
    belt.say("top", b"7|JT7", 800)
    assert belt.codes == [(7, ["JT7"])]


def test_figures_and_events_outlive_a_new_beginning() -> None:
    belt = single()
    belt.enter(1, 0)
    belt.until(1300)
    belt.gateway.began(belt.now_ns)
    belt.enter(1, 3000)
    belt.until(4300)
    assert belt.gateway.figures["silent"] == 2
    assert len(belt.gateway.news()) == 2


def test_a_late_head_is_told() -> None:
    belt = Belt()
    for head, at_ms in (("top", 100), ("side", 105), ("dws", 150)):
        belt.say(head, b"JT1,0,0,0,0,0,0" if head == "dws" else b"JT1", at_ms)
    assert belt.gateway.figures["late"] == 1
    told = belt.gateway.news()
    assert told[0].startswith("head dws: a telegram with 1 codes came too late")


@pytest.mark.parametrize("by", ["id", "order"])
def test_no_news_carries_a_code(by: str) -> None:
    tracking = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, by="id" if by == "id" else "order")
    belt = Belt(HEADS, tracking)
    for at_ms in range(0, 2000, 130):
        belt.enter(at_ms, at_ms)
        belt.say("top", b"SECRET7310", at_ms + 10)
        belt.say("dws", b"SECRET7310,x", at_ms + 60)
        belt.say("dws", b"SECRET7310,-3,0,0,0,0,0", at_ms + 65)
    belt.until(4000)
    told = belt.gateway.news()
    assert len(told) > 5
    assert not [words for words in told if "SECRET" in words or "7310" in words]
