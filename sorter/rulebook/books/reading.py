"""A rule set as people have it, a folder of CSV or one workbook, becomes the same sheets."""

from pathlib import Path

from sorter.rulebook.books.workbook import Book, read_workbook
from sorter.rulebook.tables import read_folder


def read_tables(path: Path) -> Book:
    """The tables of a folder or an .xlsx, what is wrong with them, and what is worth a look."""
    return read_workbook(path) if path.is_file() else Book(*read_folder(path), [])
