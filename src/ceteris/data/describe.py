"""What is in a data set: the answers that anybody wants before training on it, as a record, for a terminal, JSON or a page."""

import base64
import io
import json
import math
from dataclasses import dataclass, fields
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ceteris.data.audit import DataAudit, small_classes
from ceteris.data.imageset import class_counts, pieces, standardisation
from ceteris.data.prepared import write_whole
from ceteris.data.sealed import DataSet
from ceteris.findings import DataDescription
from ceteris.formats import some, span
from ceteris.records import ByteArray
from ceteris.seeds import generator

SAMPLES_PER_CLASS = 8
MAX_SAMPLES = 100
_MOST_LISTED = 10
_SCALE_TO = 56  # pixels on the page for the longer side of a small image
_PICTURES = ("sample_images", "class_means")


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of texts: ``rows`` have as many cells as ``columns``."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def describe(data_set: DataSet, *, shares: str = "", folds: int = 0) -> DataDescription:
    """Answer the usual questions about a data set; of the test part only counts are given.

    Args:
        data_set: the set.
        shares: one sentence on what is used for training, validation and test; made from the counts when empty.
        folds: number of cross-validation folds that are planned, 0 for none; a class with fewer images is warned of.
    """
    train, test_count = data_set.train, data_set.test.count
    mean, std = standardisation(train.images, np.arange(len(train)))
    ranges = [(int(piece.min()), int(piece.max())) for piece in pieces(train.images)]
    random, present = generator(0, 0, "sample"), np.unique(train.labels)  # random images, as many of every class as fit
    if len(present) > MAX_SAMPLES:
        present = np.sort(random.choice(present, MAX_SAMPLES, replace=False))
    per_class = max(1, min(SAMPLES_PER_CLASS, MAX_SAMPLES // len(present)))
    drawn = [random.permutation(np.flatnonzero(train.labels == label))[:per_class] for label in present]
    samples = np.concatenate(drawn)
    channels, height, width = train.shape
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    total = len(train) + test_count
    return DataDescription(
        name=data_set.name,
        title=data_set.title,
        source=data_set.source,
        note=data_set.note,
        problem=f"Classification: each {colour} image of {height} x {width} pixels belongs to exactly one of "
        f"{len(train.classes)} classes.",
        label_meaning=data_set.label_meaning,
        train_count=len(train),
        test_count=test_count,
        image_shape=train.shape,
        minimum=min(low for low, _ in ranges),
        maximum=max(high for _, high in ranges),
        channel_mean=tuple(mean.tolist()),
        channel_deviation=tuple(std.tolist()),
        missing=0,  # unsigned bytes cannot be missing; sources with gaps are refused when they are read
        classes=train.classes,
        train_class_counts=class_counts(train.labels, train.classes),
        test_class_counts=data_set.test.class_counts,
        preprocessing=(
            *data_set.preprocessing,
            "each channel minus its mean, divided by its deviation over the images fitted on",
        ),
        shares=shares
        or f"{len(train):,} images ({len(train) / total:.1%}) for training, from which validation images are held out, "
        f"and {test_count:,} ({test_count / total:.1%}) for the test.",
        sample_images=np.ascontiguousarray(train.images[samples]),
        sample_labels=train.labels[samples],
        warnings=(*data_set.warnings, *small_classes(train, folds)),
        understood=_understood_line(data_set),
    )


def reading_lines(data_set: DataSet) -> list[str]:
    """Return in one line what was read as what, and a line for every warning: what is shown before anything is trained."""
    return [_understood_line(data_set), *(f"warning: {text}" for text in data_set.warnings)]


def text_tables(description: DataDescription, audit: DataAudit | None = None) -> tuple[TextTable, ...]:
    """Return the answers, the classes and, with an audit, what was found, as tables for a terminal."""
    rows = tuple((question, answer) for question, answer, _ in answers(description))
    tables = [TextTable(title="Questions and answers", columns=("question", "answer"), rows=rows)]
    tables.append(_classes(description, audit))
    if audit is not None:
        tables.append(_findings(audit))
    warnings = dict.fromkeys((*description.warnings, *(audit.warnings if audit else ())))
    if warnings:
        tables.append(TextTable(title="Warnings", columns=("warning",), rows=tuple((text,) for text in warnings)))
    return tuple(tables)


def as_json(description: DataDescription, audit: DataAudit | None = None) -> str:
    """Return description and audit as JSON; images are left out, lists of indices are complete."""
    content = {"description": _plain(description), "audit": _plain(audit) if audit is not None else None}
    return json.dumps(content, indent=1, ensure_ascii=False)


def write_page(path: Path, description: DataDescription, audit: DataAudit | None = None) -> None:
    """Write description and audit as one HTML page with pictures, which has no reference to anything outside itself.

    Raises:
        DataError: the file cannot be written.
    """
    import jinja2  # only here, so that worker processes do not pay for it

    text = package_files("ceteris.data").joinpath("page.html.jinja").read_text(encoding="utf-8")
    train, test = description.train_class_counts, description.test_class_counts
    largest = max(int(train.max()), int(test.max()), 1)
    counts = [(int(first), int(second)) for first, second in zip(train, test, strict=True)]
    samples, labels = description.sample_images, description.sample_labels
    page = (
        jinja2.Environment(autoescape=True, trim_blocks=True)
        .from_string(text)
        .render(
            description=description,
            tables={table.title: table for table in text_tables(description, audit)},
            balance=[
                (name, first, second, round(80 * first / largest, 2), round(80 * second / largest, 2))
                for name, (first, second) in zip(description.classes, counts, strict=True)
            ],
            samples=[(description.classes[label], *_picture(samples[labels == label])) for label in np.unique(labels)],
            means=[
                (name, *_picture(mean[None]))
                for name, mean in zip(description.classes, audit.class_means if audit else [], strict=audit is not None)
            ],
        )
    )
    write_whole(path, page)


def _understood_line(data_set: DataSet) -> str:
    understood, classes = data_set.understood, data_set.train.classes
    train, test = (f" in {', '.join(found)}" if found else "" for found in (understood.train, understood.test))
    drawn = " drawn from them" if train and not test else test
    left_out = ", ".join(f"{what} ({count:,})" for what, count in understood.left_out[:_MOST_LISTED])
    total = sum(count for _, count in understood.left_out)
    parts = [
        f"{len(classes)} classes: {some(classes, _MOST_LISTED)}",
        f"{len(data_set.train):,} training images{train}, {data_set.test.count:,} test images{drawn}",
        *([f"{total:,} files left out: {left_out}"] if total else []),
        *understood.notes,
    ]
    return f"{data_set.title}: {'; '.join(parts)}."


def answers(data: DataDescription) -> list[tuple[str, str, bool]]:
    """Return what anybody asks about a data set: the question, its answer, and whether a brief report needs it."""
    channels, height, width = data.image_shape
    total = data.train_count + data.test_count
    return [
        ("name", data.title or data.name, False),
        ("source", data.source, True),
        ("problem", data.problem, True),
        ("label", data.label_meaning, True),
        ("images", f"{total:,}: {data.train_count:,} for training, {data.test_count:,} for the test", True),
        ("shares", data.shares, True),
        ("image", f"{height} × {width} pixels, {channels} channel{'s' if channels > 1 else ''}", True),
        ("smallest and largest value", f"{data.minimum} and {data.maximum} (of 0 to 255)", True),
        ("mean of each channel", ", ".join(f"{value:.4g}" for value in data.channel_mean), False),
        ("standard deviation of each channel", ", ".join(f"{value:.4g}" for value in data.channel_deviation), False),
        ("missing values", f"{data.missing:,}", True),
        ("classes", f"{len(data.classes)}: {', '.join(data.classes)}", True),
        (
            "images per class, training",
            span(int(data.train_class_counts.min()), int(data.train_class_counts.max())),
            True,
        ),
        ("images per class, test", span(int(data.test_class_counts.min()), int(data.test_class_counts.max())), False),
        ("preprocessing", "; ".join(data.preprocessing), True),
        *([("read as", data.understood, False)] if data.understood else []),
        *([("note", data.note, False)] if data.note else []),
    ]


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
    shown = some([f"{first}–{second}" for first, second in pairs[:6].tolist()], 5)
    return f"{len(pairs)} ({shown})" if len(pairs) else "0"


def _picture(images: ByteArray) -> tuple[str, int, int]:
    """Return a PNG as data address, and its width and height on the page, of images (n, c, h, w) side by side."""
    count, channels, height, width = images.shape
    apart = np.full((count, channels, height, width + 1), 128, dtype=np.uint8)  # a grey line between two images
    apart[..., :width] = images
    side_by_side = apart.transpose(1, 2, 0, 3).reshape(channels, height, -1)[..., :-1]
    pixels = (
        np.ascontiguousarray(side_by_side[0])
        if channels == 1
        else np.ascontiguousarray(side_by_side[:3].transpose(1, 2, 0))
    )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    scale = max(1, math.ceil(_SCALE_TO / max(height, width)))
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{encoded}", side_by_side.shape[2] * scale, height * scale


def _plain(record: DataDescription | DataAudit) -> dict[str, Any]:
    plain = {}
    for name in (field.name for field in fields(record) if field.name not in _PICTURES):
        value = getattr(record, name)
        entries = value.tolist() if isinstance(value, np.ndarray) else value
        if isinstance(entries, list):
            entries = [None if isinstance(entry, float) and math.isnan(entry) else entry for entry in entries]
        plain[name] = entries
    return plain
