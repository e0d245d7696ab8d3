"""Sentences: made from the numbers, and never more than the verdicts say."""

from dataclasses import replace

import numpy as np
import pytest
from tests.example_findings import example_findings
from tests.tiny_trials import tiny_trial

from ceteris.analysis.results import Results, results_of
from ceteris.findings import FinalFinding, OwnWords, StudyFindings
from ceteris.records import Float32Array, HoldoutSplit
from ceteris.report import words
from ceteris.report.words import judgements


def _with_curves(final: FinalFinding, train: float, validation: float) -> FinalFinding:
    assert final.epochs is not None
    epochs = replace(final.epochs, train_accuracy=np.full(20, train), validation_accuracy=np.full(20, validation))
    return replace(final, epochs=epochs, validation_accuracy=validation)


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        (0.99, 0.90, "it overfits:"),
        (0.99, 0.97, "it overfits slightly"),
        (0.99, 0.985, "no sign of overfitting"),
        (0.80, 0.79, "a sign of underfitting"),
    ],
)
def test_the_gap_between_training_and_validation_is_put_into_words(
    findings: StudyFindings, train: float, validation: float, expected: str
) -> None:
    finals = tuple(
        _with_curves(final, train, validation) if (final.model, final.version) == ("cnn", "best")
        else _with_curves(final, 0.985, 0.98)
        for final in findings.finals
    )  # fmt: skip
    made = replace(findings, finals=finals)
    text = words.fit_sentences(results_of(made))[1]
    assert expected.rstrip(":") in text.split("The best version")[1]
    assert f"{100 * train:.2f} %" in text


def test_a_loss_that_is_much_larger_in_validation_is_told_though_the_accuracy_is_not(findings: StudyFindings) -> None:
    finals = tuple(
        replace(_with_curves(final, 0.5, 0.98), clean_train_accuracy=0.985, clean_train_loss=0.01)
        for final in findings.finals
    )
    results = results_of(replace(findings, finals=finals))
    assert "the loss overfits" in words.fit_sentences(results)[0]
    assert results.models[0].versions[0].train_accuracy == pytest.approx(0.985)  # not the running 0.5
    equal = results_of(replace(findings, finals=tuple(replace(final, clean_train_loss=9.0) for final in finals)))
    assert "no sign of overfitting" in words.fit_sentences(equal)[0]


def test_a_baseline_that_is_delivered_though_options_were_taken_is_told_with_what_was_measured(
    results: Results,
) -> None:
    model = results.models[1]
    assert model.confirmation is not None
    back = replace(model, best=model.baseline, confirmation=replace(model.confirmation, delivered="baseline"))
    assert "The baseline is delivered" in words.improvement_sentence(back)
    told = words.improvement_summary(replace(results, models=(back,)))
    assert "the baseline stays; what was chosen: improvement +0.27 points, not shown" in told
    assert "against its baseline" not in words.conclusions(replace(results, models=(back,)))[0]


def test_the_answer_ranks_the_models_and_names_what_won(findings: StudyFindings, results: Results) -> None:
    text = words.answer(results)
    accuracies = {s.title: s.mean("accuracy") for s in results.versions if s.version == "best"}
    ranked = sorted(accuracies, key=lambda title: -accuracies[title])
    assert [text.index(f"({title})") for title in ranked] == sorted(text.index(f"({title})") for title in ranked)
    for model in findings.models:
        for factor in model.factors:
            assert factor.winner is None or f"{factor.title} {factor.winner.tuned_label}" in text


def test_without_a_winner_the_answer_says_that_the_baselines_stand(findings: StudyFindings) -> None:
    models = tuple(
        replace(
            model,
            best=model.baseline,
            factors=tuple(
                replace(factor, levels=tuple(replace(level, chosen=level.incumbent) for level in factor.levels))
                for factor in model.factors
            ),
        )
        for model in findings.models
    )
    assert "so the baselines stand" in words.answer(results_of(replace(findings, models=models)))
    tuned = tuple(replace(made, best=model.best) for made, model in zip(models, findings.models, strict=True))
    text = words.answer(results_of(replace(findings, models=tuned)))
    assert "numbers tuned inside the settings that stayed" in text
    assert "baselines stand" not in text


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "not been looked at"), (1, "once, after all choices"), (3, "3 times")]
)
def test_the_number_of_looks_is_stated(findings: StudyFindings, count: int, expected: str) -> None:
    assert expected in words.looks_sentence(results_of(replace(findings, looks=findings.looks * count)))


