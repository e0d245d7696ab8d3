"""What every format of the report is made from: the findings, their evaluation, all tables, all figures drawn once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from ceteris.analysis.results import ResultsInfo, results_info
from ceteris.figures import ReportFigure, figures
from ceteris.findings import StudyFindings
from ceteris.report.sections import Medium, Section, sections
from ceteris.report.table import Table
from ceteris.report.tables import tables

DPI = 200


@dataclass(frozen=True, kw_only=True)
class DrawnFigure:
    """A figure with its drawings: SVG text and PNG bytes."""

    figure: ReportFigure
    svg: str
    png: bytes


@dataclass(frozen=True)
class Report:
    """The findings with everything that is derived from them once and used by several formats."""

    findings: StudyFindings
    results: ResultsInfo
    tables: tuple[Table, ...]
    drawn: tuple[DrawnFigure, ...]

    def sections(self, medium: Medium) -> list[Section]:
        """Return the sections with the blocks that a format shows, without sections that are empty then."""
        shown = [
            replace(section, blocks=tuple(block for block in section.blocks if medium in block.where))
            for section in self._sections
        ]
        return [section for section in shown if section.blocks]

    def drawing(self, figure: ReportFigure) -> DrawnFigure:
        """Return the drawing of a figure."""
        return self._drawn[figure.name]

    @cached_property
    def _sections(self) -> list[Section]:
        return sections(self.findings, self.results, [entry.figure for entry in self.drawn])

    @cached_property
    def _drawn(self) -> dict[str, DrawnFigure]:
        return {entry.figure.name: entry for entry in self.drawn}


def compose(findings: StudyFindings, progress: Callable[[str], None] | None = None) -> Report:
    """Evaluate the finals, build the tables and draw every figure once."""
    results = results_info(findings)
    drawn = []
    for entry in figures(findings, results):
        if progress is not None:
            progress(f"drawing {entry.name}")
        svg, png = entry.rendered(dpi=DPI)
        drawn.append(DrawnFigure(figure=entry, svg=svg, png=png))
    return Report(findings=findings, results=results, tables=tables(findings, results), drawn=tuple(drawn))
