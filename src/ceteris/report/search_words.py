"""What a search did and found, in words: comparisons, decisions, tuning, candidates, and how each strategy searches."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

import numpy as np

from ceteris.analysis.results import still_open
from ceteris.findings import (
    Broken,
    Candidate,
    CellFailures,
    Comparison,
    Confirmation,
    Eliminated,
    FactorFinding,
    FactorPath,
    Failure,
    GridSearch,
    InBestRecipe,
    IncumbentBroken,
    Interaction,
    Kept,
    LevelFinding,
    ModelFinding,
    PassedOver,
    Pruned,
    PutBack,
    RungSearch,
    SameTraining,
    SampledSearch,
    Taken,
    TuningFinding,
    candidate_label,
    mean_of_finished,
)
from ceteris.formats import chance, p_value, percent, plain_points, points, rough_duration, several, unit_of
from ceteris.stats import MORE_REPETITIONS

if TYPE_CHECKING:  # a report is written, and read in its notebook, without torch
    from ceteris.study.strategies import SearchResult, Strategy

BASELINE = candidate_label(0, (), ())


# ---------------------------------------------------------------------------------------------------------------------
# Comparisons: what is expected of an option, and what was shown of it


def bet_text(gain: float, probability: float, criterion: str = "accuracy") -> str:
    """Say what is expected of an option, and how likely it helps."""
    return f"{points(gain, zero='±')} {unit_of(criterion)} expected, {chance(probability)} likely to help"


def claim_text(found: Comparison) -> str:
    """Say in one cell what was shown of an option against the current setting."""
    if found.identical:
        return "the same training"
    return {
        "better": f"shown ({_evidence(found)})",
        "worse": f"shown to be worse ({_evidence(found)})",
        "equivalent": f"equivalent within ±{100 * found.margin:g}",
        "undecided": f"not shown ({_evidence(found)})",
    }[found.verdict]


def shown_in_short(factor: FactorFinding) -> str:
    """Say in a few words what was shown of a factor: of the option that is taken, else of all that were compared."""
    kept = factor.kept
    if kept is not None and kept is not factor.incumbent and kept.comparison is not None:
        found = kept.comparison
        if found.identical:
            return "the same training"
        words = {"better": "shown", "worse": "shown to be worse", "equivalent": "equivalent", "undecided": "not shown"}
        return f"{words[found.verdict]} ({points(found.low)} to {points(found.high)})"
    return claims_against(factor)


def claims_against(factor: FactorFinding) -> str:
    """Count what was shown of a factor's options against the setting that stayed."""
    found = [level.comparison for level in factor.levels if level.comparison]
    if found and all(entry.identical for entry in found):
        return "the same training"
    counts = Counter("open" if still_open(entry) else "same" if entry.identical else entry.verdict for entry in found)
    words = {
        "better": "better",
        "worse": "worse",
        "equivalent": "equivalent",
        "open": "not shown",
        "same": "the same training",
    }
    of = f" of {len(found)}" if len(found) > 1 else ""
    return ", ".join(f"{counts[key]}{of} {word}" if of else word for key, word in words.items() if counts[key])


def _evidence(found: Comparison) -> str:
    adjustment = f" after Holm over {found.levels}" if found.levels > 1 else ""
    return f"{points(found.low)} to {points(found.high)}; {p_value(found.adjusted_p)}{adjustment}"


def comparison_sentence(found: Comparison, option: str, current: str) -> str:
    """Say what was shown of an option against the current setting, in points of the criterion with 95 % intervals."""
    unit = unit_of(found.criterion)
    size = f"{points(found.difference, zero='±')} {unit} ({_evidence(found)})"
    if found.identical:
        return f"{option} and {current} were the same training: nothing differed on any of {found.blocks} blocks."
    match found.verdict:
        case "equivalent":
            return (
                f"{option} and {current} are equivalent: the difference of {points(found.difference, zero='±')} {unit} has a "
                f"{100 * found.confidence:.3g} % interval of {points(found.narrow_low)} to {points(found.narrow_high)}, "
                f"inside the margin of ±{100 * found.margin:g} {unit}."
            )
        case "undecided":
            return f"No difference between {option} and {current} was shown: {size}."
        case "better" | "worse":
            return f"{option} was shown to be {found.verdict} than {current}: {size}."
        case _:
            assert_never(found.verdict)


