"""Recorded traffic comes back as it was written, and a file that is wrong says where and what to write."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sorter
from plc_adapter.emulator import tables, traffic
from sorter import limits, rulebook
from sorter.reasons import Reason, Sentence
from sorter.records import NONE_8, NONE_16, Line, RecordedAdvice, RecordedParcel
from sorter.rulebook.trial import recorded, routing
from sorter.rulebook.trial.recorded import NotParcels, Recorded
from tests.rulebook.small_site import OFFSET_NS

RULES = Path(sorter.__file__).parent.parent / "rules"
LOOP = Line(15 * 10**9, 120 * 10**9, 900 * 10**9, 3)
ADVICE = RecordedAdvice("YTO", "V001", "standard", "inbound", cancelled=False)
PARCEL = RecordedParcel(1_794_344_400 * 10**9, "L1", ("YT0000000000001",), 800, 300, ADVICE, intercepted=False)

names = st.text("ABcd09村-_", max_size=6)
advices = st.builds(
    RecordedAdvice, names, names, names, st.sampled_from(["", "inbound", "outbound"]), cancelled=st.booleans()
)
parcels = st.builds(
    RecordedParcel,
    st.integers(0, recorded.T_NS_MAX),
    st.text("L12线", min_size=1, max_size=3),
    st.lists(st.text("AB01-运", max_size=40), max_size=8).map(tuple),
    st.integers(0, limits.WEIGHT_MAX_G),
    st.integers(0, limits.SIZE_MAX_MM),
    st.none() | advices,
    st.booleans(),
)


def as_told(traffic: Recorded) -> list[RecordedParcel]:
    """The parcels of the arrays, one by one; codes as they are kept."""

    def name(known: tuple[str, ...], index: int) -> str:
        return "" if index == NONE_16 else known[index]

    out = []
    for at in range(traffic.items):
        rows = traffic.codes[traffic.code_at[at] : traffic.code_at[at + 1]]
        codes = tuple(row[1 : 1 + row[0]].tobytes().decode(errors="ignore") for row in rows)
        who = (
            name(traffic.carriers, traffic.carrier[at]),
            name(traffic.stations, traffic.station[at]),
            name(traffic.services, traffic.service[at]),
            "" if traffic.flow[at] == NONE_8 else recorded.FLOWS[traffic.flow[at]],
        )
        cancelled = bool(traffic.cancelled[at])
        advice = RecordedAdvice(*who, cancelled=cancelled) if any(who) or cancelled else None
        what = (int(traffic.t_ns[at]), traffic.lines[traffic.line[at]], codes)
        size = (int(traffic.weight_g[at]), int(traffic.length_mm[at]))
        out.append(RecordedParcel(*what, *size, advice, intercepted=bool(traffic.intercepted[at])))
    return out


def kept(parcel: RecordedParcel) -> RecordedParcel:
    """What the arrays keep: a code's first bytes; an advice that says nothing is none."""
    codes = tuple(code.encode()[: limits.CODE_TEXT_MAX].decode(errors="ignore") for code in parcel.codes)
    advice = parcel.advice if parcel.advice and any(parcel.advice) else None
    return parcel._replace(codes=codes, advice=advice)


@settings(max_examples=100, deadline=None)
@given(st.lists(parcels, min_size=1, max_size=12))
def test_parcels_survive_their_arrays_and_their_file(
    tmp_path_factory: pytest.TempPathFactory, given_parcels: list[RecordedParcel]
) -> None:
    want = [kept(parcel) for parcel in given_parcels]
    assert as_told(recorded.of_parcels(given_parcels)) == want
    path = tmp_path_factory.mktemp("traffic") / "parcels.ndjson"
    recorded.write(path, given_parcels)
    assert as_told(recorded.read(path)) == want


def test_a_scan_has_no_more_codes_than_the_core_reads() -> None:
    many = PARCEL._replace(codes=tuple("123456789"))
    assert as_told(recorded.of_parcels([many]))[0].codes == tuple("12345678")


def line_with(**changes: Any) -> str:
    """A right line with keys changed; `...` takes a key away."""
    found: dict[str, Any] = json.loads(recorded.EXAMPLE) | {"advice": ADVICE._asdict()} | changes
    return json.dumps({key: value for key, value in found.items() if value is not ...}, ensure_ascii=False)


def advice_with(**changes: Any) -> dict[str, Any]:
    return {"advice": {**ADVICE._asdict(), **changes}}


