"""Looking into the final models in words and tables: mistakes, labels, robustness, confidence, maps, layers, costs."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from ceteris.analysis.insights import RobustnessResults
from ceteris.analysis.results import Results
from ceteris.figures.insights import KIND_NAMES, METHOD_NAMES
from ceteris.formats import percent, plain_points, points, several
from ceteris.insights import MapCheck
from ceteris.records import FloatArray
from ceteris.report.table import Cell, Column, Table, columns, made

# Below this rank correlation a map has changed with the weights; above it shows the image rather than the model.
_UNCHANGED = 0.5


# ---------------------------------------------------------------------------------------------------------------------
# Tables


def robustness_table(results: Results) -> Table:
    """Return the mean accuracy of every model under every kind of condition, over its severities."""
    found = results.seen.robustness
    kinds = found.kinds if found else ()
    heads = columns("model", ("untouched", "share"), *((KIND_NAMES[kind], "share") for kind in kinds))
    rows: list[list[Cell]] = [
        [
            results.title_of(name),
            float(found.accuracy[number, 0]),
            *(float(found.accuracy[number, found.places(kind)].mean()) for kind in kinds),
        ]
        for number, name in enumerate(found.found.models if found else ())
        if found
    ]
    return made("robustness", "Accuracy under corruption, mean over five severities", heads, rows)


def robustness_conditions(results: Results) -> Table:
    """Return the accuracy of every model under every condition with its interval."""
    found = results.seen.robustness
    heads = columns(
        "model",
        "condition",
        ("severity", "count"),
        ("strength", "number"),
        ("accuracy", "share"),
        ("from", "share"),
        ("to", "share"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            results.title_of(name),
            KIND_NAMES[condition.kind],
            condition.severity,
            condition.strength,
            float(found.accuracy[number, place]),
            *map(float, found.intervals[number, place]),
        )
        for number, name in enumerate(found.found.models if found else ())
        if found
        for place, condition in enumerate(found.found.conditions, start=1)
    ]
    return made("robustness_conditions", "Accuracy under every condition", heads, rows)


def robustness_comparisons(results: Results) -> Table:
    """Return every pair of models under every kind of condition."""
    found = results.seen.robustness
    heads = columns(
        "condition",
        "first",
        "second",
        ("second minus first", "points"),
        ("from", "points"),
        ("to", "points"),
        ("p (Holm)", "p"),
        ("shown", "flag"),
    )
    rows = [
        (
            KIND_NAMES[pair.kind],
            results.title_of(pair.first),
            results.title_of(pair.second),
            pair.difference,
            pair.low,
            pair.high,
            pair.adjusted_p,
            pair.shown,
        )
        for pair in (found.comparisons if found else ())
    ]
    return made("robustness_comparisons", "Models under corruption, by pairs", heads, rows)


def confidence_table(results: Results) -> Table:
    """Return temperatures, calibration before and after, and conformal sets."""
    found = results.seen.confidence
    levels = [float(level) for level in found[0].levels] if found else []
    heads = columns(
        "model",
        ("temperature", "number"),
        ("calibration error", "share"),
        ("after", "share"),
        ("by chance", "share"),
        ("log loss", "number"),
        ("log loss after", "number"),
        *(
            Column(f"{text} {100 * level:g} %", kind)  # type: ignore[arg-type]  # kinds of cells
            for level in levels
            for text, kind in (("holds at", "share"), ("classes at", "number"))
        ),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            results.title_of(one.model),
            one.temperature,
            one.error_before,
            one.error_after,
            one.by_chance,
            one.loss_before,
            one.loss_after,
            *(float(value) for pair in zip(one.coverage, one.set_size, strict=True) for value in pair),
        )
        for one in found
    ]
    return made("confidence", "Confidence, and sets that hold the true class", heads, rows)


def merged_table(results: Results) -> Table:
    """Return plain accuracy beside that with classes that look alike counted as one."""
    heads = columns("model", ("accuracy", "share"), ("look-alikes merged", "share"), ("difference", "points"))
    rows = [(results.title_of(one.model), one.plain, one.merged, one.merged - one.plain) for one in results.seen.merged]
    return made("merged_classes", f"Accuracy with look-alikes merged: {_groups(results)}", heads, rows)


def inference_table(results: Results) -> Table:
    """Return what using the models takes."""
    heads = columns(
        "model",
        ("images/s, one at a time", "number"),
        ("images/s, 128 at a time", "number"),
        ("on disk, KB", "number"),
        ("weights in memory, KB", "number"),
        ("activations of one image, KB", "number"),
        ("training FLOPs, adversarial steps counted", "number"),
    )
    rows = [
        (
            results.title_of(one.model),
            one.single_per_second,
            one.batch_per_second,
            one.disk_bytes / 1024,
            one.memory_bytes / 1024,
            one.activation_bytes / 1024,
            float(one.training_flops),
        )
        for one in results.insights.costs
    ]
    return made("inference", "What using the models takes", heads, rows)


def layer_table(results: Results) -> Table:
    """Return how the layers hold the classes apart, and their silent units."""
    heads = columns(
        "model",
        "layer",
        "kind",
        ("silhouette", "number"),
        ("linear probe", "share"),
        ("units", "count"),
        ("never above 0", "count"),
    )
    rows = [
        (
            results.title_of(one.model),
            layer,
            one.kinds[place],
            float(one.silhouette[place]),
            float(one.probe[place]),
            int(one.units[place]),
            int(one.silent[place]) if one.silent[place] >= 0 else None,
        )
        for one in results.insights.layers
        for place, layer in enumerate(one.layers)
    ]
    return made("layers_seen", "What the layers hold", heads, rows)


# ---------------------------------------------------------------------------------------------------------------------
# Sentences


def _groups(results: Results) -> str:
    return ", ".join("/".join(results.data.classes[member] for member in group) for group in results.insights.groups)


def merged_sentences(results: Results) -> Iterator[str]:
    """Say what merging classes that look alike changes, and how many images all models miss."""
    if results.seen.merged:
        gains = [f"{results.title_of(one.model)} {points(one.merged - one.plain)}" for one in results.seen.merged]
        yield (
            f"With classes that look alike counted as one ({_groups(results)}) accuracy rises by {', '.join(gains)} "
            "points: so much "
            "of the error is about pairs that nobody could tell apart without context."
        )
    if len(results.models) > 1 and results.seen.missed:
        yield (
            f"{several(results.seen.missed, 'test image')} ({percent(results.seen.missed / results.test_count)} of "
            "them) "
            f"{'is' if results.seen.missed == 1 else 'are'} missed by every model: more of the same training is "
            "unlikely to help there."
        )


def doubts_sentences(results: Results) -> Iterator[str]:
    """Say how many training labels are in doubt."""
    found = results.insights.doubts
    if found is None:
        return
    if not found.candidates:
        yield f"No label of the {found.examined:,} training images that were held out once is in doubt."
        return
    share = percent(found.candidates / found.examined)
    yield (
        f"{found.candidates:,} of {found.examined:,} training images ({share}) are candidates for a wrong label: "
        "models that were "
        "not fitted on them are as sure of another class as they are of that class's own images. Together these "
        "models name "
        f"{percent(found.accuracy, 1)} right: the weaker they are, the more candidates are their own mistakes. "
        "People should look at "
        "them; nothing was changed."
    )


def robustness_sentences(results: Results) -> Iterator[str]:
    """Say what every model loses most by, and which differences between models are shown."""
    found = results.seen.robustness
    if found is None:
        return
    for number, name in enumerate(found.found.models):
        losses = {
            kind: float(found.accuracy[number, 0] - found.accuracy[number, found.places(kind)].mean())
            for kind in found.kinds
        }
        natural = {kind: loss for kind, loss in losses.items() if kind not in ("fgsm", "pgd")}
        worst, least = max(natural, key=lambda kind: natural[kind]), min(natural, key=lambda kind: natural[kind])
        yield (
            f"{results.title_of(name)}: of {percent(float(found.accuracy[number, 0]))} on untouched images, "
            f"{KIND_NAMES[worst]} takes "
            f"{plain_points(losses[worst])} points in the mean over five severities and {KIND_NAMES[least]} "
            f"{plain_points(losses[least])}; "
            f"attacks by PGD leave {percent(float(found.accuracy[number, found.places('pgd')].mean()))}."
        )
    if len(found.found.models) > 1:
        yield _shown_differences(results, found)


def _shown_differences(results: Results, found: RobustnessResults) -> str:
    shown = sorted((pair for pair in found.comparisons if pair.shown), key=lambda pair: -abs(pair.difference))
    if not shown:
        count = len(found.comparisons)
        return f"None of the {count} differences between models under corruption is shown (two-way test, Holm)."
    told = []
    for pair in shown[:3]:
        better, worse = (pair.second, pair.first) if pair.difference > 0 else (pair.first, pair.second)
        told.append(
            f"{results.title_of(better)} stands {KIND_NAMES[pair.kind].removeprefix('attack: ')} better than "
            f"{results.title_of(worse)} by "
            f"{plain_points(abs(pair.difference))} points"
        )
    return (
        f"{len(shown)} of {len(found.comparisons)} differences between models under corruption are shown (two-way "
        "test over seeds and "
        f"images, Holm); the largest: {'; '.join(told)}."
    )


def confidence_sentences(results: Results) -> Iterator[str]:
    """Say whether confidence can be believed before and after, and what sets of classes promise and keep."""
    for one in results.seen.confidence:
        way = (
            "too sure"
            if one.temperature > 1.02
            else "not sure enough"
            if one.temperature < 0.98
            else "about as sure as it is right"
        )
        verdict = (
            "that is within what chance gives a model that is right"
            if one.error_after <= one.by_chance
            else f"a right model would stay below {plain_points(one.by_chance)}"
        )
        place = int(np.argmin(np.abs(one.levels - 0.95)))
        yield (
            f"{results.title_of(one.model)} is {way} (temperature {one.temperature:.2f}, fitted on "
            f"{one.validation:,} "
            ""
            ""
            ""
            "validation images): "
            f"its calibration error on the test set goes from {plain_points(one.error_before)} to "
            f"{plain_points(one.error_after)} points; "
            f"{verdict}. Sets of {one.set_size[place]:.2f} classes in the mean, which should hold the true class in "
            f"{100 * one.levels[place]:g} %, hold it in {percent(float(one.coverage[place]), 1)}."
        )


def map_sentences(results: Results) -> Iterator[str]:
    """Say which maps depend on the model's weights and which pixels matter."""
    for check in results.insights.checks:
        yield f"{results.title_of(check.model)}: {_maps_told(check)}"


