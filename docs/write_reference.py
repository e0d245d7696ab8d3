"""Writes docs/reference.md from the types of ``ceteris.recipe`` and ``ceteris.study``: python docs/write_reference.py."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from ceteris import recipe
from ceteris.data import ReadOptions
from ceteris.study import Exploration, Final
from ceteris.study.study import STRATEGIES, ConfirmationDesign, Nuisance, Range

GROUPS = {
    "Strategies (`strategy`)": STRATEGIES,
    "Optimizers (`optimizer`)": recipe.CHOICES["optimizer"],
    "Learning-rate schedules (`schedule`)": recipe.CHOICES["schedule"],
    "Losses (`loss`)": recipe.CHOICES["loss"],
    "Weight penalties (`penalty`)": recipe.CHOICES["penalty"],
    "Augmentations (`augmentation`, a list)": recipe.CHOICES["augmentation"],
    "Gradient clipping (`clipping`)": recipe.CHOICES["clipping"],
    "Averaging of weights (`averaging`)": recipe.CHOICES["averaging"],
    "Models (`model`)": recipe.CHOICES["model"],
    "Activations (`model.activation`)": recipe.CHOICES["activation"],
}

WORDS = {
    "Range": "table",
    "bool": "true or false",
    "int": "whole number",
    "float": "number",
    "dict": "table",
    "str": "text",
}

HEAD = """# Reference: everything that a study file can say

This page is written from the types in `ceteris.recipe` and `ceteris.study` by `python docs/write_reference.py`.

A choice is written by its name alone (`optimizer = "adam"`: the defaults) or as a table
(`optimizer = { kind = "adam", lr = 0.003 }`). Ranges are checked before anything is trained; a wrong key or value is told
with its place, what is allowed and what was received. Lengths in schedules are shares of the whole training, so that a
shorter training keeps the shape of its schedule, or epochs: `"10 epochs"`.

## The study

| key | meaning |
| --- | --- |
| `name` | names the result folder: letters, digits, `.`, `_`, `-` |
| `title`, `author`, `group` | appear in the report and on every figure |
| `question`, `hypothesis`, `why`, `conclusion`, `reflection`, `contributions`, `statement` | your own words, see below |
| `data` | a known name (`ceteris data list`) or the path of a folder or file; of a list each, side by side |
| `[on.NAME]` | what is different on the data set of that name where there are several, such as `final.epochs = 5` |
| `seed` | root of all randomness |
| `strategy` | how the best recipe is searched: a choice, see below; [strategies.md](strategies.md) compares them |
| `significance` | two-sided, after Holm's correction over the levels of a factor |
| `equivalence_margin` | differences of accuracy (0..1) below this do not matter |
| `criterion` | what choices and claims look at: `accuracy`, `macro-f1`, `balanced-accuracy` or `log-loss` |
| `caution` | 0..1, how probably a level must be worth its cost to be taken; 0.5 takes every best bet |
| `test` | what claims rest on: `two-part`, or the stricter `corrected-t` |
| `match` | `"none"`, or `"parameters"`: every model but the first is made as large as the first by its widths |
| `variance` | 0; 2 or more: where the noise comes from, by training every best recipe so often for each source of luck |
| `[models.NAME]` | `title`, own words, `embedding` (layer of the t-SNE picture), a recipe: the baseline of one model |
| `[[factors]]` | `name`, `title`, own words, `field` (or `fields`), `levels`, `models` (all of them without it), `tune` |
| `[quick]`, `[full]` | what `--quick` or `--full` changes: any key, models and factors by name; `false` leaves one out |
| `[[reference]]` | `source`, `results`: what others reached, each `{ model, factor, level, accuracy }`, shown beside yours |

A level is the field's value itself, or `{ label = "…", value = … }`; with several fields it is a table
`{ label = "…", "model.filters" = [32, 64], "model.kernels" = [5, 3] }`. Any key can be overridden on the command line:
`--set cnn.optimizer.lr=0.01`, `--set exploration.folds=10`.

`tune` names nuisance parameters that every arm gets tuned for itself: `true` (the learning rate), `false` (nothing), or a list
of fields or tables. Without it the learning rate is tuned where a factor exchanges whole optimizers or schedules.

### Own words

