"""What goes wrong in a seed, and when: a few kinds of fault, each seed its own mix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.simulation.floor import Line
from tests.simulation.hub import Hub
from tests.simulation.network import Connection, Faults
from tests.simulation.operators import Operator
from tests.simulation.world import MS, SECOND, World

FAULTY_NS: Final = 70 * SECOND
AWAY_MAX_NS: Final = 6 * SECOND
STUTTERS: Final = 8
LONG_NS: Final = (70 * SECOND, 100 * SECOND)  # longer than an item's time-out


class Trouble:
    """Plans every fault of a seed."""

    def __init__(self, world: World, hub: Hub, lines: list[Line], operator: Operator, network: Faults) -> None:
        self.world, self.hub, self.lines, self.operator, self.network = world, hub, lines, operator, network
        kinds: list[Callable[[], None]] = [
            self._kill,
            self._kill,
            self._cut_power,
            self._cut_power,
            self._fail_disk,
            self._fill_disk,
            self._stall,
            self._break,
            self._break,
            self._crash_scanner,
            self._crash_adapter,
            self._restart_plc,
            self._dip,
            self._pull_cable,
            self._set_scanner_clock,
            self._set_adapter_clock,
        ]
        chosen = world.chance.sample(kinds, world.chance.randint(0, len(kinds)))
        for _ in range(world.chance.randint(2, 14) if chosen else 0):
            world.after(world.between(SECOND, FAULTY_NS), world.chance.choice(chosen))
        for _ in range(world.chance.randint(2, 20)):
            world.after(world.between(SECOND, FAULTY_NS), world.chance.choice([operator.act, operator.look]))
        for _ in range(3):
            world.after(world.between(SECOND, FAULTY_NS), operator.talk_nonsense)
        for _ in range(world.chance.randint(0, 2)):
            world.after(world.between(SECOND, FAULTY_NS), self._publish)
        for each in (self._set_network, self._set_port, self._set_hub):
            if world.happens(0.6):
                each()
        world.after(FAULTY_NS, self.end)

    def end(self) -> None:
        """Nothing goes wrong from here on; staff tidy up."""
        self.network.end()
        self.hub.mend()
        for line in self.lines:
            line.port_fails_share = 0.0
            line.cable_out_until_ns = 0
            line.scanner_clock.off_ns = line.adapter_clock.off_ns = 0
        self.operator.tidy()

    def _set_network(self) -> None:
        chance = self.world.chance
        self.network.lost_share = chance.choice([0.0, 0.002, 0.02])
        self.network.doubled_share = chance.choice([0.0, 0.01, 0.1])
        self.network.slow_share = chance.choice([0.0, 0.05, 0.3])

    def _set_port(self) -> None:
        for line in self.lines:
            line.port_fails_share = self.world.chance.choice([0.0, 0.01, 0.1])

    def _set_hub(self) -> None:
        self.hub.slow_share = self.world.chance.choice([0.0, 0.05, 0.2])

    def _away_ns(self) -> int:
        return self._span_ns(AWAY_MAX_NS, 0.0)

    def _restart_ns(self) -> int:
        if self.world.happens(0.3):
            self._publish()
        return self._span_ns(AWAY_MAX_NS, 0.15)

    def _publish(self) -> None:
        self.operator.publish(*self.hub.publish())

    def _span_ns(self, most_ns: int, long_share: float) -> int:
        if self.world.happens(long_share):
            return self.world.between(*LONG_NS)
        return self.world.between(100 * MS, most_ns)

    def _kill(self) -> None:
        self.hub.kill_in(self.world.chance.randint(0, 15), self._restart_ns())

    def _cut_power(self) -> None:
        self.hub.cut_power_in(self.world.chance.randint(1, 4), self._restart_ns())

    def _fail_disk(self) -> None:
        self.hub.fail_disk_in(self.world.chance.randint(1, 4), self._restart_ns())

    def _fill_disk(self) -> None:
        self.hub.fill_disk(self._span_ns(15 * SECOND, 0.1))

    def _stall(self) -> None:
        self.hub.stall(self._span_ns(5 * SECOND, 0.1))

    def _break(self) -> None:
        line = self.world.chance.choice(self.lines)
        wires = [wire.connection for wire in (line.scanner, line.wire) if wire]
        connections: list[Connection] = [*wires, self.operator.connection]
        self.world.chance.choice(connections).cut(self.world.chance.choice([0, self._away_ns()]))

    def _crash_scanner(self) -> None:
        self.world.chance.choice(self.lines).crash_scanner(self._away_ns())

    def _crash_adapter(self) -> None:
        self.world.chance.choice(self.lines).crash_adapter(self._away_ns())

    def _restart_plc(self) -> None:
        self.world.chance.choice(self.lines).restart_plc()

    def _dip(self) -> None:
        """The power dips: a PLC and the daemon's machine start again, and what had to wait comes all at once."""
        world, hub = self.world, self.hub
        back_ns = world.between(100 * MS, 2 * SECOND)
        hub.kill_in(0, back_ns)
        self._restart_plc()
        for _ in range(STUTTERS):
            world.after(back_ns + world.between(0, SECOND), lambda: hub.stall(world.between(0, SECOND)))

    def _pull_cable(self) -> None:
        line = self.world.chance.choice(self.lines)
        line.cable_out_until_ns = self.world.now_ns + self._away_ns()

    def _off_ns(self) -> int:
        most_ns = self.world.chance.choice([SECOND, 3 * 3600 * SECOND])
        return self.world.between(-most_ns, most_ns)

    def _set_scanner_clock(self) -> None:
        self.world.chance.choice(self.lines).scanner_clock.off_ns = self._off_ns()

    def _set_adapter_clock(self) -> None:
        self.world.chance.choice(self.lines).adapter_clock.off_ns = self._off_ns()