def _maps_told(check: MapCheck) -> str:
    last = check.similarity[:, -1]
    changed = [METHOD_NAMES[way] for way, value in zip(check.methods, last, strict=True) if value < _UNCHANGED]
    stuck = [METHOD_NAMES[way] for way, value in zip(check.methods, last, strict=True) if value >= _UNCHANGED]
    areas = check.insertion.mean(axis=1) - check.deletion.mean(axis=1)
    best = int(np.argmax(areas[:-1]))
    parts = []
    if changed:
        parts.append(
            f"with permuted weights the maps of {', '.join(changed)} are others (rank correlation below {_UNCHANGED:g})"
        )
    if stuck:
        parts.append(f"those of {', '.join(stuck)} hardly change, so they show the image more than the model")
    order = "more than a random order" if areas[best] > areas[-1] else "no more than a random order"
    parts.append(
        f"{METHOD_NAMES[check.methods[best]]} names the pixels that matter best (insertion minus deletion "
        f"{areas[best]:.2f}, "
        f"{order}: {areas[-1]:.2f})"
    )
    return "; ".join(parts) + "."


def layer_sentences(results: Results) -> Iterator[str]:
    """Say where the classes come apart, and which units are silent."""
    for one in results.insights.layers:
        first, last = float(one.probe[0]), float(one.probe[-1])
        silent, units = int(one.silent.clip(0).sum()), int(one.units[one.silent >= 0].sum())
        yield (
            f"{results.title_of(one.model)}: a linear classifier on the first layer looked at names "
            f"{percent(first, 1)} right, on the last "
            f"{percent(last, 1)}; the silhouette of the classes goes from {one.silhouette[0]:.2f} to "
            f"{one.silhouette[-1]:.2f}. "
            + (
                f"{silent:,} of {units:,} units behind an activation never fire."
                if silent
                else f"All {units:,} units behind an activation fire."
            )
        )
    found = results.insights.similarity
    if found is not None and len(set(found.owners)) > 1:
        owners = np.array(found.owners)
        ends = {name: int(np.flatnonzero(owners == name)[-1]) for name in dict.fromkeys(found.owners)}
        pairs = [(float(found.similarity[ends[a], ends[b]]), a, b) for a, b in combinations(ends, 2)]
        value, a, b = max(pairs)
        yield f"The last layers most alike are those of {results.title_of(a)} and {results.title_of(b)} (CKA {value:.2f})."


