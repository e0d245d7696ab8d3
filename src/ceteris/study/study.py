"""What is asked: data, baseline recipe per model, factors with their levels, and how the exploration is done."""

from dataclasses import field
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ceteris.data import ReadOptions
from ceteris.digests import ADDED
from ceteris.findings import Form, OwnWords, Reference
from ceteris.recipe import BY_KIND, NAMED, Count, Flag, Name, NotNegative, Recipe, WholeNumber
from ceteris.records import Criterion

_FROZEN = ConfigDict(extra="forbid")
Repetitions = Annotated[int, Field(strict=True, ge=1, le=1000)]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Exploration:
    """Cross-validation of the arms: ``folds`` × ``seeds`` blocks; ``images`` > 0 explores on a stratified sample.

    Levels that are open then, and matter, get more repetitions, up to ``repetitions`` in all. A model without factors has
    nothing to choose and goes straight to its final trainings, unless ``all_models`` asks for its cross-validation too.
    """

    folds: Annotated[int, Field(strict=True, ge=2, le=50)] = 5
    seeds: Repetitions = 1
    repetitions: Repetitions = 3
    images: WholeNumber = 0
    all_models: Flag = False


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ConfirmationDesign:
    """Baseline and what was chosen once more, as long and with as many images as it is delivered.

    From 2,000 training images on a fifth of them is kept for this alone, and ``seeds`` trainings of each recipe are
    judged by it. Below, about twice as many blocks of new cross-validations are. 0 leaves the confirmation out.
    """

    seeds: Annotated[int, Field(strict=True, ge=0, le=100)] = 5


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Final:
    """The trainings that meet the test set: ``seeds`` of each, early stopping on a ``validation`` share of its own.

    ``validation`` 0 trains on all images, for all epochs, and keeps the last weights. ``images`` > 0 trains on a stratified
    sample of so many, the confirmation too, so that a study can be tried small. ``epochs`` 0 keeps each recipe's own number.
    ``levels`` trains every option of every factor once as well; the test set is asked about them when all choices are made,
    so that no choice has seen it. ``test_curves`` keeps every epoch's weights of the first seed, so that curves on the test
    set can be drawn once all choices are made.
    """

    seeds: Repetitions = 5
    validation: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.1
    patience: Count = 5
    epochs: WholeNumber = 0
    images: WholeNumber = field(default=0, metadata=ADDED)
    levels: Flag = False
    test_curves: Flag = True


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Level:
    """One value of a factor: what it changes, by dotted field of the recipe."""

    label: str
    changes: dict[str, Any]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Nuisance:
    """A number that is tuned inside each arm, so that no level is judged at a value that suits another one.

    The search starts at the arm's own value, tries that value times and over ``step``, and spends the rest of its
    ``trials`` on widening the range where the best value lies at its edge, else on halving the gaps beside the best. Every
    value is tried on ``folds`` blocks.
    """

    field: str = "optimizer.lr"
    trials: Annotated[int, Field(strict=True, ge=3, le=100)] = 5
    folds: Annotated[int, Field(strict=True, ge=1, le=50)] = 2
    step: Annotated[float, Field(strict=True, gt=1, le=1000)] = 3.0


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Factor:
    """One thing that is varied. ``fields`` declares all that its levels may change; ``models`` () means every model.

    ``tune`` names the nuisance parameters of its arms, () for none; without it the learning rate is tuned where the factor
    exchanges whole optimizers or schedules, see :func:`nuisances_of`.
    """

    name: Name
    title: str = ""
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    models: tuple[str, ...] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    tune: tuple[Nuisance, ...] | None = None
    words: OwnWords = OwnWords()


