"""A host for a plant under test: it orders for each parcel what the story says, some time after each scan."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from plc_adapter.emulator.plant import NEVER_NS, NS_PER_S, Plant

Verb = Callable[[Plant], None]


class Order(NamedTuple):
    """What a parcel's every scan is answered with; `chute` 0: nothing."""

    delay_s: float
    chute: int
    alternate: int = 0


def drive(
    plant: Plant,
    orders: Sequence[Order],
    verbs: Sequence[tuple[float, Verb]] = (),
    check: Verb = lambda _plant: None,
    until_s: float = 3600.0,
) -> None:
    """Run from event to event until all has dropped; `verbs` are done at their seconds, `check` after each step."""
    coming: list[tuple[int, int, Verb]] = []
    for time_s, verb in verbs:
        heappush(coming, (round(time_s * NS_PER_S), len(coming), verb))
    given = len(coming)
    while not plant.done:
        now_ns = min(plant.next_ns(), coming[0][0] if coming else NEVER_NS)
        if now_ns > until_s * NS_PER_S:
            return
        plant.advance(now_ns)
        for scan in plant.scans:
            order = orders[scan.parcel]
            given += 1
            due_ns = scan.t_ns + round(order.delay_s * NS_PER_S)
            heappush(coming, (due_ns, given, _order(scan.item, order, scan.t_ns)))
        plant.scans.clear()
        while coming and coming[0][0] <= plant.now_ns:
            heappop(coming)[2](plant)
        check(plant)


def _order(item: int, order: Order, scan_ns: int) -> Verb:
    return lambda plant: plant.divert(item, order.chute, order.alternate, scan_ns)
