"""What speaks for and against each model, from measured numbers only."""

from dataclasses import dataclass

import numpy as np

from ceteris.analysis.finals import finished, model_titles
from ceteris.analysis.results import ResultsInfo
from ceteris.findings import StudyFindings
from ceteris.report.sentences import percent, points
from ceteris.report.table import duration


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What speaks for and against one model, each point from a measured number."""

    model: str
    title: str
    pros: tuple[str, ...]
    cons: tuple[str, ...]


def judgements(findings: StudyFindings, results: ResultsInfo) -> list[Judgement]:
    """Weigh every model by its measured accuracy, training time, parameters and calibration against the others."""
    measured = {name: _measured(findings, results, name) for name in model_titles(findings)}
    known = {name: numbers for name, numbers in measured.items() if numbers}
    return [
        Judgement(
            model=name, title=title, pros=tuple(_weigh(known, name, good=True)), cons=tuple(_weigh(known, name, good=False))
        )
        for name, title in model_titles(findings).items()
        if name in known
    ]  # fmt: skip


def _measured(findings: StudyFindings, results: ResultsInfo, name: str) -> dict[str, float]:
    summary = results.of(name)
    if summary is None:
        return {}
    numbers = {
        "accuracy": summary.mean("accuracy"),
        "calibration": float(np.mean([result.calibration.error for result in summary.results])),
        "gap": summary.train_accuracy - summary.validation_accuracy,
    }
    known = [final.cost for final in finished(findings, name, "best") if final.cost]
    if known:
        numbers["seconds"] = float(np.mean([cost.train_seconds for cost in known]))
        numbers["parameters"] = float(known[0].parameters)
        numbers["flops"] = float(known[0].forward_flops_per_image)
    return numbers


_LABELS = {
    "accuracy": ("highest test accuracy", "lowest test accuracy"),
    "seconds": ("shortest training", "longest training"),
    "parameters": ("fewest parameters", "most parameters"),
    "flops": ("fewest operations per image", "most operations per image"),
    "calibration": ("best calibrated", "worst calibrated"),
    "gap": ("smallest gap between training and validation", "largest gap between training and validation"),
}


def _weigh(known: dict[str, dict[str, float]], name: str, *, good: bool) -> list[str]:
    found = []
    for quantity, labels in _LABELS.items():
        values = {
            model: numbers[quantity] for model, numbers in known.items() if np.isfinite(numbers.get(quantity, np.nan))
        }
        if name not in values or len(values) < 2 or len(set(values.values())) == 1:
            continue
        extreme = max(values.values()) if good == (quantity == "accuracy") else min(values.values())
        if values[name] == extreme:
            found.append(f"{labels[0 if good else 1]} ({_shown(quantity, extreme)})")
    return found


def _shown(quantity: str, value: float) -> str:
    match quantity:
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
