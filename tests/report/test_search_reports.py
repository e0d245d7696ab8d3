"""What the report says about the search: the improvement, budgets, tuning, what is open, and every strategy's tables."""

import base64
import csv
import io
import json
import re
import zlib
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.example_findings import example_findings
from tests.example_searches import KINDS, Kind, search_findings

from ceteris.analysis.results import ModelResults, Results, results_of
from ceteris.figures import figures
from ceteris.figures.report_figure import to_svg
from ceteris.findings import FactorFinding, LevelFinding, StudyFindings, Verdict
from ceteris.report import DrawnFigure, Report, Table, html_report, pdf_report, tables, words
from ceteris.report.notebook import unexecuted
from ceteris.report.search_words import confirmation_sentence, search_text, strategy_words
from ceteris.report.words import (
    budget_sentences,
    command,
    improvement_in_short,
    improvement_sentence,
    improvement_summary,
    saved_sentence,
    to_decide_sentences,
)

OWN_TABLES: dict[Kind, set[str]] = {
    "one-at-a-time": {"tuning", "tuning_values"},
    "leave-one-out": {"tuning", "tuning_values", "worth"},
    "factorial": {"interactions", "candidates_cnn"},
    "joint": {"candidates_cnn"},
    "halving": {"candidates_cnn"},
    "race": {"tuning", "tuning_values"},
}


@pytest.fixture(scope="module")
def searches() -> dict[Kind, StudyFindings]:
    """One study per strategy, without final trainings."""
    return {kind: search_findings(kind, finals=False) for kind in KINDS}


def _report(findings: StudyFindings) -> Report:
    """The report with one small drawing in the place of every figure of the search: how they look is tested elsewhere."""
    figure = Figure(figsize=(2, 1))
    svg = to_svg(figure)
    results = results_of(findings)
    drawn = tuple(
        DrawnFigure(figure=entry, svg=svg, png=b"")
        for entry in figures(results)
        if entry.section == "exploration" and not entry.columns  # the page shows no figure of the paper
    )
    return Report(results, tables(results), drawn)


def _only(findings: StudyFindings) -> ModelResults:
    return results_of(findings).models[0]


def _cells(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.csv())))


def _table(findings: StudyFindings, name: str) -> Table:
    return next(table for table in tables(results_of(findings)) if table.name == name)


# ---------------------------------------------------------------------------------------------------------------------
# The improvement


def test_only_the_difference_on_fresh_seeds_is_called_the_improvement(results: Results) -> None:
    for model in results.models:
        assert model.confirmation is not None
        assert confirmation_sentence(model.confirmation) in improvement_sentence(model)
    text = improvement_summary(results)
    assert re.search(r"MLP improvement \+1\.17 points, shown", text)
    assert re.search(r"CNN improvement \+0\.\d\d points, not shown", text)
    assert "ResNet worse than its baseline" in text


def test_a_baseline_that_stayed_the_best_has_no_improvement(results: Results) -> None:
    model = results.models[0]
    stayed = replace(model, best=model.baseline, confirmation=None)
    assert "baseline stayed the best" in improvement_sentence(stayed)
    assert improvement_in_short(stayed) == "the baseline stays"
    assert "nothing improved" in improvement_summary(replace(results, models=(stayed,)))


def test_a_gain_that_was_not_measured_again_is_called_optimistic_and_unconfirmed(findings: StudyFindings) -> None:
    unconfirmed = replace(findings.models[0], confirmation=None)
    one = replace(findings, models=(unconfirmed,), finals=(), explanations=())
    text = improvement_sentence(_only(one))
    assert "optimistic" in text
    assert "unconfirmed" in text
    assert not re.search(r"[+−]\d", text)
    row = _cells(_table(one, "improvement"))[0]
    assert (row["improvement"], row["verdict"]) == ("", "unconfirmed")


def test_the_table_of_improvements_holds_the_means_of_the_fresh_blocks(findings: StudyFindings) -> None:
    for row, model in zip(_cells(_table(findings, "improvement")), findings.models, strict=True):
        assert model.confirmation is not None
        assert float(row["baseline"]) == pytest.approx(model.confirmation.baseline.mean())
        assert float(row["best"]) == pytest.approx(model.confirmation.best.mean())
        assert float(row["improvement"]) == pytest.approx(float(row["best"]) - float(row["baseline"]))


def test_improvement_and_answer_stand_before_everything_else_of_the_page(searches: dict[Kind, StudyFindings]) -> None:
    html = html_report(_report(searches["joint"]))
    summary = html[html.index('<section id="summary">') : html.index('<section id="data">')]
    assert summary.index("on new splits") < summary.index("What is taken")
    assert "figure-improvement" in summary
    assert "figure-history-cnn" in summary


