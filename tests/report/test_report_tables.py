"""Tables: full precision and deterministic as CSV, rounded for people, complete for whoever repeats the run."""

import csv
import io
import re
from dataclasses import fields, replace

import numpy as np
import pytest
from tests.example_findings import example_findings

from ceteris import recipe
from ceteris.analysis.results import Results, finished, results_of
from ceteris.findings import LevelTest, Reference, StatedResult, StudyFindings
from ceteris.recipe import Recipe
from ceteris.report import Table, tables
from ceteris.report.table import columns, readable
from ceteris.report.tables import described, flattened, references


@pytest.fixture(scope="module")
def by_name(results: Results) -> dict[str, Table]:
    return {table.name: table for table in tables(results)}


def _cells(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def test_csv_keeps_full_precision_and_empty_cells_for_what_is_missing() -> None:
    table = Table(
        name="t", title="T", columns=columns("name", ("share", "share"), ("n", "count"), ("yes", "flag")),
        rows=(("a,\"b\"\nc", 0.1 + 0.2, 3, True), ("é漢", float("nan"), None, False)),
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert rows == [
        ["name", "share", "n", "yes"],
        ['a,"b"\nc', "0.30000000000000004", "3", "yes"],
        ["é漢", "", "", "no"],
    ]


@pytest.mark.parametrize(
    ("cell", "kind", "text"),
    [
        (0.98765, "share", "98.77 %"),
        (0.0123, "points", "+1.23"),
        (-0.0123, "points", "−1.23"),
        (-0.00000001, "points", "0.00"),
        (0.0004, "p", "< 0.001"),
        (0.0416, "p", "0.042"),
        (1234567, "count", "1,234,567"),
        (None, "share", "–"),
        (float("nan"), "points", "–"),
        (float("inf"), "number", "–"),
        (True, "flag", "yes"),
        (0.968, "area", "0.9680"),
        ("sgd", "text", "sgd"),
    ],
)
def test_cells_as_people_read_them(cell: str | float | None, kind: str, text: str) -> None:
    assert readable(cell, kind) == text  # type: ignore[arg-type]


def test_tables_are_the_same_for_equal_findings(by_name: dict[str, Table]) -> None:
    again = {table.name: table.csv() for table in tables(results_of(example_findings()))}
    assert again == {name: table.csv() for name, table in by_name.items()}


def test_only_the_tables_of_costs_hold_what_changes_from_run_to_run(findings: StudyFindings) -> None:
    slower = tuple(
        replace(final, cost=replace(final.cost, train_seconds=99.0, peak_memory_bytes=1)) if final.cost else final
        for final in findings.finals
    )
    other_day = replace(
        findings, finals=slower, date="2031-01-01", wall_seconds=1.0, training_seconds=2.0,
        looks=(replace(findings.looks[0], date="2031-01-01"),), machine={"device": "cuda"},
    )  # fmt: skip
    before, after = (
        {table.name: table.csv() for table in tables(results_of(made)) if table.exported}
        for made in (findings, other_day)
    )
    assert {name for name in before if before[name] != after[name]} == {"costs", "costs_study"}


def test_factor_tables_hold_every_fold_and_every_comparison(findings: StudyFindings, by_name: dict[str, Table]) -> None:
    for model in findings.models:
        rows = iter(_cells(by_name[f"factors_{model.name}"]))
        for factor in model.factors:
            for level in factor.levels:
                row = next(rows)
                assert (row["factor"], row["level"]) == (factor.title, level.tuned_label)
                folds = [float(row[f"fold {number}"] or "nan") for number in range(1, 6)]
                np.testing.assert_array_equal(folds, level.accuracies)
                if level.comparison:
                    assert float(row["difference"]) == level.comparison.difference
                    assert row["verdict"] == level.comparison.verdict
        assert next(rows, None) is None


def test_test_results_stand_with_interval_and_every_seed(
    findings: StudyFindings, results: Results, by_name: dict[str, Table]
) -> None:
    rows = _cells(by_name["test_results"])
    assert len(rows) == 7
    for row in rows:
        assert float(row["low"]) < float(row["accuracy"]) < float(row["high"])
        assert float(row["AUC low"]) < float(row["AUC"]) <= float(row["AUC high"])
    assert len(by_name["test_results_by_seed"].rows) == len(findings.finals)


def test_comparisons_on_the_test_set_count_seeds_and_images_and_are_adjusted_for_all_pairs(
    findings: StudyFindings, by_name: dict[str, Table]
) -> None:
    rows = _cells(by_name["model_comparisons"])
    assert len(rows) == 3 + 1 + 3  # against the baselines, the ResNet without shortcuts, the models with each other
    row = next(row for row in rows if (row["first"], row["second"]) == ("MLP, best", "ResNet, best"))
    right = [
        np.array(
            [final.probabilities.argmax(axis=1) == findings.test_labels for final in finished(findings, name, "best")]
        )
        for name in ("mlp", "resnet")
    ]
    differences = right[1].astype(float) - right[0]
    by_image = differences.mean(axis=0).var(ddof=1) / differences.shape[1]
    by_seed = differences.mean(axis=1).var(ddof=1) / len(differences)
    low, high = float(row["low"]), float(row["high"])
    assert float(row["second minus first"]) == pytest.approx(differences.mean())
    assert low < differences.mean() - 1.9 * np.sqrt(by_image + by_seed)
    assert high > differences.mean() + 1.9 * np.sqrt(by_image + by_seed)
    assert all(float(row["p"]) <= float(row["adjusted p"]) for row in rows)


def test_stated_results_stand_beside_those_of_here(findings: StudyFindings, by_name: dict[str, Table]) -> None:
    level = findings.models[1].factors[0].levels[0]
    stated = Reference(
        source="a paper",
        results=(
            StatedResult(model="cnn", accuracy=0.897),
            StatedResult(model="cnn", factor=findings.models[1].factors[0].name, level=level.label, accuracy=0.88),
            StatedResult(model="cnn", factor="pruning", level="on", accuracy=0.5),
        ),
    )
    tested = LevelTest(
        factor=findings.models[1].factors[0].name, label=level.label, digest="0" * 64, status="finished", accuracy=0.87
    )
    models = (findings.models[0], replace(findings.models[1], level_tests=(tested,)), *findings.models[2:])
    of_model, of_level, nowhere = references(results_of(replace(findings, models=models, references=(stated,)))).rows
    test = next(row for row in by_name["test_results"].rows if row[:2] == (findings.models[1].title, "best"))
    assert of_model[3:] == (0.897, None, *test[3:6], "a paper")
    assert of_level[3:6] == (0.88, level.mean, 0.87)
    assert nowhere[1:] == ("pruning", "on", 0.5, None, None, None, None, "a paper")
    assert "references" not in by_name  # of a study that names none


def test_confusion_tables_count_every_test_image(findings: StudyFindings, by_name: dict[str, Table]) -> None:
    rows = _cells(by_name["confusion_cnn"])
    counts = np.array([[int(row[name]) for name in findings.data.classes] for row in rows])
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(findings.test_labels, minlength=10))


def test_recipes_list_every_hyperparameter_with_its_default() -> None:
    made = Recipe(
        model=recipe.CNN(), optimizer=recipe.Adam(), augmentation=(recipe.Shift(), recipe.Rotate(degrees=7.0))
    )
    parts = dict(flattened(made))
    for field in fields(recipe.Adam):
        assert f"optimizer.{field.name}" in parts or field.name == "kind"
    assert parts["optimizer"] == "adam"
    assert parts["optimizer.epsilon"] == "1e-08"
    assert parts["augmentation[2].degrees"] == "7.0"
    assert parts["model.pool_after"] == "automatic"
    assert parts["model.activation"] == "relu"
    assert parts["epochs"] == "10"


@pytest.mark.parametrize(
    "kind",
    [kind for place in ("optimizer", "schedule", "activation", "augmentation") for kind in recipe.CHOICES[place]],
)
def test_every_choice_can_be_named_in_short(kind: type) -> None:
    assert described(kind()).startswith(kind().kind)


def test_structures_stand_side_by_side(by_name: dict[str, Table]) -> None:
    rows = {row["property"]: row for row in _cells(by_name["models"])}
    assert rows["structure"]["CNN, baseline"].startswith("filters 32, 64; kernels 3×3, 3×3")
    assert rows["optimizer"]["MLP, baseline"] == "sgd (lr 0.05)"
    assert "shift (fraction 0.1), rotate (degrees 8)" in rows["augmentation"]["ResNet, best"]


def test_failures_name_what_diverged(findings: StudyFindings, by_name: dict[str, Table]) -> None:
    rows = _cells(by_name["failures"])
    assert {row["model"] for row in rows} == {"MLP", "CNN", "ResNet"}
    assert all("diverged" in row["what happened"] for row in rows)
    broken = replace(findings.finals[0], status="failed", error="out of memory")
    made = tables(results_of(replace(findings, finals=(broken, *findings.finals[1:]))))
    failures = next(table for table in made if table.name == "failures")
    assert "out of memory" in failures.csv()


def test_the_note_on_the_data_stands_in_its_description(findings: StudyFindings) -> None:
    noted = replace(findings, data=replace(findings.data, note="not the official split", warnings=("few images",)))
    text = next(table for table in tables(results_of(noted)) if table.name == "data").csv()
    assert "not the official split" in text
    assert "few images" in text


def test_a_table_shows_itself_in_a_notebook_with_its_words_escaped() -> None:
    table = Table(name="t", title="<T>", columns=columns("<c>"), rows=(("<script>",),))
    shown = table._repr_html_()
    assert not re.search(r"<(T|c|script)>", shown)
    assert "&lt;script&gt;" in shown


def test_only_keeps_the_named_columns_in_their_order() -> None:
    table = Table(name="t", title="T", columns=columns("a", "b", "c"), rows=(("1", "2", "3"),))
    assert table.only("c", "a", "unknown").rows == (("1", "3"),)
