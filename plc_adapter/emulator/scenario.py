"""A scenario file says what goes wrong on which line and when; all of it is checked before anything starts.

    [[event]]
    at = "06:10"       # local time of the site: HH:MM or HH:MM:SS, from 05:00 to before 21:00
    line = "L1"
    what = "jam"       # and the keys of that kind:
    chute = 105
    for_s = 300

    [line.L1]          # all day long, beside the events; a share of parcels, each 0 when left out
    double_share = 0.001

what        keys                what happens

jam         chute for_s         the chute is blocked, and opens by itself
full        chute               the chute's sensor says full; staff come and change the bag as usual
miss        count               so many diverts fail: their parcels stay on the belt
stop        for_s               the belt stands still

restart                         the PLC starts again: a new epoch, its items are forgotten
freeze      real_s              the PLC's program stands still: no heartbeat, no reports, no diverts;
                                the network answers, and items pass their chutes
mute        real_s              the PLC accepts connections and requests, and answers nothing
slow        ms real_s           every answer of the PLC comes so many milliseconds later
cut         real_s              the PLC is off the network: connections are closed and refused
overrun     count               the PLC writes past its ring without looking at `tail`, once there are
                                enough reports: so many are gone before anybody could read them

double      share for_s         readings are sent twice
mirrored    share for_s         the label of the parcel before is read beside the parcel's own
unread      share for_s         no code is read
reader_cut  real_s              the readers are off the network, and what they read meanwhile is gone

`for_s` is site time: at twenty times the speed a jam of 300 s is over after 15. `real_s` is real
time, since heartbeats and timeouts are: a frozen PLC is noticed after half a second at any speed.
Of two events of the same kind that last at once the one that ends later counts; but `slow` and a
share of readings are replaced by the later event, and what is counted adds up. A chute that is told
full while it is blocked is full thereafter. Events before the moment the emulator is started are left out.
What lasts when the day is over is mended, so that the belts can run empty.
`[line.NAME]` knows double_share, mirrored_share and unread_share.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import msgspec

from plc_adapter.emulator import traffic
from plc_adapter.emulator.faults import KINDS, Fault, Share
from plc_adapter.emulator.site import Site

CLOSES_H: Final = traffic.OPENS_H + len(traffic.HOURS)
HEADER: Final = ("at", "line", "what")
SEE: Final = "plc_adapter/emulator/scenario.py begins with the whole format"
_EVENT: Final = re.compile(r"^[ \t]*\[\[[ \t]*event[ \t]*\]\]", re.MULTILINE)


class ScenarioRefused(ValueError):
    """The scenario cannot be played; the text names each fault's line in the file, its event and key."""


class Shares(msgspec.Struct, frozen=True):
    """How a line's reader misreads when no event says otherwise."""

    double_share: Share = 0.0
    mirrored_share: Share = 0.0
    unread_share: Share = 0.0


class Event(NamedTuple):
    """Something goes wrong on a line at a second of the site's day."""

    at_s: int
    line: str
    what: str
    fault: Fault


class Scenario(NamedTuple):
    """Events in the order they happen, and the shares of lines that have some."""

    events: tuple[Event, ...]
    shares: dict[str, Shares]


QUIET: Final = Scenario((), {})


