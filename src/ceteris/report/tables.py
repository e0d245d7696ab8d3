"""Every table of a report, built from the findings alone; names that begin with "costs" hold times and memory."""

from ceteris.analysis.results import ResultsInfo, results_info
from ceteris.findings import StudyFindings
from ceteris.report.budgets import effort
from ceteris.report.data_tables import class_counts, data_description, layers
from ceteris.report.exploration_tables import factors, what_helped
from ceteris.report.improvement import improvement
from ceteris.report.outlook import to_decide
from ceteris.report.provenance_tables import (
    costs,
    costs_of_exploration,
    costs_of_study,
    failures,
    looks,
    machine,
    packages,
)
from ceteris.report.recipes import recipes, structures
from ceteris.report.result_tables import (
    class_metrics,
    confusions,
    metrics_by_seed,
    metrics_on_test,
    model_comparisons,
    training_fit,
)
from ceteris.report.search_tables import search_tables
from ceteris.report.table import Table


def tables(findings: StudyFindings, results: ResultsInfo | None = None) -> tuple[Table, ...]:
    """Return all tables in the order of the report.

    Args:
        findings: what the study found.
        results: the evaluated finals, where the caller has them already.
    """
    evaluated = results or results_info(findings)
    return (
        data_description(findings),
        class_counts(findings),
        structures(findings),
        *layers(findings),
        improvement(findings),
        what_helped(findings),
        *factors(findings),
        *search_tables(findings),
        metrics_on_test(evaluated),
        metrics_by_seed(evaluated),
        model_comparisons(findings),
        class_metrics(findings, evaluated),
        *confusions(findings, evaluated),
        training_fit(evaluated),
        recipes(findings),
        looks(findings),
        packages(findings),
        machine(findings),
        failures(findings),
        costs(findings),
        costs_of_exploration(findings),
        effort(findings),
        to_decide(findings),
        costs_of_study(findings),
    )