def level_sentence(factor: FactorFinding, level: LevelFinding) -> str:
    """Say what was shown of an option of a factor; '' where it was not compared."""
    if level.comparison is None or factor.incumbent is None:
        return ""
    if level.comparison.identical:
        return _same_training(factor, level)
    name = level.tuned_label
    put_back = f"{factor.label} back to {name}" if isinstance(factor.reason, PutBack) else name
    return comparison_sentence(level.comparison, put_back, factor.incumbent.tuned_label)


def _same_training(factor: FactorFinding, level: LevelFinding) -> str:
    """Say that an option changed nothing, and what it would have had to do; a factor's fields tell what it is about."""
    parts = {field.partition(".")[0] for field in factor.fields}
    never = {"schedule": "never changed the learning rate", "clipping": "never had a gradient to clip"}
    epochs = level.effort.epochs // level.effort.trials if level.effort.trials else 0
    told = never.get(parts.pop(), "made no difference") if len(parts) == 1 else "made no difference"
    return f"{level.tuned_label} {told} in {several(epochs, 'epoch')}: it was the same training."


def interaction_sentence(found: Interaction) -> str:
    """Say whether the effects of two levels add up."""
    comparison = found.comparison
    pair = f"{found.first[0]} {found.first[1]} and {found.second[0]} {found.second[1]}"
    evidence = f"{_evidence(comparison)} interactions"
    unit = unit_of(comparison.criterion)
    size = f"{plain_points(abs(comparison.difference))} {unit}"
    return {
        "better": f"Together {pair} bring {size} more than the sum of their two effects ({evidence}).",
        "worse": f"Together {pair} bring {size} less than the sum of their two effects ({evidence}).",
        "equivalent": f"The effects of {pair} add up: what is between them and their sum lies inside "
        f"±{100 * comparison.margin:g} {unit}.",
        "undecided": f"It was not shown whether the effects of {pair} add up: {points(comparison.difference)} {unit} "
        f"({evidence}).",
    }[comparison.verdict]


def confirmation_sentence(found: Confirmation) -> str:
    """Say what the recipe as a whole brought where it met the baseline again."""
    comparison = found.comparison
    if comparison is None:
        return (
            "The improvement could not be measured: too few trainings finished when the recipe met the baseline again."
        )
    where = "On images that no choice has seen" if found.fresh else "On new splits of the same images"
    both = np.isfinite(found.best) & np.isfinite(found.baseline)
    ahead, count = int((found.best > found.baseline)[both].sum()), int(both.sum())
    unit = unit_of(comparison.criterion)
    size = f"on average by {points(comparison.difference)} {unit} (95 % {points(comparison.low)} to {points(comparison.high)})"
    unequal = (
        "by very unequal amounts, so its size is uncertain"
        if ahead == count
        else "which does not show that it is better"
    )
    verdict = {
        "better": "it is shown to be better",
        "worse": "it is shown to be worse, so what chose it was chance",
        "equivalent": f"the two are equivalent within ±{100 * comparison.margin:g} {unit}",
        "undecided": unequal,
    }[comparison.verdict]
    kept = {
        "chosen": "",
        "sure": " Delivered is the recipe with only those choices that help with at least 90 %.",
        "baseline": " The baseline is delivered: all in all it remains the better bet.",
    }[found.delivered]
    conditions = (
        f" At {several(found.epochs, 'epoch')} on {found.fitted:,} images." if found.epochs and found.fitted else ""
    )
    return f"{where} the best recipe was ahead in {ahead} of {count} trainings, {size}: {verdict}.{kept}{conditions}"


# ---------------------------------------------------------------------------------------------------------------------
# Factors


def decision_text(factor: FactorFinding) -> str:
    """Say which option is taken and why, who left early, whose tuning ended at an edge and what did not fit."""
    told = {level.label: level.tuned_label for level in factor.levels}
    before = factor.incumbent.tuned_label if factor.incumbent else ""
    left_because = {
        "better": "better, and no other option could overtake it any more",
        "worse": f"worse than {before}",
        "futile": "it could hardly be found better or worse any more on the blocks that were left",
        "overtaken": "better, but another option had overtaken it",
        "broken": "a training did not finish",
        "behind": "it was not in the better half",
    }
    sentences = [
        _reason_sentence(factor, told),
        *(
            f"{told.get(left.label, left.label)} left after {left.blocks} of {left.design} blocks: {left_because[left.reason]}."
            for left in factor.eliminations
        ),
        *(
            f"{level.label}: {tuned.field} = {tuned.chosen:g} lies at the edge of the values tried."
            for level in factor.levels
            for tuned in level.tuning
            if tuned.at_edge
        ),
        *(
            f"{level.label} was left out, as it does not fit the best setting so far: {level.reason}."
            for level in factor.incompatible
        ),
    ]
    return " ".join(sentences)