def faults_of(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(NotParcels) as caught:
        recorded.read(path)
    told = caught.value.said.told("zh")
    assert len(told.splitlines()) == len(caught.value.faults)
    assert re.search("[一-鿿]", told)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "it is no JSON object"),
        ("[]", "it is no JSON object"),
        ("[" * 3000, "it is no JSON object"),
        ("x" * (recorded.LINE_TEXT_MAX + 5), "more than 4096 bytes"),
        (line_with(t_ns=1.5), "t_ns is wrong; write whole nanoseconds"),
        (line_with(t_ns=True), "t_ns is wrong"),
        (line_with(t_ns=-1), "t_ns is wrong"),
        (line_with(t_ns=1 << 62), "t_ns is wrong"),
        (line_with(line=""), 'line is wrong; write a name in quotes, such as "L1"'),
        (line_with(line="L" * 32), "line is wrong"),
        (line_with(codes="YT0"), "codes is wrong; write a list of codes"),
        (line_with(codes=[1]), "codes is wrong"),
        (line_with(codes=["\ud800"]).replace('"\ud800"', '"\\ud800"'), "codes is wrong"),
        (line_with(weight_g=None), "weight_g is wrong; write whole grams from 0 to 262143"),
        (line_with(size_mm=300), "size_mm is wrong; write [length, width, height]"),
        (line_with(size_mm=[1, 2]), "size_mm is wrong"),
        (line_with(size_mm=[1, 2, 65_536]), "size_mm is wrong"),
        (line_with(intercepted=0), "intercepted is wrong; write true or false"),
        (line_with(intercepted=...), "intercepted is missing"),
        (line_with(phone="1"), 'phone" is not known; write only t_ns, line'),
        (line_with(advice="V001"), "advice is wrong; write an advice"),
        (line_with(**advice_with(address="x")), 'address" is not known; write only carrier'),
        (line_with(**advice_with(carrier=1)), "carrier is wrong"),
        (line_with(**advice_with(station=None)), 'station is wrong; write a name in quotes, such as "V001"'),
        (line_with(**advice_with(service=[])), "service is wrong"),
        (line_with(**advice_with(flow="进港")), 'flow is wrong; write "inbound" or "outbound"'),
        (line_with(**advice_with(cancelled=1)), "cancelled is wrong"),
        (line_with(advice={}), "carrier is missing"),
    ],
)
def test_a_wrong_line_is_told(tmp_path: Path, line: str, fault: str) -> None:
    told = faults_of(tmp_path / "parcels.ndjson", line_with(), "", line, line_with())
    assert told.startswith("parcels.ndjson line 3: ")
    assert fault in told
    assert len(told.splitlines()) == 1


def test_all_wrong_lines_are_told_up_to_a_number(tmp_path: Path) -> None:
    told = faults_of(tmp_path / "p.ndjson", *["{}"] * 50).splitlines()
    assert told[19].startswith("p.ndjson line 20: ")
    assert told[20:] == ["p.ndjson: 30 more lines are wrong"]


def test_an_example_in_a_message_is_right(tmp_path: Path) -> None:
    (tmp_path / "p.ndjson").write_text("\ufeff" + recorded.EXAMPLE, encoding="utf-8")
    assert recorded.read(tmp_path / "p.ndjson").items == 1
    (tmp_path / "p.ndjson").write_text(line_with(advice=json.loads(recorded.ADVICE_EXAMPLE)), encoding="utf-8")
    assert recorded.read(tmp_path / "p.ndjson").stations == ("V001",)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_parcels_is_refused(tmp_path: Path, text: str) -> None:
    assert "it holds no parcel; write" in faults_of(tmp_path / "p.ndjson", text)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotParcels, match=r"nowhere\.ndjson: the file cannot be read"):
        recorded.read(tmp_path / "nowhere.ndjson")
    monkeypatch.setattr(recorded, "FILE_BYTES_MAX", 3)
    assert "at most 0 MB; split it by day" in faults_of(tmp_path / "p.ndjson", line_with())


def test_sentences_have_the_same_facts_in_both_languages() -> None:
    sentences = [each for each in vars(recorded).values() if isinstance(each, Sentence)]
    assert len(sentences) > 10
    for each in sentences:
        assert set(re.findall(r"{(\w+)}", each.zh)) == set(re.findall(r"{(\w+)}", each.en)), each


def test_the_emulators_day_can_be_tried(tmp_path: Path) -> None:
    day = traffic.day(tables.read(RULES), 2000, 3)
    path = tmp_path / "parcels.ndjson"
    traffic.write_parcels(day, path)
    read = recorded.read(path)
    told = as_told(read)
    declared = {advice.waybill: advice.weight_g for advice in day.advices}
    for parcel, found in zip(day.parcels, told, strict=True):
        assert found.codes == parcel.codes
        assert (found.line, found.length_mm, found.intercepted) == (parcel.line, parcel.size_mm[0], parcel.intercepted)
        assert found.weight_g == (parcel.weight_g or declared.get(parcel.waybill, 0))
        assert (found.advice is not None) == parcel.advised
        if found.advice is not None:
            assert found.advice[:4] == (parcel.carrier, parcel.station, parcel.service, parcel.flow)
    assert np.count_nonzero(read.cancelled) == sum(advice.cancelled for advice in day.advices) == 4
    sort_plan = rulebook.load(RULES, {"L1": LOOP, "L2": LOOP}, OFFSET_NS)
    reasons = np.bincount(routing.route(sort_plan, read).reason)
    assert reasons[Reason.PLANNED] > 1800
    assert (reasons[Reason.NO_READ], reasons[Reason.CANCELLED]) == (40, 4)
