"""Every table of a report, built from the results alone; names that begin with "costs" hold times and memory."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ceteris.analysis.results import VERSION_TITLES, ModelResults, Results
from ceteris.data import answers
from ceteris.findings import Version, mean_of_finished
from ceteris.recipe import CNN, MLP, CustomModel, Estimator, Recipe, ResNet, written_out
from ceteris.records import HoldoutSplit
from ceteris.report import search_tables as search
from ceteris.report.insights import insight_tables
from ceteris.report.search_words import failure_text
from ceteris.report.table import Cell, Table, columns, detail, made


def tables(results: Results) -> tuple[Table, ...]:
    """Return all tables: those of the whole study, those of the search, and those of each model."""
    of_study = (table for make in OF_STUDY if (table := make(results)).rows or make is not references)
    of_search = (table for make in search.TABLES if (table := make(results.models)).rows or make in search.ALWAYS)
    of_models = (table for make in OF_MODELS for table in make(results))
    where_asked = (table for make in WHERE_ASKED if (table := make(results)).rows)
    return (*of_study, *where_asked, *of_search, *of_models, *insight_tables(results))


# ---------------------------------------------------------------------------------------------------------------------
# Data and models


def data_description(results: Results, *, brief: bool = False) -> Table:
    """Answer the questions that anybody asks about a data set, all of them or those of a ``brief`` report."""
    data = results.data
    facts = [
        *answers(data),
        ("images used in the exploration", f"{results.exploration_images or data.train_count:,}", False),
    ]
    facts += [("warning", text, False) for text in data.warnings]
    rows = ((question, answer) for question, answer, short in facts if short or not brief)
    return made("data", "The data", columns("question", "answer"), rows)


def class_counts(results: Results) -> Table:
    """Count the images of every class."""
    data = results.data
    rows = zip(data.classes, data.train_class_counts.tolist(), data.test_class_counts.tolist(), strict=True)
    return made("class_counts", "Images per class", columns("class", ("training", "count"), ("test", "count")), rows)


def layers(results: Results) -> Iterator[Table]:
    """Summarise every model's baseline and best version layer by layer."""
    titles = columns("layer", "kind", "output shape", ("parameters", "count"), ("FLOPs per image", "count"))
    both = [(model, version) for model in results.models for version in _versions(model)]
    for model, version in both:
        summary = model.baseline_summary if version == "baseline" else model.best_summary
        rows: list[tuple[Cell, ...]] = [
            (layer.name, layer.kind, " × ".join(map(str, layer.output_shape)), layer.parameters, layer.flops)
            for layer in summary.layers
        ]
        rows.append(("total", "", "", summary.parameters, summary.flops))
        yield made(f"layers_{model.name}_{version}", f"{_headed(model, version)}: layer by layer", titles, rows)


def _versions(model: ModelResults) -> tuple[Version, ...]:
    return ("best",) if model.as_given else ("baseline", "best")


def _headed(model: ModelResults, version: Version) -> str:
    return model.label if model.as_given else f"{model.label}, {version}"


def recipes(results: Results) -> Table:
    """List what the final trainings really used, the framework's defaults included, so that they can be repeated."""
    rows = (
        (model.label, parameter, *(parts.get(parameter) for parts in pair))
        for model in results.models
        for used in [{version: dict(_used(model, version)) for version in _versions(model)}]
        for pair in [(used.get("baseline", {}), used["best"])]
        for parameter in dict.fromkeys([*pair[0], *pair[1]])
    )
    return made("recipes", "Every hyperparameter", columns("model", "hyperparameter", "baseline", "best"), rows)


_STANDARDISATIONS = {
    "per-channel": "mean and deviation per channel of the images fitted on",
    "0-1": "to 0..1",
    "none": "none: 0..255",
}


