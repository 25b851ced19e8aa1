"""Why a file is no workbook that can be read, told by what its first bytes or its names show it to be."""

from collections.abc import Container
from typing import Final

from sorter.reasons import Sentence
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.tables import Unreadable

_OLD_WORKBOOK: Final = Sentence("旧格式的工作簿（.xls 或 .et）", "a workbook of the old kind (.xls or .et)")
_WORD: Final = Sentence("文字文档（Word 或 WPS 文字）", "a text document (Word or WPS Writer)")
_SLIDES: Final = Sentence("演示文稿", "a presentation")
_BINARY_WORKBOOK: Final = Sentence("二进制工作簿（.xlsb）", "a binary workbook (.xlsb)")
_OPEN_DOCUMENT: Final = Sentence("OpenDocument 文件（如 .ods）", "an OpenDocument file (such as .ods)")
_ARCHIVE: Final = Sentence("压缩包", "an archive")
_PDF: Final = Sentence("PDF 文件", "a PDF file")
_PICTURE: Final = Sentence("图片", "a picture")
_PAGE: Final = Sentence("网页或 XML 文件", "a web page or an XML file")
_TEXT: Final = Sentence("文本文件（如 CSV）", "a text file (such as CSV)")
_STRANGE: Final = Sentence("别的文件", "some other kind of file")
_EMPTY: Final = Sentence("空文件", "an empty file")


def damaged(where: str | Sentence) -> Unreadable:
    """A workbook that breaks off, or says what cannot be."""
    return refusal(WorkbookMistake.CUT_OFF, where=where)


def refusal(mistake: WorkbookMistake, **facts: object) -> Unreadable:
    """What is raised of a workbook that cannot be read."""
    return Unreadable(mistake.about(**facts))


_MAGIC: Final = (
    (b"%PDF", _PDF),
    (b"\xff\xd8\xff", _PICTURE),
    (b"\x89PNG", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"BM", _PICTURE),
    (b"Rar!", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"<", _PAGE),
    (b"{\\rtf", _WORD),
)
_OLE: Final = b"\xd0\xcf\x11\xe0"


def no_workbook(data: bytes) -> Unreadable:
    """Why bytes that do not begin as an .xlsx are none."""
    if data.startswith(_OLE):
        if _ole_name("EncryptedPackage") in data:
            return refusal(WorkbookMistake.PASSWORD)
        return refusal(WorkbookMistake.NO_WORKBOOK, what=_WORD if _ole_name("WordDocument") in data else _OLD_WORKBOOK)
    head = data.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head:
        return refusal(WorkbookMistake.NO_WORKBOOK, what=_EMPTY)
    known = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    return refusal(WorkbookMistake.NO_WORKBOOK, what=known or (_STRANGE if b"\0" in data[:4096] else _TEXT))


def _ole_name(name: str) -> bytes:
    return name.encode("utf-16-le")


def archive_kind(names: Container[str]) -> Sentence:
    """What a zip with these parts is that is no .xlsx."""
    kinds = {
        "xl/workbook.bin": _BINARY_WORKBOOK,
        "word/document.xml": _WORD,
        "ppt/presentation.xml": _SLIDES,
        "mimetype": _OPEN_DOCUMENT,
    }
    return next((kind for name, kind in kinds.items() if name in names), _ARCHIVE)