The study, every `[models.NAME]` and every `[[factors]]` take your own words, which the report shows apart from what was
measured: `question`, `hypothesis` (what you expect), `why`, `conclusion`; and of the whole study `reflection`,
`contributions` (who did what), `statement` (of help, of generative AI). They change nothing
that is trained, so they can be written after a run; the next `ceteris run` only writes the report
again. Longer texts go into a Markdown file of the same name beside the study file (`mine.md` beside `mine.toml`):

    # Reflection
    Next time we would …
    # Model cnn
    ## Hypothesis
    # Factor optimizer
    ## Conclusion
"""


def main() -> None:
    """Write the page."""
    Path(__file__).with_name("reference.md").write_text(reference(), encoding="utf-8")


def reference() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    tables = {
        "`[exploration]`": Exploration,
        "`[confirmation]`": ConfirmationDesign,
        "`[final]`": Final,
        "`[reading]`": ReadOptions,
        "An entry of a factor's `tune`": Nuisance,
        "An entry of a strategy's `ranges`": Range,
    }
    for title, kind in tables.items():
        parts.append(f"### {title}\n\n{_prose(kind)}\n\n{_fields(kind)}")
    parts.append(f"## The recipe of a model\n\n{_prose(recipe.Recipe)}\n\n{_fields(recipe.Recipe)}")
    for title, kinds in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [f"### `{kind.kind}`\n\n{_prose(kind)}\n\n{_fields(kind)}".rstrip() for kind in kinds]
    parts.append(f"## Initialisations (`model.initialisation`)\n\n{_prose(recipe.Initialisation)}")
    presets = "\n".join(f"- `{name}`: `{values}`" for name, values in recipe.MODEL_PRESETS.items())
    parts.append(
        f"## Model presets\n\nNames that stand for a model with these values; more keys override them.\n\n{presets}"
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _prose(kind: Any) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n\nRaises:")[0].replace("``", "`")


def _fields(kind: Any) -> str:
    hints = get_type_hints(kind, include_extras=True)
    rows = [
        f"| `{field.name}` | {_default(field)} | {_allowed(hints[field.name])} |"
        for field in dataclasses.fields(kind)
        if field.name != "kind"
    ]
    return "\n".join(["| key | default | allowed |", "| --- | --- | --- |", *rows]) if rows else ""


def _default(field: Any) -> str:
    value = field.default
    if isinstance(value, FieldInfo):
        value = value.default_factory() if value.default_factory else dataclasses.MISSING  # type: ignore[call-arg]
    if value is dataclasses.MISSING or repr(value) == "PydanticUndefined":
        return "needed"
    if dataclasses.is_dataclass(value):
        own = [
            f"{part.name} = {_text(getattr(value, part.name))}"
            for part in dataclasses.fields(value)
            if part.name != "kind"
        ]
        name = getattr(value, "kind", "")
        return f"`{name}`" + (f" ({', '.join(own)})" if own else "") if name else ", ".join(own)
    return "" if value is None else f"`{_text(value)}`"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _allowed(hint: Any) -> str:
    text = repr(hint)
    if own := _described(hint):
        return own
    if "tuple" in text and (own := _described(get_args(hint)[0])):
        return f"list, each a {own}"
    if "discriminator" in text or "Initialisation" in text:
        return "a list of choices, see below" if text.startswith("tuple") else "a choice, see below"
    if "Literal" in text:
        return ", ".join(f"`{_text(value)}`" for value in _literals(hint))
    bounds = ", ".join(_bounds(hint))
    word = next(word for name, word in WORDS.items() if name in text)
    kind = f"list of {word}s" if "tuple" in text else word
    return f"{kind}, {bounds}" if bounds else kind


def _described(hint: Any) -> str:
    """Return what the type itself says of its values, "" where it says nothing."""
    metadata = getattr(hint, "__metadata__", ())
    return next((part.description for part in metadata if isinstance(part, FieldInfo) and part.description), "")


def _literals(hint: Any) -> list[Any]:
    found: list[Any] = []
    for part in get_args(hint):
        if isinstance(part, str | int):
            found.append(part)
        elif part is not type(None):
            found += _literals(part)
    return found


def _bounds(hint: Any) -> list[str]:
    found: list[str] = []
    for part in (*get_args(hint), *getattr(hint, "__metadata__", ())):
        entries = part.metadata if isinstance(part, FieldInfo) else []
        for entry in entries:
            for mark, sign in ((Gt, ">"), (Ge, "≥"), (Lt, "<"), (Le, "≤")):
                if isinstance(entry, mark):
                    limit = next(iter(dataclasses.asdict(entry).values()))
                    found += [f"{sign} {limit:g}"] if limit != 10**9 else []
        if not isinstance(part, FieldInfo | str | int):
            found += _bounds(part)
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    main()