def _used(model: ModelResults, version: Version) -> Iterator[tuple[str, str]]:
    """Yield (hyperparameter, value) of one version's final trainings: its recipe, and what acts beside it."""
    explored = model.baseline if version == "baseline" else model.best
    found = model.version(version)
    finals = found.finals if found else ()
    first = finals[0] if finals else None
    recipe = written_out(first.trial.recipe if first and first.trial else explored)
    if isinstance(recipe.model, Estimator):
        yield from flattened(recipe.model, "model")
    else:
        yield from flattened(recipe)
    if explored.epochs != recipe.epochs and not model.as_given:
        yield "epochs in the exploration", str(explored.epochs)
    if first is None or first.trial is None:
        return
    trial, split = first.trial, first.trial.split
    held_out = split.fraction if isinstance(split, HoldoutSplit) else 0.0
    yield "epochs run, seed by seed", ", ".join(str(len(final.epochs.seconds)) for final in finals if final.epochs)
    yield "epoch of the weights, seed by seed", ", ".join(str(final.best_epoch) for final in finals)
    yield (
        "early stopping",
        f"patience {trial.patience}, by {trial.criterion}" if trial.patience else "none: the last epoch",
    )
    yield "seeds", ", ".join(str(final.seed) for final in finals)
    yield "images fitted on", f"{first.fitted:,}"
    yield "validation share", f"{100 * held_out:g} % of the training images"
    yield "standardisation", _STANDARDISATIONS[recipe.standardisation]
    if not isinstance(recipe.model, Estimator):
        left = first.fitted % recipe.batch_size if first.fitted > recipe.batch_size else 0
        rule = "left out" if recipe.last_batch == "drop" or left < 2 else "a step of their own"
        yield "last mini-batch", f"{left} images of every pass, drawn anew, {rule}" if left else "always full"
        yield (
            "order of the images",
            "every image once per epoch, shuffled" if recipe.sampling == "shuffled" else recipe.sampling,
        )
    yield "precision used", trial.execution.precision
    yield "device", trial.execution.device
    yield "threads of a training", str(trial.execution.threads)
    yield "torch", trial.execution.torch
    if version == "best":
        yield from model.constants


def flattened(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, value) for every field of a recipe or a part of it."""
    if is_dataclass(value):
        for field in fields(value):
            if field.metadata.get("added") and getattr(value, field.name) is None:
                continue  # nobody asked for it
            name = field.name if field.name != "kind" else ""
            yield from flattened(getattr(value, field.name), ".".join(part for part in (place, name) if part))
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for number, entry in enumerate(value, start=1):
            yield from flattened(entry, f"{place}[{number}]")
    else:
        yield place, _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "automatic"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else "none"
    return repr(value) if isinstance(value, float) else str(value)


def structures(results: Results) -> Table:
    """Put the models' structures and training, baseline and best, side by side in one table."""
    described = [
        (
            _headed(model, version),
            dict(_structure(written_out(model.baseline if version == "baseline" else model.best), model, version)),
        )
        for model in results.models
        for version in _versions(model)
    ]
    properties = dict.fromkeys(name for _, parts in described for name in parts)
    rows = tuple((name, *(parts.get(name) for _, parts in described)) for name in properties)
    return made("models", "The models, baseline and best", columns("property", *(name for name, _ in described)), rows)


def _structure(recipe: Recipe, model: ModelResults, version: Version) -> Iterator[tuple[str, Cell]]:
    summary = model.baseline_summary if version == "baseline" else model.best_summary
    yield "structure", _architecture(recipe)
    if isinstance(recipe.model, Estimator):
        yield "parameters", f"{summary.parameters:,}" if summary.parameters else "not told"
        return
    if not isinstance(recipe.model, CustomModel):
        yield "activation", described(recipe.model.activation)
        yield "normalisation", recipe.model.normalisation or ("batch" if recipe.model.batch_norm else "none")
        dropout = recipe.model.dropout
        shares = dropout if isinstance(dropout, tuple) else (dropout,)
        yield "dropout", ", ".join(f"{share:g}" for share in shares) if any(shares) else "none"
        yield "initialisation", described(recipe.model.initialisation)
    yield "optimizer", described(recipe.optimizer)
    yield "schedule", described(recipe.schedule)
    yield "penalty", described(recipe.penalty)
    yield "augmentation", ", ".join(described(entry) for entry in recipe.augmentation) or "none"
    yield "loss", described(recipe.loss)
    yield "gradient clipping", described(recipe.clipping)
    yield "weight averaging", described(recipe.averaging)
    final = next((final.trial.recipe for final in model.finals_of(version) if final.trial), recipe)
    yield "epochs, at most", str(final.epochs)
    yield "mini-batch", str(recipe.batch_size)
    yield "precision", recipe.precision
    yield "parameters", f"{summary.parameters:,}"
    yield "FLOPs per image", f"{summary.flops:,}"


