"""The waybill automaton against Python's `re`, pattern by pattern and all patterns at once."""

import re
import time

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.rulebook import waybill
from sorter.rulebook.waybill import Automaton, PatternError, TooManyStates, compile_patterns, fits, parse

REAL = (
    (r"[A-Z]{2}\d{9}[A-Z]{2}", "EE123456789CN", "EE12345678CN"),
    (r"(?:1[0-2]|5[0-2]|9[5-9])\d{11}", "1212345678901", "1312345678901"),
    (r"SF\d{12,13}", "sf1234567890123", "SF12345678901"),
    (r"7[3568]\d{12}", "73123456789012", "74123456789012"),
    (r"77\d{13}|773\d{9,13}", "773123456789", "77312345678"),
    (r"JD(?:[XK]\d{12}|V[A-Z]\d{11}|\d{13})(?:-\d+-\d+-?)?", "JDVA12345678901-1-2-", "JDV112345678901"),
    (r"DP[KL]\d{11,}(?:-\d+)*", "DPK12345678901-1-2", "DPM12345678901"),
    (r"A\.B/C[-]?", "a.b/c-", "A.B.C"),
)


def automaton(*patterns: str) -> Automaton:
    return compile_patterns([parse(pattern) for pattern in patterns])


@pytest.mark.parametrize(("pattern", "good", "bad"), REAL)
def test_real_formats(pattern: str, good: str, bad: str) -> None:
    one = automaton(pattern)
    assert fits(one, good) == 1
    assert fits(one, bad) == 0


def test_every_pattern_has_its_own_bit() -> None:
    patterns = [f"{chr(65 + number % 26)}{number // 26}\\d{{3}}" for number in range(limits.PATTERNS_MAX)]
    together = automaton(*patterns)
    for bit, pattern in enumerate(patterns):
        assert fits(together, pattern[:2] + "123") == 1 << bit


def test_the_shape_that_the_core_relies_on() -> None:
    one = automaton(*(pattern for pattern, _, _ in REAL))
    assert not one.next_state[0].any()
    assert not one.next_state[:, 0].any()
    assert one.accepts[0] == one.accepts[1] == 0
    assert one.next_state.max() < len(one.next_state) == len(one.accepts) <= limits.WAYBILL_STATES_MAX
    assert all(one.classes[ord(char)] == one.classes[ord(char.lower())] for char in waybill.ALPHABET)
    assert [chr(byte) for byte in range(256) if one.classes[byte] and chr(byte).upper() not in waybill.ALPHABET] == []
    rows = {(tuple(row), int(mask)) for row, mask in zip(one.next_state.tolist(), one.accepts, strict=True)}
    assert len(rows) == len(one.accepts), "two states of a minimal automaton are never alike"


_CLASS = st.sampled_from([r"\d", "[0-3A-C]", "[AB12]", "A", "B", "1", "2", "-", r"\.", "/"])
_COUNT = st.sampled_from(["", "", "", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "*", "+"])


def _join(parts: list[tuple[str, str]]) -> str:
    return "".join(f"({part}){count}" if count else part for part, count in parts)


_SERIES = st.lists(st.tuples(_CLASS, _COUNT), min_size=1, max_size=3).map(_join)
_PATTERN = st.recursive(
    _SERIES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.lists(st.tuples(inner, _COUNT), min_size=1, max_size=2).map(_join),
    ),
    max_leaves=4,
)
_CODE = st.text("ab12-./AB3C", max_size=8)


def is_allowed(pattern: str) -> bool:
    """What the generator makes is wrong only where it fits nothing at all or more than a waybill."""
    try:
        parse(pattern)
    except PatternError as error:
        if "characters; the most is" not in str(error) and not re.fullmatch(pattern, ""):
            raise
        return False
    return True


@given(st.lists(_PATTERN, min_size=1, max_size=5), st.lists(_CODE, min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_against_re(patterns: list[str], codes: list[str]) -> None:
    kept = [pattern for pattern in patterns if is_allowed(pattern)]
    if not kept:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waybill, "_RAW_STATES_MAX", 1000)  # what grows beyond it is refused all the same, only sooner
        try:
            together = automaton(*kept)
        except TooManyStates:
            reject()
    for code in codes:
        want = sum(1 << bit for bit, each in enumerate(kept) if re.fullmatch(each, code, re.IGNORECASE))
        assert fits(together, code) == want, code


WRONG = [
    ("SF.{12}", "any character"),
    (r"SF\w{12}", "not known"),
    (r"^SF\d{12}", "not needed"),
    (r"SF\d{12}$", "not needed"),
    (r"SF(\d{12}", "never closed"),
    (r"SF\d{12})", "never opened"),
    (r"SF[0-9", "never closed"),
    (r"SF[^0-9]", "list the characters"),
    (r"SF[]", "list the characters"),
    (r"SF[9-0]", "no span"),
    (r"SF[0-Z]", "no span"),
    (r"SF\d{12,11}", "counts down"),
    (r"SF\d{,11}", "no count"),
    (r"SF\d{0}", "counts down"),
    (r"SF\d{25}", "longest waybill"),
    (r"SF\d{12}{2}", "another count"),
    (r"SF\d+?", "another count"),
    (r"?SF", "nothing before it"),
    (r"*", "nothing before it"),
    (r"SF||\d", "missing"),
    (r"()", "missing"),
    (r"(SF)?", "empty code"),
    (r"\d*", "empty code"),
    (r"SF\d{24}", "26 characters"),
    (r"SF顺\d", "cannot be in a waybill"),
    (r"SF_\d", "cannot be in a waybill"),
    (r"(?=SF)\d", "special group"),
    ("SF\\", "not known"),
]


@pytest.mark.parametrize(("pattern", "words"), WRONG)
def test_a_wrong_pattern_is_told_with_its_place(pattern: str, words: str) -> None:
    with pytest.raises(PatternError, match=words) as caught:
        parse(pattern)
    assert "character" in str(caught.value) or "code" in str(caught.value)


def test_a_pattern_that_would_explode_ends_soon() -> None:
    started = time.process_time()
    with pytest.raises(TooManyStates):
        automaton(r"[A-Z]*A[A-Z]{18}")
    assert time.process_time() - started < 20
