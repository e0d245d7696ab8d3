"""All effects on one page: a row per level, a column per model, for the PDF."""

from collections.abc import Iterator
from typing import Any

from ceteris.analysis.search import mean_of_finished
from ceteris.findings import LevelFinding, StudyFindings
from ceteris.report.table import readable

MOST_MODELS = 4
_SIGNS = {"better": "▲", "worse": "▼", "equivalent": "=", "undecided": "○"}


def effects_table(findings: StudyFindings, most_rows: int) -> tuple[dict[str, Any], int]:
    """Return the table as plain values and how many levels it leaves out.

    A cell reads "mean accuracy, difference from the incumbent, verdict". Where there are more rows than allowed, levels
    that were neither incumbent nor kept nor better for any model are left out first, then whole factors from the end.
    """
    models = findings.models[:MOST_MODELS]
    grouped: dict[str, dict[str, dict[str, LevelFinding]]] = {}
    for model in models:
        for factor in model.factors:
            levels = grouped.setdefault(factor.title or factor.name, {})
            for level in factor.levels:
                levels.setdefault(level.label, {})[model.name] = level
    total = sum(len(levels) for levels in grouped.values())
    chosen = _reduced(grouped, most_rows)
    shown = sum(len(levels) for levels in chosen.values())
    rows = [row for title, levels in chosen.items() for row in _rows(title, levels, [model.name for model in models])]
    return {"models": [(model.title or model.name)[:24] for model in models], "rows": rows}, total - shown


def _reduced(
    grouped: dict[str, dict[str, dict[str, LevelFinding]]], most_rows: int
) -> dict[str, dict[str, dict[str, LevelFinding]]]:
    if sum(len(levels) for levels in grouped.values()) <= most_rows:
        return grouped
    telling = {
        title: {label: found for label, found in levels.items() if any(map(_is_telling, found.values()))}
        for title, levels in grouped.items()
    }
    kept: dict[str, dict[str, dict[str, LevelFinding]]] = {}
    for title, levels in telling.items():
        if sum(map(len, kept.values())) + len(levels) > most_rows:
            break
        kept[title] = levels
    return kept


def _is_telling(level: LevelFinding) -> bool:
    better = level.comparison is not None and level.comparison.verdict == "better"
    return level.incumbent or level.chosen or better


def _rows(title: str, levels: dict[str, dict[str, LevelFinding]], models: list[str]) -> Iterator[dict[str, Any]]:
    for number, (label, found) in enumerate(levels.items()):
        yield {
            "factor": title[:60] if number == 0 else "",
            "level": label[:48],
            "cells": [_cell(found.get(model)) for model in models],
        }


def _cell(level: LevelFinding | None) -> dict[str, Any]:
    if level is None:
        return {"mean": "", "difference": "", "verdict": "", "sign": "", "chosen": False}
    mean = mean_of_finished(level.accuracies)
    compared = level.comparison
    difference = readable(compared.difference, "points") if compared else ""
    verdict = compared.verdict if compared else "incumbent" if level.incumbent else "failed"
    return {
        "mean": f"{100 * mean:.2f}" if mean == mean else "failed",
        "difference": difference,
        "interval": f"({100 * compared.low:.2f} to {100 * compared.high:.2f})".replace("-", "−") if compared else "",
        "verdict": verdict,
        "sign": _SIGNS.get(verdict, "◇" if verdict == "incumbent" else ""),
        "chosen": level.chosen,
    }
