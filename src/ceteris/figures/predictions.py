"""Single test images with their true and predicted class: the first six, ten random ones, the most telling mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from ceteris.analysis.finals import identity, model_titles, shortened, shown
from ceteris.analysis.images import first_test_indices, most_confident_mistakes, random_test_indices
from ceteris.figures.mosaic import as_colour, draw_sheet, sheet
from ceteris.figures.style import INK, MUTED, VERDICT_COLOURS, WIDTH, axes_at, blank, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import ByteArray, IntArray


@dataclass(frozen=True, kw_only=True)
class PredictedImagesInfo:
    """Test images (n, channels, h, w), their places (n,), true classes (n,) and what each model said, (models, n)."""

    title: str
    models: tuple[str, ...]
    indices: IntArray
    images: ByteArray
    labels: IntArray
    predictions: IntArray
    classes: tuple[str, ...]
    identity: str


def first_images_info(findings: StudyFindings) -> PredictedImagesInfo:
    """Collect the first six test images with the answer of the best version of every model."""
    indices = first_test_indices(len(findings.test_labels))
    return _predicted(findings, list(model_titles(findings)), indices, "The first six test images")


def random_images_info(findings: StudyFindings) -> PredictedImagesInfo:
    """Collect ten random test images with the answer of the best version of every model."""
    indices = random_test_indices(len(findings.test_labels))
    return _predicted(findings, list(model_titles(findings)), indices, "Ten random test images")


def mistakes_info(findings: StudyFindings, model: str) -> PredictedImagesInfo:
    """Collect ten misclassified test images of one model, one of each class where possible, the most confident first."""
    final = shown(findings, model)
    indices = most_confident_mistakes(final.probabilities, findings.test_labels) if final else np.zeros(0, np.int64)
    title = f"{model_titles(findings)[model]}: misclassified test images"
    return _predicted(findings, [model], indices, title)


def right_counts(info: PredictedImagesInfo) -> dict[str, int]:
    """Count how many of the images each model names right."""
    right = (info.predictions == info.labels[None]).sum(axis=1)
    return {model: int(count) for model, count in zip(info.models, right, strict=True)}


def _predicted(findings: StudyFindings, models: Sequence[str], indices: IntArray, title: str) -> PredictedImagesInfo:
    places = {int(index): position for position, index in enumerate(findings.test_images.indices)}
    stored = np.array([index for index in indices if int(index) in places], dtype=np.int64)
    finals = [final for final in (shown(findings, model) for model in models) if final is not None]
    titles = model_titles(findings)
    predictions = [final.probabilities[stored].argmax(axis=1) for final in finals]
    return PredictedImagesInfo(
        title=title,
        models=tuple(titles[final.model] for final in finals),
        indices=stored,
        images=findings.test_images.images[[places[int(index)] for index in stored]],
        labels=findings.test_labels[stored],
        predictions=np.array(predictions, dtype=np.int64).reshape(len(finals), len(stored)),
        classes=findings.data.classes,
        identity=identity(findings),
    )


@styled
def draw_predicted_images(info: PredictedImagesInfo, figure: Figure) -> None:
    """Draw the images in rows of up to ten with the true class above and each model's answer below."""
    columns = 6 if len(info.labels) == 6 else 10
    side = min(0.85, (WIDTH - 1.0) / columns)
    below = 0.2 + 0.15 * len(info.models)
    rows = max(1, -(-len(info.labels) // columns))
    open_page(figure, height=0.62 + rows * (side + below + 0.18), title=_title(info), identity=info.identity)
    for row in range(rows):
        part = slice(row * columns, (row + 1) * columns)
        _draw_row(info, figure, part, top=0.55 + row * (side + below + 0.18), side=side)


def _title(info: PredictedImagesInfo) -> str:
    if info.title.endswith("misclassified test images"):
        return info.title if len(info.labels) else f"{info.title}: none"
    scores = ", ".join(f"{shortened(name, 18)} {right}" for name, right in right_counts(info).items())
    return f"{info.title}: right of {len(info.labels)}: {scores}" if scores else info.title


def _draw_row(info: PredictedImagesInfo, figure: Figure, part: slice, *, top: float, side: float) -> None:
    labels, predictions = info.labels[part], info.predictions[:, part]
    if not len(labels):
        return
    axes = axes_at(figure, 0.9, top, side * len(labels), side)
    draw_sheet(axes, sheet(as_colour(info.images[part]), len(labels)))
    blank(axes)
    line = 0.15 / side
    for row, name in enumerate(info.models):
        axes.text(-0.08, 1.12 + row * line, shortened(name, 11), fontsize=7, ha="right", va="center", color=MUTED)
    axes.text(-0.08, -0.09, "true", fontsize=7, ha="right", va="center", color=MUTED)
    for column, label in enumerate(labels):
        limit = max(4, int(side / 0.062))
        axes.text(
            column + 0.5, -0.09, shortened(info.classes[label], limit), fontsize=8, ha="center", va="center", color=INK
        )
        for row, predicted in enumerate(predictions[:, column]):
            right, name = predicted == label, info.classes[predicted]
            text = shortened(name, limit) if right else f"{shortened(name, max(3, limit - 3))} ✗"
            axes.text(
                column + 0.5, 1.12 + row * line, text, fontsize=8, ha="center", va="center",
                fontweight="normal" if right else "bold", color=VERDICT_COLOURS["better" if right else "worse"],
            )  # fmt: skip
