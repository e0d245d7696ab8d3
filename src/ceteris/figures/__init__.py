"""All figures of a study in the order of a report: every file here holds information, drawing and caption of its figures."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ceteris.analysis.results import Results
from ceteris.figures.candidates import candidate_figures
from ceteris.figures.class_results import class_figures, confusion_figures
from ceteris.figures.curves import curve_figures, residual_figure
from ceteris.figures.data import data_figures
from ceteris.figures.dynamics import dynamics_figures
from ceteris.figures.effects import effects_figures
from ceteris.figures.explanations import explanation_figures
from ceteris.figures.images import prediction_figures
from ceteris.figures.improvement import ablation_figures, improvement_figure
from ceteris.figures.insights import insight_figures
from ceteris.figures.interactions import interaction_figures
from ceteris.figures.luck import luck_figure
from ceteris.figures.paper import paper_figures
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.results import cost_figure, gap_figure, results_figure
from ceteris.figures.search_path import search_path_figure, tuning_figures
from ceteris.formats import shortened

__all__ = ["FIGURES", "ReportFigure", "figures"]

# Each makes the figures of its topic; it yields nothing where the results do not allow them.
FIGURES: tuple[Callable[[Results], Iterator[ReportFigure]], ...] = (
    data_figures, improvement_figure, search_path_figure, effects_figures, tuning_figures, ablation_figures,
    interaction_figures, candidate_figures, curve_figures, gap_figure, results_figure, confusion_figures, class_figures,
    cost_figure, residual_figure, dynamics_figures, luck_figure, explanation_figures, prediction_figures,
    insight_figures, paper_figures,
)  # fmt: skip


def figures(results: Results, failed: Callable[[str, Exception], None] | None = None) -> Iterator[ReportFigure]:
    """Yield every figure that the results allow, each with the line that says whose study it is.

    ``failed`` is told which figures could not be prepared, and why; without it the error is raised.
    """
    line = identity(results)
    for drawn in FIGURES:
        try:
            for entry in drawn(results):
                yield replace(entry, identity=line)
        except Exception as error:
            if failed is None:
                raise
            failed(drawn.__name__.replace("_", " "), error)


def identity(results: Results) -> str:
    """Return author or group, study and date in one line, which stands on every figure; '' where nobody is named."""
    parts = ((results.people, 60), (results.label, 70), (results.date, 20)) if results.people else ()
    return "  ·  ".join(shortened(part, limit) for part, limit in parts if part)
