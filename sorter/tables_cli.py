"""`sorter rules template`, `export`, `import`: the tables out to Excel or WPS, and back as the draft."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from sorter import publishing
from sorter.publish_cli import clock_of
from sorter.publishing import DRAFT
from sorter.reasons import Declined, Language, Sentence
from sorter.rulebook import Rejected
from sorter.rulebook.books import carrier_sheet, writing, zeros
from sorter.rulebook.books.reading import read_tables
from sorter.rulebook.books.workbook import Book
from sorter.rulebook.books.writing import Base
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import version
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import json_option, language_option, refusals, site_option, tell

WORKBOOK: Final = ".xlsx"
TEXT_SUFFIXES: Final = {".csv", ".txt", ".tsv"}

_TEMPLATE: Final = Sentence(
    "空白表格在 {path}；填好后用 sorter rules import {path}",
    "{path} is empty tables; fill them in, then: sorter rules import {path}",
)
_EXPORTED: Final = Sentence("{path} 里是方案 {plan} 的规则表", "{path} holds the tables of {plan}")
_IMPORTED: Final = Sentence(
    "已导入为草稿；用 sorter rules diff 看影响，sorter rules publish 启用",
    "imported as the draft; sorter rules diff shows what it does, sorter rules publish sorts by it",
)
_CHANGED: Final = Sentence(
    "{path} 导出以后，草稿又被改过；导入会丢掉那些改动。请重新导出再改，或确认要覆盖：--replace",
    "the draft was changed after {path} was exported, and importing would lose that. Export and edit again, or "
    "overwrite it knowingly: --replace",
)
_EXISTS: Final = Sentence("{path} 已经存在；换一个文件名", "{path} is there already; give another name")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@language_option
@json_option
def template(path: Path, language: Language, as_json: bool) -> None:
    """Write an .xlsx to fill in: headers, dropdowns, hints and an example row for each table."""
    with refusals(language):
        hold_new(path)
        writing.template(path, language)
    tell({"file": str(path)}, _TEMPLATE.about(path=path).told(language), as_json=as_json)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--plan", default=DRAFT, show_default=True, metavar="PLAN", help="draft, current, or a version.")
@site_option
@language_option
@json_option
def export(path: Path, plan: str, folder: Path, language: Language, as_json: bool) -> None:
    """Write the tables to PATH: one workbook if it ends with .xlsx, else a folder of CSV."""
    with refusals(language):
        site = load_site(folder)
        book = publishing.source(site, plan, clock_of(site))
        if book.faults:
            raise Rejected(book.faults)
        hold_new(path)
        if path.suffix.casefold() == WORKBOOK:
            draft = read_tables(site.rules).sheets
            writing.write_workbook(book.sheets, path, version=plan, language=language, draft=draft)
        else:
            writing.write_folder(book.sheets, path)
    tell({"path": str(path), "plan": plan}, _EXPORTED.about(path=path, plan=plan).told(language), as_json=as_json)


def hold_new(path: Path) -> None:
    """Raises Declined when there is something by that name."""
    if path.exists():
        raise Declined(_EXISTS.about(path=path))


@click.command(name="import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--carrier", default="", help="Whose sheet of 格口号 and 三段码 this is.")
@click.option("--replace", is_flag=True, help="Also when the draft was changed since, or codes lost zeros.")
@site_option
@language_option
@json_option
def bring(*, path: Path, carrier: str, replace: bool, folder: Path, language: Language, as_json: bool) -> None:
    """Make the tables of PATH the draft: an .xlsx, a folder of CSV, or a carrier's own sheet of 格口号 and 三段码.

    With any error nothing is imported.

    \b
    Example: sorter rules import table.xlsx
             sorter rules import 圆通格口.xlsx --carrier YTO
    """
    with refusals(language):
        site = load_site(folder)
        book = book_of(site, path, carrier, replace=replace)
        checked = check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults, site.places_mm)
        base = writing.base_version(path) if path.suffix.casefold() == WORKBOOK else None
        if base and not replace:
            hold_unchanged(site, path, base, book)
        if site.rules.suffix.casefold() == WORKBOOK:
            writing.write_workbook(book.sheets, site.rules, version=DRAFT, language=language)
        else:
            writing.write_folder(book.sheets, site.rules)
    found = {"findings": [finding.as_json(language) for finding in book.findings]}
    lines = [*(finding.told(language) for finding in book.findings), _IMPORTED.about().told(language)]
    tell({"plan": version(checked)} | found, "\n".join(lines), as_json=as_json)


def book_of(site: Site, path: Path, carrier: str, *, replace: bool = False) -> Book:
    """The tables of a file or folder; of a carrier's own sheet, the draft with that in it. Raises Rejected.

    Unless with `replace`, codes that lost the zeros of the draft's are faults.
    A workbook is a carrier's when it holds such a sheet and no table: its sheet may be called what it likes.
    """
    is_text = path.is_file() and path.suffix.casefold() in TEXT_SUFFIXES
    book = Book({}, [], []) if carrier or is_text else read_tables(path)
    if book.sheets or not (carrier or path.is_file()):
        faults = [] if replace else zeros.lost(book.sheets, read_tables(site.rules).sheets)
        return book._replace(faults=[*book.faults, *faults])
    taken, faults = carrier_sheet.read_carrier_sheet(path)
    if taken is None and not carrier:
        return read_tables(path) if is_text else book
    draft = read_tables(site.rules)
    if taken is None or faults or draft.faults:
        raise Rejected([*draft.faults, *faults])
    sheets, wrong = carrier_sheet.join(carrier, taken, draft.sheets, replace=replace)
    return Book(sheets, wrong, [])


def hold_unchanged(site: Site, path: Path, base: Base, book: Book) -> None:
    """Raises Declined when the draft was changed since the file was exported, and is not what it holds already."""
    if writing.digest(read_tables(site.rules).sheets) not in {base.digest, writing.digest(book.sheets)}:
        raise Declined(_CHANGED.about(path=path))
