"""What every format of the report is made from: the findings, their evaluation, all tables, all figures drawn once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ceteris.analysis.results import ResultsInfo, results_info
from ceteris.figures import ReportFigure, figures
from ceteris.findings import StudyFindings
from ceteris.report.table import Table
from ceteris.report.tables import tables

DPI = 200


@dataclass(frozen=True, kw_only=True)
class DrawnPlate:
    """A figure with its drawings: SVG text and PNG bytes."""

    plate: ReportFigure
    svg: str
    png: bytes


@dataclass(frozen=True)
class Report:
    """The findings with everything that is derived from them once and used by several formats."""

    findings: StudyFindings
    results: ResultsInfo
    tables: tuple[Table, ...]
    drawn: tuple[DrawnPlate, ...]

    @cached_property
    def _tables_by_name(self) -> dict[str, Table]:
        return {table.name: table for table in self.tables}

    def table(self, name: str) -> Table:
        """Return one table by its name."""
        return self._tables_by_name[name]

    def tables_about(self, *names: str) -> list[Table]:
        """Return the named tables that this study has, and that have rows."""
        return [found for name in names if (found := self._tables_by_name.get(name)) is not None and found.rows]

    def figures(self, section: str, model: str | None = None) -> list[DrawnPlate]:
        """Return the figures of a section, those of one model ('' for all models together) where asked for."""
        return [
            entry
            for entry in self.drawn
            if entry.plate.section == section and (model is None or entry.plate.model == model)
        ]

    def figure(self, name: str) -> DrawnPlate | None:
        """Return one figure by its name, None where the findings do not allow it."""
        return next((entry for entry in self.drawn if entry.plate.name == name), None)


def compose(findings: StudyFindings, progress: Callable[[str], None] | None = None) -> Report:
    """Evaluate the finals, build the tables and draw every figure once."""
    results = results_info(findings)
    drawn = []
    for entry in figures(findings, results):
        if progress is not None:
            progress(f"drawing {entry.name}")
        svg, png = entry.rendered(dpi=DPI)
        drawn.append(DrawnPlate(plate=entry, svg=svg, png=png))
    return Report(findings=findings, results=results, tables=tables(findings, results), drawn=tuple(drawn))
