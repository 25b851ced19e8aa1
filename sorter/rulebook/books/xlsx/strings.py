"""A stored text becomes what the person sees: without reading aids, without escapes."""

import re
from typing import Final

from sorter.rulebook.books.xlsx.bounds import Budget
from sorter.rulebook.books.xlsx.parts import Attributes, Part
from sorter.rulebook.tables import shown


class SharedStrings(Part):
    """The shared texts, each made plain once: a file may point a million cells at one long text."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.texts: list[str] = []
        self.parts: list[str] = []
        self.is_phonetic = False

    def begin(self, name: str, attributes: Attributes) -> None:  # noqa: ARG002 # the attributes of a text are layout
        if name == "si":
            self.parts = []
        elif name == "rPh":
            self.is_phonetic = True
        elif name == "t" and not self.is_phonetic:
            self.keep = self.parts

    def finish(self, name: str) -> None:
        if name == "t":
            self.keep = None
        elif name == "rPh":
            self.is_phonetic = False
        elif name == "si":
            self.texts.append(seen("".join(self.parts)))


_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def seen(text: str) -> str:
    """A stored text as the person sees it: `_x000D_` is a carriage return, `_x005F_` an underscore.

    What is no character, NUL or half a pair, becomes U+FFFD. UNSEEN: something, and nothing to see.
    """
    if "_x" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\0", "\ufffd")
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return shown(text)
