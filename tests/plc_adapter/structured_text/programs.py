"""The PLC's programs, run two ways that must not differ: as Python (translate.py), and as matiec compiles them.

matiec (https://github.com/beremiz/matiec) is no part of this project. Where MATIEC names the folder it was
built in (by .ci/matiec), what it compiles is tested as well; without it those tests are skipped.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, Protocol

import pytest

import plc_adapter
from tests.plc_adapter.structured_text.translate import ELEMENTARY, Library

SOURCES: Final = Path(plc_adapter.__file__).parent / "structured_text"
BENCH: Final = Path(__file__).parent / "mailbox_bench.st"
MATIEC: Final = Path(os.environ.get("MATIEC", ""))


class Program(Protocol):
    """A program in its PLC. Its variables are read and written by name; arrays and structures are live."""

    def __getitem__(self, name: str) -> Any:
        """A variable of the program."""

    def __setitem__(self, name: str, value: Any) -> None:
        """Write a variable of the program."""

    def start(self) -> None:
        """Switch the PLC off and on: only what is RETAIN stays."""

    def scan(self) -> None:
        """Run the program once."""


Maker = Callable[[str], Program]  # by the program's name


@cache
def text() -> str:
    """Every program of this tree, one after the other."""
    files = [SOURCES / "hub_sorter_mailbox.st", SOURCES / "example_line.st", BENCH]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@cache
def library() -> Library:
    """The programs in Python."""
    return Library(text())


def retained(name: str) -> list[str]:
    """The variables of a program that a restart keeps."""
    return [each for each, variable in library().units[name].variables.items() if variable.retained]


class Translated:
    """A program in Python."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.memory = library().memory[name]()
        library().start(self.memory, name)

    def __getitem__(self, name: str) -> Any:
        return getattr(self.memory, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.memory, name, value)

    def start(self) -> None:
        """Switch the PLC off and on."""
        kept = {name: self[name] for name in retained(self._name)}
        self.memory = library().memory[self._name]()
        library().start(self.memory, self._name)
        for name, value in kept.items():
            self[name] = value

    def scan(self) -> None:
        """Run the program once."""
        library().bodies[self._name](self.memory)


DRIVER: Final = """
#include "POUS.h"
#include "POUS.c"
TIME __CURRENT_TIME;
BOOL __DEBUG;
"""
ENTRY: Final = """
unsigned long {name}_size(void) {{ return sizeof({upper}); }}
void {name}_start({upper} *it) {{ {upper}_init__(it, 0); }}
void {name}_scan({upper} *it) {{ {upper}_body__(it); }}
"""
PLACE: Final = "void *{name}_{variable}({upper} *it) {{ return &it->{place}.value; }}\n"


def variables(name: str) -> dict[str, Any]:
    """The variables of a program that are no function blocks, and their layouts."""
    of = library()
    return {each: of.memory[kind] for each, kind in of.fields[name].items() if kind not in of.units}


@cache
def compiled() -> ctypes.CDLL:
    """The programs as matiec and gcc make them. Raises CalledProcessError with their words on stderr."""
    folder = Path(mkdtemp())
    try:
        (folder / "all.st").write_text(text(), encoding="utf-8")
        command = [str(MATIEC / "iec2c"), "-I", str(MATIEC / "lib"), "-T", str(folder), str(folder / "all.st")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        driver = DRIVER
        for name in ("MailboxBench", "HubSorterExample"):
            driver += ENTRY.format(name=name, upper=name.upper())
            for each in variables(name):
                driver += PLACE.format(name=name, upper=name.upper(), variable=each, place=each.upper())
        (folder / "driver.c").write_text(driver, encoding="utf-8")
        command = ["gcc", "-w", "-O1", "-shared", "-fPIC", "-I", str(MATIEC / "lib/C"), "driver.c", "-o", "all.so"]
        subprocess.run(command, cwd=folder, check=True)
        return ctypes.CDLL(str(folder / "all.so"))
    finally:
        shutil.rmtree(folder)


class Compiled:
    """A program in machine code."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._memory = ctypes.create_string_buffer(self._function("size", ctypes.c_ulong)())
        self._function("start")(self._memory)
        self._places = {
            each: layout.from_address(self._function(each, ctypes.c_void_p)(self._memory))
            for each, layout in variables(name).items()
        }

    def _function(self, name: str, result: Any = None) -> Any:
        function = getattr(compiled(), f"{self._name}_{name}")
        function.restype = result
        return function

    def __getitem__(self, name: str) -> Any:
        place = self._places[name]
        return place.value if type(place) in ELEMENTARY.values() else place

    def __setitem__(self, name: str, value: Any) -> None:
        place = self._places[name]
        if type(place) in ELEMENTARY.values():
            place.value = value
        else:
            ctypes.memmove(ctypes.addressof(place), ctypes.addressof(value), ctypes.sizeof(place))

    def start(self) -> None:
        """Switch the PLC off and on."""
        kept = {name: self[name] for name in retained(self._name)}
        ctypes.memset(self._memory, 0, len(self._memory))
        self._function("start")(self._memory)
        for name, value in kept.items():
            self[name] = value

    def scan(self) -> None:
        """Run the program once."""
        self._function("scan")(self._memory)


needs_matiec = pytest.mark.skipif(not (MATIEC / "iec2c").exists(), reason="needs matiec")
both = pytest.mark.parametrize(
    "make", [pytest.param(Translated, id="python"), pytest.param(Compiled, id="matiec", marks=needs_matiec)]
)