def _reason_sentence(factor: FactorFinding, told: Mapping[str, str]) -> str:
    before = factor.incumbent.tuned_label if factor.incumbent else ""
    kept = factor.kept or factor.levels[0]
    name, found = kept.tuned_label, kept.comparison
    criterion = next((level.comparison.criterion for level in factor.levels if level.comparison), "accuracy")
    match factor.reason:
        case Taken(gain=gain, chance=probability, cost=cost):
            shown = any(level.comparison and level.comparison.verdict == "better" for level in factor.levels)
            start = "" if shown else "No option was shown to be better. "
            raw = f" (measured {points(found.difference)}, 95 % {_evidence(found)})" if found else ""
            saves = ", and it takes fewer operations" if cost < 0 else ""
            claim = (
                found
                and {
                    "better": " It was shown to be better.",
                    "worse": " It was shown to be worse.",
                    "equivalent": f" The two are equivalent within ±{100 * found.margin:g} {unit_of(found.criterion)}.",
                    "undecided": " That it is better was not shown." if shown else "",
                }[found.verdict]
            )
            bet = bet_text(gain, probability, criterion)
            return f"{start}Our best bet is {name} instead of {before}: {bet}{raw}{saves}.{claim or ''}"
        case Kept(leader=leader, gain=gain, chance=probability):
            nearest = (
                f" The nearest is {told.get(leader, leader)}: {bet_text(gain, probability, criterion)}."
                if leader
                else ""
            )
            return f"{before} stays: no option is expected to bring more than it costs.{nearest}"
        case SameTraining():
            others = [_same_training(factor, level) for level in factor.levels if not level.incumbent]
            return " ".join([f"{before} stays.", *others])
        case IncumbentBroken(broken=broken, blocks=blocks):
            what = f"{before} did not finish on {broken} of {blocks} blocks"
            if kept.incumbent:
                return f"{before} stays: {what}, and no option finished on all of them."
            return f"{name} is taken: {what}, and {name} has the highest mean accuracy of the options that finished."
        case InBestRecipe(cells=cells):
            others = [
                level_sentence(factor, level)
                or f"{level.label} cannot be compared: its cells are missing or did not finish."
                for level in sorted(factor.levels, key=lambda level: level.comparison is None)
                if not level.incumbent
            ]
            averaged = f"Averaged over the other factors ({cells} cells):"
            return " ".join([f"{name} is in the best recipe. {averaged}", *others])
        case PutBack():
            [lacking] = [level for level in factor.levels if not level.incumbent]
            return level_sentence(factor, lacking) or f"{factor.label} back to {lacking.tuned_label} did not finish."
        case _:
            assert_never(factor.reason)


def to_decide_text(factor: FactorFinding) -> str:
    """Say which true difference two more repetitions would find in a factor, and what they cost; '' where all is shown."""
    open_ones = [level for level in factor.levels if level.comparison and still_open(level.comparison)]
    if isinstance(factor.reason, InBestRecipe | PutBack) or factor.incumbent is None or not open_ones:
        return ""
    found = [level.comparison for level in open_ones if level.comparison]
    least = max(entry.detectable_with_more for entry in found)
    arms = [*open_ones, factor.incumbent]
    blocks = MORE_REPETITIONS * found[0].folds
    seconds = blocks * sum(mean_of_finished(level.train_seconds) for level in arms)
    told = f"{', '.join(level.tuned_label for level in open_ones)}: not shown either way."
    if not least > 0:
        return told
    return (
        f"{told} A true difference above {plain_points(least)} {unit_of(found[0].criterion)} would be found with "
        f"{blocks * len(arms)} more trainings ({rough_duration(seconds)} on one core); a smaller one would stay open."
    )


def tuning_sentence(tuned: TuningFinding) -> str:
    """Say what was tried for a number inside an arm, and what was taken."""
    count, chosen = len(tuned.values), f"{tuned.chosen:g}"
    if not np.isfinite(tuned.accuracies).any():
        return f"{tuned.field}: no training finished at any of {count} values; {chosen} was kept."
    edge = "; it is at the edge of what was tried, so a still better one may lie beyond" if tuned.at_edge else ""
    return (
        f"{tuned.field}: {count} values from {min(tuned.values):g} to {max(tuned.values):g} were tried, "
        f"{chosen} was best ({percent(np.nanmax(tuned.accuracies))} on the tuning fold){edge}."
    )