def _answers(labels: Float32Array, wrong: int) -> Float32Array:
    answers: Float32Array = np.eye(10, dtype=np.float32)[labels.astype(int)]
    answers[:wrong] = np.roll(answers[:wrong], 1, axis=1)
    return answers


@pytest.mark.parametrize(("wrong", "shown"), [(60, True), (2, False)])
def test_a_difference_on_the_test_set_is_claimed_only_where_the_test_shows_one(
    findings: StudyFindings, wrong: int, shown: bool
) -> None:
    labels = findings.test_labels.astype(np.float32)
    finals = tuple(
        replace(final, probabilities=_answers(labels, wrong if final.version == "baseline" else 0))
        for final in findings.finals
    )
    made = replace(findings, finals=finals)
    assert ("no effect shown" in words.conclusions(results_of(made))[0]) == (not shown)


def test_options_of_which_nothing_was_shown_are_counted(findings: StudyFindings, results: Results) -> None:
    open_ones = sum(
        level.comparison.verdict == "undecided"
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        if level.comparison
    )
    assert open_ones > 0
    assert any(text.startswith(f"Nothing was shown of {open_ones} of ") for text in words.conclusions(results))


def test_every_judgement_is_the_extreme_of_a_measured_number(results: Results) -> None:
    judged = {entry.model: entry for entry in judgements(results)}
    assert any("fewest parameters (13,000)" in pro for pro in judged["mlp"].pros)
    assert any("most parameters (70,000)" in con for con in judged["resnet"].cons)
    told_apart = "cannot tell" not in words.apart_sentence(results)
    best = max(results.best, key=lambda version: version.mean("accuracy"))
    assert any(pro.startswith("highest test accuracy") for pro in judged[best.model].pros) == told_apart


def test_one_model_alone_is_neither_best_nor_worst() -> None:
    alone = example_findings(models=("mlp",), factors=1, seeds=1)
    [judged] = judgements(results_of(alone))
    assert judged.pros == judged.cons == ()


def test_without_finals_nothing_is_claimed_about_the_test_set(findings: StudyFindings) -> None:
    results = results_of(replace(findings, finals=()))
    assert "no test result" in words.answer(results)
    assert all("no final training" in text for text in words.conclusions(results)[:3])
    assert judgements(results) == []


def test_the_abstract_of_a_quick_look_says_so_first(findings: StudyFindings) -> None:
    assert words.abstract(results_of(replace(findings, form="quick"))).startswith("This is a quick look")
    assert "quick look" not in words.abstract(results_of(findings))


def test_the_final_trainings_are_said_to_see_the_images_that_they_see(findings: StudyFindings) -> None:
    trial = tiny_trial(split=HoldoutSplit(fraction=0.1, seed=0, images=123))
    drawn = tuple(replace(final, trial=trial) for final in findings.finals)
    told = words.conditions_sentence(results_of(replace(findings, exploration_images=60, finals=drawn)))
    assert told.endswith("epochs on 123 images.")


def test_questions_of_study_and_factors_are_not_repeated_as_words_of_the_authors(findings: StudyFindings) -> None:
    asked = OwnWords(question="Why?", hypothesis="So.")
    models = tuple(
        replace(model, words=asked, factors=tuple(replace(factor, words=asked) for factor in model.factors))
        for model in findings.models
    )
    results = results_of(replace(findings, words=asked, models=models))
    labels = [model.label for model in results.models]
    factors = dict.fromkeys(factor.label for model in results.models for factor in model.factors)
    assert words.own_texts(results, "question") == [(f"{label}, question", "Why?") for label in labels]
    assert [place for place, _ in words.own_texts(results, "hypothesis")] == [
        "hypothesis", *(f"{place}, hypothesis" for place in (*labels, *factors))
    ]  # fmt: skip