# ---------------------------------------------------------------------------------------------------------------------
# Strategies: how the best recipe of a model is searched


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Greedy:
    """Factor after factor, keeping the best level so far."""

    kind: Literal["greedy"] = "greedy"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class OneAtATime:
    """Every level against the baseline alone; the levels that are better are then put together."""

    kind: Literal["one-at-a-time"] = "one-at-a-time"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class LeaveOneOut:
    """The greedy way, then every choice of the final stack put back to the baseline: what is each choice worth?"""

    kind: Literal["leave-one-out"] = "leave-one-out"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Factorial:
    """A grid of all levels of all factors, with main effects and two-way interactions.

    ``cells`` 0 trains the full grid; a smaller number trains that many cells, chosen so that all effects asked for can
    still be told apart (D-optimal).
    """

    kind: Literal["factorial"] = "factorial"
    cells: WholeNumber = 0
    interactions: Flag = True


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Range:
    """A number that a joint search may set anywhere between ``low`` and ``high``, evenly in its logarithm with ``log``."""

    field: str
    low: float
    high: float
    log: Flag = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"a range needs low < high, and low > 0 where log is on; received low {self.low} and high {self.high}"
            )


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Joint:
    """A search over all levels of all factors, and over ``ranges`` of numbers, at once; ``trials`` recipes are tried.

    ``pruning`` leaves a recipe after its first blocks when it is clearly behind the best one on the same blocks.
    """

    kind: Literal["joint"] = "joint"
    sampler: Literal["tpe", "gp", "random", "quasi-random", "cma-es"] = "tpe"
    trials: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 30
    pruning: Flag = True
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Race:
    """Block after block; levels that are decided or can no longer matter leave early.

    ``along`` says what a factor's levels are compared with: the best setting so far ("greedy") or the baseline
    ("one-at-a-time"). ``first`` blocks are trained before anybody leaves. ``test`` is how losers are found: paired
    comparisons, or Friedman's rank test before them.
    """

    kind: Literal["race"] = "race"
    along: Literal["greedy", "one-at-a-time"] = "greedy"
    first: Annotated[int, Field(strict=True, ge=2, le=100)] = 3
    test: Literal["paired", "friedman"] = "paired"


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Halving:
    """Successive halving: many recipes with few epochs, the best 1 in ``reduction`` goes on with ``reduction`` times
    as many.

    The baseline and its single changes (up to half of the recipes) come first, the others are drawn from all levels of all
    factors and from ``ranges``. A schedule is a function of the share of the training that is done, so a shortened training
    runs through all of it and slow starters are not cut off before it ends. ``shortest`` is the number of epochs of the
    first rung; 0 takes 1 in ``reduction``² of all epochs.
    """

    kind: Literal["halving"] = "halving"
    candidates: Annotated[int, Field(strict=True, ge=2, le=10_000)] = 27
    reduction: Annotated[int, Field(strict=True, ge=2, le=10)] = 3
    shortest: WholeNumber = 0
    ranges: tuple[Range, ...] = ()


Strategy = Annotated[
    Greedy | OneAtATime | LeaveOneOut | Factorial | Joint | Race | Halving,
    BY_KIND,
    NAMED,
]


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class ModelSpec:
    """A model that takes part, with the recipe that it starts from."""

    name: Name
    title: str
    recipe: Recipe
    embedding: str = ""  # the layer whose output the t-SNE picture shows; what the last linear layer sees without it
    words: OwnWords = OwnWords()


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Explain:
    """What is looked at in the final models, after all choices; a part at 0 or false is left out.

    ``mistakes`` misclassified test images get maps of what every model looks at, with Grad-CAM on ``layer`` ('' for
    the last convolution), which is also the layer of the ``embedding`` ('' for the input of the last linear layer).
    ``checks`` test images say whether the maps tell anything, ``robustness`` test images are corrupted and attacked,
    ``layers`` test images show how the layers hold the classes apart. ``doubts`` training images are shown whose
    labels the out-of-fold predictions speak against, and as many of the hardest. ``costs`` measures what using the
    models takes, ``dynamics`` how the first residual network trains with and without its shortcuts. ``alike`` lists
    classes that nobody can tell apart, by their names; () takes letters and digits that look alike where the data
    have both.
    """

    mistakes: WholeNumber = 6
    layer: Annotated[str, Field(max_length=200)] = ""
    embedding: Literal["t-sne", "pca"] = "t-sne"
    checks: WholeNumber = 0
    robustness: WholeNumber = 0
    layers: WholeNumber = 0
    doubts: WholeNumber = 12
    costs: Flag = False
    dynamics: Flag = False
    alike: tuple[tuple[str, ...], ...] = ()


