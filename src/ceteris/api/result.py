"""What a study gives back: its findings, as tables and figures."""

from dataclasses import dataclass
from pathlib import Path

from ceteris.findings import StudyFindings
from ceteris.store import read_findings


@dataclass(frozen=True)
class Result:
    """The findings of a study and the folder that holds its report."""

    findings: StudyFindings
    folder: Path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"


def open_result(folder: str | Path) -> Result:
    """Return the result that lies in a folder written by a study.

    Raises:
        StoreError: when there is none, or it is damaged.
    """
    place = Path(folder)
    return Result(findings=read_findings(place), folder=place)
