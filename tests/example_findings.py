"""Invented but plausible findings on scikit-learn's digits, for tests of figures and reports.

The images and labels are real; the trainings are drawn from a generator, so nothing here takes longer than a moment.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.datasets import load_digits

from ceteris import recipe
from ceteris.analysis.results import Results, results_of
from ceteris.analysis.test_images import images_to_show
from ceteris.findings import (
    Comparison,
    Confirmation,
    DataDescription,
    Effort,
    Explanation,
    FactorFinding,
    FactorPath,
    Failure,
    FeatureMaps,
    FinalFinding,
    Kept,
    LayerRow,
    LevelFinding,
    Look,
    ModelFinding,
    ModelSummary,
    ResidualFinding,
    StudyFindings,
    Taken,
    TestImages,
    TuningFinding,
    Verdict,
    Version,
)
from ceteris.recipe import Recipe
from ceteris.records import ByteArray, Cost, EpochHistory, Float32Array, FloatArray, IntArray, IterationHistory

FACTORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("schedule", "Learning-rate schedule", ("none", "step", "cosine", "plateau")),
    ("optimizer", "Optimizer", ("sgd, momentum 0.9", "adam", "rmsprop", "muon")),
    ("activation", "Activation", ("relu", "leaky-relu", "elu", "tanh")),
    ("batch-norm", "Batch normalisation", ("off", "on")),
    ("penalty", "Weight penalty", ("none", "l1", "l2", "weight-decay")),
    ("dropout", "Dropout", ("0", "0.25", "0.5")),
    ("augmentation", "Augmentation", ("none", "shift", "shift + rotate", "adversarial noise")),
    ("size", "Size", ("small", "medium", "large")),
)
MODELS: tuple[tuple[str, str, recipe.Model], ...] = (
    ("mlp", "MLP", recipe.MLP(hidden=(64, 64, 64))),
    ("cnn", "CNN", recipe.CNN(filters=(32, 64), kernels=(3, 3))),
    ("resnet", "ResNet", recipe.ResNet(blocks=(1, 1), filters=(32, 64))),
)
LEVEL_ACCURACIES = {"mlp": 0.955, "cnn": 0.97, "resnet": 0.978}


@pytest.fixture(scope="session")
def findings() -> StudyFindings:
    """One full study, made once for all tests."""
    return example_findings()


@pytest.fixture(scope="session")
def results(findings: StudyFindings) -> Results:
    """Its finals, evaluated once for all tests."""
    return results_of(findings)


def example_findings(
    *,
    models: Sequence[str] = ("mlp", "cnn", "resnet"),
    factors: int = 6,
    classes: int = 10,
    seeds: int = 2,
    colour: bool = False,
    title: str = "Which techniques help on digits?",
    class_names: Sequence[str] | None = None,
) -> StudyFindings:
    """Build findings of the given size; ``classes`` other than 10 relabel the images at random."""
    random = np.random.default_rng(7)
    images, labels = _images(classes, random, colour=colour)
    held_out = max(360, 6 * classes)
    names = tuple(class_names) if class_names is not None else tuple(str(index) for index in range(classes))
    test_labels = labels[:held_out]
    chosen = [entry for entry in MODELS if entry[0] in models]
    finals = tuple(
        _final(name, version, seed, test_labels, classes, random)
        for name, _, _ in chosen
        for version in _versions(name)
        for seed in range(seeds)
    )
    indices = images_to_show(test_labels, finals, images.shape[1:])
    return StudyFindings(
        name="digits",
        title=title,
        question="Which training techniques help a small network to read handwritten digits?",
        author="A. Author",
        group="Group 12",
        date="2026-11-21",
        folds=5,
        seeds=seeds,
        significance=0.05,
        equivalence_margin=0.005,
        exploration_images=0,
        data=_data(images, labels, held_out, names),
        models=tuple(_model(name, label, model, factors, random) for name, label, model in chosen),
        finals=finals,
        explanations=tuple(_explanation(name, images, labels, classes, random) for name, _, _ in chosen),
        residual=_residual(random) if "resnet" in models else None,
        test_labels=test_labels,
        test_images=TestImages(indices=indices, images=images[indices]),
        looks=(
            Look(
                date="2026-11-21", study="digits", reason="final evaluation of the study digits", models=tuple(models)
            ),
        ),
        trials_total=310,
        trials_failed=2,
        training_seconds=203.4,
        wall_seconds=118.0,
        workers=2,
        packages={"ceteris": "0.1.0", "matplotlib": "3.11.2", "numpy": "2.4.6", "torch": "2.9.0"},
        machine={"device": "cpu", "processor": "x86_64", "system": "Linux", "cores": "2"},
        study_text='[study]\nname = "digits"\n\n[models.mlp]\nhidden = [64, 64, 64]\n# <b>not bold</b> #not-typst $x$\n',
    )


def _versions(name: str) -> tuple[Version, ...]:
    return ("baseline", "best", "plain") if name == "resnet" else ("baseline", "best")


def _images(classes: int, random: np.random.Generator, *, colour: bool) -> tuple[ByteArray, IntArray]:
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)[:, None]  # (1797, 1, 8, 8)
    labels = digits.target.astype(np.int64)
    if classes != 10:
        labels = random.permutation(np.arange(len(labels)) % classes).astype(np.int64)
    if colour:
        images = np.concatenate([images, images[:, :, ::-1], 255 - images], axis=1)
    return np.ascontiguousarray(images), labels


def _data(images: ByteArray, labels: IntArray, held_out: int, names: tuple[str, ...]) -> DataDescription:
    training_images, training_labels = images[held_out:], labels[held_out:]
    per_class = 8 if len(names) <= 10 else max(1, 100 // len(names))
    picked = np.concatenate([np.flatnonzero(training_labels == label)[:per_class] for label in range(len(names))])
    _, channels, height, width = images.shape
    return DataDescription(
        name="digits",
        title="Optical recognition of handwritten digits",
        source="Alpaydin & Kaynak 1998, UCI repository, through scikit-learn",
        note="",
        problem=f"image classification with {len(names)} classes",
        label_meaning="the digit that was written",
        train_count=len(training_labels),
        test_count=held_out,
        image_shape=(channels, height, width),
        minimum=0,
        maximum=255,
        channel_mean=tuple(float(value) for value in training_images.mean(axis=(0, 2, 3))),
        channel_deviation=tuple(float(value) for value in training_images.std(axis=(0, 2, 3))),
        missing=0,
        classes=names,
        train_class_counts=np.bincount(training_labels, minlength=len(names)),
        test_class_counts=np.bincount(labels[:held_out], minlength=len(names)),
        preprocessing=("scaled from 0..16 to 0..255", "standardised by the mean and deviation of the fit part"),
        shares="80 % training, 20 % test; 5-fold cross-validation inside the training part",
        sample_images=training_images[picked],
        sample_labels=training_labels[picked],
        warnings=(),
    )


def _model(name: str, title: str, model: recipe.Model, factors: int, random: np.random.Generator) -> ModelFinding:
    baseline = Recipe(model=model, optimizer=recipe.SGD(lr=0.05), epochs=20, batch_size=64)
    best = replace(
        baseline,
        optimizer=recipe.Adam(lr=2e-3),
        schedule=recipe.Cosine(warmup=0.1),
        augmentation=(recipe.Shift(fraction=0.1), recipe.Rotate(degrees=8.0)),
    )
    found = []
    accuracies: FloatArray = LEVEL_ACCURACIES[name] - 0.02 + random.normal(0, 0.006, 5)
    for position in range(factors):
        finding, accuracies = _factor(position, accuracies, random)
        found.append(finding)
    return ModelFinding(
        name=name, title=title, baseline=baseline, best=best, baseline_summary=_summary(name),
        best_summary=_summary(name), factors=tuple(found),
        strategy="greedy", search=FactorPath(factors=factors, around="best", changed=sum(map(_changed, found))),
        confirmation=_confirmation(name, random) if factors else None,
    )  # fmt: skip


def _changed(factor: FactorFinding) -> bool:
    return not any(level.incumbent and level.chosen for level in factor.levels)


def _confirmation(name: str, random: np.random.Generator) -> Confirmation:
    """The MLP's improvement is confirmed, the CNN's is within the noise, the ResNet turned out worse."""
    baseline = LEVEL_ACCURACIES[name] - 0.02 + random.normal(0, 0.006, 5)
    best = baseline + {"mlp": 0.012, "cnn": 0.002, "resnet": -0.009}[name] + random.normal(0, 0.0015, 5)
    comparison = compared(best, baseline)
    assert comparison is not None
    return Confirmation(baseline=baseline, best=best, comparison=comparison)


def _factor(position: int, incumbent: FloatArray, random: np.random.Generator) -> tuple[FactorFinding, FloatArray]:
    name, title, labels = FACTORS[position % len(FACTORS)]
    if position >= len(FACTORS):
        name, title = f"{name}-{position}", f"{title} again, with a rather long name ({position})"
    gains = random.choice([-0.02, -0.004, 0.0005, 0.006], len(labels) - 1)
    accuracies = [incumbent, *(np.clip(incumbent + gain + random.normal(0, 0.002, 5), 0, 1) for gain in gains)]
    if position == 1:
        accuracies[2] = np.full(5, np.nan)
    comparisons = [
        None,
        *(compared(level, accuracies[0]) for level in accuracies[1:]),
    ]
    winners = [
        index
        for index, comparison in enumerate(comparisons)
        if comparison is not None and comparison.verdict == "better"
    ]
    chosen = max(winners, key=lambda index: float(np.nanmean(accuracies[index])), default=0)
    levels = tuple(
        level_finding(label, levels_accuracy, index == 0, index == chosen, comparisons[index], name, random)
        for index, (label, levels_accuracy) in enumerate(zip(labels, accuracies, strict=True))
    )
    finding = FactorFinding(
        name=name,
        title=title,
        question=f"Does the {title.lower()} matter?",
        fields=(name,),
        levels=levels,
        reason=Taken(gain=0.006, chance=0.97) if chosen else Kept(),
    )
    return finding, accuracies[chosen]


def compared(level: FloatArray, incumbent: FloatArray) -> Comparison | None:
    """Compare two results per block, NaN where one is missing; None where less than two blocks are common."""
    differences = (level - incumbent)[np.isfinite(level - incumbent)]
    count = len(differences)
    if count < 2:
        return None
    difference = float(differences.mean())
    half = float(2.776 * differences.std(ddof=1) * np.sqrt(1 / count + 1 / 4))
    low, high = difference - half, difference + half
    verdict: Verdict = "undecided"
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    elif low > -0.005 and high < 0.005:
        verdict = "equivalent"
    return Comparison(
        difference=difference, low=low, high=high, p_value=0.03, adjusted_p=0.04 if verdict in ("better", "worse") else 0.4,
        probability_worse=0.1, probability_equivalent=0.3, probability_better=0.6, effect_size=1.2, blocks=count,
        verdict=verdict, levels=1, folds=5, margin=0.005, narrow_low=low, narrow_high=high, confidence=0.9,
        standard_error=half / 2.776, degrees=4.0, expected_gain=0.8 * difference,
        chance=float(norm.cdf(difference / max(half / 2.776, 1e-9))), images=1437, discordant=60,
        identical=not differences.any(), detectable=1.4 * half, detectable_with_more=half,
    )  # fmt: skip


def level_finding(
    label: str,
    accuracies: FloatArray,
    incumbent: bool,
    chosen: bool,
    comparison: Comparison | None,
    factor: str,
    random: np.random.Generator,
) -> LevelFinding:
    """Build one level; those of the optimizer were tuned before."""
    failed = bool(np.isnan(accuracies).all())
    tuning = (_tuning(label, float(np.nanmean(accuracies)) if not failed else 0.1),) if factor == "optimizer" else ()
    trials = len(accuracies) + sum(len(entry.values) for entry in tuning)
    return LevelFinding(
        label=label, changes=() if incumbent else (f"{factor}: {label}",), accuracies=accuracies, f1=accuracies - 0.001,
        losses=2 * (1 - accuracies), train_accuracies=np.minimum(1, accuracies + 0.015),
        train_seconds=random.uniform(0.4, 0.8, len(accuracies)), parameters=25_000, forward_flops_per_image=50_000,
        peak_memory_bytes=300_000_000, incumbent=incumbent, chosen=chosen,
        failures=(Failure(status="diverged", error="at epoch 2 (loss nan)"),) * 5 if failed else (), comparison=comparison,
        effort=Effort(
            trials=trials, epochs=20 * trials, steps=420 * trials, training_flops=10**11 * trials, seconds=0.6 * trials
        ),
        tuning=tuning, trials=tuple("" if failed else f"{block:064x}" for block in range(len(accuracies))),
        curves=None if failed else np.linspace(0.5, 1.0, 8, dtype=np.float32) * accuracies[:, None].astype(np.float32),
    )  # fmt: skip


def _tuning(label: str, reached: float) -> TuningFinding:
    """The learning rate of one optimizer; that of muon lies at the edge, and adam got its range widened."""
    start = {"sgd, momentum 0.9": 0.05, "adam": 0.001, "rmsprop": 0.001, "muon": 0.02}[label]
    exponents = {"adam": (-1.0, 0.0, 1.0, 2.0, 1.5), "muon": (-1.0, 0.0, 1.0, 2.0, 3.0)}.get(
        label, (-1.0, 0.0, 1.0, -0.5, 0.5)
    )
    peak = {"adam": 1.5, "muon": 3.0}.get(label, 0.0)
    accuracies = np.array([reached - 0.02 * (exponent - peak) ** 2 for exponent in exponents])
    if label == "rmsprop":
        accuracies[2] = np.nan
    values = tuple(float(f"{start * 3**exponent:.3g}") for exponent in exponents)
    chosen = values[int(np.nanargmax(accuracies))]
    return TuningFinding(
        field="optimizer.lr", values=values, accuracies=accuracies, start=start, chosen=chosen,
        widened=sum(abs(exponent) > 1 for exponent in exponents), at_edge=label == "muon",
    )  # fmt: skip


def _summary(name: str) -> ModelSummary:
    kind = "Linear" if name == "mlp" else "Conv2d"
    layers = (
        LayerRow(name="stem", kind=kind, output_shape=(32, 8, 8), parameters=320, flops=36_864),
        LayerRow(name="activation", kind="ReLU", output_shape=(32, 8, 8), parameters=0, flops=0),
        LayerRow(name="head", kind="Linear", output_shape=(10,), parameters=20_490, flops=40_960),
    )  # fmt: skip
    return ModelSummary(layers=layers, parameters=20_810, flops=77_824)


def _final(
    name: str, version: Version, seed: int, labels: IntArray, classes: int, random: np.random.Generator
) -> FinalFinding:
    gain = {"baseline": -0.012, "best": 0.006, "plain": -0.02}[version]
    target = LEVEL_ACCURACIES[name] + gain
    epochs = _epochs(20, target, random)
    steps = 20 * 21
    return FinalFinding(
        model=name, version=version, seed=seed, digest=f"{name}-{version}-{seed}", status="finished", error="",
        best_epoch=17, epochs=epochs,
        iterations=IterationHistory(
            loss=(2.3 * np.exp(-np.arange(steps) / 60) + random.gamma(2, 0.04, steps)).astype(np.float32),
            accuracy=np.clip(1 - np.exp(-np.arange(steps) / 60), 0, 1).astype(np.float32),
            learning_rate=np.repeat(epochs.learning_rate, 21).astype(np.float32),
        ),
        cost=Cost(
            train_seconds=float(random.uniform(2, 6)), evaluation_seconds=0.3, peak_memory_bytes=310_000_000,
            parameters={"mlp": 13_000, "cnn": 40_000, "resnet": 70_000}[name],
            forward_flops_per_image={"mlp": 26_000, "cnn": 900_000, "resnet": 2_400_000}[name],
            training_flops=10**12, images_per_second=20_000.0,
        ),
        validation_accuracy=float(epochs.validation_accuracy[16]), validation_f1=float(epochs.validation_f1[16]),
        probabilities=_probabilities(labels, classes, target, random),
        test_curve_loss=epochs.validation_loss * 1.05, test_curve_accuracy=epochs.validation_accuracy - 0.002,
    )  # fmt: skip


def _epochs(count: int, target: float, random: np.random.Generator) -> EpochHistory:
    time = np.arange(1, count + 1)
    rise = 1 - np.exp(-time / 3.0)
    validation = target * rise + random.normal(0, 0.003, count)
    return EpochHistory(
        train_loss=2.3 * np.exp(-time / 3.0) + 0.02, train_accuracy=np.minimum(1.0, (target + 0.012) * rise),
        train_f1=np.minimum(1.0, (target + 0.011) * rise), validation_loss=2.3 * np.exp(-time / 3.0) + 0.08 + 0.002 * time,
        validation_accuracy=validation, validation_f1=validation - 0.001,
        learning_rate=0.001 * (1 + np.cos(np.pi * time / count)), gradient_norm=random.gamma(3, 0.3, count),
        seconds=0.2 * time.astype(np.float64),
    )  # fmt: skip


def _probabilities(labels: IntArray, classes: int, accuracy: float, random: np.random.Generator) -> Float32Array:
    logits = random.normal(0, 1.2, (len(labels), classes))
    right = random.random(len(labels)) < accuracy
    peaks = np.where(right, labels, random.integers(0, classes, len(labels)))
    logits[np.arange(len(labels)), peaks] += random.gamma(9, 0.8, len(labels))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float32)


def _explanation(
    name: str, images: ByteArray, labels: IntArray, classes: int, random: np.random.Generator
) -> Explanation:
    side = images.shape[-1]
    shown = images[:10]
    features = tuple(
        FeatureMaps(
            layer=f"block{index}.convolution", image=images[0],
            filters=random.normal(0, 1, (16, images.shape[1] if index == 1 else 1, 3, 3)).astype(np.float32),
            maps=np.abs(random.normal(0, 1, (16, side // index, side // index))).astype(np.float32),
        )
        for index in (1, 2)
    )  # fmt: skip
    centres = random.normal(0, 30, (classes, 2))
    return Explanation(
        model=name, layer="" if name == "mlp" else "block2.convolution", images=shown, labels=labels[:10],
        predictions=(labels[:10] + (np.arange(10) == 3)) % classes,
        heat=np.zeros((0, side, side), np.float32) if name == "mlp" else random.random((10, side, side)).astype(np.float32),
        features=features[:1] if name == "mlp" else features, embedding_layer="head",
        embedding=(centres[labels[:360]] + random.normal(0, 5, (360, 2))).astype(np.float32),
        embedding_labels=labels[:360], embedding_predictions=(labels[:360] + (np.arange(360) % 25 == 3)) % classes,
    )  # fmt: skip


def _residual(random: np.random.Generator) -> ResidualFinding:
    layers = tuple(
        f"stage{stage}.block{block}.convolution{index}" for stage in (1, 2) for block in (1, 2) for index in (1, 2)
    )
    return ResidualFinding(
        layers=layers, gradient_norms_with=random.uniform(0.4, 0.8, len(layers)),
        gradient_norms_without=np.geomspace(0.02, 0.6, len(layers)), parameters_with=70_000, parameters_without=70_000,
    )  # fmt: skip
