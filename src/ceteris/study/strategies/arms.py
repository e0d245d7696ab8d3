"""The arms of a factor around an incumbent, and the levels that do not fit it."""

from ceteris.fields import ABSENT, describe_fields, describe_parts, value_at
from ceteris.findings import Incompatible
from ceteris.recipe import Recipe
from ceteris.study.design import IncompatibleError, arm
from ceteris.study.study import Factor


def arms_of(factor: Factor, incumbent: Recipe) -> tuple[dict[str, Recipe], str]:
    """Return label -> recipe for every level, and the label of the incumbent, which is added when it is no level.

    Levels that do not fit the incumbent are left out, see :func:`incompatible_levels`.
    """
    left_out = {level.label for level in incompatible_levels(factor, incumbent)}
    arms = {level.label: arm(incumbent, factor, level) for level in factor.levels if level.label not in left_out}
    present = [label for label, recipe in arms.items() if recipe == incumbent]
    if present:
        return arms, present[0]
    values = describe_fields(incumbent, factor.fields)
    label = f"as before ({values})" if values else "as before"
    return {label: incumbent} | arms, label


def label_parts(factor: Factor, label: str, start: Recipe) -> tuple[tuple[str, str], ...]:
    """Return the (text, field) of which the label of an arm was made, see ``LevelFinding``; () where it is a name of its own.

    ``start`` is the arm's recipe before anything was tuned.
    """
    level = next((level for level in factor.levels if level.label == label), None)
    if level is not None:
        parts = describe_parts(level.changes)
        return parts if "".join(text for text, _ in parts) == label else ()
    values = {field: value_at(start, field) for field in factor.fields}
    parts = describe_parts({field: value for field, value in values.items() if value is not ABSENT})
    return (("as before (", ""), *parts, (")", "")) if parts else ()


def incompatible_levels(factor: Factor, incumbent: Recipe) -> tuple[Incompatible, ...]:
    """Return the levels that cannot be made of a recipe, though they could of the baseline, each with the reason.

    A factor for the momentum of SGD, for example, has nothing to change once Adam is the best optimizer.
    """
    found = []
    for level in factor.levels:
        try:
            arm(incumbent, factor, level)
        except IncompatibleError as error:
            found.append(Incompatible(label=level.label, reason=error.reason))
    return tuple(found)
