"""Populations: trials that are trained in lockstep as one stacked model, because that is faster for small networks.

Which trials belong together is a part of their addresses in the store. It follows from the recipe, the design of the
exploration and the device alone, never from what is finished already, so that all arms of a comparison are trained in
the same way and their records are found again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ceteris.digests import digest_of
from ceteris.execution.device_table import DeviceTable, network_like
from ceteris.execution.worker import Task
from ceteris.records import Trial
from ceteris.training.population import shape_key

# Stacking must be faster than single training by at least this, so that the noise of the measurement does not decide.
_WORTHWHILE = 1.15


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """Says how many trials of a kind are trained as one on this device; without a table every trial is trained alone."""

    table: DeviceTable | None = None

    def sizes(self, trial: Trial, count: int) -> list[int]:
        """Return the sizes of the populations into which ``count`` trials shaped like ``trial`` are divided, in order.

        They are as equal as possible. A size for which stacking is not worth it becomes so many times 1.
        """
        network = network_like(trial.recipe)
        if self.table is None or network is None:
            return [1] * count
        populations = -(-count // self.table.fastest(network, count))
        small, larger = divmod(count, populations)
        sizes = [small + 1] * larger + [small] * (populations - larger)
        worthwhile = {size: self.table.gain(network, size) >= _WORTHWHILE for size in set(sizes)}
        return [one for size in sizes for one in ([size] if worthwhile[size] else [1] * size)]


NEVER = Stacking()


def as_population(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Mark trials as the members of one population, in this order; a single trial stays with the plain loop."""
    alone = tuple(replace(trial, execution=replace(trial.execution, members=1, population="")) for trial in trials)
    if len(alone) == 1:
        return alone
    digest = digest_of(alone)
    return tuple(
        replace(trial, execution=replace(trial.execution, members=len(alone), population=digest)) for trial in alone
    )


def stacked_folds(trials: Sequence[Trial], stacking: Stacking) -> tuple[Trial, ...]:
    """Let the folds of each repetition of an arm form populations, where stacking pays for its model."""
    arms = groupby(trials, key=lambda trial: (trial.recipe, trial.seed))
    return tuple(trial for _, folds in arms for trial in _divided(list(folds), stacking))


def stacked_block(trials: Sequence[Trial], stacking: Stacking) -> tuple[Trial, ...]:
    """Let many arms' trials of one block form populations, where they have the same shape and stacking pays for it.

    The trials come back in the order given; members are those next to each other among the trials of a shape.
    """
    if stacking.table is None:
        return tuple(trials)
    shapes: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        shapes.setdefault(shape_key(trial) or f"alone {place}", []).append(place)
    placed = {
        place: trial
        for places in shapes.values()
        for place, trial in zip(places, _divided([trials[place] for place in places], stacking), strict=True)
    }
    return tuple(placed[place] for place in range(len(trials)))


def _divided(trials: Sequence[Trial], stacking: Stacking) -> Iterator[Trial]:
    """Yield the trials, all of one shape, as members of populations."""
    first = 0
    for size in _sizes(trials, stacking):
        yield from as_population(trials[first : first + size])
        first += size


def _sizes(trials: Sequence[Trial], stacking: Stacking) -> list[int]:
    if len(trials) == 1 or stacking.table is None:
        return [1] * len(trials)
    can_stack = shape_key(trials[0]) is not None
    return stacking.sizes(trials[0], len(trials)) if can_stack else [1] * len(trials)


def tasks_of(trials: Mapping[str, Trial]) -> list[Task]:
    """Return what the workers are to do for trials by digest: each single trial and each population is one task."""
    populations: dict[str, list[str]] = {}
    for digest, trial in trials.items():
        populations.setdefault(trial.execution.population or digest, []).append(digest)
    tasks = [
        Task(digests=tuple(digests), trials=tuple(trials[digest] for digest in digests))
        for digests in populations.values()
    ]
    for task in tasks:
        _check_whole(task)
    return tasks


def _check_whole(task: Task) -> None:
    if len(task.trials) > 1 or task.trials[0].execution.members > 1:
        whole = as_population(task.trials)
        assert tuple(trial.digest for trial in whole) == task.digests, "a population is asked for whole, in its order"
