"""A day's figures as large as the model site's, made up, for the report to render."""

import math
import random
from collections import Counter

from sorter.ledger.reader import Day, DisturbanceFigures, FlowFigures, LaneFigures, SlackFigures, Slot, TripFigures
from sorter.report import Latency

MINUTE_NS = 60_000_000_000
OFFSET_NS = 480 * MINUTE_NS
MIDNIGHT_NS = 1_762_790_400_000_000_000  # 2025-11-11 00:00 at the site
CARRIERS = {
    "CNPOST": "中国邮政",
    "ZTO": "中通快递",
    "YTO": "圆通速递",
    "YUNDA": "韵达快递",
    "JT": "极兔速递",
    "SF": "顺丰速运",
}
TOWNSHIPS = ("大昌镇", "曲尺乡", "福田镇", "官渡镇", "骡坪镇", "庙宇镇", "抱龙镇", "双龙镇")
SHARES = {"no_read": 30, "no_advice": 27, "multi_code": 5, "max_laps": 4, "missort": 1, "intercept": 3, "lost": 1}


def busy_day(items: int = 150_000, seed: int = 1) -> Day:
    """Two waves, seven reasons for exceptions, forty lanes."""
    chance = random.Random(seed)
    slots = _slots(items, chance)
    inducted, good = sum(slot.inducted for slot in slots), sum(slot.sorted for slot in slots)
    wrong = sum(slot.exceptions for slot in slots)
    ended = {"planned": good - good // 50 - good // 200, "spilled": good // 50, "alternate": good // 200}
    ended |= dict(zip(SHARES, _shared(wrong, list(SHARES.values())), strict=True))
    lanes = [f"{chance.choice(TOWNSHIPS)}{kind}{at}线" for at in range(10) for kind in ("客运", "货运", "便民", "县城")]
    by_lane = sorted(_shared(good, [1 / (at + 2) for at in range(40)]), reverse=True)
    return Day(
        day="2025-11-11",
        utc_offset_ns=OFFSET_NS,
        plans=("4f1c9ab27d30e6" + "0" * 50,),
        inducted=inducted,
        ended=ended,
        on_belt=inducted - good - wrong,
        slots=slots,
        lanes=tuple(LaneFigures(lane, lane, "bus", n) for lane, n in zip(lanes, by_lane, strict=True)),
        flows=_flows(inducted, good),
        trips=tuple(_trips(chance, lanes)),
        refusals={"repeat": 1204, "unknown_item": 3},
        disturbances=(
            DisturbanceFigures("L1", "full", 1234, 0, 71 * MINUTE_NS, 2 * MINUTE_NS, 3),
            DisturbanceFigures("L1", "missed", 287, 0, 0, 0, 0),
            DisturbanceFigures("L1", "reports_lost", 2, 17, 0, 0, 0),
            DisturbanceFigures("L2", "plc_silent", 1, 0, 4_500_000_000, 4_500_000_000, 0),
        ),
        slack=(
            SlackFigures("L1", 210_456, 0, 41_230_000_000, 59_100_000_000, 59_940_000_000),
            SlackFigures("L2", 204_111, 6, -1_500_000_000, 59_000_000_000, 59_930_000_000),
        ),
    )


def _slots(items: int, chance: random.Random) -> tuple[Slot, ...]:
    shape = []
    for minute in range(0, 1440, 15):
        waves = math.exp(-(((minute - 450) / 110) ** 2)) + 1.15 * math.exp(-(((minute - 1010) / 130) ** 2))
        shape.append((waves + 0.12) * chance.uniform(0.93, 1.07) if 300 <= minute < 1260 else 0)
    counts = _shared(items, shape)
    slots = []
    for at, count in enumerate(counts):
        wrong = int(count * chance.uniform(0.035, 0.05))
        left = 40 if at == 83 and count > 400 else 0
        slots.append(Slot(at * 15, count, count - wrong - left, wrong, left))
    return tuple(slots)


def _shared(total: int, weights: list[float] | list[int]) -> list[int]:
    """`total` in whole parts by weight; the largest takes what rounding leaves."""
    parts = [int(total * weight / sum(weights)) for weight in weights]
    parts[parts.index(max(parts))] += total - sum(parts)
    return parts


def _flows(inducted: int, good: int) -> tuple[FlowFigures, ...]:
    keys = [(carrier, town, flow) for carrier in CARRIERS for town in TOWNSHIPS for flow in ("inbound", "outbound")]
    weights = [(9 - at // 16) * (1 + at % 3) * (4 if key[2] == "inbound" else 1) for at, key in enumerate(keys)]
    unknown = inducted - good
    counts = _shared(good, weights)
    known = [FlowFigures(c, CARRIERS[c], t, f, n, n) for (c, t, f), n in zip(keys, counts, strict=True)]
    return (*known, FlowFigures("", "", "", "", unknown, 0))


def _trips(chance: random.Random, lanes: list[str]) -> list[TripFigures]:
    trips = []
    for at in range(60):
        cutoff_ns = MIDNIGHT_NS + (360 + 14 * at) * MINUTE_NS
        capacity = chance.choice([100, 120, 500, 0])
        load = chance.randint(0, capacity or 900)
        sent_ns = cutoff_ns - 5 * MINUTE_NS if at % 17 == 5 else None
        load = capacity if at % 7 == 0 else load
        lane, departs_ns = lanes[at % 40], cutoff_ns + 10 * MINUTE_NS
        trips.append(TripFigures(lane, lane, cutoff_ns, departs_ns, capacity, load, sent_ns))
    return trips


def latency(decisions: int = 180_000, seed: int = 2) -> Latency:
    """A long tail."""
    chance = random.Random(seed)
    edges = [0.05 * 1.15**at for at in range(64)]
    values = sorted(chance.lognormvariate(-0.6, 0.45) * (8 if chance.random() < 0.002 else 1) for _ in range(decisions))
    bins = Counter(sum(edge <= value for edge in edges) - 1 for value in values[::37])
    p50, p99, p999 = (values[int(decisions * share)] for share in (0.5, 0.99, 0.999))
    return Latency(edges, [37 * bins[at] for at in range(63)], p50, p99, p999, values[-1])
