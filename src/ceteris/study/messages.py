"""What is wrong in a study or recipe, said to a person: place, what is allowed, what was received, how to mend it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ceteris import recipe
from ceteris.data import ReadOptions
from ceteris.errors import did_you_mean
from ceteris.findings import OwnWords
from ceteris.study import study

# The keys under which a choice stands whose name may be that of another choice too: every group has a "none".
_GROUPS = {"strategy": study.STRATEGIES} | recipe.CHOICES
OWN_WORDS = {field.name for field in dataclasses.fields(OwnWords)}
# pydantic's words, and ours
_OURS = {
    "Input should be": "allowed is", "a valid integer": "a whole number", "a valid number": "a number",
    "a valid boolean": "true or false", "a valid string": "a text", "a valid tuple": "a list", "a valid list": "a list",
    "a valid array": "a list", "a valid dictionary": "a table", "an object": "a table",
}  # fmt: skip
# Tables of a study file that are no choices.
_TABLES = (study.Study, study.Exploration, study.Final, study.Factor, ReadOptions)


def explain_invalid(error: ValidationError, tree: Any) -> str:
    """Return one line per problem of a tree of plain values that pydantic refused; at most eight lines."""
    problems = (_problem(problem, tree) for problem in error.errors(include_url=False) if not _follows(problem))
    lines = list(dict.fromkeys(f"{what}.{advice}" for what, advice in problems))
    more = [f"… and {len(lines) - 8} more problems"] if len(lines) > 8 else []
    return "\n".join(lines[:8] + more)


def first_problem(error: ValidationError, tree: Any) -> str:
    """Return what is wrong first in a tree that pydantic refused, as a clause without advice."""
    return _problem(error.errors(include_url=False)[0], tree)[0]


def _follows(problem: Any) -> bool:
    """Whether a list is too short only because its entries are wrong, which is told of each."""
    return problem["type"] == "too_short" and bool(len(problem["input"]) >= problem["ctx"]["min_length"])


def _problem(problem: Any, tree: Any) -> tuple[str, str]:
    """Return what is wrong, and sentences on what is allowed or what to do, with a space before each."""
    location, kind, received, context = problem["loc"], problem["type"], problem["input"], problem.get("ctx", {})
    place = _place(location, tree)
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        keys = {field.name for table in _TABLES for field in dataclasses.fields(table)} - {"words"}
        known = sorted(_fields_at(location) or keys | OWN_WORDS)
        advice = f"{did_you_mean(str(location[-1]), known)} Known here: {', '.join(known)}."
        return f"{place}: there is no such key", advice
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        known = [tag.strip("' ") for tag in str(context.get("expected_tags", "")).split(",") if tag]
        return _wrong_kind(place, received, known)
    if location[-1] == "kind":  # of an initialisation, which is one type with many kinds
        whole = received if isinstance(received, dict) else {"kind": received}
        return _wrong_kind(place.removesuffix(".kind"), whole, recipe.INITIALISATIONS)
    if location[:2] == ("reading", "size"):
        size = tree.get("reading", {}).get("size") if isinstance(tree, dict) else received
        return (
            f"reading.size: two whole numbers, height and width, of 1 to 4096 pixels are needed; received {size!r}",
            "",
        )
    if kind in ("missing", "missing_argument") and isinstance(location[-1], int):
        return f"{_place(location[:-1], tree)}: more values are needed; received {received!r}", ""
    if kind in ("missing", "missing_argument"):
        return f"{place}: this key is missing; add it", ""
    message = str(context.get("error", problem["msg"])).removeprefix("Value error, ")
    if kind == "too_short":
        message = f"at least {context['min_length']} needed"
    for pydantics, ours in _OURS.items():
        message = message.replace(pydantics, ours)
    # a message about a whole table says itself what was received
    simple = received is None or isinstance(received, str | int | float | list)
    return f"{place}: {message}" + (f"; received {received!r}" if simple else ""), ""


def _wrong_kind(place: str, received: Any, known: Sequence[str]) -> tuple[str, str]:
    word = received.get("kind") if isinstance(received, dict) else None
    if word is None:
        example = 'as in "adam" or { kind = "adam", lr = 0.001 }'
        return f"{place}: a choice needs its name, {example}; received {received!r}", ""
    allowed = [*known, *(sorted(recipe.MODEL_PRESETS) if place.endswith("model") else ())]
    return f'{place}: "{word}" is not known', f"{did_you_mean(str(word), allowed)} Allowed: {', '.join(allowed)}."


def _place(location: tuple[int | str, ...], tree: Any) -> str:
    """Return a location as it stands in the file: models[cnn].optimizer.lr.

    Left out are pydantic's tags of unions and ``recipe``: in a file a model's table is its recipe.
    """
    shown, branch = "", tree
    for part in location:
        name = branch.get("kind") if isinstance(branch, dict) else branch
        inside = isinstance(branch, dict) and part in branch
        if isinstance(part, str) and not inside and (part == name or name in recipe.MODEL_PRESETS):
            continue
        try:
            branch = branch[part]
        except (KeyError, IndexError, TypeError):
            branch = None
        if isinstance(part, int):
            named = branch.get("name") if isinstance(branch, dict) else None
            shown += f"[{named or part + 1}]"
        elif part not in ("recipe", "words"):
            shown += f".{part}" if shown else part
    return shown or "study"


def _fields_at(location: tuple[int | str, ...]) -> set[str]:
    """Return the keys that the table at a location has, none where it is neither a recipe, a range nor a choice."""
    if len(location) < 2:
        return set()
    tag, parent = location[-2], location[-3] if len(location) > 2 else ""
    if parent == "ranges":
        return {field.name for field in dataclasses.fields(study.Range)}
    if tag == "recipe":
        return {field.name for field in dataclasses.fields(recipe.Recipe)} | {"title", "embedding", *OWN_WORDS}
    groups = [_GROUPS[str(parent)]] if parent in _GROUPS else _GROUPS.values()
    kinds = [kind for group in groups for kind in group if kind.kind == tag]
    return {field.name for kind in kinds[:1] for field in dataclasses.fields(kind)} - {"kind"}
