"""The rule tables of one pass, made from those of the hub: the planned chutes get new lanes."""

import re
from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple

from sorter.reasons import Language, Said, Sentence
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet
from sorter.rulebook.two_pass.free_chutes import EXCEPTION_CHUTE
from sorter.rulebook.two_pass.planning import TwoPass
from sorter.rulebook.two_pass.request import NoTwoPass

MADE_ALREADY: Final = Sentence(
    "路向 {lane} 是两次分拣方案生成的；请用 --plan 指定原来的规则表",
    "lane {lane} was made by a two-pass plan; name the rule set it was made from by --plan",
)
DIRECT_TITLE: Final = Sentence("一次分拣 {name}", "pass 1 {name}")
GROUP_TITLE: Final = Sentence(
    "一次分拣 合流格口 {chute}（{stations} 个站点）", "pass 1 group {chute} ({stations} stations)"
)
SECOND_TITLE: Final = Sentence("二次分拣 格口 {chute}", "pass 2 chute {chute}")
MADE: Final = Sentence("两次分拣方案生成", "made by the two-pass plan")
MADE_LANE: Final = re.compile(r"P1-G?\d+$|P2-\d+$")


def tables(
    sheets: Mapping[str, Sheet],
    two_pass: TwoPass,
    pass_number: Literal[1, 2],
    rules: Collection[int],
    *,
    language: Language = "zh",
) -> dict[str, Sheet]:
    """The rule set of one pass, from the sheets of a rule set without errors.

    Lanes of pass one are `P1-112` (the one station of chute 112) and `P1-G140` (the group of chute
    140), of pass two `P2-203` (whichever station of the group chute 203 has); none has trips, so
    that it always departs. Of the rules those of the numbers `rules` stay (see `rejecting`). Other
    chutes keep their lanes, and a lane without any chute left goes with its trips.
    In pass two direct stations have no lane: their parcels have no business there.
    A planned station has no chute on another line.
    `language` is that of the new lanes' names. Raises NoTwoPass when a chute is an exception's, or the
    sheets are those of a pass themselves.
    """
    exceptions = {int(row.texts["chute"]) for row in sheets["exceptions"].rows}
    mixed = [EXCEPTION_CHUTE.about(chute=chute) for chute in two_pass.chutes if chute in exceptions]
    made = [row.texts["lane"] for row in sheets["lanes"].rows if MADE_LANE.match(row.texts["lane"])]
    mixed += [MADE_ALREADY.about(lane=lane) for lane in made[:1]]
    if mixed:
        raise NoTwoPass(mixed)
    lanes = _first_lanes(sheets, two_pass) if pass_number == 1 else _second_lanes(two_pass)
    of_chute = {lane.chute: name for name, lane in lanes.items()}
    chutes = [
        _with(row, lane=of_chute.get(number, "") if (number := int(row.texts["chute"])) in two_pass.chutes else None)
        for row in sheets["chutes"].rows
    ]
    kept = {lane.strip() for row in chutes for lane in row.texts["lane"].split("|")} - set(lanes)
    return {
        **sheets,
        "chutes": _sheet(sheets["chutes"], chutes),
        "stations": _sheet(sheets["stations"], _stations(sheets["stations"], two_pass, lanes, kept)),
        "lanes": _sheet(sheets["lanes"], [*_kept_lanes(sheets["lanes"], kept), *_new_lanes(lanes, language)]),
        "trips": _sheet(sheets["trips"], [row for row in sheets["trips"].rows if row.texts["lane"] in kept]),
        "rules": _sheet(
            sheets["rules"],
            [row for row in sheets["rules"].rows if int(row.texts["row"]) in rules],
        ),
    }


class _Lane(NamedTuple):
    chute: int
    stations: tuple[str, ...]
    title: Said


def _first_lanes(sheets: Mapping[str, Sheet], two_pass: TwoPass) -> dict[str, _Lane]:
    titles = {row.texts["station"]: row.texts["name"] for row in sheets["stations"].rows}
    alone = {
        f"P1-{chute}": _Lane(chute, (station,), DIRECT_TITLE.about(name=titles[station]))
        for station, chute in two_pass.direct.items()
    }
    return alone | {
        f"P1-G{chute}": _Lane(chute, stations, GROUP_TITLE.about(chute=chute, stations=len(stations)))
        for chute, stations in two_pass.groups.items()
    }


def _second_lanes(two_pass: TwoPass) -> dict[str, _Lane]:
    stations: dict[int, list[str]] = {}
    for station, chute in two_pass.second.items():
        stations.setdefault(chute, []).append(station)
    return {
        f"P2-{chute}": _Lane(chute, tuple(stations[chute]), SECOND_TITLE.about(chute=chute))
        for chute in two_pass.chutes
        if chute in stations
    }


def _stations(sheet: Sheet, two_pass: TwoPass, lanes: Mapping[str, _Lane], kept: set[str]) -> list[Cells]:
    lane_of = dict.fromkeys((*two_pass.direct, *two_pass.second), "")
    lane_of |= {station: name for name, lane in lanes.items() for station in lane.stations}
    return [
        _with(row, lane=lane_of.get(row.texts["station"], row.texts["lane"] if row.texts["lane"] in kept else ""))
        for row in sheet.rows
    ]


def _kept_lanes(sheet: Sheet, kept: set[str]) -> list[Cells]:
    return [
        _with(row, spill_to=None if row.texts["spill_to"] in kept else "")
        for row in sheet.rows
        if row.texts["lane"] in kept
    ]


def _new_lanes(lanes: Mapping[str, _Lane], language: Language) -> list[Cells]:
    blank = dict.fromkeys((*TABLES["lanes"], NOTE), "")
    return [
        Cells(0, blank | {"lane": name, "name": lane.title.told(language), "kind": "local", NOTE: MADE.told(language)})
        for name, lane in lanes.items()
    ]


def _with(row: Cells, **changed: str | None) -> Cells:
    """A row with some cells changed; None leaves a cell as it is."""
    return row._replace(texts=row.texts | {column: text for column, text in changed.items() if text is not None})


def _sheet(sheet: Sheet, rows: list[Cells]) -> Sheet:
    """A sheet of these rows, numbered as a spreadsheet will show them."""
    return sheet._replace(rows=[row._replace(at=at) for at, row in enumerate(rows, 2)])
