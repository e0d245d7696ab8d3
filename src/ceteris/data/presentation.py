"""A description and an audit as rows for a terminal and as JSON."""

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ceteris.data.audit import DataAudit
from ceteris.findings import DataDescription

_MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of texts: ``rows`` have as many cells as ``columns``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def text_tables(description: DataDescription, audit: DataAudit | None = None) -> tuple[TextTable, ...]:
    """Return the answers, the classes and, with an audit, what was found, as tables for a terminal."""
    tables = [_answers(description), _classes(description, audit)]
    if audit is not None:
        tables.append(_findings(audit))
    warnings = dict.fromkeys((*description.warnings, *(audit.warnings if audit else ())))
    if warnings:
        tables.append(TextTable(title="Warnings", columns=("warning",), rows=tuple((text,) for text in warnings)))
    return tuple(tables)


def as_json(description: DataDescription, audit: DataAudit | None = None) -> str:
    """Return description and audit as JSON; images are left out, lists of places are complete."""
    content = {"description": _plain(description), "audit": _plain(audit) if audit is not None else None}
    return json.dumps(content, indent=1, ensure_ascii=False)


def _answers(description: DataDescription) -> TextTable:
    channels, height, width = description.image_shape
    means = ", ".join(
        f"{mean:.2f} ± {deviation:.2f}"
        for mean, deviation in zip(description.channel_mean, description.channel_deviation, strict=True)
    )
    total = description.train_count + description.test_count
    rows = (
        ("Which set?", description.title),
        (
            "How many samples?",
            f"{total:,}: {description.train_count:,} for training, {description.test_count:,} for the test",
        ),
        ("What problem?", description.problem),
        ("Smallest and largest value?", f"{description.minimum} and {description.maximum} (of 0 to 255)"),
        ("Shape of a sample?", f"{channels} x {height} x {width} (channels, height, width)"),
        ("Anything missing?", "nothing" if description.missing == 0 else f"{description.missing} values"),
        ("What is the label?", f"{description.label_meaning}; {len(description.classes)} classes"),
        ("Which shares?", description.shares),
        ("Which preprocessing?", "; ".join(description.preprocessing)),
        ("Mean ± deviation per channel", means),
        ("Source", description.source),
        ("Note", description.note or "none"),
    )
    return TextTable(title="Questions and answers", columns=("question", "answer"), rows=rows)


def _classes(description: DataDescription, audit: DataAudit | None) -> TextTable:
    counts = zip(description.classes, description.train_class_counts, description.test_class_counts, strict=True)
    rows = [(name, f"{train:,}", f"{test:,}", f"{train / description.train_count:.2%}") for name, train, test in counts]
    if audit is None:
        return TextTable(title="Classes", columns=("class", "training", "test", "share"), rows=tuple(rows))
    drift = ["–" if np.isnan(value) else f"{value:+.2f}" for value in audit.brightness_drift]
    return TextTable(
        title="Classes",
        columns=("class", "training", "test", "share", "test brighter by (deviations)"),
        rows=tuple((*row, value) for row, value in zip(rows, drift, strict=True)),
    )


def _findings(audit: DataAudit) -> TextTable:
    near = ("not searched",) * 2
    if audit.near_searched:
        near = (_listed(audit.near_train), _listed(audit.near_shared))
    rows = (
        ("distinct training images", f"{audit.train_distinct:,}"),
        ("distinct test images", f"{audit.test_distinct:,}"),
        ("copies inside the training part", _listed(audit.train_copies)),
        ("copies inside the test part", _listed(audit.test_copies)),
        ("in both parts (training, test)", _listed(audit.shared)),
        ("copies with another label", _listed(audit.conflicting)),
        ("nearly the same, training part", near[0]),
        ("nearly the same, across the parts", near[1]),
        ("training images of one colour", f"{len(audit.constant_train)}"),
        ("test images of one colour", f"{audit.constant_test}"),
        ("largest class / smallest class", f"{audit.imbalance:.2f}"),
        ("distance of class shares, training to test", f"{audit.share_distance:.2%}"),
    )
    return TextTable(title="Audit", columns=("looked for", "found"), rows=rows)


def _listed(pairs: Any) -> str:
    places = ", ".join(f"{first}–{second}" for first, second in pairs[:5].tolist())
    return f"{len(pairs)}" + (f" ({places}{', …' if len(pairs) > 5 else ''})" if len(pairs) else "")


def _plain(value: Any) -> Any:
    names = [field.name for field in fields(value)]
    return {name: _plain_value(getattr(value, name)) for name in names if name not in ("sample_images", "class_means")}


def _plain_value(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return [None if isinstance(entry, float) and np.isnan(entry) else entry for entry in value.tolist()]
