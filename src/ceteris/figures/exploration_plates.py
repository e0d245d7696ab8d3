"""The figures about the search for the best recipe, each with its words; which there are depends on the strategy."""

from collections.abc import Iterator
from functools import partial
from math import isfinite

from ceteris.analysis.search import unequal_blocks
from ceteris.figures.candidate_settings import candidate_settings_info, draw_candidate_settings
from ceteris.figures.candidates import candidates_info, draw_history, draw_rungs
from ceteris.figures.captioned import Plate
from ceteris.figures.cells import cells_info, draw_cells, draw_interaction
from ceteris.figures.confirmation import confirmation_info, draw_confirmation
from ceteris.figures.factor_effects import FactorEffectsInfo, draw_factor_effects, factor_effects_info
from ceteris.figures.interactions import draw_interactions, interactions_info
from ceteris.figures.race import draw_race, race_info
from ceteris.figures.search_path import draw_search_path, has_path, search_path_info
from ceteris.figures.tuning import draw_tuning, tuning_info
from ceteris.figures.worth import draw_worth, worth_info
from ceteris.findings import ModelFinding, StudyFindings


def exploration_plates(findings: StudyFindings) -> Iterator[Plate]:
    """Yield the figures of the search: those of all models together first, then model by model."""
    yield from _confirmation(findings)
    if any(has_path(model) for model in findings.models):
        yield Plate(
            name="search-path", section="exploration", model="",
            draw=partial(draw_search_path, search_path_info(findings)),
            caption="The path of every model from its baseline to its best setting. A filled mark is a change that was "
            "kept, with the paired difference it won by where it was chosen; an open mark is a factor that left the setting "
            "as it was, its tuned numbers apart. What is left of the sum on fresh seeds, the figure of the improvement shows.",
            description="For each model a staircase of the mean cross-validated accuracy after each factor; the numbers "
            "are in the table of what helped.",
        )  # fmt: skip
    for model in findings.models:
        yield from _factors(findings, model)
        yield from _tuning(findings, model)
        yield from _worth(findings, model)
        yield from _grid(findings, model)
        yield from _candidates(findings, model)


def _confirmation(findings: StudyFindings) -> Iterator[Plate]:
    info = confirmation_info(findings)
    promise = (
        " The diamond is the sum of the differences that the kept levels showed while they were chosen; what chance chose "
        "does not come back."
        if any(isfinite(entry.promised) for entry in info.models)
        else ""
    )
    if info.models:
        yield Plate(
            name="improvement", section="exploration", model="", draw=partial(draw_confirmation, info),
            caption="Baseline (open) and best recipe (filled) on fresh seeds that no choice has seen, block by block, and "
            f"their paired difference with its corrected 95 % interval.{promise}",
            description="For each model the accuracies of baseline and best recipe on fresh blocks and their difference; "
            "the numbers are in the table of improvements.",
        )  # fmt: skip


def _factors(findings: StudyFindings, model: ModelFinding) -> Iterator[Plate]:
    info = factor_effects_info(findings, model.name)
    if not info.factors:
        return
    yield Plate(
        name=f"effects-{model.name}", section="exploration", model=model.name, draw=partial(draw_factor_effects, info),
        caption=_effects_caption(findings, model, info),
        description=f"Dot plots of {sum(len(factor.levels) for factor in info.factors)} levels of {len(info.factors)} "
        "factors; all numbers are in the table of factors.",
    )  # fmt: skip
    if any(unequal_blocks(factor) for factor in model.factors):
        race = race_info(findings, model.name)
        saved = f" {race.saved} trainings of the full design were not needed." if race.saved else ""
        yield Plate(
            name=f"race-{model.name}", section="exploration", model=model.name, draw=partial(draw_race, race),
            caption=f"{info.model}: on how many blocks every level was trained before its fate was clear.{saved}",
            description="A bar per level of every factor: the blocks it was trained on, of those of the full design.",
        )  # fmt: skip


def _effects_caption(findings: StudyFindings, model: ModelFinding, info: FactorEffectsInfo) -> str:
    where = {
        "factorial": "averaged over the trained grid, so that each level's number holds for a mean setting of the others",
        "race": f"on the {info.block}s it was trained on",
    }.get(model.strategy, f"on the same {findings.folds} folds" if info.block == "fold" else "on the same blocks")
    unequal = any(unequal_blocks(factor) for factor in model.factors)
    fewer = (
        " A level that left early has its mean over fewer blocks; its difference uses the common ones only."
        if unequal
        else ""
    )
    return (
        f"{info.model}: every level of every factor {where}. Left, the accuracy of each {info.block} and their mean, with the "
        "incumbent's mean as a dashed line; right, the paired difference from the incumbent with its 95 % interval, corrected "
        f"for the overlap of training sets (Nadeau & Bengio 2003). An arrow at an edge is a value far outside.{fewer}"
    )


