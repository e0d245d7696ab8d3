"""What a study gives back: its findings, as tables and figures."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from ceteris.errors import ConfigError, did_you_mean
from ceteris.figures import plates
from ceteris.findings import StudyFindings
from ceteris.report import Table, tables
from ceteris.store import read_findings


@dataclass(frozen=True)
class Result:
    """The findings of a study and the folder that holds its report; a notebook shows its main tables."""

    findings: StudyFindings
    folder: Path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @cached_property
    def tables(self) -> dict[str, Table]:
        """All tables of the report by name; each has ``.frame()`` (pandas), ``.rows`` and ``.csv()``."""
        return {table.name: table for table in tables(self.findings)}

    def table(self, name: str) -> Table:
        """Return one table by its name.

        Raises:
            ConfigError: when there is no table of that name.
        """
        if name not in self.tables:
            raise ConfigError(
                f'table: "{name}" is not known.{did_you_mean(name, self.tables)} Known: {", ".join(self.tables)}.'
            )
        return self.tables[name]

    def figure(self, name: str) -> Figure:
        """Draw one figure of the report by its name.

        Raises:
            ConfigError: when there is no figure of that name.
        """
        known = {plate.name: plate for plate in plates(self.findings)}
        if name not in known:
            raise ConfigError(f'figure: "{name}" is not known.{did_you_mean(name, known)} Known: {", ".join(known)}.')
        figure = Figure()
        known[name].draw(figure)
        return figure

    def _repr_html_(self) -> str:
        return "".join(self.table(name)._repr_html_() for name in ("what_helped", "test_results"))


def open_result(folder: str | Path) -> Result:
    """Return the result that lies in a folder written by a study.

    Raises:
        StoreError: when there is none, or it is damaged.
    """
    place = Path(folder)
    return Result(findings=read_findings(place), folder=place)
