"""A day in words and pictures, from plain figures: nothing here reads the ledger or counts an item."""

from sorter.report.figures import Latency, number
from sorter.report.plain_text import text
from sorter.report.web_page import page

__all__ = ["Latency", "number", "page", "text"]