def _tuning(findings: StudyFindings, model: ModelFinding) -> Iterator[Plate]:
    info = tuning_info(findings, model.name)
    if info.fields:
        yield Plate(
            name=f"tuning-{model.name}", section="exploration", model=model.name, draw=partial(draw_tuning, info),
            caption=f"{info.model}: numbers that were tuned inside each arm before it was compared, on one fold that no "
            "comparison uses. A ring marks the value that was taken, an arrow one that lies at the edge of what was tried.",
            description="Line charts of held-out accuracy against the tuned value, one line per arm; the numbers are in the "
            "table of tuning.",
        )  # fmt: skip


def _worth(findings: StudyFindings, model: ModelFinding) -> Iterator[Plate]:
    info = worth_info(findings, model.name)
    if info.choices:
        yield Plate(
            name=f"worth-{model.name}", section="exploration", model=model.name, draw=partial(draw_worth, info),
            caption=f"{info.model}: what is lost when one choice of the best setting is put back to the baseline and all "
            "others are kept, with corrected 95 % intervals. A choice whose loss is equivalent to 0 could be left out.",
            description=f"A forest plot of {len(info.choices)} choices; the numbers are in the table of what each is worth.",
        )  # fmt: skip


def _grid(findings: StudyFindings, model: ModelFinding) -> Iterator[Plate]:
    cells, effects = cells_info(findings, model.name), interactions_info(findings, model.name)
    if cells is not None:
        averaged = f", averaged over {', '.join(cells.averaged)}" if cells.averaged else ""
        pair = f"{cells.first} and {cells.second}"
        yield Plate(
            name=f"cells-{model.name}", section="exploration", model=model.name, draw=partial(draw_cells, cells),
            caption=f"{cells.model}: mean cross-validated accuracy of every pair of levels of {pair}{averaged}. The frame is "
            "the best recipe's pair.",
            description=f"A heat map of {cells.means.size} cells with their accuracies.",
        )  # fmt: skip
        yield Plate(
            name=f"interaction-{model.name}", section="exploration", model=model.name, draw=partial(draw_interaction, cells),
            caption=f"{cells.model}: the same cells as lines. Parallel lines mean that the effects of {pair} add up; lines "
            "that cross mean that the better level of one depends on the other.",
            description=f"A line per level of {cells.first} over the levels of {cells.second}.",
        )  # fmt: skip
    if effects.effects:
        yield Plate(
            name=f"interactions-{model.name}", section="exploration", model=model.name,
            draw=partial(draw_interactions, effects),
            caption=f"{effects.model}: how far the joint effect of two levels lies from the sum of their single effects, "
            "with corrected 95 % intervals; p-values are adjusted for all interactions (Holm 1979).",
            description=f"A forest plot of {len(effects.effects)} of {effects.total} interactions, the strongest first.",
        )  # fmt: skip


def _candidates(findings: StudyFindings, model: ModelFinding) -> Iterator[Plate]:
    info = candidates_info(findings, model.name)
    if not info.tried:
        return
    if info.strategy == "halving":
        yield Plate(
            name=f"rungs-{model.name}", section="exploration", model=model.name, draw=partial(draw_rungs, info),
            caption=f"{info.model}: held-out accuracy of every recipe on every rung; the best ones went on with more epochs. "
            "The last rung is the mean over all blocks, the rungs before it one block.",
            description=f"Accuracy of {len(info.tried)} recipes against the epochs of the rung, survivors joined by lines.",
        )  # fmt: skip
    else:
        yield Plate(
            name=f"history-{model.name}", section="exploration", model=model.name, draw=partial(draw_history, info),
            caption=f"{info.model}: mean held-out accuracy of every recipe in the order of trying. The line is the best one "
            "so far; a cross left after its first blocks. The highest of many noisy means is too high by construction.",
            description=f"A scatter chart of {len(info.tried)} recipes by number, with the running maximum.",
        )  # fmt: skip
    settings = candidate_settings_info(findings, model.name)
    if settings.settings:
        yield Plate(
            name=f"settings-{model.name}", section="exploration", model=model.name,
            draw=partial(draw_candidate_settings, settings),
            caption=f"{settings.model}: the accuracy of every recipe against each of its settings. The recipes differ in "
            "other settings as well, so this shows where good recipes lie, not what one setting does; the ring is the "
            "chosen recipe.",
            description=f"Strips and scatter charts of accuracy for {len(settings.settings)} settings.",
        )  # fmt: skip
