"""Plain sentences made from the numbers: the answer first, and never more than the verdicts say."""

from itertools import pairwise

import numpy as np

from ceteris.analysis.finals import finished
from ceteris.analysis.metrics import most_confused
from ceteris.analysis.results import ResultsInfo, VersionResults
from ceteris.findings import FactorFinding, FactorPath, LevelFinding, ModelFinding, StudyFindings, Version
from ceteris.report.improvement import improvement_sentences, improvement_summary
from ceteris.report.search_words import search_text
from ceteris.stats import McNemarResult, mcnemar

LARGE_GAP = 0.03  # of accuracy: above it the training and validation part tell clearly different stories
SMALL_GAP = 0.01


def percent(share: float) -> str:
    """Write a share with two decimals."""
    return f"{100 * share:.2f} %"


def points(difference: float) -> str:
    """Write a difference of shares in percentage points with its sign and two decimals."""
    rounded = round(100 * difference, 2) + 0.0
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0.00"


def answer(findings: StudyFindings, results: ResultsInfo) -> str:
    """Give the study's answer in a few sentences."""
    best = [summary for summary in results.summaries if summary.version == "best"]
    if not best:
        nothing = "No final training finished, so there is no test result; the table of failures tells why."
        return " ".join(part for part in (nothing, improvement_summary(findings)) if part)
    ranked = sorted(best, key=lambda summary: -summary.mean("accuracy"))
    reached = _listed([f"{percent(summary.mean('accuracy'))} ({summary.title})" for summary in ranked])
    most = max(len(summary.results) for summary in best)
    seeds = f", mean over {most} seeds" if most > 1 else ""
    text = f"The best versions reach {reached} on the {results.images:,} test images{seeds}."
    parts = (text, improvement_summary(findings), _choices_sentence(findings), looks_sentence(findings))
    return " ".join(part for part in parts if part)


def _choices_sentence(findings: StudyFindings) -> str:
    """Say which settings were changed, and why; a search that varies all factors at once has a summary instead."""
    at_once = [model for model in findings.models if not isinstance(model.search, FactorPath)]
    if at_once:
        return " ".join(f"{model.label}: {search_text(model)}" for model in at_once)
    factors = [(model, factor) for model in findings.models for factor in model.factors]
    if not factors:
        return "No technique was explored."
    won = [(model, factor) for model, factor in factors if changed_level(factor) is not None]
    if not won:
        none_won = f"No level of the {len(factors)} factors explored won by more than the noise"
        if any(model.best != model.baseline for model in findings.models):
            return f"{none_won}; what differs from the baseline are numbers tuned inside the levels that stayed."
        return f"{none_won}, so the baselines stand."
    reason = _reason([factor for _, factor in won])
    return f"{len(won)} of {len(factors)} decisions changed a setting{reason}: {_by_model(won)}."


def _reason(won: list[FactorFinding]) -> str:
    verdicts = [
        level.comparison.verdict if level.comparison else None for factor in won if (level := changed_level(factor))
    ]
    better, cheaper = verdicts.count("better"), verdicts.count("equivalent")
    if better == len(won):
        return " because it won by more than the noise"
    reasons = [(better, "won by more than the noise"), (cheaper, "was equivalent and cheaper"),
               (len(won) - better - cheaper, "replaced one that did not finish")]  # fmt: skip
    return f" ({', '.join(f'{count} {text}' for count, text in reasons if count)})"


def _by_model(won: list[tuple[ModelFinding, FactorFinding]]) -> str:
    named: dict[str, list[str]] = {}
    for model, factor in won:
        named.setdefault(model.title or model.name, []).append(f"{_title(factor)} {_level(factor)}")
    return "; ".join(f"{model}: {', '.join(changes)}" for model, changes in named.items())


def changed_level(factor: FactorFinding) -> LevelFinding | None:
    """Return the level that replaced the incumbent, None when the incumbent stayed."""
    return next((level for level in factor.levels if level.chosen and not level.incumbent), None)


def _title(factor: FactorFinding) -> str:
    return factor.title or factor.name


def _level(factor: FactorFinding) -> str:
    level = changed_level(factor)
    return level.label if level else ""


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def looks_sentence(findings: StudyFindings) -> str:
    """Say how often the test set has been looked at."""
    count = len(findings.looks)
    if count == 0:
        return "The test set has not been looked at."
    if count == 1:
        return "The test set has been looked at once, after all choices were made."
    return (
        f"The test set has been looked at {count} times; every choice made after seeing an earlier look makes its numbers "
        "a little too good."
    )


def fit_sentence(findings: StudyFindings, results: ResultsInfo, model: ModelFinding) -> str:
    """Say what the gap between training and validation accuracy tells about over- and underfitting."""
    title = model.title or model.name
    parts = [
        _fit(summary, results)
        for version in ("baseline", "best")
        if (summary := results.of(model.name, version)) is not None
    ]
    return f"{title}: {' '.join(parts)}" if parts else f"{title}: no final training finished."


def _fit(summary: VersionResults, results: ResultsInfo) -> str:
    train, validation = summary.train_accuracy, summary.validation_accuracy
    gap = train - validation
    if not np.isfinite(gap):
        return f"the {summary.version} version has no recorded history."
    numbers = f"{percent(train)} in training and {percent(validation)} in validation, a gap of {points(gap)} points"
    highest = max(other.train_accuracy for other in results.summaries if np.isfinite(other.train_accuracy))
    if gap > LARGE_GAP:
        verdict = "it overfits"
    elif train < highest - LARGE_GAP:
        verdict = f"a sign of underfitting: another training here reaches {percent(highest)}"
    elif gap > SMALL_GAP:
        verdict = "it overfits slightly"
    else:
        verdict = "no sign of overfitting"
    return f"The {summary.version} version has {numbers}: {verdict}."


