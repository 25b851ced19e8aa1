"""A rule set as people have it, a folder of CSV or one workbook, becomes the same sheets."""

from pathlib import Path

from sorter.rulebook.books.template import without_examples
from sorter.rulebook.books.workbook import Book, read_workbook
from sorter.rulebook.tables import read_folder


def read_tables(path: Path) -> Book:
    """The tables of a folder or an .xlsx, what is wrong with them, and what is worth a look.

    A template's example rows are none of theirs, whatever the template was saved as.
    """
    if path.is_file():
        return read_workbook(path)
    sheets, faults = read_folder(path)
    return Book({table: without_examples(sheet) for table, sheet in sheets.items()}, faults, [])
