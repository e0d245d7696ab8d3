"""What residual connections do: the same network trained with and without them, and the gradient in every layer."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ceteris.analysis.finals import finished, identity, shortened
from ceteris.figures.style import ACCENT, axes_at, grid, logarithmic, open_page, styled
from ceteris.findings import StudyFindings
from ceteris.records import EpochHistory, FloatArray

WITHOUT = "#d1622b"


@dataclass(frozen=True, kw_only=True)
class ResidualInfo:
    """Histories of every seed with and without shortcuts and, per layer, the gradient's norm at the first step."""

    model: str
    with_shortcuts: tuple[EpochHistory, ...]
    without_shortcuts: tuple[EpochHistory, ...]
    layers: tuple[str, ...]
    gradient_norms_with: FloatArray
    gradient_norms_without: FloatArray
    identity: str


def residual_info(findings: StudyFindings) -> ResidualInfo | None:
    """Collect the comparison of the model that has a version without shortcuts, None when no model has one."""
    plain = next((final for final in findings.finals if final.version == "plain" and final.status == "finished"), None)
    if plain is None:
        return None
    gradients = findings.residual
    title = next((model.title for model in findings.models if model.name == plain.model), plain.model)
    return ResidualInfo(
        model=title,
        with_shortcuts=tuple(final.epochs for final in finished(findings, plain.model, "best") if final.epochs),
        without_shortcuts=tuple(final.epochs for final in finished(findings, plain.model, "plain") if final.epochs),
        layers=gradients.layers if gradients else (),
        gradient_norms_with=gradients.gradient_norms_with if gradients else np.zeros(0),
        gradient_norms_without=gradients.gradient_norms_without if gradients else np.zeros(0),
        identity=identity(findings),
    )


@styled
def draw_residual(info: ResidualInfo, figure: Figure) -> None:
    """Draw training loss and validation accuracy by epoch, and the gradient norms from the first layer to the last."""
    title = f"{shortened(info.model, 40)}: with and without residual connections"
    open_page(figure, height=2.75, title=title, identity=info.identity)
    panels = [axes_at(figure, 0.6 + 2.3 * column, 0.65, 1.85, 1.45) for column in range(3)]
    curves = (("train_loss", "training loss", 1), ("validation_accuracy", "validation accuracy, %", 100))
    for axes, (name, label, scale) in zip(panels, curves, strict=False):
        for histories, colour, text in (
            (info.with_shortcuts, ACCENT, "with"), (info.without_shortcuts, WITHOUT, "without"),
        ):  # fmt: skip
            for number, history in enumerate(histories):
                values = scale * np.asarray(getattr(history, name))
                first = number == 0
                axes.plot(
                    np.arange(1, len(values) + 1), values, color=colour, linewidth=1.6 if first else 0.8,
                    alpha=1.0 if first else 0.5, label=text if first else None,
                )  # fmt: skip
        axes.set_title(label, fontsize=8.5)
        axes.set_xlabel("epoch", labelpad=1)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid(axes)
    panels[0].legend(handlelength=1.4)
    axes = panels[2]
    depth = np.arange(1, len(info.layers) + 1)
    axes.plot(depth, info.gradient_norms_with, "o-", color=ACCENT, markersize=3, linewidth=1.2)
    axes.plot(depth, info.gradient_norms_without, "s-", color=WITHOUT, markersize=3, linewidth=1.2)
    axes.set_title("gradient norm, first step", fontsize=8.5)
    axes.set_xlabel("convolution, from the input", labelpad=1)
    if len(depth) and min(info.gradient_norms_with.min(), info.gradient_norms_without.min()) > 0:
        logarithmic(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    grid(axes)
