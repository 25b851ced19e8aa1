"""Small plants on which nothing goes wrong but what a test asks for, and what their PLC told."""

from collections.abc import Sequence

from plc_adapter.emulator.plant import NS_PER_S, Belt, Chances, Chute, Left, Load, Plant

LOOP = Belt("L1", 2.0, 240.0)
CALM = Chances(missed_share=0, jam_share=0)


def chutes_of(capacity: int) -> list[Chute]:
    """Six chutes 10 m apart, each for so many items; 0: for as many as there are."""
    return [Chute(101 + at, 30.0 + 10 * at, capacity) for at in range(6)]


CHUTES = chutes_of(0)


def plant_of(
    times_s: Sequence[float],
    chutes: list[Chute] = CHUTES,
    chances: Chances = CALM,
    belt: Belt = LOOP,
    start_ns: int = 0,
) -> Plant:
    """A parcel enters at each of the times."""
    load = Load([round(time_s * NS_PER_S) for time_s in times_s], [1] * len(times_s))
    return Plant(belt, chutes, load, seed=1, chances=chances, start_ns=start_ns)


def left(plant: Plant) -> list[tuple[int, int]]:
    """The chute and the outcome of each item that the PLC told to have left."""
    return [(record.chute, record.outcome) for record in plant.plc if isinstance(record, Left)]
