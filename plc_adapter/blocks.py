"""The two blocks of the mailbox, word by word. What is written here is what is sent: the structs are made of it."""

from struct import Struct
from typing import Final, Literal, NamedTuple

Type = Literal["UINT", "UDINT"]  # IEC 61131-3: 16 and 32 bits

RING: Final = 8
HEAD_WORDS: Final = 16
PLACE_WORDS: Final = 8
BLOCK_WORDS: Final = HEAD_WORDS + RING * PLACE_WORDS
FORMATS: Final[dict[Type, str]] = {"UINT": "H", "UDINT": "I"}
WORDS: Final[dict[Type, int]] = {"UINT": 1, "UDINT": 2}


class Field(NamedTuple):
    """One number in a block."""

    name: str
    type: Type
    meaning: str


class Part(NamedTuple):
    """Fields one after the other, and zeros up to `words`."""

    words: int
    fields: tuple[Field, ...]

    def struct(self) -> Struct:
        """The part as bytes, high byte first."""
        used = sum(WORDS[field.type] for field in self.fields)
        return Struct(">" + "".join(FORMATS[field.type] for field in self.fields) + "xx" * (self.words - used))

    def placed(self) -> list[tuple[int, Field]]:
        """Each field with its first word."""
        word = 0
        found = []
        for field in self.fields:
            found.append((word, field))
            word += WORDS[field.type]
        return found


PLC_HEAD: Final = Part(
    HEAD_WORDS,
    (
        Field("mark", "UDINT", "16#48530001: a mailbox of layout 1"),
        Field("epoch", "UDINT", "new at each start of the PLC, never 0 and never one it had before"),
        Field("host_epoch", "UINT", "the host's epoch as last taken over"),
        Field("heartbeat", "UINT", "another value in each scan"),
        Field("head", "UDINT", "number of the last report since the epoch began"),
        Field("tail", "UINT", "low word of the number of the last report the host acknowledged"),
        Field("taken", "UINT", "low word of the number of the last order the PLC took"),
        Field("line_state", "UINT", "0 stopped, 1 running, 2 fault"),
        Field("clock", "UINT", "low word of a millisecond counter"),
    ),
)

REPORT: Final = Part(
    PLACE_WORDS,
    (
        Field("seq", "UINT", "low word of the report's number"),
        Field("kind", "UINT", "5 item, 7 discharge, 8 chute"),
        Field("item", "UDINT", "the PLC's number of the parcel; 0 for a chute"),
        Field("point", "UINT", "of an item the induct, otherwise the chute"),
        Field("value", "UINT", "discharge: 0 dropped, 1 passed, 2 lost; chute: 0 open, 1 full, 2 blocked, 3 changing"),
        Field("stamp", "UINT", "the clock when it happened"),
        Field("seq_copy", "UINT", "seq again, written last"),
    ),
)

HOST_HEAD: Final = Part(
    HEAD_WORDS,
    (
        Field("mark", "UDINT", "16#48530001: a mailbox of layout 1"),
        Field("epoch", "UDINT", "the PLC's epoch as last read; the PLC ignores the block when it differs"),
        Field("host_epoch", "UINT", "new at each start of the adapter, never 0"),
        Field("heartbeat", "UINT", "another value in each write"),
        Field("head", "UINT", "low word of the number of the last order since the host epoch began"),
        Field("tail", "UINT", "low word of the number of the last report acknowledged"),
        Field("state", "UINT", "0 away: alive without a daemon, expect no orders; 1 deciding"),
    ),
)

ORDER: Final = Part(
    PLACE_WORDS,
    (
        Field("seq", "UINT", "low word of the order's number"),
        Field("item", "UDINT", "the PLC's number of the parcel"),
        Field("chute", "UINT", "where it is to drop"),
        Field("alternate", "UINT", "where to drop it when that chute is blocked or changing; 65535 none"),
        Field("left", "UINT", "ms left to act on it, as of this write; 0 too late, do nothing"),
        Field("reason", "UINT", "why: the sorter's reason code"),
        Field("seq_copy", "UINT", "seq again, written last"),
    ),
)
