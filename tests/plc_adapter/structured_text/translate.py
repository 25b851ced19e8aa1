"""Structured Text as Python over the memory a PLC would give it; what the standard leaves open is an error.

A subset of IEC 61131-3 with the types BOOL, UINT and UDINT, arrays from 0 and structures. Types never
mix without a conversion, an operation never overflows, both sides of AND and OR are worked out, and
names are spelled one way: a program that runs here asks no maker for more than the standard does.
"""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from lark import Lark, Token, Tree

GRAMMAR: Final = Lark((Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8"), parser="lalr")
ELEMENTARY: Final[dict[str, Any]] = {"BOOL": ctypes.c_bool, "UINT": ctypes.c_uint16, "UDINT": ctypes.c_uint32}
MOST: Final = {"UINT": 2**16 - 1, "UDINT": 2**32 - 1}
CONVERSIONS: Final = {"UINT_TO_UDINT": ("UINT", "UDINT"), "UDINT_TO_UINT": ("UDINT", "UINT")}
_KEYWORDS: Final = """
    ACTION AND ANY ARRAY AT BOOL BY BYTE CASE CONFIGURATION CONSTANT DATE DINT DO DT DWORD ELSE ELSIF EN END_CASE
    END_FOR END_FUNCTION END_FUNCTION_BLOCK END_IF END_PROGRAM END_REPEAT END_STRUCT END_TYPE END_VAR END_WHILE ENO
    EXIT F_EDGE FALSE FOR FUNCTION FUNCTION_BLOCK IF INITIAL_STEP INT LINT LREAL LWORD MOD NOT OF ON OR PROGRAM
    R_EDGE READ_ONLY READ_WRITE REAL REPEAT RESOURCE RETAIN RETURN SINT STEP STRING STRUCT TASK THEN TIME TO TOD
    TRANSITION TRUE TYPE UDINT UINT ULINT UNTIL USINT VAR VAR_ACCESS VAR_EXTERNAL VAR_GLOBAL VAR_INPUT VAR_IN_OUT
    VAR_OUTPUT VAR_TEMP WHILE WITH WORD WSTRING XOR
"""
RESERVED: Final = frozenset(_KEYWORDS.split())
WHOLE: Final = "a whole number"  # the type of a literal: it takes the one beside it
OPERATORS: Final = {"=": "==", "<>": "!=", "/": "//", "MOD": "%"}


class Wrong(Exception):
    """The program is not the Structured Text that is meant here; the text says where."""


class Overflow(Exception):
    """An operation left its type: what comes out differs from maker to maker."""


class Variable(NamedTuple):
    """A declared variable of a program organisation unit."""

    section: str  # VAR, VAR_INPUT, VAR_OUTPUT or VAR_IN_OUT
    type: str
    initial: int
    retained: bool


class Unit(NamedTuple):
    """A function, function block or program."""

    name: str
    result: str  # a function's type, "" for a block
    variables: dict[str, Variable]
    body: Tree[Token]

    def of(self, *sections: str) -> list[str]:
        """The names of the variables in some sections, in their order."""
        return [name for name, variable in self.variables.items() if variable.section in sections]


class Reference:
    """An elementary variable that is handed over as VAR_IN_OUT."""

    def __init__(self, value: int) -> None:
        self.value = value


def uint(value: int) -> int:
    """The value, if a UINT holds it."""
    if not 0 <= value <= 0xFFFF:
        raise Overflow(f"{value} is no UINT")
    return value


def udint(value: int) -> int:
    """The value, if a UDINT holds it."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise Overflow(f"{value} is no UDINT")
    return value


class Library:
    """The units of a text: `bodies` are Python functions, `memory` the layout of each type and block."""

    def __init__(self, text: str) -> None:
        """Raises Wrong, or lark's UnexpectedInput with line and column."""
        self.memory: dict[str, Any] = dict(ELEMENTARY)
        self.elements: dict[str, str] = {}  # an array's type -> its elements'
        self.fields: dict[str, dict[str, str]] = {}
        self.units: dict[str, Unit] = {}
        self.bodies: dict[str, Callable[..., Any]] = {}
        for declaration in _trees(GRAMMAR.parse(text)):
            _refuse_reserved(declaration)
            if declaration.data == "types":
                self._types(declaration)
            else:
                self._unit(declaration)

    def _types(self, tree: Tree[Token]) -> None:
        for name, spec in zip(tree.children[::2], tree.children[1::2], strict=True):
            assert isinstance(spec, Tree)
            self._fresh(str(name))
            if spec.data == "array":
                first, last, element = spec.children
                if str(first) != "0":
                    raise Wrong(f"{name}: arrays begin at 0 here")
                self.elements[str(name)] = self._known(element)
                self.memory[str(name)] = self.memory[self._known(element)] * (int(str(last)) + 1)
            elif spec.data == "structure":
                pairs = zip(spec.children[::2], spec.children[1::2], strict=True)
                self._structure(str(name), {str(field): self._known(each) for field, each in pairs})
            else:
                raise Wrong(f"{name}: a second name for {self._known(spec)} says nothing")

    def _structure(self, name: str, fields: dict[str, str]) -> None:
        self.fields[name] = fields
        layout = [(field, self.memory[each]) for field, each in fields.items()]
        self.memory[name] = type(name, (ctypes.Structure,), {"_fields_": layout})

    def _fresh(self, name: str) -> None:
        if name.upper() in {known.upper() for known in (*self.memory, *self.units)}:
            raise Wrong(f"{name} is declared twice")

    def _known(self, named: object) -> str:
        assert isinstance(named, Tree)
        name = str(named.children[0])
        if name not in self.memory:
            raise Wrong(f"there is no type {name} before its use")
        return name

    def _unit(self, tree: Tree[Token]) -> None:
        name, *rest = tree.children
        self._fresh(str(name))
        result = self._known(rest.pop(0)) if tree.data == "function" else ""
        *sections, body = rest
        assert isinstance(body, Tree)
        variables: dict[str, Variable] = {}
        for section in sections:
            assert isinstance(section, Tree)
            self._section(str(name), section, variables)
        unit = Unit(str(name), result, variables, body)
        self.units[unit.name] = unit
        if not result:
            own = unit.of("VAR_INPUT", "VAR_OUTPUT", "VAR")
            self._structure(unit.name, {each: variables[each].type for each in own})
        source = Writer(self, unit).source()
        names: dict[str, Any] = {"uint": uint, "udint": udint, "Reference": Reference, **self.bodies}
        exec(compile(source, f"<{unit.name}>", "exec"), names)
        self.bodies[unit.name] = names[unit.name]

    def _section(self, unit: str, tree: Tree[Token], variables: dict[str, Variable]) -> None:
        section, retain, *declared = tree.children
        for each in declared:
            assert isinstance(each, Tree)
            name, named, initial = each.children
            if str(name).upper() in {known.upper() for known in variables}:
                raise Wrong(f"{unit}: {name} is declared twice")
            value = literal(initial) if isinstance(initial, Tree) else 0
            variables[str(name)] = Variable(str(section), self._known(named), value, retained=retain is not None)

    def start(self, memory: Any, name: str) -> None:
        """Give a block's memory, which is all 0, its initial values, and those of the blocks within it."""
        for own in self.fields[name]:
            variable = self.units[name].variables[own]
            if variable.type in self.units:
                self.start(getattr(memory, own), variable.type)
            elif variable.initial:
                setattr(memory, own, variable.initial)


class Writer:
    """One unit's body as the source of a Python function."""

    def __init__(self, library: Library, unit: Unit) -> None:
        self._library = library
        self._unit = unit

    def source(self) -> str:
        """A function of the unit's memory and its VAR_IN_OUT, or of its inputs when it is a function."""
        unit = self._unit
        takes = unit.of("VAR_INPUT", "VAR_IN_OUT") if unit.result else ["self", *unit.of("VAR_IN_OUT")]
        lines = [f"def {unit.name}({', '.join(takes)}):"]
        if unit.result:
            own = unit.of("VAR")
            if {unit.result, *(unit.variables[name].type for name in own)} - {*ELEMENTARY}:
                raise Wrong(f"{unit.name}: a function's own variables and its result are elementary here")
            lines += [f"    {name} = {unit.variables[name].initial}" for name in own]
            lines.append(f"    {unit.name}_ = 0")
        lines += self._statements(unit.body, "    ")
        if unit.result:
            lines.append(f"    return {unit.name}_")
        return "\n".join(lines) + "\n"

    def _statements(self, tree: object, indent: str) -> list[str]:
        assert isinstance(tree, Tree)
        lines = [line for each in _trees(tree) for line in getattr(self, f"_{each.data}")(each, indent)]
        return lines or [f"{indent}pass"]

    def _assign(self, tree: Tree[Token], indent: str) -> list[str]:
        place, expression = tree.children
        target, kind = self._place(place, written=True)
        value, found = self._expression(expression)
        return [f"{indent}{target} = {self._as(kind, value, found)}"]

    def _if_(self, tree: Tree[Token], indent: str) -> list[str]:
        *branches, otherwise = tree.children
        lines: list[str] = []
        for at in range(0, len(branches), 2):
            word = "elif" if at else "if"
            lines.append(f"{indent}{word} {self._condition(branches[at])}:")
            lines += self._statements(branches[at + 1], indent + "    ")
        if otherwise is not None:
            lines += [f"{indent}else:", *self._statements(otherwise, indent + "    ")]
        return lines

    def _while_(self, tree: Tree[Token], indent: str) -> list[str]:
        condition, body = tree.children
        return [f"{indent}while {self._condition(condition)}:", *self._statements(body, indent + "    ")]

    def _for_(self, tree: Tree[Token], indent: str) -> list[str]:
        name, first, last, step, body = tree.children
        target, kind = self._place(Tree("place", [name]), written=True)
        end = self._as(kind, *self._expression(last))
        return [
            f"{indent}{target} = {self._as(kind, *self._expression(first))}",
            f"{indent}while {target} <= {end}:",
            *self._statements(body, indent + "    "),
            f"{indent}    {target} = {kind.lower()}({target} + {literal(step)})",
        ]

    def _exit_(self, tree: Tree[Token], indent: str) -> list[str]:
        assert not tree.children
        return [f"{indent}break"]

    def _invoke(self, tree: Tree[Token], indent: str) -> list[str]:
        """A function block's call: inputs are copied, VAR_IN_OUT handed over."""
        instance, kind = self._place(Tree("place", [tree.children[0]]))
        block = self._library.units[kind]
        given = self._arguments(tree)
        before, handed, after = [], [], []
        for name, (value, found) in given.items():
            variable = block.variables[name]
            if variable.section == "VAR_INPUT":
                before.append(f"{indent}{instance}.{name} = {self._as(variable.type, value, found)}")
            elif variable.section == "VAR_IN_OUT" and variable.type in ELEMENTARY:
                before.append(f"{indent}{name}_given = Reference({self._as(variable.type, value, found)})")
                handed.append(f"{name}={name}_given")
                after.append(f"{indent}{value} = {name}_given.value")
            elif variable.section == "VAR_IN_OUT":
                handed.append(f"{name}={self._as(variable.type, value, found)}")
            else:
                raise Wrong(f"{self._unit.name}: {name} of {kind} is not an input")
        missing = {*block.of("VAR_IN_OUT", "VAR_INPUT")} - {*given}
        if missing:
            raise Wrong(f"{self._unit.name}: the call of {kind} lacks {sorted(missing)}")
        return [*before, f"{indent}{kind}({', '.join([instance, *handed])})", *after]

    def _arguments(self, tree: Tree[Token]) -> dict[str, tuple[str, str]]:
        given = {}
        for argument in tree.children[1:]:
            assert isinstance(argument, Tree)
            name, expression = argument.children
            given[str(name)] = self._expression(expression)
        return given

    def _condition(self, tree: object) -> str:
        return self._as("BOOL", *self._expression(tree))

    def _as(self, kind: str, value: str, found: str) -> str:
        if found == WHOLE and kind in MOST and int(value) <= MOST[kind]:
            return value
        if found != kind:
            raise Wrong(f"{self._unit.name}: {value} is {found}, where {kind} is needed")
        return value

    def _place(self, tree: object, *, written: bool = False) -> tuple[str, str]:
        assert isinstance(tree, Tree)
        unit = self._unit
        name, *path = tree.children
        if str(name) == unit.name and unit.result and not path:
            return f"{unit.name}_", unit.result
        if str(name) not in unit.variables:
            raise Wrong(f"{unit.name} has no variable {name}")
        variable = unit.variables[str(name)]
        if written and variable.section == "VAR_INPUT":
            raise Wrong(f"{unit.name}: {name} is an input, and is not written")
        kind = variable.type
        place = str(name) if unit.result or variable.section == "VAR_IN_OUT" else f"self.{name}"
        if variable.section == "VAR_IN_OUT" and kind in ELEMENTARY:
            place += ".value"
        for each in path:
            assert isinstance(each, Tree)
            step, kind = self._step(kind, each)
            place += step
        return place, kind

    def _step(self, kind: str, tree: Tree[Token]) -> tuple[str, str]:
        if tree.data == "index":
            if kind not in self._library.elements:
                raise Wrong(f"{self._unit.name}: {kind} is no array")
            value, found = self._expression(tree.children[0])
            if found not in {*MOST, WHOLE}:
                raise Wrong(f"{self._unit.name}: an index is no {found}")
            return f"[{value}]", self._library.elements[kind]
        field = str(tree.children[0])
        if field not in self._library.fields.get(kind, {}):
            raise Wrong(f"{self._unit.name}: {kind} has no {field}")
        if kind in self._library.units and self._library.units[kind].variables[field].section != "VAR_OUTPUT":
            raise Wrong(f"{self._unit.name}: {field} is not an output of {kind}")
        return f".{field}", self._library.fields[kind][field]

    def _expression(self, tree: object) -> tuple[str, str]:
        """The Python of an expression, and its type."""
        assert isinstance(tree, Tree)
        if tree.data == "number":
            return str(literal(tree)), WHOLE
        if tree.data in {"boolean", "negation", "conjunction", "disjunction"}:
            return self._logic(tree), "BOOL"
        special = {"place": self._place, "call": self._call, "convert": self._convert}
        return special.get(tree.data, self._operation)(tree)

    def _logic(self, tree: Tree[Token]) -> str:
        if tree.data == "boolean":
            return str(tree.children[0]).capitalize()
        if tree.data == "negation":
            return f"(not {self._condition(tree.children[0])})"
        left, right = map(self._condition, tree.children)  # both are worked out: none may lean on the other
        return f"({left} {'&' if tree.data == 'conjunction' else '|'} {right})"

    def _operation(self, tree: Tree[Token]) -> tuple[str, str]:
        first, token, second = tree.children
        operator = OPERATORS.get(str(token).upper(), str(token))
        (left, kind), (right, other) = self._expression(first), self._expression(second)
        kind = other if kind == WHOLE else kind
        if kind == WHOLE:
            raise Wrong(f"{self._unit.name}: {left} {token} {right} has no type; write its value")
        text = f"{self._as(kind, left, self._expression(first)[1])} {operator} {self._as(kind, right, other)}"
        if tree.data == "equality":
            return f"({text})", "BOOL"
        if kind not in MOST:
            raise Wrong(f"{self._unit.name}: {text} has no order")
        return (f"({text})", "BOOL") if tree.data == "comparison" else (f"{kind.lower()}({text})", kind)

    def _call(self, tree: Tree[Token]) -> tuple[str, str]:
        name = str(tree.children[0])
        function = self._library.units.get(name)
        if function is None or not function.result:
            raise Wrong(f"{self._unit.name}: there is no function {name} before its use")
        given = self._arguments(tree)
        if {*given} != {*function.of("VAR_INPUT", "VAR_IN_OUT")}:
            raise Wrong(f"{self._unit.name}: {name} takes {function.of('VAR_INPUT', 'VAR_IN_OUT')}")
        handed = [f"{each}={self._as(function.variables[each].type, *value)}" for each, value in given.items()]
        return f"{name}({', '.join(handed)})", function.result

    def _convert(self, tree: Tree[Token]) -> tuple[str, str]:
        name, expression = tree.children
        if str(name) not in CONVERSIONS:
            raise Wrong(f"{self._unit.name}: {name} is no conversion that is known here")
        source, target = CONVERSIONS[str(name)]
        return f"{target.lower()}({self._as(source, *self._expression(expression))})", target


def literal(tree: object) -> int:
    """The value of a number."""
    assert isinstance(tree, Tree)
    text = str(tree.children[0])
    return int(text[3:], 16) if text.startswith("16#") else int(text)


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (each for each in tree.children if isinstance(each, Tree))


def _refuse_reserved(tree: Tree[Token]) -> None:
    for token in tree.scan_values(lambda value: isinstance(value, Token) and value.type == "NAME"):
        known = token.upper() in ELEMENTARY
        if token.upper() in RESERVED and not known:
            raise Wrong(f"line {token.line}: {token} is a word of the language")
