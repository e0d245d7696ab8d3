"""What a study's numbers say, in words: the answer first, and never more than the verdicts say."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ceteris.analysis.metrics import most_confused
from ceteris.analysis.results import ModelResults, Results, VersionResults
from ceteris.findings import FactorPath, LevelFinding
from ceteris.formats import duration, p_value, percent, points, several
from ceteris.report.search_words import confirmation_sentence, search_text, strategy_words

LARGE_GAP = 0.03  # of accuracy: above it the training and validation part tell clearly different stories
SMALL_GAP = 0.01
_UNEQUAL = 1.1  # above this ratio of operations per training the arms' budgets are called unequal


# ---------------------------------------------------------------------------------------------------------------------
# The answer


def answer(results: Results) -> str:
    """Give the study's answer in a few sentences."""
    if not results.best:
        nothing = "No final training finished, so there is no test result; the table of failures tells why."
        return _joined(nothing, improvement_summary(results))
    ranked = sorted(results.best, key=lambda summary: -summary.mean("accuracy"))
    *first, last = (f"{percent(summary.mean('accuracy'))} ({summary.title})" for summary in ranked)
    reached = f"{', '.join(first)} and {last}" if first else last
    most = max(len(summary.results) for summary in ranked)
    seeds = f", mean over {most} seeds" if most > 1 else ""
    text = f"The best versions reach {reached} on the {results.test_count:,} test images{seeds}."
    return _joined(text, improvement_summary(results), _choices_sentence(results), looks_sentence(results))


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _choices_sentence(results: Results) -> str:
    """Say which settings were changed, and why; a search that varies all factors at once has a summary instead."""
    at_once = [model for model in results.models if not isinstance(model.search, FactorPath)]
    if at_once:
        return " ".join(f"{model.label}: {search_text(model)}" for model in at_once)
    factors = [factor for model in results.models for factor in model.factors]
    if not factors:
        return "No technique was explored."
    won = [level for factor in factors if (level := factor.winner)]
    if not won:
        none_won = f"No level of the {len(factors)} factors explored won by more than the noise"
        if any(model.changed for model in results.models):
            return f"{none_won}; what differs from the baseline are numbers tuned inside the levels that stayed."
        return f"{none_won}, so the baselines stand."
    changes = [
        (model.label, [f"{factor.label} {level.label}" for factor in model.factors if (level := factor.winner)])
        for model in results.models
    ]
    by_model = "; ".join(f"{model}: {', '.join(changed)}" for model, changed in changes if changed)
    return f"{len(won)} of {len(factors)} decisions changed a setting{_why(won)}: {by_model}."


def _why(won: list[LevelFinding]) -> str:
    verdicts = [level.comparison.verdict if level.comparison else None for level in won]
    better, cheaper = verdicts.count("better"), verdicts.count("equivalent")
    if better == len(won):
        return " because it won by more than the noise"
    reasons = [(better, "won by more than the noise"), (cheaper, "was equivalent and cheaper"),
               (len(won) - better - cheaper, "replaced one that did not finish")]  # fmt: skip
    return f" ({', '.join(f'{count} {text}' for count, text in reasons if count)})"


def looks_sentence(results: Results) -> str:
    """Say how often the test set has been looked at."""
    count = len(results.looks)
    if count == 0:
        return "The test set has not been looked at."
    if count == 1:
        return "The test set has been looked at once, after all choices were made."
    return (
        f"The test set has been looked at {count} times; every choice made after seeing an earlier look makes its numbers "
        "a little too good."
    )


# ---------------------------------------------------------------------------------------------------------------------
# The improvement: the difference between baseline and best recipe on fresh seeds, and nothing else


def improvement_sentence(model: ModelResults) -> str:
    """Say what one model gained over its baseline; without a confirmation no improvement is claimed."""
    if not model.changed:
        return f"{model.label}: the baseline stayed the best recipe, so there is no improvement to report."
    if model.confirmation is None:
        return (
            f"{model.label}: the best recipe differs from the baseline but was not trained on fresh seeds (the study left the "
            "confirmation out). The path of the search is optimistic, because the same blocks chose the recipe; its gain "
            "is unconfirmed."
        )
    promised = model.promised_gain
    added = f"While it was chosen, its gains added up to {points(promised)} points." if math.isfinite(promised) else ""
    return f"{model.label}: {_joined(confirmation_sentence(model.confirmation), added)}"


