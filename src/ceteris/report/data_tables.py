"""Tables about the data and the models: what anybody asks before training."""

from collections.abc import Iterator

import numpy as np

from ceteris.findings import StudyFindings
from ceteris.report.table import Cell, Table, columns


def data_description(findings: StudyFindings) -> Table:
    """Answer the questions that anybody asks about a data set."""
    data = findings.data
    channels, height, width = data.image_shape
    rows: list[tuple[Cell, ...]] = [
        ("name", data.title or data.name),
        ("source", data.source),
        ("problem", data.problem),
        ("label", data.label_meaning),
        ("training images", f"{data.train_count:,}"),
        ("test images", f"{data.test_count:,}"),
        ("shares", data.shares),
        ("image", f"{height} × {width} pixels, {channels} channel{'s' if channels > 1 else ''}"),
        ("smallest and largest value", f"{data.minimum} and {data.maximum}"),
        ("mean of each channel", ", ".join(f"{value:.4g}" for value in data.channel_mean)),
        ("standard deviation of each channel", ", ".join(f"{value:.4g}" for value in data.channel_deviation)),
        ("missing values", f"{data.missing:,}"),
        ("classes", f"{len(data.classes)}: {', '.join(data.classes)}"),
        ("images per class, training", _range(data.train_class_counts)),
        ("images per class, test", _range(data.test_class_counts)),
        ("preprocessing", "; ".join(data.preprocessing)),
        ("images used in the exploration", f"{findings.exploration_images or data.train_count:,}"),
    ]
    rows += [("read as", data.understood)] if data.understood else []
    rows += [("note", data.note)] if data.note else []
    rows += [("warning", text) for text in data.warnings]
    return Table(name="data", title="The data", columns=columns("question", "answer"), rows=tuple(rows))


def _range(counts: np.typing.NDArray[np.int64]) -> str:
    low, high = int(counts.min(initial=counts.max(initial=0))), int(counts.max(initial=0))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def class_counts(findings: StudyFindings) -> Table:
    """Count the images of every class."""
    data = findings.data
    rows = tuple(
        (name, int(train), int(test))
        for name, train, test in zip(data.classes, data.train_class_counts, data.test_class_counts, strict=True)
    )
    return Table(
        name="class_counts", title="Images per class", columns=columns("class", ("training", "count"), ("test", "count")),
        rows=rows,
    )  # fmt: skip


def layers(findings: StudyFindings) -> Iterator[Table]:
    """Yield the layer-by-layer summary of every model, baseline and best."""
    titles = columns("layer", "kind", "output shape", ("parameters", "count"), ("FLOPs per image", "count"))
    for model in findings.models:
        for version, summary in (("baseline", model.baseline_summary), ("best", model.best_summary)):
            rows: list[tuple[Cell, ...]] = [
                (layer.name, layer.kind, " × ".join(map(str, layer.output_shape)), layer.parameters, layer.flops)
                for layer in summary.layers
            ]
            rows.append(("total", "", "", summary.parameters, summary.flops))
            yield Table(
                name=f"layers_{model.name}_{version}", title=f"{model.title or model.name}, {version}: layer by layer",
                columns=titles, rows=tuple(rows),
            )  # fmt: skip
