"""What a search found: decisions, the promised gain, the blocks of every level, and what each choice is worth."""

from dataclasses import dataclass, replace

import numpy as np

from ceteris.analysis.finals import model_titles
from ceteris.findings import (
    Comparison,
    FactorFinding,
    Interaction,
    LevelFinding,
    ModelFinding,
    StudyFindings,
    Verdict,
)
from ceteris.records import FloatArray

_OPPOSITE: dict[Verdict, Verdict] = {
    "better": "worse", "worse": "better", "equivalent": "equivalent", "undecided": "undecided",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The level that was kept; ``difference`` and ``verdict`` against the level before, None where that one stayed."""

    level: str
    before: str
    changed: bool
    retuned: bool
    difference: float | None
    verdict: Verdict | None


@dataclass(frozen=True, kw_only=True)
class DecisionsInfo:
    """A row per factor title, a column per model; None where a model did not explore the factor."""

    models: tuple[str, ...]
    factors: tuple[str, ...]
    decisions: tuple[tuple[Decision | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class AblatedChoice:
    """One choice of the best recipe: ``label`` names what it was put back to.

    ``losses`` (blocks,) is the whole stack minus the stack without the choice; ``comparison`` has the same sign, so that
    "better" means that the choice helps. None where nothing was comparable.
    """

    factor: str
    label: str
    losses: FloatArray
    comparison: Comparison | None


def decisions_info(findings: StudyFindings) -> DecisionsInfo:
    """Collect what was decided on every factor for every model; factors stand in the order in which the study met them."""
    found = {(factor.name, model.name): _decision(factor) for model in findings.models for factor in model.factors}
    titles = {factor.name: factor.label for model in reversed(findings.models) for factor in model.factors}
    names, factors = model_titles(findings), dict.fromkeys(factor for factor, _ in found)
    rows = tuple(tuple(found.get((factor, name)) for name in names) for factor in factors)
    shown = tuple(titles[factor] for factor in factors)
    return DecisionsInfo(models=tuple(names.values()), factors=shown, decisions=rows)


def _decision(factor: FactorFinding) -> Decision | None:
    before, kept = factor.incumbent, factor.kept
    if kept is None:
        return None
    compared = None if kept.incumbent else kept.comparison
    return Decision(
        level=kept.tuned_label,
        before=before.label if before else "",
        changed=not kept.incumbent,
        retuned=kept.retuned,
        difference=compared.difference if compared else None,
        verdict=compared.verdict if compared else None,
    )


def factor_titles(model: ModelFinding) -> dict[str, str]:
    """Return factor name -> title."""
    return {factor.name: factor.label for factor in model.factors}


def mean_of_finished(values: FloatArray) -> float:
    """Return the mean over the blocks that finished, nan when none did."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def block_word(findings: StudyFindings, model: ModelFinding) -> str:
    """Return "fold" where every fold was trained once, else "block"."""
    blocks = max((len(level.accuracies) for factor in model.factors for level in factor.levels), default=0)
    return "fold" if blocks == findings.folds else "block"


def trained_blocks(level: LevelFinding) -> int:
    """Return on how many blocks of the comparison a level was trained, those that failed included."""
    return int(np.isfinite(level.accuracies).sum()) + len(level.failures)


def unequal_blocks(factor: FactorFinding) -> bool:
    """Tell whether some levels were trained on fewer blocks than others."""
    return len({trained_blocks(level) for level in factor.levels}) > 1


def promised_gain(model: ModelFinding) -> float:
    """Return the sum of the differences with which levels won, nan where the search was not factor by factor."""
    if model.candidates:
        return float("nan")
    kept = [
        level.comparison.difference
        for factor in model.factors
        for level in factor.levels
        if level.chosen and not level.incumbent and level.comparison is not None
    ]
    return float(sum(kept)) if kept else float("nan")


def strongest(interactions: tuple[Interaction, ...]) -> list[Interaction]:
    """Return the interactions ordered by their absolute size."""
    return sorted(interactions, key=lambda entry: -np.nan_to_num(abs(entry.comparison.difference)))


def ablation(model: ModelFinding) -> tuple[AblatedChoice, ...]:
    """Return what each choice of the best recipe is worth, the most valuable first; () where none was put back."""
    choices = [
        AblatedChoice(
            factor=factor.label,
            label=f"back to {level.label}",
            losses=stack.accuracies - level.accuracies,
            comparison=level.comparison and _reversed(level.comparison),
        )
        for factor in model.ablation
        if (stack := factor.incumbent) is not None
        for level in factor.levels
        if not level.incumbent
    ]
    return tuple(
        sorted(
            choices,
            key=lambda choice: (
                -np.nan_to_num(choice.comparison.difference if choice.comparison else np.nan, nan=np.inf)
            ),
        )
    )


def _reversed(found: Comparison) -> Comparison:
    """Return the comparison of the incumbent with the level."""
    return replace(
        found,
        difference=-found.difference,
        low=-found.high,
        high=-found.low,
        probability_worse=found.probability_better,
        probability_better=found.probability_worse,
        effect_size=-found.effect_size,
        verdict=_OPPOSITE[found.verdict],
        narrow_low=-found.narrow_high,
        narrow_high=-found.narrow_low,
    )


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """A level whose comparison with the incumbent is undecided."""

    model: ModelFinding
    factor: FactorFinding
    level: LevelFinding
    comparison: Comparison

    @property
    def more(self) -> int | None:
        """How many blocks more would decide the level, None where no number of repetitions would."""
        found = self.comparison
        return found.blocks_to_decide - found.blocks if found.blocks_to_decide > found.blocks else None

    @property
    def seconds(self) -> float | None:
        """The training time of these blocks on one core, level and incumbent together."""
        pair = [self.level] if self.factor.incumbent is None else [self.level, self.factor.incumbent]
        return None if self.more is None else self.more * sum(mean_of_finished(arm.train_seconds) for arm in pair)


def undecided(findings: StudyFindings) -> list[Undecided]:
    """Return all undecided comparisons in the study's order."""
    return [
        Undecided(model=model, factor=factor, level=level, comparison=level.comparison)
        for model in findings.models
        for factor in model.factors
        for level in factor.levels
        if level.comparison is not None and level.comparison.verdict == "undecided"
    ]
