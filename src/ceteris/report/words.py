"""What a study's numbers say, in words: the answer first, and never more than the verdicts say."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.analysis.metrics import most_confused
from ceteris.analysis.results import ModelResults, Results, TestComparison, VersionResults
from ceteris.figures.fonts import fonts_for, spelling
from ceteris.figures.luck import SOURCES
from ceteris.findings import ComparisonTest, FactorFinding, FactorPath, LevelFinding, Verdict
from ceteris.formats import duration, percent, plain_points, points, points_range, several, unit_of
from ceteris.report.knowledge import FAMILIES, reason_of
from ceteris.report.search_words import confirmation_sentence, search_text, strategy_words
from ceteris.stats import MORE_REPETITIONS

LARGE_GAP = 0.03  # of accuracy: above it the training and validation part tell clearly different stories
SMALL_GAP = 0.01
UNSURE = 2.0  # times the training loss: above it the loss overfits though the accuracy does not
DEEP = 20  # convolutions: below it no effect of shortcuts is expected (He et al. 2016)
_UNEQUAL = 1.1  # above this ratio of operations per training the arms' budgets are called unequal


# ---------------------------------------------------------------------------------------------------------------------
# The answer


def answer(results: Results, *, brief: bool = False) -> str:
    """Give the study's answer in a few sentences; a ``brief`` one counts the choices without naming them."""
    if not results.best:
        nothing = "No final training finished, so there is no test result; the table of failures tells why."
        return _joined(nothing, improvement_summary(results))
    ranked = sorted(results.best, key=lambda best: -best.mean("accuracy"))
    if brief and len(ranked) > 4:
        ranked = [*ranked[:3], ranked[-1]]
    *first, last = (f"{percent(best.mean('accuracy'))} ({best.title})" for best in ranked)
    reached = f"{', '.join(first)} and {last}" if first else last
    most = max(len(best.results) for best in ranked)
    mean = f", mean of {most} trainings each" if most > 1 else ""
    of = f" of {len(results.best)} models (the first three and the last)" if len(ranked) < len(results.best) else ""
    subject = "models" if any(model.as_given for model in results.models) else "best versions"
    text = f"The {subject}{of} reach {reached} on the {results.test_count:,} test images{mean}."
    choices = _choices_sentence(results, by_model=not brief)
    improved = improvement_summary(results, brief=brief and len(results.models) > 4)
    apart = "" if of and any(one.shown for one in results.comparisons) else apart_sentence(results)
    return _joined(text, apart, improved, choices, looks_sentence(results))


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def apart_sentence(results: Results) -> str:
    """Say whether the test set can tell the best versions apart; '' where there is only one."""
    if len(results.best) < 2:
        return ""
    found = [one for one in results.comparisons if one.first.model != one.second.model]
    shown = [
        f"{ahead.title} is ahead of {behind.title}"
        for one in found
        if one.shown
        for behind, ahead in [(one.first, one.second) if one.difference > 0 else (one.second, one.first)]
    ]
    if shown:
        return f"The test set tells apart: {', '.join(shown)}."
    images = [round(one.images) for one in found] or [0]
    low, high = min(images), max(images)
    apart = f"{low}" if low == high else f"{low} to {high}"
    return f"They differ by {apart} of {results.test_count:,} images: the test set cannot tell them apart."


def _choices_sentence(results: Results, *, by_model: bool) -> str:
    """Say what was taken, ``by_model``, and how much was shown; a search that varies all at once has a summary instead."""
    at_once = [model for model in results.models if not isinstance(model.search, FactorPath)]
    if at_once:
        return " ".join(f"{model.label}: {search_text(model)}" for model in at_once)
    factors = [factor for model in results.models for factor in model.factors]
    if not factors:
        return ""
    taken = [level for factor in factors if (level := factor.winner)]
    if not taken:
        if any(model.changed for model in results.models):
            return (
                f"In none of the {len(factors)} factors an option was taken; what differs from the baseline are numbers tuned "
                "inside the settings that stayed."
            )
        return f"In none of the {len(factors)} factors an option was taken, so the baselines stand."
    shown = sum(level.comparison is not None and level.comparison.verdict == "better" for level in taken)
    by_chance = len(factors) * results.significance / 2  # the error rate is that of both directions
    chance = "fewer than 1" if by_chance < 1 else f"about {by_chance:.0f}"
    changes = [
        (model.label, [f"{factor.label} {level.tuned_label}" for factor in model.factors if (level := factor.winner)])
        for model in results.models
    ]
    told = "; ".join(f"{model}: {', '.join(changed)}" for model, changed in changes if changed)
    return (
        f"In {len(taken)} of {len(factors)} factors an option was taken as the best bet{f' ({told})' * by_model}. {shown} of "
        f"{len(factors)} gave a clear winner ({100 * results.significance:g} % error rate per factor; by chance we would "
        f"expect {chance})."
    )


