"""The report of a study: figures and tables as files, an HTML page, a PDF of five pages, an executed notebook."""

from ceteris.report.content import DrawnFigure, Report, compose
from ceteris.report.html import html_report
from ceteris.report.notebook import notebook_report
from ceteris.report.pdf import pdf_report
from ceteris.report.table import Column, Table
from ceteris.report.tables import tables
from ceteris.report.write import FORMATS, Format, check_formats, write_report

__all__ = [
    "FORMATS",
    "Column",
    "DrawnFigure",
    "Format",
    "Report",
    "Table",
    "check_formats",
    "compose",
    "html_report",
    "notebook_report",
    "pdf_report",
    "tables",
    "write_report",
]