# ---------------------------------------------------------------------------------------------------------------------
# Residual connections and depth


def depth_table(results: Results) -> Table:
    """Return every kind of network at every depth."""
    found = results.insights.depths
    heads = columns(
        ("layers", "count"),
        "network",
        ("validation error", "share"),
        ("training error", "share"),
        ("stuck", "share"),
        ("steps until reached", "number"),
        ("seconds until reached", "seconds"),
        ("milliseconds of a step", "number"),
        ("trainings", "count"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            arm.depth,
            arm.level,
            float(1 - arm.accuracies.mean()),
            float(1 - arm.train_accuracies.mean()),
            float(arm.stuck.mean()),
            _mean_known(arm.steps_to_target),
            _mean_known(arm.seconds_to_target),
            float(1000 * arm.seconds.mean()),
            len(arm.accuracies),
        )
        for arm in (found.arms if found else ())
        if len(arm.accuracies)
    ]
    return made("residual_depth", "Networks by depth", heads, rows)


def _mean_known(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def depth_sentences(results: Results) -> Iterator[str]:
    """Say at which depth which networks train, which differences are shown, and what depth costs in time."""
    found = results.insights.depths
    if found is None:
        return
    deepest = max(arm.depth for arm in found.arms)
    for depth in sorted({arm.depth for arm in found.arms}):
        arms = [arm for arm in found.arms if arm.depth == depth and len(arm.accuracies)]
        stuck = [f"{arm.level} ({int(arm.stuck.sum())} of {len(arm.stuck)})" for arm in arms if arm.stuck.any()]
        best = max(arms, key=lambda arm: arm.accuracies.mean())
        text = (
            f"With {depth} layers the {best.level} network is the best, at {percent(float(best.accuracies.mean()), 1)}"
        )
        yield f"{text}; stuck at chance: {', '.join(stuck)}." if stuck else f"{text}; none is stuck at chance."
    for model in results.models:
        for factor in model.factors:
            shown = [level for level in factor.levels if level.comparison and level.comparison.verdict == "better"]
            if factor.name == "connections" and shown and factor.incumbent:
                told = ", ".join(
                    f"{level.label} ({points(level.comparison.difference)})" for level in shown if level.comparison
                )
                yield f"{model.label}: shown to be better than the {factor.incumbent.label} network, in points: {told}."
    times = {arm.level: float(arm.seconds.mean()) for arm in found.arms if arm.depth == deepest and len(arm.seconds)}
    if "plain" in times:
        rest = ", ".join(f"{level} {1000 * value:.1f}" for level, value in times.items() if level != "plain")
        own = f"{1000 * times['plain']:.1f} ms"
        yield f"A step of the plain network with {deepest} layers takes {own}; of the others, in ms: {rest}."


def dynamics_sentences(results: Results) -> Iterator[str]:
    """Say what was seen of the networks under observation, each measure with its numbers."""
    networks = results.insights.dynamics
    if not networks:
        return
    falls = [f"{one.label} {_ratio(one.stages[0].norms):.3g}" for one in networks]
    yield f"Before training the gradient of the last convolution is so many times that of the first: {', '.join(falls)}."
    sizes = [f"{one.label} {_ratio(one.stages[0].variances):.3g}" for one in networks]
    yield f"The variance of the last convolution's output is so many times that of the first: {', '.join(sizes)}."
    smooth = [f"{one.label} {float(np.median(one.smoothness)):.3g}" for one in networks]
    yield (
        "Median change of the gradient per distance along it (effective smoothness, smaller is smoother): "
        f"{', '.join(smooth)}; "
        "each network at its own learning rate."
    )
    alike = [f"{one.label} {float(one.autocorrelation[len(one.autocorrelation) // 4]):.2f}" for one in networks]
    yield f"A quarter of the way between two images the input gradients have a cosine of: {', '.join(alike)}."
    lost = [
        f"{one.label} {plain_points(one.accuracy - float(np.nanmean(one.lesions)))} of {percent(one.accuracy, 0)}"
        for one in networks
        if np.isfinite(one.lesions).any()
    ]
    if lost:
        yield f"Leaving one block out costs, in points of accuracy in the mean: {', '.join(lost)}."
    flat = [
        f"{one.label} {float(np.median(one.surface)) / max(float(one.surface.min()), 1e-9):.3g}" for one in networks
    ]
    yield f"The median loss on the map around the weights is so many times its smallest: {', '.join(flat)}."


def _ratio(values: FloatArray) -> float:
    """Return the last layer's value over the first's, (draws, layers), by the geometric mean over draws."""
    logs = np.log(np.maximum(values, 1e-12)).mean(axis=0)
    return float(np.exp(logs[-1] - logs[0]))


TABLES = (
    robustness_table,
    robustness_conditions,
    robustness_comparisons,
    confidence_table,
    merged_table,
    inference_table,
    layer_table,
    depth_table,
)


def insight_tables(results: Results) -> Iterator[Table]:
    """Yield every table that has rows."""
    return (table for make in TABLES if (table := make(results)).rows)
