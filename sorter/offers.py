"""A plan that is handed over part by part becomes one that may take force, or is refused by name.

What was handed over counts only whole and by its hash; until then nothing has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.core.prepared import hold_together
from sorter.core.step import ready
from sorter.records import Names, SortPlan, Unpacking
from sorter.wire.frames import Refuse

_KEPT: Final = ("carriers", "stations", "townships", "services", "lanes", "lines", "chutes")


class Offered(NamedTuple):
    """A plan that may take force, and its bytes as the journal keeps them."""

    sort_plan: SortPlan
    data: bytes


class _Handing:
    """What is here of one plan: a little is done in each turn, so that no parcel waits long for any of them."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.data = bytearray()
        self._hash = hashlib.sha256()
        self._unpacking = Unpacking()
        self._sort_plan: SortPlan | None = None  # read; once all of it is here
        self._fault: Refuse | None = None  # why it is no plan

    @property
    def is_whole(self) -> bool:
        return self._hash.hexdigest() == self.digest

    def add(self, part: bytes) -> None:
        self.data += part
        self._hash.update(part)
        if self._fault is None:
            self._fault = self._try(lambda: self._unpacking.add(part))
        if self._fault is None and self.is_whole:
            self._fault = self._try(self._read)

    def offered(self) -> Offered | Refuse:
        """The plan, which is whole, made ready for the core."""
        sort_plan = self._sort_plan
        if self._fault is None and sort_plan is not None:
            self._fault = self._try(lambda: _make_ready(sort_plan))
        if self._fault is not None:
            return self._fault
        assert sort_plan is not None, "what is whole and no fault was read"
        return Offered(sort_plan, bytes(self.data))

    def _read(self) -> None:
        self._sort_plan = self._unpacking.plan()

    @staticmethod
    def _try(work: Callable[[], None]) -> Refuse | None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 # whatever bytes came, the daemon goes on by the plan it has
            return Refuse(error="bad_plan", detail=f"this plan cannot sort: {type(error).__name__} {error}"[:300])
        return None


def _make_ready(sort_plan: SortPlan) -> None:
    hold_together(sort_plan)
    ready(sort_plan.plan)


class Offers:
    """The plan that is being handed over: one at a time, the last one begun."""

    def __init__(self) -> None:
        self._now = _Handing("")

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
            self._now = _Handing(digest)
        if digest == self._now.digest and at == len(self._now.data):
            self._now.add(part)
        return {"digest": self._now.digest, "bytes": len(self._now.data)}

    def whole(self, version: object, names: Names) -> Offered | Refuse:
        """The plan handed over, if it is whole, of this version, and fits beside `names`.

        A refusal keeps the parts: whoever handed them over may go on or begin anew.
        """
        if not self._now.is_whole:
            kept = len(self._now.data)
            sentence = f"{kept} bytes are here and their hash is not that of the plan; hand the plan over again"
            return Refuse(error="hash_mismatch", detail=sentence)
        whole = self._now.offered()
        if isinstance(whole, Refuse):
            return whole
        found = whole.sort_plan.version
        if found != version:
            sentence = f"the plan here is version {found[:12]}, not {str(version)[:12]}; hand yours over"
            return Refuse(error="hash_mismatch", detail=sentence)
        if not _keeps(whole.sort_plan.names, names):
            return Refuse(error="stale_plan", detail="another plan took force meanwhile; compile for its names again")
        self._now = _Handing("")
        return whole


def _keeps(new: Names, old: Names) -> bool:
    """Every name keeps its index, as advices and journals need it."""
    return all(getattr(new, kind)[: len(getattr(old, kind))] == getattr(old, kind) for kind in _KEPT)
