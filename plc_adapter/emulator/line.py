"""One emulated line: its parcels, its plant, its PLC with a face to the network, and its readers."""

from __future__ import annotations

import time
from typing import Any, Protocol

from plc_adapter.emulator import traffic
from plc_adapter.emulator.modbus_face import ModbusFace
from plc_adapter.emulator.plant import Plant, Scan
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.emulator.readers import Heads, Readers, WireReader
from plc_adapter.emulator.reading import Reading
from plc_adapter.emulator.s7_face import S7Face
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day, Parcel
from plc_adapter.settings import S7, Modbus, OpcUa, Plc
from sorter.clock import Clock


class Face(Protocol):
    """An emulated PLC's server."""

    requests: int  # answered so far

    async def start(self) -> None:
        """Listen. Raises OSError, with what to write, where it cannot be."""

    async def stop(self) -> None:
        """Close the socket and its connections."""


def face_of(program: PlcProgram, plc: Plc, clock: Clock) -> Face:
    """The face that a section of site.toml names. Raises ValueError when its package is not installed."""
    if isinstance(plc, Modbus):
        return ModbusFace(program, plc, clock.now_ns)
    if isinstance(plc, S7):
        return S7Face(program, plc, clock.now_ns)
    assert isinstance(plc, OpcUa)
    try:
        from plc_adapter.emulator.opcua_face import OpcUaFace  # noqa: PLC0415 # an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ValueError(
            "OPC UA needs a package that is not installed; run: pip install 'hub-sorter[opcua]'"
        ) from error
    return OpcUaFace(program, plc, clock.now_ns)


def readers_of(site: Site, name: str, clock: Clock) -> Readers:
    """The heads that site.toml names for a line, else a reader that speaks the wire."""
    heads = site.scanners.get(name)
    if heads:
        return Heads(heads, site.tracking[name])
    return WireReader(name, site.devices, site.keys, clock.now_ns)


class Line:
    """One line: its parcels, its plant, its PLC and its readers."""

    def __init__(self, site: Site, name: str, day: Day, seed: int, clock: Clock) -> None:
        self.name = name
        self.parcels = day.of_line(name)
        start_ns = max(day.opens_ns, clock.now_ns())
        load = traffic.load_of(self.parcels)
        self.plant = Plant(
            site.belts[name],
            site.chutes_of(name),
            load,
            seed,
            start_ns=start_ns,
            epoch=int(time.time()),  # one used before would make the daemon take new reports for repeats
        )
        self.program = PlcProgram(self.plant, site.plcs[name].word_order, self._told)
        self.face = face_of(self.program, site.plcs[name], clock)
        self.latency_ns: list[int] = []
        self.scans = 0
        self.reading = Reading(name, self.parcels, seed)
        self.readers = readers_of(site, name, clock)
        self._readings: list[list[tuple[str, ...]]] = [[] for _ in self.parcels]
        self._sent_ns: dict[int, int] = {}

    @property
    def settled(self) -> bool:
        """Every parcel dropped, every scan on the daemon's disk, every report taken by the host."""
        return self.plant.done and not self.unacknowledged and not self.program.unread

    @property
    def unacknowledged(self) -> int:
        """Scans that are not known to be on the daemon's disk."""
        return self.readers.unacknowledged

    def step(self, now_ns: int) -> None:
        """Move the belt and send what was read. Raises OSError when a reader's address cannot be listened at."""
        self.program.cycle(now_ns, time.monotonic_ns())
        scans = self.plant.scans
        for scan in scans:
            self._read(scan)
        self.scans += len(scans)
        scans.clear()
        self.readers.poll()

    def close(self) -> None:
        """Let go of the readers' connections."""
        self.readers.close()

    def truths(self) -> list[dict[str, Any]]:
        """What really happened to each parcel, in the order they were brought."""
        return [self._truth(at, parcel) for at, parcel in enumerate(self.parcels)]

    def _read(self, scan: Scan) -> None:
        codes = self.readers.send(self.reading.read(scan))
        self._readings[scan.parcel].append(codes or ())
        if codes is not None:
            self._sent_ns[scan.item] = time.monotonic_ns()

    def _told(self, item: int) -> None:
        sent_ns = self._sent_ns.pop(item, 0)
        if sent_ns:
            self.latency_ns.append(time.monotonic_ns() - sent_ns)

    def _truth(self, at: int, parcel: Parcel) -> dict[str, Any]:
        plant = self.plant
        return {
            "line": self.name,
            "items": plant.numbers[at],
            "first_scans": plant.first_scans[at],
            "waybill": parcel.waybill,
            "codes": parcel.codes,
            "weight_g": parcel.weight_g if self.readers.weighs else 0,
            "size_mm": parcel.size_mm if self.readers.sizes else (0, 0, 0),
            "station": parcel.station,
            "scans": plant.scan_ns[at],
            "readings": self._readings[at],
            "chute": plant.drop_chute[at],
            "dropped_ns": plant.drop_ns[at],
            "laps": plant.laps[at],
            "ran_out": plant.ran_out[at],
            "shut": plant.shut[at],
            "unreported": plant.numbers[at][-1:] != [] and plant.numbers[at][-1] in plant.unreported,
        }
