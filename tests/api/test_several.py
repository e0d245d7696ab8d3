"""One study on several data sets: one study for each, and one report over all."""

from pathlib import Path

import pytest

import ceteris
from ceteris.errors import ConfigError
from ceteris.planning.dry_run import dry_run
from ceteris.report.side_by_side import side_by_side, side_by_side_page, side_by_side_pdf
from ceteris.study import parse_study
from ceteris.study.files import parse_studies
from tests.study.example_study import example_context

TWO = """
name = "two"
title = "Two sets"
data = ["mnist", "pictures/my set"]
[models.mlp]
model = "mlp"
epochs = 5
[on.my-set]
final.epochs = 9
models.mlp.epochs = 7
"""


def test_a_study_for_each_data_set_with_its_own_changes() -> None:
    studies = parse_studies(TWO)
    assert {name: (study.name, study.data, study.title) for name, study in studies.items()} == {
        "mnist": ("two-mnist", "mnist", "Two sets · mnist"),
        "my-set": ("two-my-set", "pictures/my set", "Two sets · my-set"),
    }
    assert [study.models[0].recipe.epochs for study in studies.values()] == [5, 7]
    assert [study.final.epochs for study in studies.values()] == [0, 9]
    set_by_hand = parse_studies(TWO, ["mlp.epochs=2", "data=digits"][:1])
    assert [study.models[0].recipe.epochs for study in set_by_hand.values()] == [2, 2]
    alone = parse_study(TWO.partition("[on")[0], ["data=digits"])
    assert (alone.name, alone.data) == ("two", "digits")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TWO.replace("[on.my-set]", "[on.my-sett]"), 'Did you mean "my-set"'),
        (TWO.partition("[on")[0].replace("pictures/my set", "other/mnist"), "different names"),
        (TWO.replace('"mnist", ', "3, "), "list of names or paths"),
    ],
)
def test_data_sets_that_cannot_be_told_apart_are_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_studies(text)
    with pytest.raises(ConfigError, match="one is needed here"):
        parse_study(TWO)


def test_nothing_but_final_trainings_is_planned_for_a_model_as_given() -> None:
    context = example_context(factors=())
    stages = dry_run(context).stages
    assert {stage.kind for stage in stages} == {"final"}
    assert sum(len(stage.trials) for stage in stages) == context.study.final.seeds * len(context.study.models)


def test_results_stand_side_by_side_on_page_and_pdf(finished: ceteris.Result, tmp_path: Path) -> None:
    typst = pytest.importorskip("typst")
    results = {"one": finished.results, "two & more": finished.results}
    table = side_by_side(results)
    assert len(table.rows) == len(finished.results.versions)
    assert [column.title for column in table.columns][2::4] == ["one: accuracy", "two & more: accuracy"]
    assert table.rows[0][2] == table.rows[0][6] == finished.results.versions[0].mean("accuracy")
    page = side_by_side_page("<Two>", results)
    assert "&lt;Two&gt;" in page
    assert 'src="two%20%26%20more/report.html"' in page
    (tmp_path / "one.typ").write_text("a page")
    pdf = side_by_side_pdf("Two", results, dict.fromkeys(results, typst.compile(str(tmp_path / "one.typ"))))
    assert pdf.startswith(b"%PDF")