# ---------------------------------------------------------------------------------------------------------------------
# Every strategy


@pytest.mark.parametrize("kind", KINDS)
def test_every_strategy_is_told_with_its_own_words_figures_and_tables(
    kind: Kind, searches: dict[Kind, StudyFindings]
) -> None:
    made = searches[kind]
    report = _report(made)
    html = html_report(report)
    for drawn in report.drawn:
        assert html.count(f'id="figure-{drawn.figure.name}"') == 1
    assert strategy_words(made.models).name in html
    assert ("greedy" in re.sub(r"<[^>]+>", " ", html)) == (kind == "leave-one-out")
    own = {"tuning", "tuning_values", "worth", "interactions", "candidates_cnn"}
    assert {table.name for table in report.tables} & own == OWN_TABLES[kind]
    assert search_text(made.models[0]) in unescape(html)
    if kind == "leave-one-out":
        assert pdf_report(report).paper.startswith(b"%PDF")


@pytest.mark.parametrize("kind", KINDS)
def test_the_notebook_asks_for_tables_that_it_has(
    kind: Kind, searches: dict[Kind, StudyFindings], tmp_path: Path
) -> None:
    cells = [cell.source for cell in unexecuted(results_of(searches[kind]), tmp_path).cells if cell.cell_type == "code"]
    [packed] = [source for source in cells if source.startswith("#@title")]
    known: dict[str, Any] = {"json": json, "zlib": zlib, "base64": base64}
    exec(packed, known)
    asked = set(re.findall(r'^show\(["\'](\w+)["\']\)', "\n".join(cells), re.MULTILINE))
    assert {"models", "what_helped", "test_results", "costs"} <= asked <= known["STORED"]["tables"].keys()
    for source in cells:
        compile(source, "cell", "exec")


def test_the_limits_of_a_strategy_are_told_once(searches: dict[Kind, StudyFindings]) -> None:
    made = searches["race"]
    assert html_report(_report(made)).count(strategy_words(made.models).limits) == 1


def test_a_search_over_everything_at_once_is_summed_up_instead_of_counted() -> None:
    made = search_findings("joint")
    text = words.answer(results_of(made))
    assert "CNN: 40 recipes were tried" in text
    assert "No technique was explored" not in text


def _as_verdict(level: LevelFinding, verdict: Verdict) -> LevelFinding:
    assert level.comparison is not None
    return replace(level, chosen=True, comparison=replace(level.comparison, verdict=verdict))


def test_an_option_that_is_taken_without_being_shown_is_no_clear_winner() -> None:
    made = example_findings(models=("mlp",), factors=1, seeds=1)
    factor = made.models[0].factors[0]
    levels = (replace(factor.levels[0], chosen=False), _as_verdict(factor.levels[1], "equivalent"))
    cheaper = replace(made, models=(replace(made.models[0], factors=(replace(factor, levels=levels),)),))
    text = words.answer(results_of(cheaper))
    assert "0 of 1 gave a clear winner" in text


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def test_candidates_stand_with_all_their_settings_and_blocks(searches: dict[Kind, StudyFindings]) -> None:
    made = searches["joint"]
    rows = _cells(_table(made, "candidates_cnn"))
    for row, candidate in zip(rows, made.models[0].candidates, strict=True):
        assert {name: row[name] for name, _ in candidate.settings} == dict(candidate.settings)
        blocks = [float(row[f"fold {number}"] or "nan") for number in range(1, 6)]
        np.testing.assert_array_equal(blocks, candidate.accuracies)
        assert row["fate"] == candidate.status
    assert sum(row["chosen"] == "yes" for row in rows) == 1


def test_every_tuned_value_is_in_a_table(findings: StudyFindings) -> None:
    rows = _cells(_table(findings, "tuning_values"))
    tuned = [entry for m in findings.models for f in m.factors for level in f.levels for entry in level.tuning]
    assert len(rows) == sum(len(entry.values) for entry in tuned)
    assert sum(row["chosen"] == "yes" for row in rows) == len(tuned)
    edges = {row["level"] for row in _cells(_table(findings, "tuning")) if row["at the edge"] == "yes"}
    assert edges == {"muon"}


def test_the_table_of_worth_turns_the_sign(searches: dict[Kind, StudyFindings]) -> None:
    rows = {row["choice"]: row for row in _cells(_table(searches["leave-one-out"], "worth"))}
    assert float(rows["Optimizer"]["worth"]) > 0
    assert rows["Optimizer"]["verdict"] == "worth it"
    assert rows["A factor with a long title"]["verdict"] == "harms"


