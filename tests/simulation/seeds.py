"""One seed: build the hub, let it go wrong, let it settle, judge."""

from __future__ import annotations

import traceback
from typing import Final, NamedTuple

from sorter.core.state import counts
from tests.simulation import place, verdict
from tests.simulation.faults import FAULTY_NS, Trouble
from tests.simulation.floor import Line, Log
from tests.simulation.hub import Hub
from tests.simulation.network import Faults
from tests.simulation.operators import Operator
from tests.simulation.world import OPENS_NS, SECOND, World

SETTLE_MAX_NS: Final = 240 * SECOND
VIOLATIONS_SHOWN: Final = 5


class Outcome(NamedTuple):
    """What a seed came to."""

    seed: int
    events: int
    violations: list[str]
    figures: dict[str, int]
    journal: bytes  # all that is on the disk


class Plant:
    """The whole plant on one thread."""

    def __init__(self, seed: int) -> None:
        self.world = world = World(seed)
        self.log = Log()
        self.network = Faults()
        here = place.make(world.chance)
        self.hub = Hub(world, here.sort_plans)
        self.operator = Operator(world, self.hub.control, self.network, here)
        self.lines = [
            Line(world, self.hub.devices, self.network, self.log, here=here, name=name) for name in here.parcels
        ]
        self.trouble = Trouble(world, self.hub, self.lines, self.operator, self.network)
        self.is_settled = False

    def run(self) -> None:
        """Live through the day."""
        self.hub.start()
        self.world.at(OPENS_NS + FAULTY_NS, self._watch)
        if not self.world.run(OPENS_NS + FAULTY_NS + SETTLE_MAX_NS, lambda: self.is_settled):
            self.world.violated(f"it does not settle: {self._unsettled()}")

    def _watch(self) -> None:
        lines = all(line.is_quiet for line in self.lines)
        self.is_settled = bool(
            lines and self.operator.is_quiet and self.hub.daemon and not counts(self.hub.standing.state).on_belt
        )
        self.world.after(SECOND // 2, self._watch)

    def _unsettled(self) -> str:
        words = [] if self.hub.daemon else ["the daemon is away"]
        words += [] if self.operator.is_quiet else ["an operator waits"]
        for line in self.lines:
            plant = line.plant
            words.append(
                f"{line.name}: {len(line.parcels) - plant.dropped} not dropped, {line.program.unread} unread, "
                f"{line.scanner.unacknowledged if line.scanner else 'no'} scans and "
                f"{line.runner.unacknowledged if line.runner else 'no'} reports unacknowledged"
            )
        return ", ".join([*words, f"{counts(self.hub.standing.state).on_belt} on the belt in the core"])

    def figures(self) -> dict[str, int]:
        """What happened."""
        hub = self.hub
        return {
            "items": sum(line.plant.inducted for line in self.lines),
            "starts": hub.starts,
            "kills": hub.kills,
            "power_cuts": hub.power_cuts,
            "full_disks": hub.full_disks,
            "plc_restarts": sum(line.restarts for line in self.lines),
            "device_crashes": sum(line.crashes for line in self.lines),
            "seconds": (self.world.now_ns - OPENS_NS) // SECOND,
        }


def run(seed: int) -> Outcome:
    """Run one seed; an exception that nobody expected is a violation too."""
    plant = Plant(seed)
    events = 0
    try:
        plant.run()
        events = verdict.judge(plant.world, plant.hub, plant.lines, plant.log, plant.operator)
    except Exception:  # noqa: BLE001 # whatever it is, this seed found it
        plant.world.violated(traceback.format_exc())
    journal = b"".join(bytes(content.medium) for _, content in sorted(plant.hub.disk.now.items()))
    return Outcome(seed, events, plant.world.violations, plant.figures(), journal)