def _architecture(recipe: Recipe) -> str:
    match recipe.model:
        case MLP(hidden=hidden):
            return f"hidden layers {_joined(hidden)}"
        case CNN() as cnn:
            kernels = ", ".join(f"{size}×{size}" for size in cnn.kernels)
            head = "global average" if cnn.global_average_pooling else ""
            each = f"{cnn.convolutions_per_block} convolutions per block" if cnn.convolutions_per_block > 1 else ""
            parts = [f"filters {_joined(cnn.filters)}", f"kernels {kernels}", each, f"{cnn.pooling} pooling", head]
            parts += [f"head {_joined(cnn.head)}" if cnn.head else ""]
            parts += [f"shortcuts over {cnn.residual} convolutions" if cnn.residual else ""]
            return "; ".join(part for part in parts if part)
        case ResNet() as resnet:
            shortcuts = "residual" if resnet.residual else "no residual connections"
            blocks = f"blocks {_joined(resnet.blocks)}, filters {_joined(resnet.filters)}"
            return f"{blocks}; kernel {resnet.kernel}×{resnet.kernel}; {resnet.block}; {shortcuts}"
        case CustomModel(path=path):
            return path
        case Estimator(path=path, arguments=arguments):
            return f"{path.partition(':')[2]} ({', '.join(f'{key} {value}' for key, value in arguments.items()) or 'defaults'})"