def load(path: Path, site: Site) -> Scenario:
    """The scenario of a file, for the lines and chutes of a site.

    Raises ScenarioRefused with every fault, FileNotFoundError when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = msgspec.toml.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioRefused(f"{path} is no TOML file: {error}") from error
    reading = _Reading(site)
    scenario = reading.scenario(file, _places(text, file))
    if reading.refusals:
        raise ScenarioRefused("\n".join([f"{path} cannot be played:", *reading.refusals, SEE]))
    return scenario


def _places(text: str, file: dict[str, Any]) -> list[str]:
    """How to find each event: its line, unless events are written in a way that hides it."""
    events = file.get("event", [])
    lines = [text.count("\n", 0, found.end()) + 1 for found in _EVENT.finditer(text)]
    if not isinstance(events, list):
        return []
    if len(lines) != len(events):
        return [f"event {number}" for number in range(1, len(events) + 1)]
    return [f"line {line}, event {number}" for number, line in enumerate(lines, 1)]


class _Reading:
    """One reading of a file; what is wrong gathers in `refusals`."""

    def __init__(self, site: Site) -> None:
        self.refusals: list[str] = []
        self._chutes = {line: {chute.number for chute in site.chutes_of(line)} for line in site.belts}

    def scenario(self, file: dict[str, Any], places: list[str]) -> Scenario:
        for key in sorted(file.keys() - {"event", "line"}):
            self.refusals.append(f"{key}: there is no such section; write [[event]] and [line.L1]")
        sections = file.get("line", {})
        if not isinstance(file.get("event", []), list) or not isinstance(sections, dict):
            self.refusals.append("event and line: write [[event]] above each event and [line.L1] above a line's shares")
            return QUIET
        events = [self._event(place, raw) for place, raw in zip(places, file.get("event", []), strict=True)]
        shares = {line: self._shares(line, raw) for line, raw in sections.items()}
        known = [event for event in events if event is not None]
        return Scenario(tuple(sorted(known, key=lambda event: event.at_s)), shares)

    def _event(self, place: str, raw: Any) -> Event | None:
        if not isinstance(raw, dict):
            self.refusals.append(f"{place}: this is no table; write [[event]] above its keys")
            return None
        refused = len(self.refusals)
        at_s = self._second(place, raw.get("at"))
        line, what = raw.get("line"), raw.get("what")
        self._known(f"{place}, line", line, self._chutes)
        self._known(f"{place}, what", what, KINDS)
        chutes, kind = self._chutes.get(str(line)), KINDS.get(str(what))
        keys = {key: value for key, value in raw.items() if key not in HEADER}
        values = self._values(f"{place} ({what})", kind, keys) if kind else {}
        chute = values.get("chute")
        if chute is not None and chutes is not None and chute not in chutes:
            self.refusals.append(f"{place}, chute: line {line} has no chute {chute}; write one of chutes.csv")
        if kind is None or len(self.refusals) > refused:
            return None
        return Event(at_s, str(line), str(what), kind(**values))

    def _shares(self, line: str, raw: Any) -> Shares:
        place = f"[line.{line}]"
        self._known(place, line, self._chutes)
        if not isinstance(raw, dict):
            self.refusals.append(f"{place}: this is no table; write {place} above its keys")
            return Shares()
        values = self._values(place, Shares, raw)
        return Shares(**values)

    def _second(self, place: str, at: Any) -> int:
        """A local time of day in seconds since midnight; TOML has times of its own, which are as good."""
        try:
            time = datetime.strptime(str(at), "%H:%M:%S" if str(at).count(":") == 2 else "%H:%M")  # noqa: DTZ007 # a time of day
        except ValueError:
            self.refusals.append(f'{place}, at: {_shown(at)}; write the site\'s time of day, such as "06:10"')
            return 0
        if not traffic.OPENS_H <= time.hour < CLOSES_H:
            self.refusals.append(f"{place}, at: {at} is not in the day, which is 05:00 to before 21:00")
        return time.hour * 3600 + time.minute * 60 + time.second

    def _known(self, place: str, name: Any, names: dict[str, Any]) -> None:
        if name not in list(names):  # it may be anything, also what no dict can hold
            self.refusals.append(f"{place}: {_shown(name)}; write one of {', '.join(names)}")

    def _values(self, place: str, kind: type[msgspec.Struct], raw: dict[str, Any]) -> dict[str, Any]:
        """The values of a kind's keys, as far as they are right."""
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in sorted(raw.keys() - fields.keys()):
            known = f"it has {', '.join(fields)}" if fields else "it has none"
            self.refusals.append(f"{place}, {key}: there is no such key; {known}")
        values = {}
        for key, field in fields.items():
            if key not in raw and not field.required:
                continue
            try:
                values[key] = msgspec.convert(raw.get(key), field.type)
            except msgspec.ValidationError:
                meant = get_args(field.type)[1].description
                self.refusals.append(f"{place}, {key}: {_shown(raw.get(key))}; write {meant}")
        return values


def _shown(value: Any) -> str:
    if value is None:
        return "it is missing"
    return f'"{value}" is none' if isinstance(value, str) else f"{value} is none"
