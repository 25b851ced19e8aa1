"""A plan that is handed over part by part becomes one that may take force, or is refused by name.

What was handed over counts only whole and by its hash; until then nothing has changed.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.core.bundle import bind
from sorter.core.prepared import EXAMPLE, hold_together, prepare
from sorter.records import Names, SortPlan, plan_from_bytes
from sorter.wire.frames import Refuse

_KEPT: Final = ("carriers", "stations", "townships", "services", "lanes", "lines", "chutes")


class Offered(NamedTuple):
    """A plan that may take force, and its bytes as the journal keeps them."""

    sort_plan: SortPlan
    data: bytes


class Offers:
    """The plan that is being handed over: one at a time, the last one begun."""

    def __init__(self) -> None:
        self._digest = ""
        self._parts = bytearray()

    def part(self, args: dict[str, Any]) -> dict[str, Any] | Refuse:
        """Keep `part`, the bytes from `at` on of the plan whose sha256 is `digest`; tells how many there are now.

        Byte 0 begins anew; a part that does not follow changes nothing.
        """
        digest, at, part = args.get("digest"), args.get("at"), args.get("part")
        if not isinstance(digest, str) or not isinstance(part, bytes) or type(at) is not int:
            return Refuse(error="bad_command", detail="give digest (sha256 in hex), at (a number) and part (bytes)")
        if at + len(part) > limits.PLAN_BYTES_MAX:
            return Refuse(
                error="too_large", detail=f"a plan has at most {limits.PLAN_BYTES_MAX} bytes; write fewer rows"
            )
        if at == 0:
            self._digest = digest
            self._parts.clear()
        if digest == self._digest and at == len(self._parts):
            self._parts += part
        return {"digest": self._digest, "bytes": len(self._parts)}

    def whole(self, version: object, names: Names) -> Offered | Refuse:
        """The plan handed over, if it is whole, of this version, and fits beside `names`.

        A refusal keeps the parts: whoever handed them over may go on or begin anew.
        """
        data = bytes(self._parts)
        if hashlib.sha256(data).hexdigest() != self._digest:
            sentence = f"{len(data)} bytes are here and their hash is not that of the plan; hand the plan over again"
            return Refuse(error="hash_mismatch", detail=sentence)
        try:
            sort_plan = plan_from_bytes(data)
            hold_together(sort_plan)
            bind(EXAMPLE, prepare(sort_plan.plan))
        except Exception as error:  # noqa: BLE001 # whatever bytes came, the daemon goes on by the plan it has
            return Refuse(error="bad_plan", detail=f"this plan cannot sort: {type(error).__name__} {error}"[:300])
        if sort_plan.version != version:
            sentence = f"the plan here is version {sort_plan.version[:12]}, not {str(version)[:12]}; hand yours over"
            return Refuse(error="hash_mismatch", detail=sentence)
        if not _keeps(sort_plan.names, names):
            return Refuse(error="stale_plan", detail="another plan took force meanwhile; compile for its names again")
        self._parts.clear()
        return Offered(sort_plan, data)


def _keeps(new: Names, old: Names) -> bool:
    """Every name keeps its index, as advices and journals need it."""
    return all(getattr(new, kind)[: len(getattr(old, kind))] == getattr(old, kind) for kind in _KEPT)
