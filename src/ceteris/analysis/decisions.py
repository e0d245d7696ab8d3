"""What was decided on every factor for every model, as one matrix: the shortest answer to "what helped"."""

from dataclasses import dataclass

from ceteris.analysis.finals import model_titles
from ceteris.findings import FactorFinding, StudyFindings, Verdict


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


def decisions_info(findings: StudyFindings) -> DecisionsInfo:
    """Collect the decisions; factors stand in the order in which the study first met them."""
    found = {
        (factor.title or factor.name, model.name): _decision(factor)
        for model in findings.models
        for factor in model.factors
    }
    names, factors = model_titles(findings), tuple(dict.fromkeys(title for title, _ in found))
    rows = tuple(tuple(found.get((factor, name)) for name in names) for factor in factors)
    return DecisionsInfo(models=tuple(names.values()), factors=factors, decisions=rows)


def _decision(factor: FactorFinding) -> Decision | None:
    before = next((level for level in factor.levels if level.incumbent), None)
    kept = next((level for level in factor.levels if level.chosen), before)
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