def improvement_in_short(model: ModelResults) -> str:
    """Say the same in a few words, without the model's name."""
    if not model.changed:
        return "the baseline stays"
    if model.confirmation is None:
        return "improvement unconfirmed"
    found = model.confirmation.comparison
    if found is None:
        return "improvement not measurable"
    size = f"{points(found.difference)} points"
    text = {
        "better": f"improvement {size}",
        "worse": f"worse than its baseline, {size}",
        "equivalent": f"equivalent to its baseline, {size}",
        "undecided": f"improvement not confirmed, {size}",
    }[found.verdict]
    return f"{text} (95 % interval {points(found.low)} to {points(found.high)})"


def improvement_summary(results: Results) -> str:
    """Put all models into one sentence for the study's answer; '' where there is no model."""
    if not results.models:
        return ""
    changed = [model for model in results.models if model.changed]
    if not changed:
        return "No model's best recipe differs from its baseline: nothing improved on it."
    each = "; ".join(f"{model.label} {improvement_in_short(model)}" for model in results.models)
    fresh = any(model.confirmation is not None for model in changed)
    return f"Against the baseline{', measured again on fresh seeds' if fresh else ''}: {each}."


# ---------------------------------------------------------------------------------------------------------------------
# The search: budgets, and what is open


def saved_sentence(model: ModelResults) -> str:
    """Say which share of the full design's trainings a race did not need; '' where none was saved."""
    levels = [level for _, level in model.levels()]
    done = sum(level.blocks_trained for level in levels)
    if not model.trainings_saved or not done:
        return ""
    early = sum(level.blocks_trained < len(level.accuracies) for level in levels)
    share = 100 * model.trainings_saved / (model.trainings_saved + done)
    return f"{early} levels left early, which saved {model.trainings_saved:,} trainings, {share:.0f} % of the full design's."


def unequal_budgets(model: ModelResults) -> list[str]:
    """Name the factors whose arms had unequal budgets: a level that got more training has an unfair advantage."""

    def operations(level: LevelFinding) -> float:
        return level.effort.training_flops / level.effort.trials

    def spent_on(level: LevelFinding) -> str:
        return f"{several(level.effort.trials, 'training')} with {level.effort.epochs:,} epochs in all"

    sentences = []
    for factor in model.factors:
        spent = [level for level in factor.levels if level.effort.trials]
        if not spent:
            continue
        most, least = (pick(spent, key=lambda level: level.effort.epochs) for pick in (max, min))
        heavy, light = (pick(spent, key=operations) for pick in (max, min))
        if most.effort.epochs != least.effort.epochs:
            early = ", as levels left the comparison early" if factor.unequal_blocks else ""
            given = f"{most.label} was given {spent_on(most)}, {least.label} {spent_on(least)}"
            sentences.append(f"{factor.label}: unequal budgets{early}. {given}.")
        elif operations(light) and operations(heavy) > _UNEQUAL * operations(light):
            ratio = f"{operations(heavy) / operations(light):.1f} times the operations of {light.label}"
            sentences.append(
                f"{factor.label}: the same number of epochs for all arms, but {heavy.label} takes {ratio}."
            )
    return sentences


def budget_sentences(model: ModelResults) -> list[str]:
    """Say where the arms of a model's factors had unequal budgets, or that all were equal."""
    if not model.factors:
        return []
    equal = "Within every comparison all arms were given the same number of trainings and epochs."
    return unequal_budgets(model) or [equal]


