"""Which item was read: a reading gets an item only when no other item and no other reading could be meant.

By id (`by_id`) the number that the PLC gave the reader is trusted, and has to come at the right time; by order
(`by_order`) only times are known. Each of the two files gives its law.

Not detectable here, and so excluded: parcels that are exchanged by hand, and travel_ms or lap_ms
that are wrong by just the distance of two parcels on a belt where all are equally far apart.
A wrong travel_ms otherwise is measured (`travel`) and told; it is the engineer who writes it.
"""

from plc_adapter.scanner.pairing.by_id import ById
from plc_adapter.scanner.pairing.by_order import ByOrder
from plc_adapter.scanner.pairing.either_way import Pairing
from plc_adapter.scanner.pairing.fate import UNUSED, Fate, Paired
from plc_adapter.scanner.pairing.tracking import Tracking
from plc_adapter.scanner.pairing.travel import Travel

__all__ = ["UNUSED", "Fate", "Paired", "Pairing", "Tracking", "Travel", "pairing"]


def pairing(tracking: Tracking, heads: int = 1) -> Pairing:
    """What pairs as the settings say, where so many heads are merged into one reading."""
    merge_ns = tracking.merge_ns if heads > 1 else 0  # a single head's telegram is merged as it comes
    return ById(tracking, merge_ns) if tracking.by == "id" else ByOrder(tracking, merge_ns)