def abstract(results: Results) -> str:
    """Say in a few measured sentences what was done and what came out."""
    count = sum(level.comparison is not None for model in results.models for _, level in model.levels())
    compared = f" and {count} options, each changed alone on the same folds and with the same random numbers" * bool(
        count
    )
    done = (
        f"On {results.data.title or results.data.name} ({results.data.train_count:,} training and {results.test_count:,} test "
        f"images, {len(results.data.classes)} classes) {several(len(results.models), 'model')}{compared} were compared."
    )
    return _joined(form_sentence(results), done, answer(results, brief=True))


def missing_sentence(what: str, reason: object) -> str:
    """Say which part of a report is missing and why."""
    told = str(reason).strip().rstrip(".") or type(reason).__name__
    return f"{what[:1].upper()}{what[1:]} could not be made and is left out: {told}."


def form_sentence(results: Results) -> str:
    """Say that a study is not as large as it is meant to be; '' for one that is."""
    if results.form != "quick":
        return ""
    return (
        "This is a quick look: few images, few epochs, few repetitions. It shows what the report says, not what is so."
    )


def spelled_sentence(results: Results) -> str:
    """Say which letters of the class names figures spell, as no font of this machine has them; '' where there are none."""
    _, lacking = fonts_for(frozenset("".join(results.data.classes)))
    if not lacking:
        return ""
    some = ", ".join(f"{letter} ({spelling(letter)})" for letter in sorted(lacking)[:6])
    return f"No font of this machine has {len(lacking)} letters of the class names; figures spell them: {some}."


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
# Data, models, and what was explored


def own_texts(results: Results, *names: str) -> list[tuple[str, str]]:
    """Return what the authors wrote themselves under these names, each with whose place it is: study, model or factor.

    The questions of the study and of its factors are left out: they stand where the study and its factors are told of.
    """
    factors = {factor.name: factor for model in results.models for factor in model.factors}
    places = [("", results.words), *((model.label, model.words) for model in results.models)]
    places += [(factor.label, factor.words) for factor in factors.values()]
    asked = {model.label for model in results.models}
    found = (
        (place, name, getattr(words, name).strip())
        for name in names
        for place, words in places
        if name != "question" or place in asked
    )
    return [(f"{place}, {name}" if place else name, text) for place, name, text in found if text]


