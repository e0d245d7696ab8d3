"""What a report says of where the noise comes from: the numbers of the findings, and nothing where nobody asked."""

from dataclasses import replace

import numpy as np
import pytest

from ceteris.analysis.results import Results, results_of
from ceteris.figures import figures
from ceteris.findings import LuckSource, SourceOfLuck, StudyFindings
from ceteris.report.search_tables import luck
from ceteris.report.sections import Report
from ceteris.report.words import luck_sentence

DEVIATIONS: dict[LuckSource, float] = {
    "images": 0.011, "split": 0.016, "initialisation": 0.006, "order": 0.005, "tuning": 0.004, "all": 0.018,
}  # fmt: skip


def measured(findings: StudyFindings, deviations: dict[LuckSource, float]) -> Results:
    sources = tuple(
        SourceOfLuck(source=source, accuracies=np.full(5, 0.9), deviation=value, low=0.6 * value, high=2.9 * value)
        for source, value in deviations.items()
    )
    return results_of(replace(findings, models=tuple(replace(model, luck=sources) for model in findings.models)))


def test_the_largest_single_source_is_named_and_luck_alone_is_measured(findings: StudyFindings) -> None:
    text = luck_sentence(measured(findings, DEVIATIONS).models[0])
    assert "most noise comes from which images are held out (standard deviation 1.10 points)" in text
    assert "by 1.80 points (one standard deviation, 95 % interval 1.08 to 5.22)" in text
    assert "up to 4.99 points in 95 of 100 cases" in text  # 1.96 x sqrt(2) x 1.8


@pytest.mark.parametrize("deviations", [{"order": 0.0}, {"order": 0.004}, {}])
def test_less_is_said_where_less_is_known(findings: StudyFindings, deviations: dict[LuckSource, float]) -> None:
    text = luck_sentence(measured(findings, deviations).models[0])
    assert "95 of 100" not in text
    assert ("no source of luck moved" in text) == (not any(deviations.values()))


def test_section_table_and_figure_stand_only_where_the_study_asked(findings: StudyFindings, results: Results) -> None:
    asked = measured(findings, DEVIATIONS)
    assert [section.name for section in Report(asked, (), ()).sections if section.name == "luck"] == ["luck"]
    assert len(luck(asked.models).rows) == len(DEVIATIONS) * len(asked.models)
    assert "luck" in {entry.name for entry in figures(asked)}
    assert "luck" not in {section.name for section in Report(results, (), ()).sections}
    assert "luck" not in {entry.name for entry in figures(results)}