ALL_PARTS = Explain(checks=50, robustness=1000, layers=500, doubts=20, costs=True, dynamics=True)


def _several(runs: int) -> int:
    if runs == 1:
        raise ValueError("one run has no spread: 0 leaves the sources of luck out, 2 or more measure them; received 1")
    return runs


@dataclass(frozen=True, kw_only=True, config=_FROZEN)
class Study:
    """A whole study: what is compared, how it is searched, and what is claimed.

    ``criterion`` is what choices, claims and early stopping look at, higher is better (of the log-loss the lower).
    ``significance`` is two-sided after Holm; ``equivalence_margin`` is a difference of the criterion (of accuracy in 0..1).
    ``caution`` is how probably a level must be worth its cost to be taken: 0.5 takes every best bet. ``test`` is what
    claims rest on: the two-part test, or the stricter corrected t-test.

    ``match`` "parameters" multiplies the widths of every model but the first (hidden units, or filters and head) so that
    its baseline has as many parameters as the first model's. ``variance`` > 0 trains every best recipe that often with each
    source of luck varied alone, see ``ceteris.study.luck``.

    ``form`` says whether this is the study itself or what its table [quick] or [full] made of it; ``reference`` holds results
    from elsewhere that the report shows beside its own.
    """

    name: Name
    title: str = ""
    author: str = ""
    group: str = ""
    data: Annotated[str, Field(max_length=4096)]
    reading: ReadOptions = ReadOptions()
    seed: WholeNumber = 0
    strategy: Strategy = Greedy()
    significance: Annotated[float, Field(strict=True, gt=0, lt=0.5)] = 0.05
    equivalence_margin: NotNegative = 0.005
    criterion: Criterion = "accuracy"
    caution: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.5
    test: Literal["two-part", "corrected-t"] = "two-part"
    exploration: Exploration = Exploration()
    confirmation: ConfirmationDesign = ConfirmationDesign()
    final: Final = Final()
    variance: Annotated[int, Field(strict=True, ge=0, le=100), AfterValidator(_several)] = 0
    match: Literal["none", "parameters"] = field(default="none", metadata=ADDED)
    explain: Explain = Explain()
    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1)]
    factors: tuple[Factor, ...] = ()
    form: Form = ""
    reference: tuple[Reference, ...] = ()
    words: OwnWords = OwnWords()


STRATEGIES = get_args(get_args(Strategy)[0])


def factors_of(study: Study, model: str) -> tuple[Factor, ...]:
    """Return the factors that are explored for a model, in the order of the study."""
    return tuple(factor for factor in study.factors if not factor.models or model in factor.models)


def ranges_of(study: Study) -> tuple[Range, ...]:
    """Return the ranges of the study's strategy, () where it has none."""
    return study.strategy.ranges if isinstance(study.strategy, Joint | Halving) else ()


def varied(study: Study, model: str) -> bool:
    """Say whether anything of a model is varied, so that there is something to choose."""
    return bool(factors_of(study, model) or ranges_of(study))


def keeps_levels(study: Study) -> bool:
    """Say whether the strategy goes from factor to factor and on from what it has chosen."""
    strategy = study.strategy
    return isinstance(strategy, Greedy | LeaveOneOut) or (isinstance(strategy, Race) and strategy.along == "greedy")


def nuisances_of(factor: Factor) -> tuple[Nuisance, ...]:
    """Return what is tuned inside each arm of a factor: as it says, or the learning rate for optimizers and schedules."""
    if factor.tune is not None:
        return factor.tune
    return (Nuisance(),) if {"optimizer", "schedule"} & set(factor.fields) else ()
