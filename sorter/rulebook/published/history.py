"""Who put which rule set in force, when and why: one line an act, appended and never changed.

What is in force at a moment follows from the acts alone. Each line carries the hash of the line
before it, so that nobody can change the past unseen; a line that a crash tore was never an act.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from sorter.reasons import Declined, Sentence

FILE_NAME: Final = "history.jsonl"
MINUTE_NS: Final = 60 * 10**9
DAY_NS: Final = 24 * 60 * MINUTE_NS
ONCE: Final = -1
WHY_TEXT_MAX: Final = 500

_DAMAGED: Final = Sentence(
    "{file} 第{line}行与上一行对不上：文件被改过或损坏。请从备份恢复这个文件；分拣按正在运行的方案继续",
    "{file} line {line} does not follow from the line before it: the file was changed or is damaged. "
    "Restore it from a backup; sorting goes on by the plan that runs",
)
_SAME_PERSON: Final = Sentence(
    "第{number}号方案由{by}提交，须由另一个人批准",
    "number {number} was proposed by {by}; another person must approve it",
)
_NO_PROPOSAL: Final = Sentence(
    "没有等待批准的第{number}号；用 sorter rules history 查看",
    "there is no proposal {number} that waits; look at sorter rules history",
)
_NOT_TO_COME: Final = Sentence(
    "第{number}号不是等待批准、定时或每天启用的方案；用 sorter rules history 查看",
    "number {number} is neither waiting, nor timed, nor daily; look at sorter rules history",
)


class Deed(StrEnum):
    """What was done. Stored: never rename."""

    PUBLISH = "publish"
    PROPOSE = "propose"  # waits for a second person
    APPROVE = "approve"  # of a proposal
    ROLLBACK = "rollback"
    CANCEL = "cancel"  # of a proposal, or of what is still to come


class Act(NamedTuple):
    """One line of the history."""

    number: int  # from 1
    t_ns: int  # when it was done, site time
    deed: Deed
    version: str
    by: str
    why: str
    at_ns: int  # from when on the version is in force, or the first day of a daily one
    daily_min: int = ONCE  # minute of the local day from which it holds, every day
    of: int = 0  # APPROVE, CANCEL: the number of the act that is meant


class Force(NamedTuple):
    """A version and when it takes force."""

    from_ns: int
    number: int
    version: str


class HistoryDamaged(Declined):
    """The history is not what was written."""


class NotAllowed(Declined):
    """An act that is not this person's to do, or has nothing to be done to."""


def read(folder: Path) -> list[Act]:
    """Every act, oldest first; none when nothing was ever published. Raises HistoryDamaged."""
    path = folder / FILE_NAME
    if not path.exists():
        return []
    with path.open("rb") as file:
        return _acts(path, file)[0]


def append(folder: Path, clock: Callable[[], int], make: Callable[[list[Act], int], Act]) -> Act:
    """Write the act that `make` makes of those before and of the time, on disk when this returns.

    Whoever else writes waits meanwhile, and an act's time is always later than that of the act
    before it. What `make` raises leaves the file as it was. Raises HistoryDamaged and OSError.
    """
    with _locked(folder / FILE_NAME) as file:
        acts, chain, whole = _acts(folder / FILE_NAME, file)
        now_ns = max(clock(), acts[-1].t_ns + 1 if acts else 0)
        act = make(acts, now_ns)
        why = " ".join(act.why.split())[:WHY_TEXT_MAX]
        act = act._replace(number=len(acts) + 1, t_ns=now_ns, at_ns=max(act.at_ns, now_ns), why=why)
        file.seek(whole)
        file.truncate()
        file.write(_line(act, chain))
        file.flush()
        os.fsync(file.fileno())
    return act


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _line(act: Act, chain: str) -> bytes:
    body = json.dumps(act._asdict(), ensure_ascii=False, separators=(",", ":"))
    return json.dumps({"chain": _chained(chain, body), "act": body}, ensure_ascii=False).encode() + b"\n"


def _chained(chain: str, body: str) -> str:
    return hashlib.sha256(f"{chain}\n{body}".encode()).hexdigest()