def _joined(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


def described(choice: Any) -> str:
    """Name a choice with its fields in short, without those that are off: "sgd (lr 0.1, momentum 0.9)"."""
    values = {field.name: getattr(choice, field.name) for field in fields(choice) if field.name != "kind"}
    parts = [
        f"{name.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else _plain(value)}"
        for name, value in values.items()
        if value is not False and not (isinstance(value, float) and value == 0)
    ]
    return f"{choice.kind} ({', '.join(parts)})" if parts else str(choice.kind)


# ---------------------------------------------------------------------------------------------------------------------
# Final trainings


def metrics_on_test(results: Results) -> Table:
    """Put the metrics of every version on the test set side by side, mean over the seeds."""
    titles = columns(
        "model", "version", detail("seeds", "count"), ("accuracy", "share"), ("low", "share"), ("high", "share"),
        ("precision", "share"), ("recall", "share"), ("F1", "share"), detail("F1 low", "share"), detail("F1 high", "share"),
        ("AUC", "area"), detail("AUC low", "area"), detail("AUC high", "area"),
        detail("cross-entropy", "number"), detail("Brier score", "number"),
        detail("calibration error", "share"), detail("of a perfectly calibrated model", "share"),
        detail("learned nothing", "count"),
    )  # fmt: skip
    rows: Iterator[tuple[Cell, ...]] = (
        (
            summary.title, summary.version_title, len(summary.results), summary.mean("accuracy"),
            summary.accuracy_interval.low, summary.accuracy_interval.high,
            *(summary.mean(metric) for metric in ("precision", "recall", "f1")), summary.f1_interval.low,
            summary.f1_interval.high, summary.mean("auc"), summary.auc_interval.low, summary.auc_interval.high,
            summary.mean("loss"), summary.mean("brier"),
            summary.calibration_error, summary.calibration_by_chance, summary.collapsed,
        )
        for summary in results.versions
    )  # fmt: skip
    return made("test_results", f"Results on the {results.test_count:,} test images, mean over seeds", titles, rows)


def cross_validation(results: Results) -> Table:
    """Give the models of which nothing was varied on the folds of the design, where the study asks for that."""
    found = [(model.label, model.cross_validated) for model in results.models if model.cross_validated]
    blocks = max((len(level.accuracies) for _, level in found), default=0)
    titles = columns(
        "model", ("mean accuracy", "share"), ("mean F1", "share"), ("failed", "count"),
        *((f"fold {number + 1}", "share") for number in range(blocks)),
    )  # fmt: skip
    rows = (
        (label, level.mean, mean_of_finished(level.f1), len(level.failures), *level.accuracies.tolist())
        for label, level in found
    )
    return made("cross_validation", "Cross-validation of the models as they are given", titles, rows)


def test_by_level(results: Results) -> Table:
    """Put every option's cross-validated accuracy beside what one training of it answered on the test set afterwards."""
    titles = columns(
        "model", "factor", "option", ("kept", "flag"), ("cross-validated", "share"), ("test accuracy", "share"),
        ("test F1", "share"), ("test loss", "number"), detail("epochs", "count"), detail("training time", "seconds"),
        detail("what happened", "text"),
    )  # fmt: skip
    rows = (
        (
            model.label, factor.label, level.tuned_label, level is factor.kept, level.mean, test.accuracy, test.f1,
            test.loss, test.epochs, test.train_seconds, test.error or test.status,
        )
        for model in results.models
        for test in model.level_tests
        for factor, level in model.levels()
        if (factor.name, level.label) == (test.factor, test.label)
    )  # fmt: skip
    title = "Every option on the test set, one training each, after all choices: not used for choosing"
    return made("test_by_level", title, titles, rows)


def epochs_of_finals(results: Results) -> Table:
    """Give training, validation and test figures of every final training epoch by epoch; the test's of the first seed."""
    titles = columns(
        "model", "version", ("seed", "count"), ("epoch", "count"), ("training loss", "number"), ("training accuracy", "share"),
        ("validation loss", "number"), ("validation accuracy", "share"), ("validation F1", "share"),
        ("test loss", "number"), ("test accuracy", "share"), ("learning rate", "number"), ("seconds", "number"),
    )  # fmt: skip
    rows = (
        (
            version.title, version.version_title, final.seed, place + 1, *map(float, (
                epochs.train_loss[place], epochs.train_accuracy[place], epochs.validation_loss[place],
                epochs.validation_accuracy[place], epochs.validation_f1[place],
            )),
            *((float(final.test_curve_loss[place]), float(final.test_curve_accuracy[place]))
              if len(final.test_curve_loss) else (None, None)),
            float(epochs.learning_rate[place]), float(epochs.seconds[place]),
        )
        for version in results.versions
        for final in version.finals
        if (epochs := final.epochs) is not None
        for place in range(len(epochs.seconds))
    )  # fmt: skip
    return made("costs_epochs", "Every final training, epoch by epoch", titles, rows)


def metrics_by_seed(results: Results) -> Table:
    """Give the metrics of every final training."""
    titles = columns(
        "model", "version", ("seed", "count"), ("accuracy", "share"), ("precision", "share"), ("recall", "share"),
        ("F1", "share"), ("AUC", "area"), ("cross-entropy", "number"),
    )  # fmt: skip
    rows = (
        (
            summary.title, summary.version_title, seed, result.accuracy, result.precision,
            result.recall, result.f1, result.auc, result.loss,
        )
        for summary in results.versions
        for seed, result in zip(summary.seeds, summary.results, strict=True)
    )  # fmt: skip
    return made("test_results_by_seed", "Results on the test set, seed by seed", titles, rows)


def model_comparisons(results: Results) -> Table:
    """Compare each best version with its model's others, and the models with each other, over seeds and test images."""
    titles = columns(
        "first", "second", ("seeds", "count"), ("second minus first", "points"), ("low", "points"), ("high", "points"),
        ("images apart", "number"), ("p", "p"), ("adjusted p", "p"), ("shown", "flag"),
    )  # fmt: skip
    rows = (
        (
            f"{found.first.title}, {found.first.version_title}", f"{found.second.title}, {found.second.version_title}",
            found.seeds, found.difference, found.low, found.high, found.images, found.p_value, found.adjusted_p, found.shown,
        )
        for found in results.comparisons
    )  # fmt: skip
    return made("model_comparisons", "Versions and models compared on the same test images", titles, rows)


def class_metrics(results: Results) -> Table:
    """Give precision, recall and F1 of every class for the best versions, mean over the seeds."""
    rows: list[tuple[Cell, ...]] = []
    for summary in results.best:
        scores = [result.per_class for result in summary.results]
        means = [np.mean([getattr(score, name) for score in scores], axis=0) for name in ("precision", "recall", "f1")]
        areas = np.mean([[curve.auc for curve in result.roc.per_class] for result in summary.results], axis=0)
        rows += [
            (summary.title, name, int(scores[0].support[place]), *(float(values[place]) for values in (*means, areas)))
            for place, name in enumerate(results.data.classes)
        ]
    titles = columns(
        "model", "class", ("test images", "count"), ("precision", "share"), ("recall", "share"), ("F1", "share"),
        ("AUC", "area"),
    )  # fmt: skip
    return made("class_results", "Results class by class", titles, rows)


def references(results: Results) -> Table:
    """Put what others stated beside what was measured here, for models and for levels; empty where nothing was tried here."""
    here: dict[tuple[str, str, str], tuple[Cell, ...]] = {
        (model.name, "", ""): (None, best.mean("accuracy"), best.accuracy_interval.low, best.accuracy_interval.high)
        for model in results.models
        if (best := model.version())
    }
    for model in results.models:
        tested: dict[tuple[str, str], Cell] = {(test.factor, test.label): test.accuracy for test in model.level_tests}
        for factor, level in model.levels():
            of_level = tested.get((factor.name, level.label))
            here[model.name, factor.name, level.label] = (level.mean, of_level, None, None)
    rows = (
        (
            results.title_of(stated.model), stated.factor, stated.level, stated.accuracy,
            *here.get((stated.model, stated.factor, stated.level), (None,) * 4), reference.source,
        )
        for reference in results.references
        for stated in reference.results
    )  # fmt: skip
    titles = columns(
        "model", "factor", "level", ("stated there", "share"), ("here, cross-validated", "share"), ("here, test", "share"),
        ("low", "share"), ("high", "share"), "stated by",
    )  # fmt: skip
    return made("references", "Stated elsewhere, not measured here, beside what was measured here", titles, rows)


def confusions(results: Results) -> Iterator[Table]:
    """Count for every model how often each true class (row) was given each class, at the first seed of its best version."""
    classes = results.data.classes
    titles = columns("true \\ predicted", *((name, "count") for name in classes))
    for best in results.best:
        rows = ((name, *counts) for name, counts in zip(classes, best.results[0].confusion.tolist(), strict=True))
        yield made(f"confusion_{best.model}", f"{best.title}: confusion matrix", titles, rows)


def training_fit(results: Results) -> Table:
    """Put training, validation and test accuracy side by side, with the gap between the first two."""
    titles = columns(
        "model", "version", ("training accuracy", "share"), ("validation accuracy", "share"),
        ("test accuracy", "share"), ("gap", "points"),
    )  # fmt: skip
    rows = (
        (
            summary.title, summary.version_title, summary.train_accuracy, summary.validation_accuracy,
            summary.mean("accuracy"), summary.gap,
        )
        for summary in results.versions
    )  # fmt: skip
    return made("fit", "Training, validation and test accuracy", titles, rows)


# ---------------------------------------------------------------------------------------------------------------------
# How the results came to be


def looks(results: Results) -> Table:
    """List every look at the test set; without a CSV file, because the ledger is a file of its own."""
    rows = ((look.date, look.study, look.reason, ", ".join(look.models)) for look in results.looks)
    return made("looks", "Looks at the test set", columns("date", "study", "reason", "models"), rows, exported=False)


def packages(results: Results) -> Table:
    """List the packages with their versions."""
    return made("packages", "Packages", columns("package", "version"), sorted(results.packages.items()))


def machine(results: Results) -> Table:
    """Describe the machine; without a CSV file, because it may hold free memory and the like."""
    return made("machine", "Machine", columns("property", "value"), results.machine.items(), exported=False)


def failures(results: Results) -> Table:
    """List every trial that diverged or failed."""
    rows: list[tuple[Cell, ...]] = [
        (model.label, factor.label, level.tuned_label, failure_text(failure, model.candidates))
        for model in results.models
        for factor, level in model.levels()
        for failure in level.failures
    ]
    rows += [
        (results.title_of(final.model), "final training", VERSION_TITLES[final.version],
         f"seed {final.seed}: {final.status}{': ' if final.error else ''}{final.error}")
        for final in results.lost
    ]  # fmt: skip
    titles = columns("model", "factor", "level", "what happened")
    return made("failures", "Trainings that diverged or failed", titles, rows)


def costs(results: Results) -> Table:
    """Give time, memory, parameters and FLOPs of every final training."""
    titles = columns(
        "model", "version", ("seed", "count"), ("training time", "seconds"), ("evaluation time", "seconds"),
        ("peak memory", "megabytes"), ("parameters", "count"), ("forward FLOPs per image", "count"),
        ("training FLOPs", "number"), ("images per second", "number"),
    )  # fmt: skip
    rows = (
        (
            version.title, version.version_title, final.seed, cost.train_seconds, cost.evaluation_seconds,
            cost.peak_memory_bytes / 1e6, cost.parameters, cost.forward_flops_per_image, float(cost.training_flops),
            cost.images_per_second,
        )
        for version in results.versions
        for final in version.finals
        if (cost := final.cost)
    )  # fmt: skip
    return made("costs", "What the final trainings cost", titles, rows)


def costs_of_study(results: Results) -> Table:
    """Give the times of the whole study."""
    rows: tuple[tuple[Cell, ...], ...] = (
        ("trials", results.trials_total, None),
        ("trials that failed", results.trials_failed, None),
        ("workers", results.workers, None),
        ("training time of all trials", None, results.training_seconds),
        ("time on the clock", None, results.wall_seconds),
    )
    titles = columns("what", ("number", "count"), ("time", "seconds"))
    return made("costs_study", "What the whole study cost", titles, rows)


OF_STUDY = (
    data_description, class_counts, structures, metrics_on_test, metrics_by_seed, model_comparisons, references, class_metrics,
    training_fit, epochs_of_finals, recipes, looks, packages, machine, failures, costs, costs_of_study,
)  # fmt: skip
WHERE_ASKED = (cross_validation, test_by_level)
OF_MODELS = (layers, search.of_models, confusions)
