"""Waybills drawn from a pattern fit it, and no two are the same."""

import re

import numpy as np
import pytest

from plc_adapter.emulator import waybills

PATTERNS = (
    r"(?:1[0-2]|5[0-2]|9[5-9])\d{11}",
    r"[A-Z]{2}\d{9}[A-Z]{2}",
    r"SF\d{12,13}",
    r"7[3568]\d{12}",
    r"77\d{13}|773\d{9,13}",
    r"JD(?:[XK]\d{12}|V[A-Z]\d{11}|\d{13})(?:-\d+-\d+-?)?",
    r"DP[KL]\d{11,}(?:-\d+){1,3}",
    r"[A-Z][A-Z0-9]\d{8,13}",
)


def test_every_code_fits_its_pattern_and_is_new() -> None:
    forms = [waybills.shapes(pattern) for pattern in PATTERNS]
    kind = np.arange(20_000) % len(forms)
    codes = waybills.draw(forms, kind, np.random.default_rng(1)).astype(str).tolist()
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(PATTERNS[at % len(forms)], code) for at, code in enumerate(codes))


def test_every_shape_is_used() -> None:
    forms = [waybills.shapes(r"77\d{2}|773\d{1,3}")]
    codes = waybills.draw(forms, np.zeros(200, np.intp), np.random.default_rng(1)).astype(str).tolist()
    assert {len(code) for code in codes} == {4, 5, 6}


def test_a_small_form_runs_through_all_its_codes() -> None:
    codes = waybills.draw([waybills.shapes(r"A\d")], np.zeros(10, np.intp), np.random.default_rng(1))
    assert sorted(codes.astype(str)) == [f"A{digit}" for digit in range(10)]


def test_an_s10_number_has_the_check_digit_of_the_upu() -> None:
    """RR 47312482 9 GB is the example of UPU standard S10."""
    digits = np.frombuffer(b"47312482", np.uint8).reshape(1, 8)
    assert waybills._s10_check(digits).tolist() == [9]
    code = waybills.draw([waybills.shapes(r"E[A-Z]\d{9}[A-Z]{2}")], np.zeros(1, np.intp), np.random.default_rng(1))
    text = code.astype(str)[0]
    total = sum(int(digit) * weight for digit, weight in zip(text[2:10], (8, 6, 4, 2, 3, 5, 9, 7), strict=True))
    assert text.endswith("CN")
    assert int(text[10]) == {10: 0, 11: 5}.get(11 - total % 11, 11 - total % 11)


@pytest.mark.parametrize("pattern", ["(A", "A)", "[AB", "*A", ".", "", r"\d{30}"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(waybills.PatternRefused):
        waybills.shapes(pattern)
