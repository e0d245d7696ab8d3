"""The members of a population and what acts on all of them; see :mod:`ceteris.training.population`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ceteris.data import ImageSet, split_indices, standardisation
from ceteris.models import stack, summarise
from ceteris.models.stacked import rows_of
from ceteris.recipe import Recipe
from ceteris.records import FloatArray, IntArray, Trial
from ceteris.training import build
from ceteris.training.graph import Multipliers
from ceteris.training.history import BestEpoch, History
from ceteris.training.images import ResidentImages, resident, standardising
from ceteris.training.loop import Parts, Plan, State, evaluation_batch
from ceteris.training.memory import EvaluationBatch
from ceteris.training.population_images import PopulationImages, population_images
from ceteris.training.population_steps import GradientSteps, PopulationOptimizer, gradient_steps
from ceteris.training.streams import Streams, streams_of
from ceteris.training.trial import TrialFacts, make_parts, plan_of
from ceteris.user_code import ImportPolicy


@dataclass(frozen=True, kw_only=True)
class Member:
    """One trial of a population: its objects, its streams and what is observed of it."""

    place: int
    trial: Trial
    parts: Parts
    streams: Streams
    facts: TrialFacts
    history: History
    best: BestEpoch
    batch: EvaluationBatch
    snapshots: list[State]


class Population:
    """The members that still train, with all that acts on them together."""

    def __init__(self, members: Sequence[Member], images: PopulationImages, plan: Plan) -> None:
        self.members = list(members)
        self.images = images
        self.plan = plan
        self.stacked = stack([member.parts.model for member in members])
        self.optimizer = PopulationOptimizer(self.stacked, self.recipes, [member.parts.optimizer for member in members])
        self.average = build.build_averaging(self.recipes[0].averaging, self.stacked)
        self.augmenting = members[0]  # augments for all where the images are shared, also after it has left
        self._prepare_steps()

    @property
    def recipes(self) -> list[Recipe]:
        """The members' recipes."""
        return [member.trial.recipe for member in self.members]

    def keep(self, places: Sequence[int]) -> None:
        """Let all members leave but those at ``places``."""
        self.members = [self.members[place] for place in places]
        self.stacked.keep(places)
        self.optimizer.keep(places)
        self.images = self.images.keep(places)
        if self.average:
            self.average.follow(self.stacked, lambda average: rows_of(average, places))
        self._prepare_steps()

    def averaged_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the members have the weights that are evaluated."""
        return self.average.applied() if self.average else nullcontext()

    def multipliers(self, progress: float) -> list[float]:
        """Return the schedules' multipliers, one per member, or a single one where all are stepped together."""
        members = self.members[:1] if self.optimizer.together else self.members
        return [member.parts.schedule(progress, member.history.train_losses) for member in members]

    def rates(self, multipliers: Sequence[float]) -> list[float]:
        """Return every member's learning rate."""
        rates = [full * share for full, share in zip(self.optimizer.full_rates, multipliers, strict=True)]
        return rates * len(self.members) if self.optimizer.together else rates

    def shrinking(self, multipliers: Multipliers) -> list[float] | Tensor:
        """Return what decoupled decay multiplies every member's weights by, numbers or (K,) as the multipliers are."""
        if isinstance(multipliers, Tensor):
            return 1 - multipliers * self._full_decays
        pairs = zip(self.rates(multipliers), self.members, strict=True)
        return [1 - rate * member.parts.decay for rate, member in pairs]

    def changed_by_a_step(self) -> list[Tensor]:
        """Return every tensor that a step changes."""
        averages = self.average.averages if self.average else []
        return [*self.stacked.parameters(), *self.stacked.buffers(), *self.optimizer.state, *averages]

    def _prepare_steps(self) -> None:
        """Bring to the device what every step needs, so that no step has to wait for numbers of Python."""
        self.steps: GradientSteps = gradient_steps(self.recipes, self.members[0].trial.execution.device)
        full_rates = self.rates([1.0] * len(self.optimizer.full_rates))
        decays = [rate * member.parts.decay for rate, member in zip(full_rates, self.members, strict=True)]
        self.decays = any(member.parts.decay for member in self.members)
        self._full_decays = torch.tensor(decays, device=self.images.device)


def population_of(trials: Sequence[Trial], train: ImageSet, imports: ImportPolicy) -> Population:
    """Return trials of one shape as a population that is ready to train."""
    splits = [split_indices(trial.split, train.labels, train.groups) for trial in trials]
    used = np.unique(np.concatenate([fit for fit, _ in splits]))
    moments = [standardisation(train.images, fit) for fit, _ in splits]
    table = _resident(trials[0], train, used, *moments[0])
    tables = [_standardised_by(table, *of_member) for of_member in moments]
    members: list[Member] = []
    for place, (trial, (fit, held)) in enumerate(zip(trials, splits, strict=True)):
        held_out = _resident(trial, train, held, *moments[place])
        flops = members[0].facts.flops if members else None
        members.append(_member(place, trial, train, tables[place], held_out, (fit, held), flops, imports))
    rows = [np.searchsorted(used, fit) for fit, _ in splits]
    images = population_images(table, tables, rows, shared=_see_the_same(trials))
    return Population(members, images, plan_of(trials[0], train))


def _member(
    place: int,
    trial: Trial,
    train: ImageSet,
    table: ResidentImages,
    held_out: ResidentImages,
    split: tuple[IntArray, IntArray],
    flops: int | None,
    imports: ImportPolicy,
) -> Member:
    streams = streams_of(trial)
    parts = make_parts(trial, train, table, streams, imports)
    if flops is None:
        flops = summarise(parts.model, train.shape).flops
    return Member(
        place=place,
        trial=trial,
        parts=parts,
        streams=streams,
        facts=TrialFacts(fitted=len(split[0]), held_out=held_out, held_places=split[1], flops=flops),
        history=History(len(train.classes)),
        best=BestEpoch(trial.patience),
        batch=evaluation_batch(held_out),
        snapshots=[],
    )


def _see_the_same(trials: Sequence[Trial]) -> bool:
    """Say whether all members see the same images in the same order, augmented in the same way."""
    attacked = build.attacks_the_model(trials[0].recipe.augmentation)
    return not attacked and len({repr((trial.split, trial.seed, trial.recipe.augmentation)) for trial in trials}) == 1


def _resident(
    trial: Trial, train: ImageSet, places: IntArray, mean: FloatArray, deviation: FloatArray
) -> ResidentImages:
    return resident(
        train.images,
        train.labels,
        places,
        mean=mean,
        deviation=deviation,
        device=trial.execution.device,
        channels_last=trial.recipe.model.kind != "mlp",
    )


def _standardised_by(table: ResidentImages, mean: FloatArray, deviation: FloatArray) -> ResidentImages:
    scale, offset = standardising(mean, deviation, str(table.labels.device))
    return replace(table, scale=scale, offset=offset)
