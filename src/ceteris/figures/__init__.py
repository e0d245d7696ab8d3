"""All figures of a study in the order of a report: every file here holds information, drawing and caption of its figures."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

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
    """Yield every figure that the findings allow; ``results`` are the evaluated finals, where the caller has them already."""
    evaluated, line = results or results_info(findings), identity(findings)
    parts = [data_figures(findings.data), improvement_figure(findings), search_path_figure(findings)]
    for model in findings.models:
        parts += [effects_figures(findings, model), tuning_figure(model), ablation_figure(findings, model)]
        parts += [interaction_figures(findings, model), candidate_figures(model)]
    parts.append(curve_figures(findings))
    if evaluated.summaries:
        best, classes = evaluated.best, findings.data.classes
        parts += [gap_figure(evaluated), results_figure(evaluated), confusion_figures(best, classes)]
        parts += [class_figures(best, classes), cost_figure(findings, evaluated)]
    parts += [residual_figure(findings), explanation_figures(findings), prediction_figures(findings)]
    for entry in chain.from_iterable(parts):
        yield replace(entry, identity=line)
