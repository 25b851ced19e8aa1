"""The mailbox as the PLC's programmer needs it: each field of blocks.py with its address in the line's dialect.

`python -m plc_adapter.layout > plc_adapter/MAILBOX.md` writes the page of it anew.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from plc_adapter import mailbox
from plc_adapter.blocks import (
    BLOCK_WORDS,
    HEAD_WORDS,
    HOST_HEAD,
    ORDER,
    PLACE_WORDS,
    PLC_HEAD,
    REPORT,
    RING,
    WORDS,
    Field,
    Part,
)
from plc_adapter.mailbox import WordOrder
from plc_adapter.settings import S7, Modbus, OpcUa, Plc

Writer = Literal["plc", "host"]
Address = Callable[[int, int], str]  # (first word, words) of a field -> where it is

PARTS: Final[dict[Writer, tuple[Part, str, Part]]] = {
    "plc": (PLC_HEAD, "report", REPORT),
    "host": (HOST_HEAD, "order", ORDER),
}
MADE: Final = """\
Made from `plc_adapter/blocks.py`; make it anew with `python -m plc_adapter.layout > plc_adapter/MAILBOX.md`.
`plc-adapter layout --site DIR` shows the same with the addresses of your PLC.
A program that does all this is in [structured_text](structured_text/README.md)."""
MODBUS_SHORT: Final = 9_999  # registers that 4xxxx can name; beyond them it is 4xxxxx


class Row(NamedTuple):
    """One field and where it is."""

    writer: Writer
    name: str  # within the ring `report[n].seq`: number n mod 8
    type: str  # UINT 16 bits, UDINT 32 bits
    word: int  # the first of it, counted from the block's beginning
    address: str  # in the dialect; "" without one
    meaning: str


def rows(plc: Plc | None = None) -> list[Row]:
    """Every field of both blocks, with the addresses of this PLC."""
    return [
        Row(writer, name, field.type, word, address(word, WORDS[field.type]), field.meaning)
        for writer in PARTS
        for address in [addresses(plc, writer)]
        for name, word, field in _fields(writer)
    ]


def _fields(writer: Writer) -> Iterator[tuple[str, int, Field]]:
    head, ring, place = PARTS[writer]
    for word, field in head.placed():
        yield field.name, word, field
    for number in range(RING):
        for word, field in place.placed():
            yield f"{ring}[{number}].{field.name}", HEAD_WORDS + number * PLACE_WORDS + word, field


def addresses(plc: Plc | None, writer: Writer) -> Address:
    """How this PLC names the words of a block."""
    if isinstance(plc, Modbus):
        return _modbus(plc.reports_at if writer == "plc" else plc.orders_at)
    if isinstance(plc, S7):
        place = (plc.reports_db, plc.reports_at) if writer == "plc" else (plc.orders_db, plc.orders_at)
        return _s7(*place, plc.word_order)
    if isinstance(plc, OpcUa):
        return _opcua(plc.reports_node if writer == "plc" else plc.orders_node)
    return lambda _word, _words: ""


def _modbus(at: int) -> Address:
    def address(word: int, words: int) -> str:
        registers = [str(at + word + each) for each in range(words)]
        names = [_register(at + word + each) for each in range(words)]
        return f"{'-'.join(registers)} ({'-'.join(names)})"

    return address


def _register(register: int) -> str:
    # Modbus Application Protocol V1.1b3 counts registers from 0 in a request and from 1 in the data model.
    return f"{40_001 + register}" if register < MODBUS_SHORT else f"{400_001 + register}"


def _s7(db: int, at: int, word_order: WordOrder) -> Address:
    def address(word: int, words: int) -> str:
        byte = at + 2 * word
        if words == 1:
            return f"DB{db}.DBW{byte}"
        return f"DB{db}.DBD{byte}" if word_order == "big" else f"DB{db}.DBW{byte}+DBW{byte + 2}"

    return address


def _opcua(node: str) -> Address:
    def address(word: int, words: int) -> str:
        return f"{node}[{word}]" if words == 1 else f"{node}[{word}..{word + words - 1}]"

    return address


def note(plc: Plc | None) -> str:
    """What to mind when the blocks are made in this PLC."""
    first = "high" if plc is None or plc.word_order == "big" else "low"
    order = f"A UDINT is two words, {first} word first"
    if plc is None:
        return f'{order}, or low word first with word_order = "little" in site.toml.'
    if isinstance(plc, Modbus):
        return f"{order}. Holding registers counted from 0, in brackets as 4xxxx counted from 1; high byte first."
    if isinstance(plc, S7):
        unlike = "" if first == "high" else ", unlike a UDINT of the PLC's own: declare two UINT"
        return f"{order}{unlike}. High byte first, as S7 stores it. The data blocks are not optimised, PUT/GET allowed."
    return f"{order}. Each block is one variable, an array of {BLOCK_WORDS} UInt16, indices from 0."


def table(plc: Plc | None) -> str:
    """All fields as lines of text, columns aligned."""
    shown = [("word", "type", "name", "address", "meaning")]
    shown += [(str(row.word), row.type, f"{row.writer}.{row.name}", row.address, row.meaning) for row in rows(plc)]
    kept = [column for column in range(5) if any(line[column] for line in shown[1:])]
    widths = {column: max(len(line[column]) for line in shown) for column in kept}
    return "\n".join("  ".join(line[column].ljust(widths[column]) for column in kept).rstrip() for line in shown)


def markdown() -> str:
    """The page for whoever writes the PLC's program."""
    rules = (mailbox.__doc__ or "").partition("How it is used:\n")[2].strip()
    parts = [
        "# The mailbox, word by word",
        MADE,
        f"Each side owns a block of {BLOCK_WORDS} words of 16 bits that the other only reads. {note(None)}",
        f"Words up to {HEAD_WORDS - 1} that are not named are 0.",
        *(_page_of(writer, title) for writer, title in _TITLES.items()),
        "## How it is used\n\n" + rules,
    ]
    return "\n\n".join(parts) + "\n"


_TITLES: Final[dict[Writer, str]] = {
    "plc": "The PLC's block: the PLC writes it, the host reads it",
    "host": "The host's block: the host writes it, the PLC reads it",
}


def _page_of(writer: Writer, title: str) -> str:
    head, ring, place = PARTS[writer]
    starts = ", ".join(str(HEAD_WORDS + number * PLACE_WORDS) for number in range(RING))
    return "\n".join(
        [
            f"## {title}",
            "",
            *_markdown_table("word", head),
            "",
            f"Then {RING} places of {PLACE_WORDS} words: {ring} number n is at place n mod {RING}.",
            f"The places begin at the words {starts}.",
            "",
            *_markdown_table(f"word of a place with the {ring}", place),
        ]
    )


def _markdown_table(first: str, part: Part) -> list[str]:
    lines = [f"| {first} | type | name | meaning |", "| --- | --- | --- | --- |"]
    for word, field in part.placed():
        span = f"{word}" if WORDS[field.type] == 1 else f"{word}-{word + 1}"
        lines.append(f"| {span} | {field.type} | {field.name} | {field.meaning} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(markdown())
