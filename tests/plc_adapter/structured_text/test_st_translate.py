"""The judge of the Structured Text is strict: what a maker may read in two ways does not run."""

from typing import Any

import pytest
from lark.exceptions import UnexpectedInput

from tests.plc_adapter.structured_text.translate import Library, Overflow, Wrong

PROGRAM = """
TYPE
    Row : ARRAY [0..3] OF UINT;
END_TYPE
TYPE
    Pair : STRUCT First : UINT; Second : UDINT; END_STRUCT;
END_TYPE
FUNCTION Twice : UINT
VAR_INPUT
    Given : UINT;
END_VAR
    Twice := Given * 2;
END_FUNCTION
FUNCTION_BLOCK Counter
VAR_INPUT
    Plus : UINT;
END_VAR
VAR_IN_OUT
    Sum : UINT;
END_VAR
VAR_OUTPUT
    Calls : UINT;
END_VAR
VAR
    Own : UINT := 7;
END_VAR
    Sum := Sum + Plus;
    Calls := Calls + 1;
END_FUNCTION_BLOCK
PROGRAM Main
VAR
    A : UINT;
    B : UINT;
    Wide : UDINT;
    Yes : BOOL;
    Cells : Row;
    Others : Row;
    Both : Pair;
    Count : Counter;
END_VAR
    %s
END_PROGRAM
"""


def ran(statements: str) -> Any:
    library = Library(PROGRAM % statements)
    memory = library.memory["Main"]()
    library.start(memory, "Main")
    library.bodies["Main"](memory)
    return memory


@pytest.mark.parametrize(
    ("statements", "name", "value"),
    [
        ("A := B + 3 * (B + 4) - 1;", "A", 11),
        ("A := (2 + B) * 4 + B * 9;", "A", 8),
        ("A := 17; A := A / 5 + A MOD 5;", "A", 5),
        ("Wide := UINT_TO_UDINT(A) + 16#FFFF;", "Wide", 0xFFFF),
        ("Yes := NOT (A = 1) AND B <> 1 OR FALSE;", "Yes", True),
        ("Yes := TRUE OR TRUE AND FALSE;", "Yes", True),
        ("Yes := A <= 0 = TRUE;", "Yes", True),
        ("FOR A := 1 TO 3 BY 1 DO Cells[A] := A; B := B + Cells[A]; END_FOR;", "B", 6),
        ("FOR A := 1 TO 3 BY 1 DO B := B + 1; END_FOR;", "A", 4),
        ("WHILE TRUE DO A := A + 1; IF A = 5 THEN EXIT; END_IF; END_WHILE;", "A", 5),
        ("IF A = 1 THEN B := 1; ELSIF A = 0 THEN B := 2; ELSE B := 3; END_IF;", "B", 2),
        ("A := Twice(Given := 4);", "A", 8),
        ("Both.First := 9; A := Both.First;", "A", 9),
        ("Cells[1] := 3; Others := Cells; Cells[1] := 4; A := Others[1];", "A", 3),
        ("Count(Plus := 2, Sum := A); Count(Plus := 3, Sum := A);", "A", 5),
        ("Count(Plus := 2, Sum := A); B := Count.Calls;", "B", 1),
    ],
)
def test_it_does_what_the_standard_says(statements: str, name: str, value: int) -> None:
    assert getattr(ran(statements), name) == value


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        ("A := Wide;", "is UDINT, where UINT is needed"),
        ("Wide := A + Wide;", "is UDINT, where UINT is needed"),
        ("A := 65536;", "where UINT is needed"),
        ("A := TRUE;", "where UINT is needed"),
        ("IF A THEN B := 1; END_IF;", "where BOOL is needed"),
        ("Yes := Yes < Yes;", "has no order"),
        ("a := 1;", "has no variable a"),
        ("A := Cells;", "is Row, where UINT is needed"),
        ("A := A[0];", "is no array"),
        ("A := Cells[Yes];", "an index is no BOOL"),
        ("A := Both.Third;", "Pair has no Third"),
        ("A := Count.Own;", "Own is not an output"),
        ("Count(Plus := 1);", "lacks"),
        ("Count(Plus := 1, Sum := A, Calls := B);", "Calls of Counter is not an input"),
        ("A := Thrice(Given := 1);", "no function Thrice"),
        ("A := Twice(Taken := 1);", "takes"),
        ("A := UDINT_TO_INT(Wide);", "no conversion"),
    ],
)
def test_what_is_unclear_is_refused(statements: str, sentence: str) -> None:
    with pytest.raises(Wrong, match=sentence):
        ran(statements)


@pytest.mark.parametrize(
    "statements", ["A := A - 1;", "A := 65535; A := A + 1;", "Wide := 65536; A := UDINT_TO_UINT(Wide);"]
)
def test_what_overflows_is_an_error(statements: str) -> None:
    with pytest.raises(Overflow):
        ran(statements)


def test_an_index_beyond_its_array_is_an_error_also_behind_and() -> None:
    with pytest.raises(IndexError):
        ran("A := 4; Yes := A < 4 AND Cells[A] = 0;")
    with pytest.raises(ZeroDivisionError):
        ran("A := A / B;")


@pytest.mark.parametrize("text", ["A = 1;", "A := 1", "IF Yes THEN A := 1;", "A := ;", "B := A++;", "// A := 1;"])
def test_what_is_no_structured_text_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedInput):
        ran(text)


def test_a_word_of_the_language_is_no_name() -> None:
    with pytest.raises(Wrong, match="At is a word of the language"):
        Library("PROGRAM Main\nVAR\n    At : UINT;\nEND_VAR\n    At := 1;\nEND_PROGRAM\n")
    with pytest.raises(Wrong, match="declared twice"):
        Library("PROGRAM Main\nVAR\n    One : UINT;\n    ONE : UINT;\nEND_VAR\n    One := 1;\nEND_PROGRAM\n")