def failure_text(failure: Failure | CellFailures, candidates: Sequence[Candidate] = ()) -> str:
    """Say how a training ended that did not finish; ``candidates`` are the cells of the grid that it belongs to."""
    if isinstance(failure, Failure):
        return f"{failure.status}: {failure.error}"
    first = next((cell.label for cell in candidates if cell.number == failure.first), f"#{failure.first}")
    return f"{failure.failed} of {failure.cells} cells did not finish; {first}: {failure_text(failure.failure)}"


# ---------------------------------------------------------------------------------------------------------------------
# Candidates


def candidate_remark(candidate: Candidate) -> str:
    """Say what became of a candidate, or how it compares with the baseline, and which of its settings have no effect."""
    match candidate.left:
        case None:
            text = _against_baseline(candidate)
        case Pruned(blocks=blocks, design=design, behind=behind):
            behind_best = f"{plain_points(behind)} points behind the best one on the same blocks"
            text = f"left after {blocks} of {design} blocks, {behind_best}"
        case Broken(failure=failure, rung=rung):
            text = f"in rung {rung}: {failure_text(failure)}" if rung else failure_text(failure)
        case Eliminated(rung=rung, place=place, candidates=count, promoted=promoted):
            text = f"eliminated in rung {rung}: place {place} of {count}, the first {promoted} went on"
        case _:
            assert_never(candidate.left)
    if candidate.left and candidate.status == "finished":
        text += "; trained in full because the others are compared with it"
    idle = _idle_text(candidate.idle)
    return f"{text} ({idle})" if idle else text


def _against_baseline(candidate: Candidate) -> str:
    found = candidate.comparison
    return comparison_sentence(found, candidate.label, BASELINE) if found else ""


def _idle_text(idle: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f'{name}: the recipe has no field "{field}", so it has no effect' for name, field in idle)


def selection_sentence(candidates: Sequence[Candidate]) -> str:
    """Say which candidate is kept, and why."""
    baseline, *others = candidates
    finished = [entry for entry in others if entry.status == "finished"]
    chosen = next(entry for entry in candidates if entry.chosen)
    if baseline.status != "finished":
        if not finished:
            return "The baseline stays: neither it nor any other recipe finished."
        return (
            f"{chosen.label} is kept: the baseline did not finish on all blocks, and this recipe has the highest mean "
            f"accuracy, {_mean(chosen)}."
        )
    count = sum(entry.comparison is not None for entry in others)
    corrected = f"corrected (Holm) for {f'{count} comparisons' if count > 1 else 'one comparison'} with the baseline"
    highest = max([baseline, *finished], key=lambda entry: float(np.mean(entry.accuracies)))
    if chosen.number:
        found = chosen.comparison
        bet = f"{bet_text(found.expected_gain, found.chance, found.criterion)}; " if found else ""
        return f"{chosen.label} is our best bet: {bet}mean accuracy {_mean(chosen)}, {corrected}: {_against_baseline(chosen)}"
    if not count:
        return "The baseline stays: no other recipe was trained on two of its blocks."
    if not highest.number:
        return f"The baseline stays: it has the highest mean accuracy, {_mean(highest)}."
    return (
        f"The baseline stays: no recipe is expected to be worth it, {corrected}. The highest mean accuracy, "
        f"{_mean(highest)}, has {highest.label}" + (f": {_against_baseline(highest)}" if highest.comparison else ".")
    )


def _mean(candidate: Candidate) -> str:
    return percent(float(np.mean(candidate.accuracies)))


# ---------------------------------------------------------------------------------------------------------------------
# The search as a whole


def search_text(found: "ModelFinding | SearchResult") -> str:
    """Say what a search did with one model, and what that is worth."""
    search = found.search
    match search:
        case FactorPath():
            return " ".join(_path_sentences(search, found.trainings_saved))
        case GridSearch():
            sentences = [*_grid_sentences(search, found)]
        case SampledSearch():
            sentences = [*_sampled_sentences(search, found.candidates)]
        case RungSearch():
            sentences = [*_rung_sentences(search, found.candidates)]
        case _:
            assert_never(search)
    if any(entry.chosen and entry.number for entry in found.candidates):
        tried = len(found.candidates)
        luck = f"The highest of {tried} noisy means is optimistic: part of its lead is luck (the winner's curse)"
        sentences.append(
            f"{luck}, which is why a recipe that is kept is confirmed on fresh seeds."
            if search.confirmed
            else f"{luck}; the study leaves the confirmation on fresh seeds out, so take the difference as an upper bound."
        )
    return " ".join(sentences)


