"""The stations that a plan is for, and which rules could take their parcels."""

from typing import Final

from sorter.reasons import Sentence
from sorter.rulebook.rows import Checked, Rule, Station
from sorter.rulebook.two_pass.request import NoTwoPass

NO_STATION: Final = Sentence(
    "站点表（stations）里没有 {kind} 类型的站点；请换 --kind",
    "the table stations has none of kind {kind}; give another --kind",
)


def stations_of(checked: Checked, kind: str) -> list[str]:
    """The stations of a kind, in table order. Raises NoTwoPass when there is none."""
    found = [row.station for row in checked.stations if row.kind == kind]
    if not found:
        raise NoTwoPass([NO_STATION.about(kind=kind)])
    return found


def could_take(rule: Rule, station: Station) -> bool:
    """Whether a rule could take a parcel of a station, going by the station and its township alone."""
    return rule.station.has(station.station) and rule.township.has(station.township)