def comparison_on_test(
    findings: StudyFindings, first: tuple[str, Version], second: tuple[str, Version]
) -> McNemarResult | None:
    """Compare two versions of models on the same test images at their first common seed, second minus first."""
    mine = {final.seed: final for final in finished(findings, *first)}
    theirs = {final.seed: final for final in finished(findings, *second)}
    common = sorted(mine.keys() & theirs.keys())
    if not common:
        return None
    right = [
        final.probabilities.argmax(axis=1) == findings.test_labels for final in (mine[common[0]], theirs[common[0]])
    ]
    return mcnemar(*right)


def conclusions(findings: StudyFindings, results: ResultsInfo) -> list[str]:
    """State what follows from the numbers and what does not."""
    sentences = [_model_conclusion(findings, results, model) for model in findings.models]
    sentences += improvement_sentences(findings)
    sentences += _rankings(findings, results)
    sentences += _residual_conclusion(findings, results)
    undecided = sum(
        level.comparison is not None and level.comparison.verdict == "undecided"
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
    )
    if undecided:
        sentences.append(
            f"{undecided} of {_compared_levels(findings)} comparisons stay undecided: with {findings.folds} folds and "
            f"{findings.seeds} seed{'s' if findings.seeds > 1 else ''} the data neither show a difference nor exclude one "
            f"of {100 * findings.equivalence_margin:g} points."
        )
    sentences.append(looks_sentence(findings))
    if findings.data.note:
        sentences.append(f"All results hold for this data set: {findings.data.note.rstrip('.')}.")
    return sentences


def _compared_levels(findings: StudyFindings) -> int:
    return sum(
        level.comparison is not None for model in findings.models for factor in model.factors for level in factor.levels
    )


def _model_conclusion(findings: StudyFindings, results: ResultsInfo, model: ModelFinding) -> str:
    title = model.title or model.name
    best, baseline = results.of(model.name), results.of(model.name, "baseline")
    if best is None:
        return f"{title}: no final training of the best version finished."
    text = f"{title}: {percent(best.mean('accuracy'))} on the test set"
    if baseline is None:
        return f"{text}; its baseline has no test result."
    difference = best.mean("accuracy") - baseline.mean("accuracy")
    test = comparison_on_test(findings, (model.name, "baseline"), (model.name, "best"))
    return f"{text}, {points(difference)} points against its baseline {_significance(findings, test)}."


def _significance(findings: StudyFindings, test: McNemarResult | None) -> str:
    if test is None:
        return "(no common seed to compare)"
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.3f}"
    sure = "a difference" if test.p_value < findings.significance else "undecided"
    return f"({sure} on the same images by McNemar's test at the first seed, {p})"


def _rankings(findings: StudyFindings, results: ResultsInfo) -> list[str]:
    best = sorted(
        (summary for summary in results.summaries if summary.version == "best"), key=lambda s: -s.mean("accuracy")
    )
    sentences = []
    for better, other in pairwise(best):
        test = comparison_on_test(findings, (other.model, "best"), (better.model, "best"))
        difference = better.mean("accuracy") - other.mean("accuracy")
        sure = _significance(findings, test)
        sentences.append(f"{better.title} against {other.title}: {points(difference)} points on the test set {sure}.")
    return sentences


def _residual_conclusion(findings: StudyFindings, results: ResultsInfo) -> list[str]:
    sentences = []
    for summary in results.summaries:
        best = results.of(summary.model)
        if summary.version == "plain" and best is not None:
            test = comparison_on_test(findings, (summary.model, "plain"), (summary.model, "best"))
            difference = best.mean("accuracy") - summary.mean("accuracy")
            sentences.append(
                f"Residual connections: {summary.title} with them reaches {points(difference)} points compared with the "
                f"same network without them {_significance(findings, test)}."
            )
    return sentences


def mistakes_sentences(findings: StudyFindings, results: ResultsInfo) -> list[str]:
    """Say for every model's best version which class is hardest and which pair is confused most often."""
    return [_mistakes(summary, findings.data.classes) for summary in results.best]


def _mistakes(summary: VersionResults, classes: tuple[str, ...]) -> str:
    scores = summary.results[0].per_class.f1
    hardest = int(scores.argmin())
    counts = summary.results[0].confusion
    right, total = int(counts.trace()), int(counts.sum())
    text = f"{summary.title}: {right:,} of {total:,} right at the first seed"
    pairs = most_confused(counts, 1)
    if not pairs:
        return f"{text}, no mistake at all."
    true, taken, count = pairs[0]
    times = "once" if count == 1 else f"{count:,} times"
    return (
        f"{text}; the hardest class is {classes[hardest]} (F1 {percent(float(scores[hardest]))}), "
        f"the most frequent confusion {classes[true]} taken for {classes[taken]} ({times})."
    )


def residual_sentences(findings: StudyFindings, results: ResultsInfo) -> list[str]:
    """Say what residual connections change in accuracy and in the first layer's gradient."""
    sentences = _residual_conclusion(findings, results)
    gradients = findings.residual
    if sentences and gradients is not None and len(gradients.layers):
        sentences.append(
            f"At the first step the gradient of the first convolution has the norm {gradients.gradient_norms_with[0]:.3g} with "
            f"and {gradients.gradient_norms_without[0]:.3g} without them; the two networks have "
            f"{gradients.parameters_with:,} and {gradients.parameters_without:,} parameters."
        )
    return sentences
