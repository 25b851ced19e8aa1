"""An adapter that starts beside a running belt tells in few lines what that costs; later faults are told one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pytest

from plc_adapter.scanner.gateway import Gateway
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.pairing.absence import CALM_NS
from plc_adapter.scanner.settings import resolve

MS: Final = 1_000_000
START: Final = 10_000_000 * MS
TRAVEL: Final = 1000
WINDOW: Final = 50
TICK: Final = 10
GAP: Final = 300  # between parcels
AWAY: Final = 20_000  # so long the adapter was away
AT_ONCE: Final = 8  # reports in an exchange
END: Final = AWAY + 2 * TRAVEL + CALM_NS // MS
ORDER: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW)
LOOP: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, lap_ms=5000)
BY_ID: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, by="id", id_bits=16)


@dataclass
class Floor:
    """A parcel each GAP ms; the adapter is there from AWAY on, and the PLC keeps what it counted since `kept`."""

    tracking: Tracking = ORDER
    kept: int = 0
    until: int = END
    unread: frozenset[int] = frozenset()
    gap: int = GAP
    at_once: int = AT_ONCE
    jump: tuple[int, int] = (0, 0)  # at this time the clock is set by so much, ms
    news: list[str] = field(default_factory=list)

    def run(self) -> Floor:
        head = resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, "template": "{id};{code}"})
        self.gateway = Gateway("L1", {"top": head}, self.tracking, lambda _scan: None)
        self.gateway.began(self.clock(AWAY))
        waiting = [at for at in range(0, self.until, self.gap) if at >= self.kept]
        for now in range(AWAY, self.until, TICK):
            for at in [at for at in waiting[: self.at_once] if at <= now]:
                waiting.remove(at)
                self.gateway.entered(at // self.gap + 1, self.clock(now) - (now - at) * MS, self.clock(now))
            read, beside = divmod(now - TRAVEL, self.gap)
            if not beside and read >= 0 and read + 1 not in self.unread:
                self.gateway.telegram("top", f"{read + 1};JT{read + 1}".encode(), self.clock(now))
            self.gateway.due(self.clock(now))
            self.news += self.gateway.news()
        return self

    def clock(self, now: int) -> int:
        return START + (now + (self.jump[1] if self.jump[0] and now >= self.jump[0] else 0)) * MS


@pytest.mark.parametrize("tracking", [ORDER, BY_ID])
def test_a_backlog_is_told_in_one_line_without_advice(tracking: Tracking) -> None:
    floor = Floor(tracking).run()
    (told,) = [words for words in floor.news if "items" in words]
    assert told.endswith("items came while the adapter was away, or as it started; they get no codes")
    figures = floor.gateway.figures
    assert int(told.split()[0]) == figures["scans"] - figures.get("paired", 0)
    assert figures["paired"] >= TRAVEL // GAP
    assert not [words for words in floor.news if "travel_ms" in words or words.startswith("item ")]


def test_a_backlog_that_takes_longer_than_a_travel_is_one_line() -> None:
    floor = Floor(Tracking(travel_ms=0, window_ms=WINDOW), at_once=1).run()
    assert len([words for words in floor.news if "items came while the adapter was away" in words]) == 1


def test_traffic_with_long_gaps_is_told_once_when_the_travel_is_over() -> None:
    tracking = Tracking(travel_ms=5000, window_ms=WINDOW)
    floor = Floor(tracking, gap=1500, until=AWAY + 9000, unread=frozenset(range(100))).run()
    first, *others = floor.news
    assert "items came while the adapter was away" in first
    assert others
    assert all(words.startswith("item ") for words in others)  # later ones are told one by one


def test_readings_of_parcels_that_another_adapter_was_told_of_are_one_line() -> None:
    floor = Floor(kept=AWAY).run()
    assert floor.gateway.figures["stray"] == 3  # the parcels on the way when the adapter started
    assert floor.news[0] == (
        "3 readings as the adapter started were of no item that it was told of; "
        "if it goes on beyond one travel, see whether the PLC reports items"
    )
    assert len([words for words in floor.news if "as the adapter started were" in words]) == 1
    assert not [words for words in floor.news if "travel_ms" in words]


def test_readings_of_a_loop_are_told_soon_and_again_in_sum_when_its_lap_is_over() -> None:
    """Of a PLC that reports no items the engineer reads within seconds, however long a lap is."""
    lap = 60_000
    tracking = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, lap_ms=lap)
    soon = Floor(tracking, kept=AWAY + 2 * lap, until=AWAY + 3000).run().news
    over = Floor(tracking, kept=AWAY + 2 * lap, until=AWAY + lap + 3000).run().news
    (told,) = soon
    assert told == (
        "4 readings as the adapter started were of no item that it was told of; "
        "if it goes on beyond one lap, see whether the PLC reports items"
    )
    assert over[0] == told
    sums = [int(words.split()[0]) for words in over if "as the adapter started were" in words]
    assert sums == [4, lap // GAP + 1]
    assert "does the PLC report every item" in over[1]  # those that go on are told one by one


def test_later_faults_are_told_one_by_one() -> None:
    missing = (AWAY + 3 * TRAVEL) // GAP
    floor = Floor(unread=frozenset({missing}), until=END + 4 * TRAVEL).run()
    assert len([words for words in floor.news if words.startswith(f"item {missing}: no reading came for it")]) == 1
    assert len([words for words in floor.news if "while the adapter was away" in words]) == 1


def test_the_laps_of_the_backlog_are_in_the_line_as_well() -> None:
    floor = Floor(LOOP, until=AWAY + 9000).run()
    late = [words for words in floor.news if words.startswith("item ") and "when its window had begun" in words]
    assert late == []
    assert len([words for words in floor.news if "while the adapter was away" in words]) == 1


def test_a_start_of_the_plc_is_no_absence_and_loses_no_line() -> None:
    """What was counted before is told after it, and what the PLC's start costs is told as ever."""
    floor = Floor(until=AWAY + 500).run()
    assert floor.news == []
    floor.gateway.began(floor.clock(AWAY + 500))
    now_ns = floor.clock(AWAY + 500)
    floor.gateway.telegram("top", b"9;JT9", now_ns)
    for tick in range(600):
        floor.gateway.due(now_ns + tick * TICK * MS)
    told = floor.gateway.news()
    assert len([words for words in told if "while the adapter was away" in words]) == 1


def test_a_clock_that_goes_back_ends_it() -> None:
    floor = Floor(until=AWAY + 4 * TRAVEL, jump=(AWAY + 500, -3_600_000)).run()
    assert len([words for words in floor.news if "while the adapter was away" in words]) == 1
    assert [words for words in floor.news if words.startswith("item ")]
