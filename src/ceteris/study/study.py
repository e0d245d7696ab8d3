"""What is asked: data, baseline recipe per model, factors with their levels, and how the exploration is done."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceteris.recipe import Count, Flag, NotNegative, Recipe, WholeNumber

_FROZEN = ConfigDict(extra="forbid")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Exploration:
    """Cross-validation of the arms: ``folds`` × ``seeds`` blocks; ``images`` > 0 explores on a stratified sample."""

    folds: Annotated[int, Field(strict=True, ge=2, le=50)] = 5
    seeds: Count = 1
    images: WholeNumber = 0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Final:
    """The trainings that meet the test set: ``seeds`` of each, early stopping on a held-out ``validation`` share.

    ``epochs`` 0 keeps each recipe's own number. ``test_curves`` keeps every epoch's weights of the first seed, so that
    curves on the test set can be drawn once all choices are made.
    """

    seeds: Count = 1
    validation: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.1
    patience: Count = 5
    epochs: WholeNumber = 0
    test_curves: Flag = True


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Reading:
    """How a folder, table or archive of images is read; nothing here is needed for the named sets.

    ``size`` (height, width) brings images of different sizes to one, by the rule ``fit``; ``channels`` 1 or 3 makes them
    grey or coloured; columns name the labels and the groups (writers, patients) that a split must not tear apart.
    """

    size: tuple[Count, Count] | None = None
    fit: Literal["pad", "crop", "stretch"] = "pad"
    channels: Literal[1, 3] | None = None
    label_column: str | None = None
    group_column: str | None = None
    test_fraction: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.2


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Level:
    """One value of a factor: what it changes, by dotted field of the recipe."""

    label: str
    changes: dict[str, Any]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Factor:
    """One thing that is varied. ``fields`` declares all that its levels may change; ``models`` () means every model."""

    name: Name
    title: str = ""
    question: str = ""
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    models: tuple[str, ...] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class StudyModel:
    """A model that takes part, with the recipe that it starts from."""

    name: Name
    title: str
    recipe: Recipe


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Study:
    """A whole study. ``significance`` is two-sided after Holm; ``equivalence_margin`` is a difference of accuracy (0..1)."""

    name: Name
    title: str = ""
    question: str = ""
    author: str = ""
    group: str = ""
    data: str
    reading: Reading = Reading()
    seed: WholeNumber = 0
    strategy: Literal["greedy"] = "greedy"
    significance: Annotated[float, Field(strict=True, gt=0, lt=0.5)] = 0.05
    equivalence_margin: NotNegative = 0.005
    exploration: Exploration = Exploration()
    final: Final = Final()
    models: Annotated[tuple[StudyModel, ...], Field(min_length=1)]
    factors: tuple[Factor, ...] = ()


def factors_of(study: Study, model: str) -> tuple[Factor, ...]:
    """Return the factors that are explored for a model, in the order of the study."""
    return tuple(factor for factor in study.factors if not factor.models or model in factor.models)
