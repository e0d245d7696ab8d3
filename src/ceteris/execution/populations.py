"""Populations: trials that are trained in lockstep as one stacked model, because that is faster for small networks.

Which trials belong together is a part of their addresses in the store. It follows from the recipe, the design of the
exploration and the device alone, never from what is finished already, so that all arms of a comparison are trained in
the same way and their records are found again.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    for index, trial in enumerate(trials):
        shapes.setdefault(shape_key(trial) or f"alone {index}", []).append(index)
    marked = {
        index: trial
        for indices in shapes.values()
        for index, trial in zip(indices, _divided([trials[index] for index in indices], stacking), strict=True)
    }
    return tuple(marked[index] for index in range(len(trials)))


def _divided(trials: Sequence[Trial], stacking: Stacking) -> Iterator[Trial]:
    """Yield the trials, all of one shape, as members of populations."""
    can_stack = stacking.table is not None and len(trials) > 1 and shape_key(trials[0]) is not None
    first = 0
    for size in stacking.sizes(trials[0], len(trials)) if can_stack else [1] * len(trials):
        yield from as_population(trials[first : first + size])
        first += size


def tasks_of(trials: Iterable[Trial]) -> list[Task]:
    """Return what the workers do at once for trials: each single trial and each population is one task."""
    members: dict[str, dict[str, Trial]] = {}
    for trial in trials:
        members.setdefault(trial.execution.population or trial.digest, {})[trial.digest] = trial
    tasks = [Task(trials=tuple(together.values())) for together in members.values()]
    for task in tasks:
        whole = task.digest == task.trials[0].digest or as_population(task.trials) == task.trials
        assert whole, "a population is trained whole, in its order"
    return tasks
