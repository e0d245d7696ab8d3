"""Looking into the final models: mistakes with maps, doubtful labels, robustness, confidence, checks of maps, layers."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ceteris.analysis.insights import RobustnessResults
from ceteris.analysis.results import Results
from ceteris.figures.images import as_colour, draw_sheet
from ceteris.figures.panels import Line, Panel, draw_panels
from ceteris.figures.report_figure import ReportFigure
from ceteris.figures.style import (
    ACCENT,
    CONTRAST,
    INK,
    MUTED,
    VERDICT_COLOURS,
    WIDTH,
    abbreviated,
    axes_at,
    blank,
    open_page,
)
from ceteris.findings import DataDescription
from ceteris.formats import shortened
from ceteris.insights import AttentionMaps, Corruption, Doubts, LayerSimilarity, MapCheck, MapMethod, Robustness
from ceteris.records import ByteArray, Float32Array, FloatArray

METHOD_NAMES: dict[MapMethod, str] = {
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "integrated-gradients": "integrated gradients",
    "occlusion": "occlusion",
}
METHOD_PAPERS: dict[MapMethod, str] = {
    "grad-cam": "Selvaraju et al. 2017",
    "grad-cam++": "Chattopadhay et al. 2018",
    "integrated-gradients": "Sundararajan et al. 2017",
    "occlusion": "Zeiler & Fergus 2014",
}
KIND_NAMES: dict[Corruption, str] = {
    "noise": "noise",
    "blur": "blur",
    "brightness": "brightness",
    "contrast": "less contrast",
    "rotation": "rotation",
    "shift": "shift",
    "occlusion": "covered square",
    "fgsm": "attack: FGSM",
    "pgd": "attack: PGD",
}
KIND_UNITS: dict[Corruption, str] = {
    "noise": "deviation",
    "blur": "width, share of a side",
    "brightness": "added",
    "contrast": "contrast left",
    "rotation": "degrees",
    "shift": "share of a side",
    "occlusion": "share of a side",
    "fgsm": "largest change of a pixel",
    "pgd": "largest change of a pixel",
}
_MODELS_A_PAGE = 4


def insight_figures(results: Results) -> Iterator[ReportFigure]:
    """Yield every figure of what was looked at, each where it was asked for."""
    found, titles = results.insights, {model.name: model.label for model in results.models}
    if found.attention is not None:
        yield from _attention_figures(found.attention, titles, results.data)
    for check in found.checks:
        title = f"{titles[check.model]}: do the maps tell anything?"
        yield ReportFigure(
            name=f"map-checks-{check.model}",
            section="explanations",
            model=check.model,
            draw=partial(draw_panels, _check_panels(check), title=title, columns=3),
            caption=f"{title} Left: rank correlation with the map of the intact model as the layers' weights are "
            "permuted from "
            "the output down; a map that stays the same shows the image, not the model (Adebayo et al. 2018). "
            "Right: probability of the "
            "predicted class as the pixels that a map ranks highest are removed, or put into an empty image "
            "(Petsiuk et al. 2018); "
            f"{check.images} test images.",
            description="Three charts of curves, one curve per way to make a map and one for a random order.",
        )
    if found.doubts is not None:
        yield from _doubt_figures(found.doubts, results.data)
    robust = results.seen.robustness
    if robust is not None:
        yield ReportFigure(
            name="robustness",
            section="robustness",
            draw=partial(
                draw_panels,
                _robustness_panels(robust, titles),
                title="Accuracy as test images get harder",
                columns=3,
                height=1.2,
            ),
            caption="Test accuracy under corruptions at five severities (after Hendrycks & Dietterich 2019; Mu & "
            "Gilmer 2019) and under "
            "attacks with full knowledge of the model (Goodfellow et al. 2015; Madry et al. 2018), with 95 % "
            "intervals; "
            f"{robust.found.images:,} test images, the same corrupted ones for all models.",
            description="Nine charts, one for each kind of corruption, with one falling curve per model.",
        )
        yield ReportFigure(
            name="robustness-examples",
            section="robustness",
            draw=partial(draw_examples, robust.found),
            caption="One test image under every condition, mildest on the left; attacks are those on the first model.",
            description="A sheet of the same image, made harder in nine ways at five severities.",
        )
    if results.seen.confidence:
        yield ReportFigure(
            name="confidence",
            section="confidence",
            draw=partial(
                draw_panels, _confidence_panels(results, titles), title="Can the confidence be believed?", columns=3
            ),
            caption="Left: calibration error on the test set without and with a temperature fitted on validation "
            "images alone "
            "(Guo et al. 2017); below the dotted line a right model stays in 95 % of such test sets. Middle: "
            "error among the surest "
            "images. Right: how often conformal sets hold the true class (Vovk et al. 2005); on the dotted line "
            "they keep their promise.",
            description="Three charts with one line per model.",
        )
    if found.layers:
        yield ReportFigure(
            name="layer-separation",
            section="layers",
            draw=partial(
                draw_panels,
                _separation_panels(results, titles),
                title="How the classes come apart, layer by layer",
                columns=2,
            ),
            caption="Silhouette of the true classes (Rousseeuw 1987) and accuracy of a linear probe (Alain & "
            "Bengio 2016) in the layers "
            f"of each model, first to last, for {found.layers[0].images} test images.",
            description="Two charts with one rising line per model.",
        )
    if found.similarity is not None:
        yield ReportFigure(
            name="layer-similarity",
            section="layers",
            draw=partial(draw_similarity, found.similarity, titles),
            caption="Linear CKA of every layer with every other (Kornblith et al. 2019): 1 where two layers "
            "arrange the images alike. "
            "Rules separate the models.",
            description="A square of cells, dark where two layers are alike.",
        )


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes with maps


def _attention_figures(found: AttentionMaps, titles: dict[str, str], data: DataDescription) -> Iterator[ReportFigure]:
    best = {place: _best_method(found, place) for place in range(len(found.models))}
    pages = [
        range(start, min(start + _MODELS_A_PAGE, len(found.models)))
        for start in range(0, len(found.models), _MODELS_A_PAGE)
    ]
    for number, page in enumerate(pages, start=1):
        methods = [best[place] for place in page]
        told = dict.fromkeys(f"{METHOD_NAMES[way]} ({METHOD_PAPERS[way]})" for way in methods)
        yield ReportFigure(
            name="mistakes-maps" + (f"-{number}" if number > 1 else ""),
            section="errors",
            draw=partial(
                draw_maps,
                found,
                titles,
                data.classes,
                [(place, best[place]) for place in page],
                "Misclassified test images: what each model looks at",
            ),
            caption="The same misclassified test images for all models: what speaks for (orange) and against "
            "(blue) the class that the model "
            f"names and the true one, with its confidence in it. {', '.join(told)}.",
            description=f"{len(found.images)} images, each beside two maps per model.",
        )
    for method, way in enumerate(found.methods):
        shown = [
            place
            for place in range(len(found.models))
            if best[place] != way and np.isfinite(found.maps[method, place]).all()
        ]
        if shown:
            yield ReportFigure(
                name=f"mistakes-{way.replace('++', '-plus')}",
                section="explanations",
                draw=partial(
                    draw_maps,
                    found,
                    titles,
                    data.classes,
                    [(place, way) for place in shown[:_MODELS_A_PAGE]],
                    f"The same mistakes by {METHOD_NAMES[way]}",
                ),
                caption=f"The same images and classes by another way to make the maps: {METHOD_NAMES[way]} "
                f"({METHOD_PAPERS[way]}).",
                description=f"{len(found.images)} images, each beside two maps per model.",
            )


def _best_method(found: AttentionMaps, model: int) -> MapMethod:
    """Return Grad-CAM where the model has it, else the first way that gave a map."""
    made = (way for place, way in enumerate(found.methods) if np.isfinite(found.maps[place, model]).all())
    return next(made, found.methods[0])


def signed_overlay(images: ByteArray, maps: Float32Array) -> ByteArray:
    """Lay maps (n, h, w) in -1..1 over the grey images, (n, h, w, 3): orange speaks for, blue against."""
    grey = as_colour(images).mean(axis=-1, keepdims=True).repeat(3, axis=-1) * 0.75 + 32
    strength = np.abs(np.nan_to_num(np.clip(maps, -1, 1)))[..., None]
    colours = np.where(maps[..., None] > 0, 255 * np.array(to_rgb("#ff9a1f")), 255 * np.array(to_rgb("#2f7fe0")))
    weight = 0.85 * strength**0.7
    return np.asarray(np.rint((1 - weight) * grey + weight * colours), dtype=np.uint8)


def draw_maps(
    found: AttentionMaps,
    titles: dict[str, str],
    classes: tuple[str, ...],
    shown: list[tuple[int, MapMethod]],
    title: str,
    figure: Figure,
) -> None:
    """Draw a row per image: the image, then for every model the maps of the class that it names and of the true one."""
    count, gap, first = len(found.images), 0.12, 0.75
    side = min(0.82, (WIDTH - first - 0.3 - gap * len(shown)) / (1 + 2 * len(shown)))
    pitch, limit = side + 0.2, max(5, int(side / 0.062))
    open_page(figure, height=0.95 + count * pitch, title=title)
    for row in range(count):
        top = 0.78 + row * pitch
        axes = axes_at(figure, first - 0.1, top, side, side)
        draw_sheet(axes, as_colour(found.images[row : row + 1]), 1)
        name = abbreviated(classes[found.labels[row]], 10)
        axes.text(-0.08, 0.5, name, ha="right", va="center", fontsize=8, color=INK)
        for number, (model, method) in enumerate(shown):
            left = first + side + gap + number * (2 * side + gap)
            maps = found.maps[found.methods.index(method), model, row]
            axes = axes_at(figure, left, top, 2 * side, side)
            draw_sheet(axes, signed_overlay(found.images[[row, row]], maps), 2)
            for way in (0, 1):
                target, sure = found.targets[model, row, way], found.confidences[model, row, way]
                right = target == found.labels[row]
                text = f"{abbreviated(classes[target], max(3, limit - 5))} {100 * sure:.0f} %"
                colour = VERDICT_COLOURS["better" if right else "worse"]
                axes.text(way + 0.5, 1.02, text, ha="center", va="top", fontsize=6.5, color=colour)
    head = axes_at(figure, 0, 0.3, WIDTH, 0.45)
    head.set(xlim=(0, WIDTH), ylim=(0.45, 0))
    blank(head)
    head.patch.set_visible(False)
    head.text(first - 0.1 - 0.06, 0.36, "true", ha="right", va="center", fontsize=7, color=MUTED)
    for number, (model, method) in enumerate(shown):
        left = first + side + gap + number * (2 * side + gap)
        head.text(
            left,
            0.18,
            shortened(titles[found.models[model]], int(2 * side / 0.075)),
            fontsize=8,
            va="center",
            fontweight="bold",
            color=INK,
        )
        head.text(
            left + 2 * side,
            0.18,
            METHOD_NAMES[method] if 2 * side > 1.4 else "",
            fontsize=6.5,
            va="center",
            ha="right",
            color=MUTED,
        )
        for way, text in enumerate(("named", "true")):
            head.text(left + (way + 0.5) * side, 0.36, text, ha="center", va="center", fontsize=7, color=MUTED)


def _doubt_figures(found: Doubts, data: DataDescription) -> Iterator[ReportFigure]:
    parts = (
        (
            "doubtful-labels",
            slice(0, found.shown),
            "Training images whose label may be wrong",
            f"Training images whose label may be wrong: {found.candidates:,} of {found.examined:,}, the surest "
            "first (confident "
            "learning, Northcutt et al. 2021), by models that were not fitted on them.",
        ),
        (
            "hardest-images",
            slice(found.shown, None),
            "The hardest training images",
            "Of the other training images those whose label got the smallest probability from models that were "
            "not fitted on them.",
        ),
    )
    for name, part, title, caption in parts:
        if len(found.labels[part]):
            yield ReportFigure(
                name=name,
                section="errors",
                draw=partial(draw_doubts, found, part, data.classes, title),
                caption=caption,
                description=f"{len(found.labels[part])} images with their label and the class that the models name.",
            )


def draw_doubts(found: Doubts, part: slice, classes: tuple[str, ...], title: str, figure: Figure) -> None:
    """Draw images in rows of ten with the label above and what the models name below, each with its probability."""
    images, labels, suggested, values = (
        found.images[part],
        found.labels[part],
        found.suggested[part],
        found.probabilities[part],
    )
    side, rows = (WIDTH - 0.75) / 10, -(-len(images) // 10)
    pitch = side + 0.42
    open_page(figure, height=0.55 + rows * pitch, title=title)
    for row in range(rows):
        here = slice(10 * row, 10 * row + 10)
        axes = axes_at(figure, 0.65, 0.52 + row * pitch, side * len(images[here]), side)
        draw_sheet(axes, as_colour(images[here]), len(images[here]))
        axes.text(-0.06, -0.1, "label", ha="right", va="center", fontsize=7, color=MUTED)
        axes.text(-0.06, 1.12, "models", ha="right", va="center", fontsize=7, color=MUTED)
        told = zip(labels[here], suggested[here], values[here], strict=True)
        for column, (label, other, (own, instead)) in enumerate(told):
            for y, name, value, colour in ((-0.1, label, own, CONTRAST), (1.12, other, instead, ACCENT)):
                text = f"{abbreviated(classes[name], 6)} {100 * value:.0f} %"
                axes.text(column + 0.5, y, text, ha="center", va="center", fontsize=7, color=colour)


# ---------------------------------------------------------------------------------------------------------------------
# Curves


def _check_panels(check: MapCheck) -> list[Panel]:
    names = [METHOD_NAMES[way] for way in check.methods]
    steps = np.arange(check.similarity.shape[1])

    def curves(values: FloatArray) -> list[Line]:
        return [
            Line(label=label, place=place, x=100 * check.shares, y=values[place], dashed=label == "random order")
            for place, label in enumerate((*names, "random order"))
        ]

    return [
        Panel(
            title="weights permuted",
            x="layers permuted, from the output",
            y="correlation with the map",
            range=(-0.65, 1.05),
            lines=[
                Line(label=name, place=place, x=steps, y=check.similarity[place]) for place, name in enumerate(names)
            ],
        ),
        Panel(
            title="pixels removed", x="% of the pixels", y="probability", lines=curves(check.deletion), range=(0, 1.02)
        ),
        Panel(
            title="pixels put in", x="% of the pixels", y="probability", lines=curves(check.insertion), range=(0, 1.02)
        ),
    ]


def _robustness_panels(robust: RobustnessResults, titles: dict[str, str]) -> list[Panel]:
    panels = []
    for kind in robust.kinds:
        places = [0, *robust.places(kind)]
        strengths = [robust.found.conditions[place - 1].strength for place in places[1:]]
        lines = [
            Line(
                label=titles[name],
                place=number,
                x=np.arange(len(places)),
                y=100 * robust.accuracy[number, places],
                low=100 * robust.intervals[number, places, 0],
                high=100 * robust.intervals[number, places, 1],
            )
            for number, name in enumerate(robust.found.models)
        ]
        ticks = [(0.0, "–"), *((float(place), f"{value:g}") for place, value in enumerate(strengths, start=1))]
        panels.append(
            Panel(title=KIND_NAMES[kind], x=KIND_UNITS[kind], y="accuracy, %", lines=lines, ticks=ticks, range=(0, 102))
        )
    return panels


def draw_examples(found: Robustness, figure: Figure) -> None:
    """Draw one image under all conditions: a row per kind, the severities from left to right."""
    kinds = list(dict.fromkeys(condition.kind for condition in found.conditions))
    columns = max(condition.severity for condition in found.conditions)
    side, half = 0.52, -(-len(kinds) // 2)
    open_page(figure, height=0.6 + half * (side + 0.22), title="One test image under every condition")
    for number, kind in enumerate(kinds):
        pictures = [
            image
            for condition, image in zip(found.conditions, found.examples[1:], strict=True)
            if condition.kind == kind
        ]
        left, top = 0.1 + (WIDTH / 2) * (number // half), 0.55 + (side + 0.22) * (number % half)
        axes = axes_at(figure, left + 0.85, top, side * columns * 0.98, side)
        draw_sheet(axes, as_colour(np.array(pictures)), columns)
        axes.text(-0.1, 0.5, KIND_NAMES[kind], fontsize=7, ha="right", va="center", color=INK)


def _confidence_panels(results: Results, titles: dict[str, str]) -> list[Panel]:
    found = results.seen.confidence
    position = {model.name: model.position for model in results.models}
    chance = float(np.mean([one.by_chance for one in found]))
    low = 100 * min(float(found[0].levels.min()), *(float(one.coverage.min()) for one in found))
    levels = 100 * found[0].levels
    return [
        Panel(
            title="calibration error",
            x="",
            y="error, points",
            ticks=[(0.0, "before"), (1.0, "after")],
            level=(100 * chance, "by chance"),
            lines=[
                Line(
                    label=titles[one.model],
                    place=position[one.model],
                    x=np.arange(2),
                    y=100 * np.array([one.error_before, one.error_after]),
                )
                for one in found
            ],
        ),
        Panel(
            title="error among the surest",
            x="% of the test images answered",
            y="error, %",
            lines=[
                Line(
                    label=titles[one.model],
                    place=position[one.model],
                    x=100 * one.answered[2:],
                    y=100 * one.risk[2:],
                    marks=False,
                )
                for one in found
            ],
        ),
        Panel(
            title="conformal sets",
            x="promised, %",
            y="hold the true class, %",
            ticks=[(float(level), f"{level:g}") for level in levels],
            range=(low - 1, 100.3),
            lines=[
                *(
                    Line(label=titles[one.model], place=position[one.model], x=levels, y=100 * one.coverage)
                    for one in found
                ),
                Line(label="promised", place=6, x=levels, y=levels, marks=False, dashed=True),
            ],
        ),
    ]


def _separation_panels(results: Results, titles: dict[str, str]) -> list[Panel]:
    position = {model.name: model.position for model in results.models}

    def lines(part: str, scale: float) -> list[Line]:
        return [
            Line(
                label=titles[one.model],
                place=position[one.model],
                x=np.linspace(0, 100, len(one.layers)),
                y=scale * getattr(one, part),
            )
            for one in results.insights.layers
        ]

    return [
        Panel(
            title="silhouette of the classes",
            x="depth, % of the layers",
            y="silhouette",
            lines=lines("silhouette", 1.0),
        ),
        Panel(title="linear probe", x="depth, % of the layers", y="accuracy, %", lines=lines("probe", 100.0)),
    ]


def draw_similarity(found: LayerSimilarity, titles: dict[str, str], figure: Figure) -> None:
    """Draw the square of similarities with the models named on both sides."""
    side, count = 3.6, len(found.layers)
    open_page(figure, height=side + 0.95, title="How alike the layers are (CKA)", width=side + 2.4)
    axes = axes_at(figure, 1.25, 0.45, side, side)
    picture = axes.imshow(found.similarity, cmap="cividis", vmin=0, vmax=1, extent=(0, count, count, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    owners = list(dict.fromkeys(found.owners))
    start = 0
    for owner in owners:
        end = start + found.owners.count(owner)
        for edge in (start, end):
            axes.axhline(edge, color="#ffffff", linewidth=1.0)
            axes.axvline(edge, color="#ffffff", linewidth=1.0)
        name = shortened(titles[owner], 16)
        axes.text(
            -0.01, (start + end) / 2, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=7.5
        )
        width = int(side * (end - start) / count / 0.07)
        axes.text(
            (start + end) / 2,
            1.02 * count,
            abbreviated(titles[owner], max(3, width)),
            ha="center",
            va="top",
            fontsize=7.5,
        )
        start = end
    bar = figure.colorbar(picture, cax=axes_at(figure, side + 1.4, 0.45, 0.13, side))
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
