"""What is wrong in a study or recipe, told to a person: place, what is allowed, what was received, how to mend it."""

import dataclasses
from typing import Any, get_args

from pydantic import ValidationError

from ceteris import recipe
from ceteris.errors import did_you_mean
from ceteris.study import study

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "a text", "tuple": "a list"}


def explain_invalid(error: ValidationError, tree: Any) -> str:
    """Return one line per problem of a tree of plain values that pydantic refused; at most eight lines."""
    lines = [_line(problem, tree) for problem in error.errors(include_url=False)]
    more = [f"… and {len(lines) - 8} more problems"] if len(lines) > 8 else []
    return "\n".join(lines[:8] + more)


def _line(problem: Any, tree: Any) -> str:
    place = _place(problem["loc"], tree)
    kind, received, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        word = str(problem["loc"][-1])
        known = sorted(_fields_at(problem["loc"], tree) or _all_fields())
        return f"{place}: there is no such key.{did_you_mean(word, known)} Known here: {', '.join(known)}."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(place, received, context)
    if kind in ("missing", "missing_argument"):
        return f"{place}: this key is missing; add it."
    message = str(context.get("error", problem["msg"])).removeprefix("Value error, ")
    message = message.replace("Input should be", "allowed is").replace("a valid integer", "a whole number")
    return f"{place}: {message}; received {received!r}."


def _wrong_kind(place: str, received: Any, context: dict[str, Any]) -> str:
    word = received.get("kind") if isinstance(received, dict) else received
    known = [tag.strip("' ") for tag in str(context.get("expected_tags", "")).split(",") if tag]
    if place.endswith("model"):
        known += sorted(recipe.MODEL_PRESETS)
    if word is None or not isinstance(received, dict):
        return (
            f'{place}: a choice needs its name, as in "adam" or {{ kind = "adam", lr = 0.001 }}; received {received!r}.'
        )
    return f'{place}: "{word}" is not known.{did_you_mean(str(word), known)} Allowed: {", ".join(known)}.'


def _place(location: tuple[int | str, ...], tree: Any) -> str:
    shown: list[str] = []
    for part, branch in _walk(location, tree):
        if isinstance(part, int):
            named = branch[part].get("name") if isinstance(branch, list) and isinstance(branch[part], dict) else None
            shown.append(f"[{named or part + 1}]")
        else:
            shown.append(f".{part}" if shown else part)
    return "".join(shown) or "study"


def _walk(location: tuple[int | str, ...], tree: Any) -> list[tuple[int | str, Any]]:
    """Pair each part of a location with the branch it stands in, without pydantic's tags of unions."""
    steps: list[tuple[int | str, Any]] = []
    branch = tree
    for part in location:
        name = branch.get("kind") if isinstance(branch, dict) else branch
        if isinstance(part, str) and part not in (branch if isinstance(branch, dict) else ()) and _is_tag(part, name):
            continue
        steps.append((part, branch))
        try:
            branch = branch[part]
        except (KeyError, IndexError, TypeError):
            branch = None
    return steps


def _is_tag(part: str, name: Any) -> bool:
    return part == name or name in recipe.MODEL_PRESETS


def _fields_at(location: tuple[int | str, ...], tree: Any) -> set[str]:
    """Return the keys that the choice at a location has, '' where the location is not inside a choice of a recipe."""
    if len(location) < 2:
        return set()
    tag, parent = location[-2], location[-3] if len(location) > 2 else ""
    if parent == "ranges":
        return {field.name for field in dataclasses.fields(study.Range)}
    for group in (
        get_args(get_args(study.Strategy)[0]) if parent == "strategy" else (),
        recipe.ACTIVATIONS, recipe.AUGMENTATIONS, recipe.AVERAGINGS, recipe.CLIPPINGS, recipe.INITIALISATIONS,
        recipe.LOSSES, recipe.MODELS, recipe.OPTIMIZERS, recipe.PENALTIES, recipe.SCHEDULES,
    ):  # fmt: skip
        for choice in group:
            if choice.kind == tag and (tag != "none" or parent in ("schedule", "penalty", "clipping", "averaging")):
                return {field.name for field in dataclasses.fields(choice)} - {"kind"}
    return {field.name for field in dataclasses.fields(recipe.Recipe)} if tag == "recipe" else set()


def _all_fields() -> set[str]:
    kinds = (study.Study, study.Exploration, study.Final, study.Factor, study.Reading)
    return {field.name for kind in kinds for field in dataclasses.fields(kind)}
