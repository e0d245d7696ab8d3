"""The arms of a factor around an incumbent, and the levels that do not fit it."""

from collections.abc import Mapping
from dataclasses import replace

from ceteris.fields import describe_fields
from ceteris.recipe import Recipe
from ceteris.study.decide import Decision
from ceteris.study.design import IncompatibleError, arm
from ceteris.study.study import Factor


def arms_of(factor: Factor, incumbent: Recipe) -> tuple[dict[str, Recipe], str]:
    """Return label -> recipe for every level, and the label of the incumbent, which is added when it is no level.

    Levels that do not fit the incumbent are left out, see :func:`misfits`.
    """
    left_out = misfits(factor, incumbent)
    arms = {level.label: arm(incumbent, factor, level) for level in factor.levels if level.label not in left_out}
    present = [label for label, recipe in arms.items() if recipe == incumbent]
    if present:
        return arms, present[0]
    values = describe_fields(incumbent, factor.fields)
    label = f"as before ({values})" if values else "as before"
    return {label: incumbent} | arms, label


def misfits(factor: Factor, incumbent: Recipe) -> dict[str, str]:
    """Return label -> reason for the levels that cannot be made of a recipe, though they could of the baseline.

    A factor for the momentum of SGD, for example, has nothing to change once Adam is the best optimizer.
    """
    found = {}
    for level in factor.levels:
        try:
            arm(incumbent, factor, level)
        except IncompatibleError as error:
            found[level.label] = error.reason
    return found


def with_misfits(decision: Decision, reasons: Mapping[str, str]) -> Decision:
    """Return the decision with one sentence for every level that was left out, and why."""
    told = [f"{label} was left out, as it does not fit the best setting so far: {reasons[label]}." for label in reasons]
    return replace(decision, sentence=" ".join([decision.sentence, *told]))