def data_text(results: Results) -> str:
    """Describe the data in a few sentences."""
    data = results.data
    channels, height, width = data.image_shape
    low, high = int(data.train_class_counts.min()), int(data.train_class_counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return _joined(
        f"{data.title or data.name} ({data.source}) has {data.train_count:,} training and {data.test_count:,} test images of "
        f"{height} × {width} pixels with {several(channels, 'channel')}, in {len(data.classes)} classes with {each} training "
        f"images each; {data.shares.rstrip('.')}."
        if data.source
        else "",
        f"Preprocessing: {'; '.join(data.preprocessing)}." if data.preprocessing else "",
        f"{data.note.rstrip('.')}." if data.note else "",
    )


def models_text(results: Results) -> str:
    """Say how the models are built, baseline and best, and what they share."""
    if len(results.models) > 4:
        return "Baseline and best setting of every model."
    built = [
        f"{model.label} is built of {several(len(model.best_summary.layers), 'layer')} with "
        f"{model.best_summary.parameters:,} parameters"
        + (f" (baseline {model.baseline_summary.parameters:,})" if model.changed else "")
        for model in results.models
    ]
    return f"{'; '.join(built)}."


def explored_text(results: Results) -> str:
    """Name every factor once with its question and the models for which it was explored."""
    seen: dict[str, tuple[FactorFinding, list[str]]] = {}
    for model in results.models:
        for factor in model.factors:
            seen.setdefault(factor.name, (factor, []))[1].append(model.label)
    everyone = len(results.models)
    for_some = {name: f" ({', '.join(labels)})" for name, (_, labels) in seen.items() if len(labels) < everyone}
    return " ".join(
        f"{factor.label}{for_some.get(name, '')}: {factor.question or 'which is best?'}"
        for name, (factor, _) in seen.items()
    )


def reasons(results: Results) -> list[str]:
    """Say why the techniques that were explored may help or hurt, from the literature: nothing here was measured."""
    found = {
        factor.label: reason
        for model in results.models
        for factor in model.factors
        if (reason := reason_of(factor.fields))
    }
    return [f"{label}, in general: {reason}" for label, reason in found.items()]


# ---------------------------------------------------------------------------------------------------------------------
# The improvement: the difference between baseline and best recipe on fresh seeds, and nothing else


def improvement_sentence(model: ModelResults) -> str:
    """Say what one model gained over its baseline; without a confirmation no improvement is claimed."""
    if model.confirmation is None:
        if not model.changed:
            return f"{model.label}: the baseline stayed the best recipe, so there is no improvement to report."
        return (
            f"{model.label}: the best recipe differs from the baseline but did not meet it again (the study left the "
            "confirmation out). The path of the search is optimistic, because the same blocks chose the recipe; its gain "
            "is unconfirmed."
        )
    promised = model.promised_gain
    unit = unit_of(model.confirmation.comparison.criterion) if model.confirmation.comparison else "points"
    added = f"The choices together were expected to bring {points(promised)} {unit}." if math.isfinite(promised) else ""
    return f"{model.label}: {_joined(confirmation_sentence(model.confirmation), added)}"


def improvement_in_short(model: ModelResults) -> str:
    """Say the same in a few words, without the model's name."""
    if model.as_given:
        return "trained as given"
    if model.confirmation is None:
        return "improvement unconfirmed" if model.changed else "the baseline stays"
    found = model.confirmation.comparison
    if found is None:
        return "improvement not measurable"
    size = f"{points(found.difference)} {unit_of(found.criterion)}"
    text = {
        "better": f"improvement {size}, shown",
        "worse": f"worse than its baseline, {size}",
        "equivalent": f"equivalent to its baseline, {size}",
        "undecided": f"improvement {size}, not shown",
    }[found.verdict]
    kept = "the baseline stays; what was chosen: " if not model.changed else ""
    return f"{kept}{text} (95 % interval {points(found.low)} to {points(found.high)})"


def improvement_summary(results: Results, *, brief: bool = False) -> str:
    """Put all models into one sentence for the study's answer, only counted in a ``brief`` one; '' where there is no model."""
    if not results.explored:
        return ""
    changed = [model for model in results.models if model.changed or model.confirmation]
    if not changed:
        return "No model's best recipe differs from its baseline: nothing improved on it."
    each = "; ".join(f"{model.label} {improvement_in_short(model)}" for model in results.explored)
    if brief:
        counts = Counter(
            found.verdict for model in changed if model.confirmation and (found := model.confirmation.comparison)
        )
        words: dict[Verdict, str] = {
            "better": "shown to be better", "undecided": "not shown to differ", "equivalent": "equivalent",
            "worse": "shown to be worse",
        }  # fmt: skip
        told = ", ".join(f"{counts[verdict]} {text}" for verdict, text in words.items() if counts[verdict])
        each = f"of {several(len(results.explored), 'model')} {told or 'none was measured again'}"
    fresh = [model.confirmation for model in changed if model.confirmation is not None]
    where = (
        ", on images that no choice has seen" if fresh and all(found.fresh for found in fresh) else ", on new splits"
    )
    return f"Against the baseline{where if fresh else ''}: {each}."


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
    return [text for factor in model.factors if (text := _unequal_budget(factor))]


def _unequal_budget(factor: FactorFinding) -> str:
    """Say how unequal the budgets of a factor's arms were, '' where they were equal."""

    def operations(level: LevelFinding) -> float:
        return level.effort.training_flops / level.effort.trials

    def spent_on(level: LevelFinding) -> str:
        return f"{several(level.effort.trials, 'training')} with {level.effort.epochs:,} epochs in all"

    spent = [level for level in factor.levels if level.effort.trials]
    if not spent:
        return ""
    most, least = (pick(spent, key=lambda level: level.effort.epochs) for pick in (max, min))
    heavy, light = (pick(spent, key=operations) for pick in (max, min))
    if most.effort.epochs != least.effort.epochs:
        early = ", as levels left the comparison early" if factor.unequal_blocks else ""
        given = f"{most.tuned_label} was given {spent_on(most)}, {least.tuned_label} {spent_on(least)}"
        return f"{factor.label}: unequal budgets{early}. {given}."
    if operations(light) and operations(heavy) > _UNEQUAL * operations(light):
        ratio = f"{operations(heavy) / operations(light):.1f} times the operations of {light.tuned_label}"
        return f"{factor.label}: the same number of epochs for all arms, but {heavy.tuned_label} takes {ratio}."
    return ""


def budget_sentences(model: ModelResults) -> list[str]:
    """Say where the arms of a model's factors had unequal budgets, or that all were equal."""
    if not model.factors:
        return []
    equal = "Within every comparison all arms were given the same number of trainings and epochs."
    return unequal_budgets(model) or [equal]


def to_decide_sentences(results: Results) -> list[str]:
    """Say what stayed open and what more training would find; empty where something was shown of every option."""
    found = results.open
    if not found:
        return []
    matter = sum(entry.matters for entry in found)
    margin, unit = 100 * results.equivalence_margin, unit_of(results.criterion)
    compared = sum(level.comparison is not None for model in results.models for _, level in model.levels())
    sentences = [
        f"Nothing was shown of {len(found)} of {compared} options; {matter} of these are expected to move the "
        f"{'accuracy' if results.criterion == 'accuracy' else 'result'} by more than {margin / 2:g} {unit}."
    ]
    known = [  # options that left early were not meant to find anything
        entry
        for entry in found
        if entry.comparison.detectable_with_more > 0 and entry.comparison.blocks >= entry.comparison.folds
    ]
    if known:
        now, then = (
            points_range([getattr(entry.comparison, name) for entry in known])
            for name in ("detectable", "detectable_with_more")
        )
        seconds, trainings = sum(entry.seconds for entry in known), sum(entry.trainings for entry in known)
        sentences.append(
            f"This design finds true differences above {now} {unit}; with {MORE_REPETITIONS} more repetitions of these "
            f"({trainings:,} trainings, {duration(seconds)} on one core) above {then}. Smaller ones stay open."
        )
    return sentences


def command(results: Results) -> str:
    """Return the command that goes on until all is shown or the budget is spent; '' where nothing is open."""
    seconds = sum(entry.seconds for entry in results.open if entry.matters)
    if not seconds:
        return ""
    minutes = max(1, -(-int(1.5 * seconds / max(1, results.workers)) // 60))
    budget = f"{minutes}m" if minutes < 120 else f"{-(-minutes // 60)}h"
    return f"ceteris run STUDY --until-decided --budget {budget}"


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


def _fit(version: VersionResults, results: Results) -> str:
    train, other, where = version.train_accuracy, version.validation_accuracy, "in validation"
    if np.isnan(other):  # nothing was held out
        other, where = version.mean("accuracy"), "on the test set (nothing was held out)"
    gap = train - other
    if not np.isfinite(gap):
        return f"the {version.version} version has no recorded history."
    subject = "It" if version.as_given else f"The {version.version} version"
    numbers = f"{percent(train)} in training and {percent(other)} {where}, a gap of {points(gap)} points"
    losses = f"{version.train_loss:.3g} and {version.validation_loss:.3g}"
    if version.clean and np.isfinite(version.validation_loss):
        numbers += f" (loss {losses})"
    highest = max(other.train_accuracy for other in results.versions if np.isfinite(other.train_accuracy))
    if gap > LARGE_GAP:
        verdict = "it overfits"
    elif train < highest - LARGE_GAP:
        verdict = f"a sign of underfitting: another training here reaches {percent(highest)}"
    elif gap > SMALL_GAP:
        verdict = "it overfits slightly"
    elif version.clean and version.validation_loss > UNSURE * version.train_loss:
        verdict = "its answers are as good in validation, its confidence is not: the loss overfits"
    else:
        verdict = "no sign of overfitting"
    return f"{subject} has {numbers}: {verdict}."


def training_text(results: Results) -> str:
    """Say what was trained in the end, and when a training stops."""
    trained = "The baseline and the best setting of every model" if results.explored else "Every model"
    versions = results.versions
    whole = versions and all(math.isnan(version.validation_accuracy) for version in versions)
    stops = (
        "nothing is held out, and every training goes through all its epochs and keeps the last weights."
        if whole
        else "training stops early on a validation part and goes back to the best epoch."
    )
    return f"{trained}, trained again; {stops}"


def remedies_text(results: Results) -> str:
    """Say what the best settings do against overfitting, and that training stopped early."""
    found = []
    for model in results.models:
        recipe = model.best
        parts = [
            *(entry.kind.replace("-", " ") for entry in recipe.augmentation),
            f"{recipe.penalty.kind} penalty" if recipe.penalty.kind != "none" else "",
            "dropout" if getattr(recipe.model, "dropout", 0) else "",
            "batch normalisation" if getattr(recipe.model, "batch_norm", False) else "",
        ]
        found.append(f"{model.label}: {', '.join(filter(None, parts)) or 'nothing else'}")
    held_out = any(not math.isnan(version.validation_accuracy) for version in results.versions)
    early = "every final training went back to its best epoch on a validation part; " if held_out else ""
    return f"Against overfitting {early}the best settings use{' besides' if early else ''}: {'; '.join(found)}."


def mistakes_sentences(results: Results) -> list[str]:
    """Say for every model's best version which class is hard and which pair is confused, where there are mistakes enough."""
    return [f"{best.title}: {_mistakes(best, results.data.classes)}" for best in results.best]


def _mistakes(best: VersionResults, classes: Sequence[str]) -> str:
    seeds = len(best.results)
    counts = np.sum([result.confusion for result in best.results], axis=0)
    wrong, images = int(counts.sum() - counts.trace()), best.right.shape[1]
    each = f"{wrong:,} mistakes" if seeds == 1 else f"{wrong / seeds:.1f} mistakes on average"
    if not wrong:
        return f"no mistake in {images:,} images."
    hard = best.hard_classes
    named = " and ".join(f"{classes[place]} (F1 {percent(best.f1[place])})" for place in hard[:3])
    if not len(hard):
        return f"{each} in {images:,}: too few to name a hard class."
    (true, taken, count), *_ = most_confused(counts, 1)
    pair = f"; the most frequent confusion is {classes[true]} taken for {classes[taken]}" if count >= 5 * seeds else ""
    return f"{each} in {images:,}, more than elsewhere in {named}{pair}."


def luck_sentence(model: ModelResults) -> str:
    """Say which luck moves a best recipe's accuracy most, and which differences between two single trainings say nothing."""
    apart = {found.source: found for found in model.luck if found.source not in ("all", "split")}
    largest = max(apart.values(), key=lambda found: found.deviation, default=None)
    if largest is None or not largest.deviation:
        return f"{model.label}: no source of luck moved its accuracy."
    text = f"{model.label}: of the single sources, most noise comes from {SOURCES[largest.source]}"
    text += f" (standard deviation {plain_points(largest.deviation)} points)"
    together = next((found for found in model.luck if found.source == "all"), None)
    if together is None or not together.deviation:
        return f"{text}."
    parts = float(
        np.sqrt(sum(found.deviation**2 for found in model.luck if found.source in ("split", "initialisation", "order")))
    )
    rough = f" Added up, the three alone would move it by {plain_points(parts)}: so few trainings tell it roughly."
    return (
        f"{text}. Split, weights and order together move a training by {plain_points(together.deviation)} points (one standard "
        f"deviation, 95 % interval {plain_points(together.low)} to {plain_points(together.high)}): two trainings of one recipe "
        f"differ by up to {plain_points(1.96 * 2**0.5 * together.deviation)} points in 95 of 100 cases, by luck alone."
        f"{'' if together.low <= parts <= together.high else rough}"
    )


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


def training_log(results: Results) -> str:
    """Return the log of every final training, one line per epoch; the test set was asked after all choices were made."""
    lines = [f"Final trainings of {results.label}. Test figures are those of the first seed, asked after all choices."]
    for version in results.versions:
        for final in version.finals:
            if (epochs := final.epochs) is None:
                continue
            allowed = final.trial.recipe.epochs if final.trial else len(epochs.seconds)
            lines += ["", f"{version.title}, {version.version_title}, seed {final.seed}"]
            for place in range(len(epochs.seconds)):
                parts = {
                    "training": (epochs.train_loss[place], epochs.train_accuracy[place]),
                    "validation": (epochs.validation_loss[place], epochs.validation_accuracy[place]),
                }
                if len(final.test_curve_loss):
                    parts["test"] = (final.test_curve_loss[place], final.test_curve_accuracy[place])
                told = "; ".join(
                    f"{name} loss {loss:.4f}, accuracy {percent(accuracy)}"
                    for name, (loss, accuracy) in parts.items()
                    if not np.isnan(loss)  # nothing is held out where the study says final.validation = 0
                )
                lines.append(f"epoch {place + 1} of {allowed}: {told}")
            lines.append(f"weights of epoch {final.best_epoch}; {duration(float(epochs.seconds[-1]))} of training")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# Conclusions


def conclusions(results: Results, most: int = 1000) -> list[str]:
    """State what follows from the numbers and what does not, of the ``most`` models with the highest test accuracy at most."""
    ranked = sorted(results.best, key=lambda best: -best.mean("accuracy"))
    first = [best.model for best in ranked[:most]]
    told = [model for model in results.models if len(results.models) <= most or model.name in first]
    fewer = f"Of {len(results.models)} models the {most} with the highest test accuracy are told here."
    sentences = [
        fewer if len(told) < len(results.models) else "",
        *(_model_conclusion(results, model) for model in told),
        apart_sentence(results),
        *_residual_conclusions(results),
        *to_decide_sentences(results)[:1],
        looks_sentence(results),
        f"All results hold for this data set: {results.data.note.rstrip('.')}." if results.data.note else "",
    ]
    return [sentence for sentence in sentences if sentence]


def _model_conclusion(results: Results, model: ModelResults) -> str:
    best, baseline = model.version(), model.version("baseline")
    if best is None:
        return f"{model.label}: {improvement_in_short(model)}; no final training of the best version finished."
    seeds, interval = len(best.results), best.accuracy_interval
    mean = f"mean of {seeds} trainings; " if seeds > 1 else ""
    others = f"on other images of this kind {plain_points(interval.low)} to {plain_points(interval.high)}"
    text = f"{model.label}: {improvement_in_short(model)}; {percent(best.mean('accuracy'))} on the test set ({mean}{others})"
    lost = f" {best.collapsed} of {seeds} trainings learned nothing." if best.collapsed else ""
    if not model.changed:
        return f"{text}.{lost}"
    found = results.compared(baseline, best) if baseline else None
    if found is None:
        return f"{text}; its baseline has no test result.{lost}"
    return f"{text}; against its baseline {_against(found)}.{lost}"


def _residual_conclusions(results: Results) -> list[str]:
    sentences = []
    for model in results.models:
        plain, best = model.version("plain"), model.version()
        found = results.compared(plain, best) if plain and best else None
        if found is None:
            continue
        size = f"{plain_points(abs(found.difference))} points {'less' if found.difference > 0 else 'more'}"
        shown = "" if found.shown else ": no effect shown"
        shallow = not found.shown and results.residual is not None and len(results.residual.layers) < DEEP
        expected = " At this depth none is expected." if shallow else ""
        sentences.append(
            f"{model.label}: without its shortcuts the same network had {size} (with them {points(found.low)} to "
            f"{points(found.high)}){shown}.{expected}"
        )
    return sentences


def _against(found: TestComparison) -> str:
    """Say a difference on the test set with its interval, and whether it is shown."""
    shown = "" if found.shown else ": no effect shown"
    alone = ", one training each" if found.seeds == 1 else ""
    return f"{points(found.difference)} points ({points(found.low)} to {points(found.high)}{alone}){shown}"


# ---------------------------------------------------------------------------------------------------------------------
# For and against each model

# What is best and what is worst of all, the cost in question, and how it is written; small is good.
_COSTS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("shortest training", "longest training", "train_seconds", duration),
    ("fewest parameters", "most parameters", "parameters", "{:,.0f}".format),
    ("fewest operations per image", "most operations per image", "forward_flops_per_image", "{:,.0f}".format),
)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What speaks for and against one model, each point from a measured number."""

    model: str
    title: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]


def judgements(results: Results) -> list[Judgement]:
    """Weigh every model by its time, parameters and operations, and by accuracy where the test set tells the models apart."""
    pros: dict[str, list[str]] = {best.model: [] for best in results.best}
    cons: dict[str, list[str]] = {best.model: [] for best in results.best}
    accuracies = {best.model: best.mean("accuracy") for best in results.best}
    if any(one.shown for one in results.comparisons if one.first.model != one.second.model):
        _add_extremes(accuracies, (cons, "lowest test accuracy"), (pros, "highest test accuracy"), percent)
    for least, most, name, written in _COSTS:
        values = {best.model: best.mean_cost(name) for best in results.best}
        _add_extremes(values, (pros, least), (cons, most), written)
    return [
        Judgement(model=best.model, title=best.title, pros=tuple(pros[best.model]), cons=tuple(cons[best.model]))
        for best in results.best
    ]


def _add_extremes(
    values: Mapping[str, float],
    lowest: tuple[dict[str, list[str]], str],
    highest: tuple[dict[str, list[str]], str],
    written: Callable[[float], str],
) -> None:
    """Tell the models with the lowest and the highest value so, where they differ."""
    known = {model: value for model, value in values.items() if math.isfinite(value)}
    if len(set(known.values())) < 2:
        return
    for (told, label), extreme in ((lowest, min(known.values())), (highest, max(known.values()))):
        for model in (model for model, value in known.items() if value == extreme):
            told[model].append(f"{label} ({written(extreme)})")


def judgement_sentences(results: Results) -> list[str]:
    """Say for and against every model what was measured; models without an extreme are left out."""
    return [
        f"{one.title}, measured: "
        + "; ".join(f"{side} it {', '.join(told)}" for side, told in (("for", one.pros), ("against", one.cons)) if told)
        + "."
        for one in judgements(results)
        if one.pros or one.cons
    ]


def family_sentences(results: Results) -> list[str]:
    """Say what speaks for and against the families of the models in general: nothing here was measured."""
    there = dict.fromkeys(type(model.best.model) for model in results.models)
    found = [FAMILIES[family] for family in there if family in FAMILIES]
    return [f"{name}, in general: for it {pro}; against it {con}." for name, pro, con in found]


# ---------------------------------------------------------------------------------------------------------------------
# How it was done


def exploration_text(results: Results) -> str:
    """Say how much was trained in the exploration, under which conditions, and what the claims mean."""
    failed = f", of which {results.trials_failed} failed or diverged" if results.trials_failed else ""
    seeds = f" × {results.seeds} seeds" if results.seeds > 1 else ""
    images = f" of {results.exploration_images:,} training images" if results.exploration_images else ""
    return _joined(
        f"{results.trials_total} trainings{failed}, on {results.folds} folds{seeds}{images}.",
        conditions_sentence(results),
        f"An option is shown to be better or worse when the Holm-adjusted p is below {results.significance:g}, equivalent when "
        f"the interval lies inside ±{100 * results.equivalence_margin:g} {unit_of(results.criterion)}; else nothing is shown. "
        "What is taken needs no such proof: it is the best bet.",
        "Of the log loss less is better; it counts negatively, so that + is an improvement."
        if results.criterion == "log-loss"
        else "",
    )


def conditions_sentence(results: Results) -> str:
    """Say at which epochs and on how many images was explored, where the final trainings differ; '' where they do not."""
    epochs = sorted({model.baseline.epochs for model in results.models})
    longer = results.final_epochs and epochs != [results.final_epochs]
    if not longer and not results.exploration_images:
        return ""
    count = f"{epochs[0]}" if len(set(epochs)) == 1 else f"{min(epochs, default=0)} to {max(epochs, default=0)}"
    explored = f"{count} epochs on {(results.exploration_images or results.data.train_count):,} images"
    trials = (final.trial for version in results.versions for final in version.finals if final.trial)
    images = max((trial.split.images for trial in trials), default=0) or results.data.train_count
    final = f"at most {results.final_epochs or count} epochs on {images:,} images"
    return f"All that is said of the options holds at {explored} (less the fold held out); the final trainings take {final}."


def search_sentences(results: Results) -> list[str]:
    """Say what the search did with each model, and what a comparison may not be blamed for; each sentence once."""
    searched = [text for model in results.explored for text in (search_text(model), saved_sentence(model)) if text]
    factors = [factor for model in results.models for factor in model.factors]
    unequal = [text for factor in factors if not factor.unequal_blocks and (text := _unequal_budget(factor))]
    if any(factor.unequal_blocks for factor in factors):
        unequal.append(
            "Levels that left a comparison early had fewer trainings than those that stayed; the page says for every factor "
            "how many."
        )
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
    """Say how options were compared."""
    return f"{_TEST[test_of(results)]} {_JUDGED}"


def test_of(results: Results) -> ComparisonTest:
    """Return which test the claims rest on."""
    found = (level.comparison for model in results.models for _, level in model.levels() if level.comparison)
    return next((comparison.test for comparison in found), "corrected-t")


def test_name(results: Results) -> str:
    """Name the test that the claims rest on, in a few words."""
    return {
        "corrected-t": "corrected resampled t-test",
        "two-part": "two-part test over images and trainings",
        "two-way": "two-way test over images and seeds",
    }[test_of(results)]


_TEST: dict[ComparisonTest, str] = {
    "corrected-t": "Training sets of different folds overlap, so ordinary t-tests claim too much: intervals and p-values use "
    "the corrected resampled t-test (Nadeau & Bengio 2003).",
    "two-part": "Intervals and p-values count the luck of the held-out images and that of the trainings apart, image by image "
    "(Bayle et al. 2020; Smyth 2004; Nadeau & Bengio 2003).",
    "two-way": "Intervals and p-values count the luck of the images and that of the seeds (Owen 2007).",
}
_JUDGED = "p-values are adjusted for all options of a factor (Holm 1979)."
_TUNING = (
    "Before a comparison of optimizers or schedules each option was given its own best value of the tuned numbers (the "
    "learning rate, say), with the same number of trials for all options, on a fold that no comparison uses."
)


def method_sentences(results: Results) -> list[str]:
    """Say what keeps the comparisons fair, and what they cannot show."""
    tuned = any(level.tuning for model in results.models for _, level in model.levels())
    return [
        "Within a comparison two settings share the folds, the initial weights’ random stream, the order of the mini-batches "
        "and the draws of the augmentation; identical settings give a difference of exactly 0.",
        "Taken is our best bet for this model: the option with the highest expected gain, what it costs counted. Shown is "
        "what the data would convince a sceptic of. A choice is reversible and is confirmed later, so it needs no proof.",
        f"{_TEST[test_of(results)]} {_JUDGED}",
        "“Not shown” means that the data neither show a difference nor exclude one. It is not the same as “equivalent”. "
        "Intervals and p-values treat each factor by itself: along a search over many factors some chance wins remain "
        "possible.",
        strategy_words(results.models).limits,
        "The best of several noisy results looks better on the blocks that chose it than it is: what is expected of an option "
        "is therefore less than what was measured, and the improvement is measured again, best recipe against baseline.",
        *([_TUNING] if tuned else []),
        "The test set stays sealed until all choices are made. Intervals and comparisons of test results count the "
        "luck of the images and that of the trainings (Owen 2007; with one training each the images alone), p-values are "
        "adjusted for all pairs (Holm 1979).",
    ]


ATTENTION = (
    "Grad-CAM weighs the last feature maps by their effect on the predicted class (Selvaraju et al. 2017): what lies in bright "
    "regions raises its score."
)
TAKEN_AND_SHOWN = (
    "Taken is our best bet for this model. Shown is what the data would convince a sceptic of. The expected gain is less than "
    "what was measured, because a part of that is likely to be luck."
)
IMPROVEMENT = (
    "Only what is measured again is called an improvement: baseline and best recipe were trained once more and compared as a "
    "whole, on data that had no part in the choice or at least on new splits of it."
)
GLOSSARY = (
    ("current setting", "the best recipe so far, which the options of a factor are compared with (also: incumbent)"),
    ("option", "one value of a factor (also: level; its recipe is an arm)"),
    ("fold", "one of the parts into which the training images are split; each is held out once"),
    ("repetition", "the whole cross-validation once more, with other splits and other random numbers"),
    ("block", "one fold of one repetition: all options are trained once on it"),
    ("expected gain", "what an option is expected to bring: the measured difference, less what is likely to be luck"),
    ("chance that it helps", "how probable it is that the true difference is above 0"),
    ("taken", "our best bet: the highest expected gain, its cost counted"),
    ("shown", "the data would convince a sceptic; not shown is not the same as no effect"),
    (
        "tuned number",
        "a number, such as the learning rate, that each option was given at its own best value (nuisance)",
    ),
)  # term, meaning
