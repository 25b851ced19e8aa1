"""How readings find their items, as an engineer sets it; what cannot be is told by its key."""

from typing import Final, Literal

import msgspec

from sorter import limits

NS_PER_MS: Final = 1_000_000
QUIET_WINDOWS: Final = 4  # times window_ms: so long without traffic proves the order again


class Tracking(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How readings find their items: `[tracking.L1]`. `faults` tells what is wrong with it."""

    travel_ms: float  # from where the PLC counts an item to the reader
    by: Literal["id", "order"] = "order"
    id_bits: Literal[16, 32] = 32  # by id: how much of the item number the reader is given
    window_ms: float = 50.0  # how far an item may be from where it is expected, either way
    delay_ms: float = 0.0  # from the parcel at the reader to its telegram here
    lap_ms: float = 0.0  # time of one lap; 0: items pass the reader once
    merge_ms: float = 30.0  # how far the telegrams of several heads are apart

    @property
    def travel_ns(self) -> int:
        """Time from where the PLC counts an item to the reader."""
        return round(self.travel_ms * NS_PER_MS)

    @property
    def window_ns(self) -> int:
        """Half of the whole window."""
        return round(self.window_ms * NS_PER_MS)

    @property
    def delay_ns(self) -> int:
        """Time from the parcel at the reader to its telegram."""
        return round(self.delay_ms * NS_PER_MS)

    @property
    def lap_ns(self) -> int:
        """Time of one lap, 0: none."""
        return round(self.lap_ms * NS_PER_MS)

    @property
    def merge_ns(self) -> int:
        """How long after the first head's telegram the others' are waited for."""
        return round(self.merge_ms * NS_PER_MS)

    @property
    def id_mask(self) -> int:
        """The bits of an item number that the reader is given."""
        return 0xFFFF if self.id_bits == 16 else limits.ITEM_NUMBER_MAX

    def faults(self) -> list[str]:
        """What cannot be, each with what to write."""
        faults = []
        if not 1 <= self.window_ms <= 10_000:
            faults.append(f"window_ms: {self.window_ms} must be 1 to 10000; take a quarter of the time between parcels")
        for key, value in (("travel_ms", self.travel_ms), ("delay_ms", self.delay_ms), ("lap_ms", self.lap_ms)):
            if not 0 <= value <= 3_600_000:
                faults.append(f"{key}: {value} must be 0 to 3600000")
        if 0 < self.lap_ms <= (2 * QUIET_WINDOWS) * self.window_ms:
            faults.append(f"lap_ms: {self.lap_ms} is not longer than {2 * QUIET_WINDOWS} windows; write 0 for no loop")
        if not 1 <= self.merge_ms <= 10_000:
            faults.append(f"merge_ms: {self.merge_ms} must be 1 to 10000; heads are some ten milliseconds apart")
        return faults