def _path_sentences(path: FactorPath, saved: int) -> Iterator[str]:
    if not path.factors:
        yield "No factor was explored: the baseline alone was trained."
    elif path.around == "best":
        yield (
            f"{several(path.factors, 'factor')} explored one after another, each around the best setting so far. A combination "
            "that only works together can be missed, and the order of the factors matters."
        )
    else:
        yield f"{several(path.factors, 'factor')} explored, each option against the baseline alone."
        joined = {
            0: "No option was taken, so the baseline stays.",
            1: "The one change that was kept makes the best recipe.",
        }
        yield joined.get(
            path.changed,
            f"The {path.changed} changes that were kept are put together; that their effects add up is an assumption, which "
            "the confirmation tests.",
        )
    if path.put_back == 0:
        yield "The baseline stayed the best, so there is no choice to put back."
    elif path.put_back:
        yield (
            f"Then each of the {path.put_back} choices that differ from the baseline was put back alone, with all others "
            "kept: the loss is what the choice is worth in the final stack."
        )
    if path.raced is not None:
        share = 100 * saved / path.raced if path.raced else 0.0
        yield (
            "Levels raced block by block and left when their verdict on all blocks was all but certain: "
            f"{saved} of the {path.raced} trainings of the full design were not needed ({share:.0f} %)."
        )


def _grid_sentences(grid: GridSearch, found: "ModelFinding | SearchResult") -> Iterator[str]:
    trained = len(found.candidates)
    if trained == grid.size:
        yield f"All {trained} cells of the grid were trained on every block."
    elif trained == grid.possible:
        yield f"All {trained} cells of the grid that can be made, of {grid.size}, were trained on every block."
    else:
        yield (
            f"{trained} of the {grid.size:,} cells of the grid, chosen so that all effects can be told apart, were trained "
            "on every block."
        )
    yield selection_sentence(found.candidates)
    if failed := sum(entry.status == "failed" for entry in found.candidates):
        yield f"{failed} cells did not finish and are left out of all effects."
    if grid.left_out:
        count, reason = _most_frequent(grid.left_out)
        yield f"{count} cells were left out, as their levels do not go together ({reason})."
    if found.interactions:
        strongest = max(found.interactions, key=lambda entry: abs(entry.comparison.difference))
        yield f"The largest of {len(found.interactions)} interactions: {interaction_sentence(strongest)}"
    if grid.untuned:
        yield (
            f"A grid tunes nothing inside its cells; to judge levels at a {grid.untuned} that suits them, make it a factor."
        )


def _sampled_sentences(search: SampledSearch, candidates: Sequence[Candidate]) -> Iterator[str]:
    yield f"{len(candidates)} recipes were tried, the baseline first ({search.sampler})."
    if left := sum(entry.status == "pruned" for entry in candidates):
        yield f"{left} were left after {search.first_blocks} blocks, clearly behind the best one on the same blocks."
    if failed := sum(entry.status == "failed" for entry in candidates):
        yield f"{failed} did not finish."
    if len(candidates) < search.asked:
        yield "There are no other recipes in this space."
    if search.passed_over:
        count, reason = _most_frequent(search.passed_over)
        yield f"{count} suggestions do not go together and were passed over ({reason})."
    yield selection_sentence(candidates)


def _rung_sentences(search: RungSearch, candidates: Sequence[Candidate]) -> Iterator[str]:
    *short, last = search.rungs
    steps = [f"{rung.candidates} with {rung.epochs} epoch{'s' if rung.epochs > 1 else ''}" for rung in short]
    trained = ", ".join([*steps, f"{last.candidates} in full on all blocks"])
    yield f"{search.method.capitalize()} trained {trained}; {BASELINE} took part and is always trained in full."
    if failed := sum(entry.status == "failed" for entry in candidates):
        yield f"{failed} did not finish."
    yield selection_sentence(candidates)


def _most_frequent(groups: Sequence[PassedOver]) -> tuple[int, str]:
    """Return how many there are in all, and the reason of the most."""
    most = max(groups, key=lambda group: group.count)
    reason = most.reason or _idle_text(most.idle) or "another cell is the same recipe"
    return sum(group.count for group in groups), reason


# ---------------------------------------------------------------------------------------------------------------------
# Strategies


def strategy_words(models: Sequence[ModelFinding]) -> "Strategy":
    """Return the strategy of a study's models, with its words: its name, how it searches, and its limits."""
    from ceteris.study.strategies import strategy_named

    return strategy_named(next((model.strategy for model in models), "greedy"))
