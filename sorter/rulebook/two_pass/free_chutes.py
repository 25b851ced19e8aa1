"""The chutes that a plan may use: those of one line, no exception's, and none that others need."""

from collections.abc import Collection
from typing import Final

from sorter.reasons import Sentence
from sorter.records import Target
from sorter.rulebook.rows import Checked
from sorter.rulebook.two_pass.planned_stations import could_take
from sorter.rulebook.two_pass.request import NoTwoPass

NO_SUCH_LINE: Final = Sentence("没有分拣线 {line}；现有：{lines}", "there is no line {line}; the lines are {lines}")
NO_CHUTES: Final = Sentence(
    "没有可用的格口：异常格口不能分站点，还走别的路向的格口不动；请用 --chutes 写出要用的格口",
    "there is no chute to use: those of exceptions take no station, those of other lanes stay; "
    "name the chutes by --chutes",
)
NOT_ON_LINE: Final = Sentence(
    "格口 {chute} 不在分拣线 {line} 上；请核对格口号",
    "chute {chute} is not on line {line}; correct its number",
)
EXCEPTION_CHUTE: Final = Sentence(
    "格口 {chute} 是异常格口，不能分站点；请去掉它", "chute {chute} takes exceptions, so no station; leave it out"
)


def free_chutes(checked: Checked, line: str, only: Collection[int] = ()) -> tuple[int, ...]:
    """The chutes of a line that may take stations, in the order they stand: no exception's; of `only`, when given.

    Raises NoTwoPass.
    """
    if line not in checked.lines:
        raise NoTwoPass([NO_SUCH_LINE.about(line=line, lines=", ".join(checked.lines))])
    there = sorted((row.position_mm, row.chute) for row in checked.chutes if row.line == line)
    standing = [chute for _, chute in there]
    taken = {row.chute for row in checked.exceptions}
    faults = [NOT_ON_LINE.about(chute=chute, line=line) for chute in only if chute not in standing]
    faults += [EXCEPTION_CHUTE.about(chute=chute) for chute in only if chute in taken and chute in standing]
    free = tuple(chute for chute in standing if chute not in taken and (not only or chute in only))
    if not free and not faults:
        faults.append(NO_CHUTES.about())
    if faults:
        raise NoTwoPass(faults)
    return free


def own_chutes(checked: Checked, line: str, stations: Collection[str]) -> tuple[int, ...]:
    """The free chutes of a line that serve no other lane than those of `stations`, so that others keep theirs.

    A lane is theirs when it is one's own, or a rule sends one there by naming stations or townships.
    Raises NoTwoPass.
    """
    mine = [row for row in checked.stations if row.station in stations]
    lanes = {row.lane for row in mine}
    for rule in checked.rules:
        places = (rule.station, rule.township)
        named = any(words.items and not words.negated for words in places)
        if named and rule.send_to.kind == Target.LANE and any(could_take(rule, row) for row in mine):
            lanes.add(rule.send_to.name)
    lanes_of = {row.chute: set(row.lanes) for row in checked.chutes}
    found = tuple(chute for chute in free_chutes(checked, line) if lanes_of[chute] <= lanes)
    if not found:
        raise NoTwoPass([NO_CHUTES.about()])
    return found
