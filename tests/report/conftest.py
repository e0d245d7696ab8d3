"""A small study with hostile names, composed once for the tests of all documents."""

from dataclasses import replace

import pytest
from tests.example_findings import example_findings

from ceteris.analysis.results import results_of
from ceteris.findings import StudyFindings
from ceteris.report import Report, compose

HOSTILE = '#panic() $x$ *b* _i_ <script>alert(1)</script> 漢字 \\ @x `y` [z] {{ 7*7 }} "q" // /* €'


@pytest.fixture(scope="session")
def small() -> StudyFindings:
    """A study of one model, quick to draw, in which every name tries to be markup."""
    made = example_findings(models=("resnet",), factors=2, seeds=1, title=HOSTILE)
    factor = replace(
        made.models[0].factors[0],
        title=HOSTILE,
        question=HOSTILE,
        levels=(replace(made.models[0].factors[0].levels[0], label=HOSTILE), *made.models[0].factors[0].levels[1:]),
    )
    model = replace(made.models[0], title=HOSTILE[:40], factors=(factor, *made.models[0].factors[1:]))
    data = replace(
        made.data, note="not the official split", classes=("<b>", "$", "#", "_", "*", "漢", "\\", "{{", "%", "@")
    )
    return replace(made, author=HOSTILE, question=HOSTILE, models=(model,), data=data, study_text=HOSTILE)


@pytest.fixture(scope="session")
def report(small: StudyFindings) -> Report:
    return compose(results_of(small))