def _acts(path: Path, file: BinaryIO) -> tuple[list[Act], str, int]:
    """The acts, the last link, and how many bytes of the file are whole lines."""
    acts: list[Act] = []
    chain, whole = "", 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        try:
            found = json.loads(line)
            body = found["act"]
            chain = _chained(chain, body)
            act = json.loads(body)
            acts.append(Act(**act | {"deed": Deed(act["deed"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise HistoryDamaged(_DAMAGED.about(file=path, line=len(acts) + 1)) from error
        if chain != found["chain"] or acts[-1].number != len(acts):
            raise HistoryDamaged(_DAMAGED.about(file=path, line=len(acts)))
        whole += len(line)
    return acts, chain, whole


def approval(acts: Sequence[Act], number: int, by: str, why: str) -> Act:
    """The second person's act. Raises NotAllowed when it is the author's, or nothing waits by this number."""
    proposal = next((act for act in waiting(acts) if act.number == number), None)
    if proposal is None:
        raise NotAllowed(_NO_PROPOSAL.about(number=number))
    if proposal.by == by:
        raise NotAllowed(_SAME_PERSON.about(number=number, by=by))
    return Act(0, 0, Deed.APPROVE, proposal.version, by, why, proposal.at_ns, proposal.daily_min, number)


def cancellation(acts: Sequence[Act], number: int, by: str, why: str, *, now_ns: int, offset_ns: int) -> Act:
    """The act that takes back what has not come yet, or comes every day. Raises NotAllowed."""
    act = next((act for act in acts if act.number == number), None)
    open_numbers = {each.number for each in (*waiting(acts), *to_come(acts, now_ns, offset_ns))}
    if act is None or number not in open_numbers:
        raise NotAllowed(_NOT_TO_COME.about(number=number))
    return Act(0, now_ns, Deed.CANCEL, act.version, by, why, now_ns, of=number)


def waiting(acts: Sequence[Act]) -> list[Act]:
    """Proposals that are neither approved nor cancelled."""
    settled = {act.of for act in acts if act.deed in (Deed.APPROVE, Deed.CANCEL)}
    return [act for act in acts if act.deed == Deed.PROPOSE and act.number not in settled]


def to_come(acts: Sequence[Act], now_ns: int, offset_ns: int) -> list[Act]:
    """What takes force later, and what does so every day; of those at one minute of the day the last."""
    found = _effective(acts)
    daily = {act.daily_min: act.number for act in found if act.daily_min != ONCE}
    return [
        act
        for act in found
        if (daily[act.daily_min] == act.number if act.daily_min != ONCE else _last_ns(act, now_ns, offset_ns) is None)
    ]


def sorted_by(acts: Sequence[Act], now_ns: int, offset_ns: int) -> set[str]:
    """The versions that were in force at some time until now."""
    return {act.version for act in _effective(acts) if _last_ns(act, now_ns, offset_ns) is not None}


def in_force(acts: Sequence[Act], now_ns: int, offset_ns: int) -> Force | None:
    """The version that holds at a moment of site time; None before the first.

    `offset_ns` is local time minus UTC. The act that took force last wins; a daily one takes force
    every day at its minute, from its first moment on.
    """
    found = [
        Force(from_ns, act.number, act.version)
        for act in _effective(acts)
        if (from_ns := _last_ns(act, now_ns, offset_ns)) is not None
    ]
    return max(found, default=None)


def next_change(acts: Sequence[Act], now_ns: int, offset_ns: int) -> Force | None:
    """What takes force next, as things stand; None: nothing is to come."""
    found = [
        Force(from_ns, act.number, act.version)
        for act in _effective(acts)
        if (from_ns := _next_ns(act, now_ns, offset_ns)) is not None
    ]
    return min(found, default=None)


def _effective(acts: Sequence[Act]) -> list[Act]:
    cancelled = {act.of for act in acts if act.deed == Deed.CANCEL}
    deeds = (Deed.PUBLISH, Deed.APPROVE, Deed.ROLLBACK)
    return [act for act in acts if act.deed in deeds and act.number not in cancelled]


def _last_ns(act: Act, now_ns: int, offset_ns: int) -> int | None:
    """When the act took force last."""
    if act.daily_min != ONCE:
        minute_ns = act.daily_min * MINUTE_NS
        from_ns = (now_ns + offset_ns - minute_ns) // DAY_NS * DAY_NS + minute_ns - offset_ns
    else:
        from_ns = act.at_ns
    return from_ns if act.at_ns <= from_ns <= now_ns else None


def _next_ns(act: Act, now_ns: int, offset_ns: int) -> int | None:
    if act.daily_min == ONCE:
        return act.at_ns if act.at_ns > now_ns else None
    after_ns = max(now_ns + 1, act.at_ns)
    minute_ns = act.daily_min * MINUTE_NS
    days = -(-(after_ns + offset_ns - minute_ns) // DAY_NS)
    return days * DAY_NS + minute_ns - offset_ns