def test_interactions_name_factors_and_levels(searches: dict[Kind, StudyFindings]) -> None:
    made = searches["factorial"]
    rows = _cells(_table(made, "interactions"))
    assert len(rows) == len(made.models[0].interactions)
    assert {row["first factor"] for row in rows} == {"Optimizer", "Batch normalisation"}


def test_levels_of_a_race_stand_with_the_blocks_they_were_trained_on(searches: dict[Kind, StudyFindings]) -> None:
    made = searches["race"]
    rows = _cells(_table(made, "factors_cnn"))
    levels = [level for factor in made.models[0].factors for level in factor.levels]
    assert [int(row["blocks trained"]) for row in rows] == [level.blocks_trained for level in levels]
    assert all(row["block 25"] == "" for row in rows if int(row["blocks trained"]) < 25)


# ---------------------------------------------------------------------------------------------------------------------
# Budgets and what is open


def _with_epochs(factor: FactorFinding, epochs: tuple[int, ...], flops: tuple[int, ...]) -> ModelResults:
    levels = tuple(
        replace(level, effort=replace(level.effort, trials=5, epochs=epochs[place], training_flops=flops[place]))
        for place, level in enumerate(factor.levels)
    )
    return replace(_only(example_findings(models=("mlp",), factors=0)), factors=(replace(factor, levels=levels),))


@pytest.mark.parametrize(
    ("epochs", "flops", "expected"),
    [
        ((100, 100, 100, 100), (10, 10, 10, 10), "Within every comparison all arms were given the same"),
        ((100, 300, 100, 100), (10, 30, 10, 10), "unequal budgets. step was given 5 trainings with 300 epochs in all"),
        ((100, 100, 100, 100), (10, 10, 25, 10), "cosine takes 2.5 times the operations of none"),
    ],
)
def test_unequal_budgets_are_named(
    findings: StudyFindings, epochs: tuple[int, ...], flops: tuple[int, ...], expected: str
) -> None:
    [told] = budget_sentences(_with_epochs(findings.models[0].factors[0], epochs, flops))
    assert expected in told


def test_the_budgets_of_all_arms_are_in_a_table_of_costs(findings: StudyFindings) -> None:
    rows = _cells(_table(findings, "costs_effort"))
    levels = [level for m in findings.models for f in m.factors for level in f.levels]
    assert [int(row["trainings"]) for row in rows] == [level.effort.trials for level in levels]
    assert {row["of these tuning"] for row in rows if row["factor"] == "Optimizer"} == {"5"}


def test_a_race_says_which_share_of_the_trainings_it_saved(searches: dict[Kind, StudyFindings]) -> None:
    model = _only(searches["race"])
    done = sum(level.blocks_trained for _, level in model.levels())
    text = saved_sentence(model)
    assert f"saved 81 trainings, {100 * 81 / (81 + done):.0f} %" in text
    assert saved_sentence(replace(model, trainings_saved=0)) == ""


def test_what_is_open_is_told_with_the_blocks_and_the_command_that_would_decide_it(results: Results) -> None:
    found = results.open
    assert found
    assert all(entry.comparison.verdict == "undecided" for entry in found)
    for entry in found:
        assert entry.trainings == 2 * 2 * entry.comparison.folds  # two repetitions of option and current setting
        assert entry.seconds > 0
        assert entry.matters == (abs(entry.comparison.expected_gain) > results.equivalence_margin / 2)
    assert len(next(table for table in tables(results) if table.name == "costs_to_decide").rows) == len(found)
    assert re.fullmatch(r"ceteris run STUDY --until-decided --budget \d+[mh]", command(results))
    first, second = to_decide_sentences(results)
    assert first.startswith(f"Nothing was shown of {len(found)} of ")
    assert "finds true differences above" in second


def test_where_everything_is_decided_nothing_is_said_about_more_training(findings: StudyFindings) -> None:
    def decided(level: LevelFinding) -> LevelFinding:
        if level.comparison is None:
            return level
        return replace(level, comparison=replace(level.comparison, verdict="worse", identical=False))

    models = tuple(
        replace(
            model,
            factors=tuple(replace(factor, levels=tuple(map(decided, factor.levels))) for factor in model.factors),
        )
        for model in findings.models
    )
    made = results_of(replace(findings, models=models))
    assert to_decide_sentences(made) == []
    assert command(made) == ""


def test_the_page_shows_what_would_decide_the_rest() -> None:
    made = example_findings(models=("mlp", "cnn"), factors=3, seeds=1)
    bare = results_of(replace(made, finals=(), explanations=(), residual=None))
    html = html_report(Report(bare, tables(bare), ()))
    assert ('id="outlook"' in html) == bool(bare.open)
    assert ("--until-decided" in html) == bool(command(bare))
    assert command(bare)