def to_decide_sentences(results: Results) -> list[str]:
    """Say how much more training would decide what is open; empty where everything is decided."""
    found = results.undecided
    if not found:
        return []
    within = [entry for entry in found if entry.more is not None]
    sentences = [f"{len(found)} of {_compared_levels(results)} comparisons are undecided."]
    if within:
        seconds = sum(entry.seconds or 0.0 for entry in within)
        sentences.append(
            f"{len(within):,} of them would be decided by more repetitions, if the true differences are as large as "
            f"the observed ones (power 0.8): {duration(seconds)} of training on one core in all."
        )
    if len(within) < len(found):
        sentences.append(
            f"{len(found) - len(within):,} of them no practicable number of repetitions would decide: the observed "
            "difference is too small beside the noise between training sets. More data or a wider margin of equivalence would."
        )
    return sentences


def command(results: Results) -> str:
    """Return the command that goes on until all is decided or the budget is spent; '' where nothing can be decided."""
    within = [entry for entry in results.undecided if entry.more]
    if not within:
        return ""
    seconds = sum(entry.seconds or 0.0 for entry in within)
    minutes = max(1, -(-int(1.5 * seconds / max(1, results.workers)) // 60))
    budget = f"{minutes}m" if minutes < 120 else f"{-(-minutes // 60)}h"
    return f"ceteris run STUDY --until-decided --budget {budget}"


def _compared_levels(results: Results) -> int:
    return sum(level.comparison is not None for model in results.models for _, level in model.levels())


# ---------------------------------------------------------------------------------------------------------------------
# The final trainings


def fit_sentences(results: Results) -> list[str]:
    """Say for every model what the gap between training and validation accuracy tells about over- and underfitting."""
    sentences = []
    for model in results.models:
        both = [model.version("baseline"), model.version("best")]
        parts = [_fit(summary, results) for summary in both if summary is not None]
        sentences.append(f"{model.label}: {' '.join(parts) or 'no final training finished.'}")
    return sentences


def _fit(summary: VersionResults, results: Results) -> str:
    train, validation, gap = summary.train_accuracy, summary.validation_accuracy, summary.gap
    if not np.isfinite(gap):
        return f"the {summary.version} version has no recorded history."
    numbers = f"{percent(train)} in training and {percent(validation)} in validation, a gap of {points(gap)} points"
    highest = max(other.train_accuracy for other in results.versions if np.isfinite(other.train_accuracy))
    if gap > LARGE_GAP:
        verdict = "it overfits"
    elif train < highest - LARGE_GAP:
        verdict = f"a sign of underfitting: another training here reaches {percent(highest)}"
    elif gap > SMALL_GAP:
        verdict = "it overfits slightly"
    else:
        verdict = "no sign of overfitting"
    return f"The {summary.version} version has {numbers}: {verdict}."


def mistakes_sentences(results: Results) -> list[str]:
    """Say for every model's best version which class is hardest and which pair is confused most often."""
    classes, sentences = results.data.classes, []
    for summary in results.best:
        counts, scores = summary.results[0].confusion, summary.results[0].per_class.f1
        hardest = int(scores.argmin())
        text = f"{summary.title}: {int(counts.trace()):,} of {int(counts.sum()):,} right at the first seed"
        pairs = most_confused(counts, 1)
        if not pairs:
            sentences.append(f"{text}, no mistake at all.")
            continue
        true, taken, count = pairs[0]
        times = "once" if count == 1 else f"{count:,} times"
        sentences.append(
            f"{text}; the hardest class is {classes[hardest]} (F1 {percent(float(scores[hardest]))}), "
            f"the most frequent confusion {classes[true]} taken for {classes[taken]} ({times})."
        )
    return sentences


def residual_sentences(results: Results) -> list[str]:
    """Say what residual connections change in accuracy and in the first layer's gradient."""
    sentences = _residual_conclusions(results)
    gradients = results.residual
    if sentences and gradients is not None and len(gradients.layers):
        sentences.append(
            f"At the first step the gradient of the first convolution has the norm {gradients.gradient_norms_with[0]:.3g} with "
            f"and {gradients.gradient_norms_without[0]:.3g} without them; the two networks have "
            f"{gradients.parameters_with:,} and {gradients.parameters_without:,} parameters."
        )
    return sentences


# ---------------------------------------------------------------------------------------------------------------------
# Conclusions


def conclusions(results: Results) -> list[str]:
    """State what follows from the numbers and what does not."""
    ranked = sorted(results.best, key=lambda summary: -summary.mean("accuracy"))
    sentences = [
        *(_model_conclusion(results, model) for model in results.models),
        *map(improvement_sentence, results.models),
        *(
            f"{better.title} against {other.title}: {_ahead(better, other)} on the test set "
            f"{_significance(results, other, better)}."
            for better, other in pairwise(ranked)
        ),
        *_residual_conclusions(results),
    ]
    if open_ones := len(results.undecided):
        sentences.append(
            f"{open_ones} of {_compared_levels(results)} comparisons stay undecided: with {results.folds} folds and "
            f"{several(results.seeds, 'seed')} the data neither show a difference nor exclude one "
            f"of {100 * results.equivalence_margin:g} points."
        )
    sentences.append(looks_sentence(results))
    if results.data.note:
        sentences.append(f"All results hold for this data set: {results.data.note.rstrip('.')}.")
    return sentences


def _model_conclusion(results: Results, model: ModelResults) -> str:
    best, baseline = model.version(), model.version("baseline")
    if best is None:
        return f"{model.label}: no final training of the best version finished."
    text = f"{model.label}: {percent(best.mean('accuracy'))} on the test set"
    if baseline is None:
        return f"{text}; its baseline has no test result."
    return f"{text}, {_ahead(best, baseline)} against its baseline {_significance(results, baseline, best)}."


def _residual_conclusions(results: Results) -> list[str]:
    pairs = [(model.version("plain"), model.version()) for model in results.models]
    return [
        f"Residual connections: {plain.title} with them reaches {_ahead(best, plain)} compared with the "
        f"same network without them {_significance(results, plain, best)}."
        for plain, best in pairs
        if plain is not None and best is not None
    ]


def _ahead(one: VersionResults, other: VersionResults) -> str:
    return f"{points(one.mean('accuracy') - other.mean('accuracy'))} points"


def _significance(results: Results, first: VersionResults, second: VersionResults) -> str:
    tests = second.compared_with(first)
    if not tests:
        return "(no common seed to compare)"
    test = next(iter(tests.values()))
    sure = "a difference" if test.p_value < results.significance else "undecided"
    return f"({sure} on the same images by McNemar's test at the first seed, {p_value(test.p_value, '.3f')})"


# ---------------------------------------------------------------------------------------------------------------------
# For and against each model

_QUALITIES = {
    "accuracy": ("highest test accuracy", "lowest test accuracy"),
    "seconds": ("shortest training", "longest training"),
    "parameters": ("fewest parameters", "most parameters"),
    "flops": ("fewest operations per image", "most operations per image"),
    "calibration": ("best calibrated", "worst calibrated"),
    "gap": ("smallest gap between training and validation", "largest gap between training and validation"),
}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What speaks for and against one model, each point from a measured number."""

    model: str
    title: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]


def judgements(results: Results) -> list[Judgement]:
    """Weigh every model by its measured accuracy, training time, parameters and calibration against the others."""
    known = {best.model: _measured(best) for best in results.best}
    return [
        Judgement(
            model=best.model, title=best.title, pros=_extremes(known, best.model, good=True),
            cons=_extremes(known, best.model, good=False),
        )
        for best in results.best
    ]  # fmt: skip


def _measured(best: VersionResults) -> dict[str, float]:
    return {
        "accuracy": best.mean("accuracy"),
        "seconds": best.mean_cost("train_seconds"),
        "parameters": best.mean_cost("parameters"),
        "flops": best.mean_cost("forward_flops_per_image"),
        "calibration": best.calibration_error,
        "gap": best.gap,
    }


def _extremes(known: dict[str, dict[str, float]], name: str, *, good: bool) -> tuple[str, ...]:
    """Return in what a model is the best of all, or the worst."""
    found = []
    for quality, labels in _QUALITIES.items():
        values = {model: numbers[quality] for model, numbers in known.items() if np.isfinite(numbers[quality])}
        if name not in values or len(set(values.values())) < 2:
            continue
        extreme = max(values.values()) if good == (quality == "accuracy") else min(values.values())
        if values[name] == extreme:
            found.append(f"{labels[0 if good else 1]} ({_quantity(quality, extreme)})")
    return tuple(found)


def _quantity(quality: str, value: float) -> str:
    match quality:
        case "accuracy":
            return percent(value)
        case "seconds":
            return duration(value)
        case "calibration":
            return f"expected error {100 * value:.1f} points"
        case "gap":
            return f"{points(value)} points"
        case _:
            return f"{value:,.0f}"


# ---------------------------------------------------------------------------------------------------------------------
# How it was done


def exploration_text(results: Results) -> str:
    """Say how much was trained in the exploration, and what the verdicts mean."""
    failed = f", of which {results.trials_failed} failed or diverged" if results.trials_failed else ""
    seeds = f" × {results.seeds} seeds" if results.seeds > 1 else ""
    images = f" of {results.exploration_images:,} training images" if results.exploration_images else ""
    return (
        f"{results.trials_total} trainings{failed}, on {results.folds} folds{seeds}{images}. A verdict is “better” or "
        f"“worse” when the corrected, Holm-adjusted p is below {results.significance}, “equivalent” when the interval lies "
        f"inside ±{100 * results.equivalence_margin:g} points, otherwise “undecided”."
    )


def search_sentences(results: Results) -> list[str]:
    """Say what the search did with each model, and what a comparison may not be blamed for; each sentence once."""
    searched = [text for model in results.models for text in (search_text(model), saved_sentence(model)) if text]
    unequal = [text for model in results.models for text in unequal_budgets(model)]
    return list(dict.fromkeys([*searched, *unequal]))


def effort_text(results: Results) -> str:
    """Say what the whole study took."""
    return (
        f"{results.trials_total} trainings took {duration(results.training_seconds)} in all, "
        f"{duration(results.wall_seconds)} on the clock with {several(results.workers, 'worker')}. All randomness comes from "
        "the seeds in the study file; every table of this page lies beside it as CSV in full precision."
    )


def reproduction_text(results: Results) -> str:
    """Say in one line what ran, with which packages."""
    packages = ", ".join(f"{name} {version}" for name, version in sorted(results.packages.items()))
    return f"{results.trials_total} trainings, {results.trials_failed} failed. Packages: {packages}."


def method_text(results: Results) -> str:
    """Say how levels were compared."""
    return (
        f"{strategy_words(results.models).how} Intervals and p-values use the corrected resampled t-test "
        "(Nadeau & Bengio 2003), "
        "p-values are adjusted for the levels of a factor (Holm 1979); better or worse needs "
        f"p < {results.significance:g}, equivalent an interval inside "
        f"±{100 * results.equivalence_margin:g} points; all else is undecided."
    )


_TUNING = (
    "Before a comparison of optimizers or schedules each level was given its own best value of the tuned numbers (the learning "
    "rate, say), with the same number of trials for all levels, on a fold that no comparison uses."
)


def method_sentences(results: Results) -> list[str]:
    """Say what keeps the comparisons fair, and what they cannot show."""
    tuned = any(level.tuning for model in results.models for _, level in model.levels())
    return [
        "Within a comparison two settings share the folds, the initial weights’ random stream, the order of the mini-batches "
        "and the draws of the augmentation; identical settings give a difference of exactly 0.",
        "Training sets of different folds overlap, so ordinary t-tests claim too much. Intervals and p-values use the "
        "corrected resampled t-test (Nadeau & Bengio 2003); p-values are adjusted for all levels of a factor (Holm 1979).",
        "“Undecided” means that the data neither show a difference nor exclude one. It is not the same as “equivalent”. "
        "Intervals and p-values treat each factor by itself: along a search over many factors some chance wins remain "
        "possible.",
        strategy_words(results.models).limits,
        "The best of several noisy results looks better on the blocks that chose it than it is. The improvement is therefore "
        "measured on fresh seeds, the best recipe against the baseline alone.",
        *([_TUNING] if tuned else []),
        "The test set stays sealed until all choices are made. Intervals of test accuracies are Wilson’s (1927) for the "
        "sampling of test images; models are compared on the same images by McNemar’s test (1947).",
    ]
