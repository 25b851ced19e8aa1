"""What can go wrong on an emulated line: one class a kind, its keys as a scenario writes them, and how it strikes.

What lasts on the belt lasts in site time, what lasts in a PLC or on a network in real time.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, get_args

import msgspec

from plc_adapter.emulator.line import Line
from plc_adapter.emulator.network import real_ns_after

MS_PER_S: Final = 1000
REAL_S_MAX: Final = 600  # of real time; a PLC is away no longer than a day at any speed can bear
SITE_S_MAX: Final = 57_600  # a whole day, 05:00 to 21:00

Chute = Annotated[int, msgspec.Meta(ge=1, description="the number of a chute of that line")]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000, description="a whole number from 1 to 1000")]
DelayMs = Annotated[float, msgspec.Meta(gt=0, le=10_000, description="milliseconds above 0, at most 10000")]
RealS = Annotated[float, msgspec.Meta(gt=0, le=REAL_S_MAX, description="real seconds above 0, at most 600")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1, description="a share of parcels from 0 to 1")]
SiteS = Annotated[float, msgspec.Meta(gt=0, le=SITE_S_MAX, description="site seconds above 0, at most 57600")]


class Jam(msgspec.Struct, frozen=True, kw_only=True, tag="jam"):
    """Parcels jam in a chute until staff free it."""

    chute: Chute
    for_s: SiteS

    def strike(self, line: Line) -> None:
        line.plant.block(self.chute, self.for_s)

    def __str__(self) -> str:
        return f"chute {self.chute} is jammed for {self.for_s:g} s of site time"


class Full(msgspec.Struct, frozen=True, kw_only=True, tag="full"):
    """A chute's sensor says full; staff change its bag as usual."""

    chute: Chute

    def strike(self, line: Line) -> None:
        line.plant.fill(self.chute)

    def __str__(self) -> str:
        return f"chute {self.chute} is full"


class Miss(msgspec.Struct, frozen=True, kw_only=True, tag="miss"):
    """The next diverts fail: the parcels stay on the belt."""

    count: Count

    def strike(self, line: Line) -> None:
        line.plant.miss(self.count)

    def __str__(self) -> str:
        return f"the next {self.count} diverts fail"


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """The belt stands still."""

    for_s: SiteS

    def strike(self, line: Line) -> None:
        line.plant.stop(self.for_s)

    def __str__(self) -> str:
        return f"the belt stands for {self.for_s:g} s of site time"


class Restart(msgspec.Struct, frozen=True, kw_only=True, tag="restart"):
    """The PLC starts again: a new epoch, and it knows its items no more."""

    def strike(self, line: Line) -> None:
        line.plant.restart()

    def __str__(self) -> str:
        return "the PLC starts again and forgets its items"


class Freeze(msgspec.Struct, frozen=True, kw_only=True, tag="freeze"):
    """The PLC's program stands still: the network answers, the heartbeat does not beat, items pass their chutes."""

    real_s: RealS

    def strike(self, line: Line) -> None:
        line.program.freeze(real_ns_after(self.real_s))

    def __str__(self) -> str:
        return f"the PLC's program is frozen for {self.real_s:g} s"


class Mute(msgspec.Struct, frozen=True, kw_only=True, tag="mute"):
    """The PLC accepts connections and requests, and answers nothing."""

    real_s: RealS

    def strike(self, line: Line) -> None:
        line.program.network.mute(self.real_s)

    def __str__(self) -> str:
        return f"the PLC answers nothing for {self.real_s:g} s"


class Slow(msgspec.Struct, frozen=True, kw_only=True, tag="slow"):
    """Every answer of the PLC comes later."""

    ms: DelayMs
    real_s: RealS

    def strike(self, line: Line) -> None:
        line.program.network.slow(self.ms / MS_PER_S, self.real_s)

    def __str__(self) -> str:
        return f"the PLC answers {self.ms:g} ms late for {self.real_s:g} s"


class Cut(msgspec.Struct, frozen=True, kw_only=True, tag="cut"):
    """The PLC is off the network: connections are closed and refused."""

    real_s: RealS

    def strike(self, line: Line) -> None:
        line.program.network.cut(self.real_s)

    def __str__(self) -> str:
        return f"the PLC is off the network for {self.real_s:g} s"


class Overrun(msgspec.Struct, frozen=True, kw_only=True, tag="overrun"):
    """The PLC writes past its ring without looking at `tail`: reports are gone before anybody could read them."""

    count: Count

    def strike(self, line: Line) -> None:
        line.program.overrun(self.count)

    def __str__(self) -> str:
        return f"the PLC overwrites {self.count} reports"


class Misreading(msgspec.Struct, frozen=True, kw_only=True):
    """The reader misreads a share of the parcels."""

    setting: ClassVar[str]  # of plc_adapter.emulator.reading.Reading
    deed: ClassVar[str]
    share: Share
    for_s: SiteS

    def strike(self, line: Line) -> None:
        setattr(line.reading, self.setting, self.share)

    def __str__(self) -> str:
        return f"of {self.share:.1%} of the parcels the reader {self.deed} for {self.for_s:g} s of site time"


class Double(Misreading, frozen=True, kw_only=True, tag="double"):
    """Readings come twice."""

    setting = "double_share"
    deed = "sends the reading twice"


class Mirrored(Misreading, frozen=True, kw_only=True, tag="mirrored"):
    """A shiny side shows the label of the parcel before: two waybills are read."""

    setting = "mirrored_share"
    deed = "sees the neighbour's label too"


class Unread(Misreading, frozen=True, kw_only=True, tag="unread"):
    """No code is read."""

    setting = "unread_share"
    deed = "reads no code"


class ReaderCut(msgspec.Struct, frozen=True, kw_only=True, tag="reader_cut"):
    """The readers are off the network, and what they read meanwhile is gone."""

    real_s: RealS

    def strike(self, line: Line) -> None:
        line.readers.cut(self.real_s)

    def __str__(self) -> str:
        return f"the readers are off the network for {self.real_s:g} s"


Fault = (
    Jam | Full | Miss | Stop | Restart | Freeze | Mute | Slow | Cut | Overrun | Double | Mirrored | Unread | ReaderCut
)
"""Something that goes wrong on a line: `strike` lets it begin now, `str` says in words what happens."""

KINDS: Final[dict[str, type[Fault]]] = {kind.__struct_config__.tag: kind for kind in get_args(Fault)}
"""What a scenario calls each kind."""
