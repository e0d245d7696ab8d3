"""Recipes as tables: the structures side by side, and every hyperparameter with the defaults included."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from ceteris.findings import ModelFinding, StudyFindings
from ceteris.recipe import CNN, MLP, CustomModel, Recipe, ResNet
from ceteris.report.table import Cell, Table, columns


def recipes(findings: StudyFindings) -> Table:
    """List every hyperparameter of every recipe, the framework's defaults included, so that a run can be repeated."""
    rows = [
        (model.title or model.name, parameter, *(parts.get(parameter) for parts in pair))
        for model in findings.models
        for pair in [(dict(flattened(model.baseline)), dict(flattened(model.best)))]
        for parameter in dict.fromkeys([*pair[0], *pair[1]])
    ]
    titles = columns("model", "hyperparameter", "baseline", "best")
    return Table(name="recipes", title="Every hyperparameter", columns=titles, rows=tuple(rows))


def flattened(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, value) for every field of a recipe or a part of it."""
    if is_dataclass(value):
        for field in fields(value):
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


def structures(findings: StudyFindings) -> Table:
    """Put the models' structures and training, baseline and best, side by side in one table."""
    described = [
        (f"{model.title or model.name}, {version}", dict(_structure(recipe, model, version)))
        for model in findings.models
        for version, recipe in (("baseline", model.baseline), ("best", model.best))
    ]
    properties = dict.fromkeys(name for _, parts in described for name in parts)
    rows = tuple((name, *(parts.get(name) for _, parts in described)) for name in properties)
    return Table(
        name="models", title="The models, baseline and best", columns=columns("property", *(name for name, _ in described)),
        rows=rows,
    )  # fmt: skip


def _structure(recipe: Recipe, model: ModelFinding, version: str) -> Iterator[tuple[str, Cell]]:
    summary = model.baseline_summary if version == "baseline" else model.best_summary
    yield "structure", _architecture(recipe)
    if not isinstance(recipe.model, CustomModel):
        yield "activation", described(recipe.model.activation)
        yield "batch normalisation", "on" if recipe.model.batch_norm else "off"
        yield "dropout", f"{recipe.model.dropout:g}" if recipe.model.dropout else "none"
        yield "initialisation", described(recipe.model.initialisation)
    yield "optimizer", described(recipe.optimizer)
    yield "schedule", described(recipe.schedule)
    yield "penalty", described(recipe.penalty)
    yield "augmentation", ", ".join(described(entry) for entry in recipe.augmentation) or "none"
    yield "loss", described(recipe.loss)
    yield "gradient clipping", described(recipe.clipping)
    yield "weight averaging", described(recipe.averaging)
    yield "epochs", str(recipe.epochs)
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
            parts = [f"filters {_joined(cnn.filters)}", f"kernels {kernels}", f"{cnn.pooling} pooling", head]
            return "; ".join(part for part in [*parts, f"head {_joined(cnn.head)}" if cnn.head else ""] if part)
        case ResNet() as resnet:
            shortcuts = "residual" if resnet.residual else "no residual connections"
            blocks = f"blocks {_joined(resnet.blocks)}, filters {_joined(resnet.filters)}"
            return f"{blocks}; kernel {resnet.kernel}×{resnet.kernel}; {resnet.block}; {shortcuts}"
        case CustomModel(path=path):
            return path


def _joined(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


def described(choice: Any) -> str:
    """Name a choice with its fields in short: "sgd (lr 0.1, momentum 0.9)"."""
    parts = [
        f"{field.name.replace('_', ' ')} {_short(getattr(choice, field.name))}"
        for field in fields(choice)
        if field.name != "kind" and _differs_from_off(getattr(choice, field.name))
    ]
    return f"{choice.kind} ({', '.join(parts)})" if parts else str(choice.kind)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "on"
    return f"{value:g}" if isinstance(value, float) else _plain(value)


def _differs_from_off(value: Any) -> bool:
    return not (value is False or (isinstance(value, float) and value == 0))
