"""All figures of a study in the order of a report: every file here holds information, drawing and caption of its figures."""

from collections.abc import Iterator
from dataclasses import replace

from ceteris.analysis.finals import identity
from ceteris.analysis.results import ResultsInfo, results_info
from ceteris.figures.candidates import candidate_figures
from ceteris.figures.class_results import class_figures, confusion_figures
from ceteris.figures.curves import curve_figures, residual_figure
from ceteris.figures.data import data_figures
from ceteris.figures.effects import effects_figures
from ceteris.figures.explanations import explanation_figures
from ceteris.figures.images import prediction_figures
from ceteris.figures.improvement import ablation_figure, improvement_figure
from ceteris.figures.interactions import interaction_figures
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.results import cost_figure, gap_figure, results_figure
from ceteris.figures.search_path import search_path_figure, tuning_figure
from ceteris.findings import StudyFindings

__all__ = ["ReportFigure", "figures"]


def figures(findings: StudyFindings, results: ResultsInfo | None = None) -> Iterator[ReportFigure]:
    """Yield every figure that the findings allow; what was not recorded is left out.

    Args:
        findings: what the study found.
        results: the evaluated finals, where the caller has them already.
    """
    line = identity(findings)
    for entry in _figures(findings, results or results_info(findings)):
        yield replace(entry, identity=line)


def _figures(findings: StudyFindings, results: ResultsInfo) -> Iterator[ReportFigure]:
    yield from data_figures(findings.data)
    yield from improvement_figure(findings)
    yield from search_path_figure(findings)
    for model in findings.models:
        yield from effects_figures(findings, model)
        yield from tuning_figure(model)
        yield from ablation_figure(findings, model)
        yield from interaction_figures(findings, model)
        yield from candidate_figures(model)
    yield from curve_figures(findings)
    if results.summaries:
        yield from gap_figure(results)
        yield from results_figure(results)
        yield from confusion_figures(results.best, findings.data.classes)
        yield from class_figures(results.best, findings.data.classes)
        yield from cost_figure(findings, results)
    yield from residual_figure(findings)
    yield from explanation_figures(findings)
    yield from prediction_figures(findings)
