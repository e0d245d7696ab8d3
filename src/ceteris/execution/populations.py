"""Populations: trials that are trained in lockstep as one stacked model, because that is faster for small networks.

Which trials belong together is a part of their addresses in the store. It follows from the recipe, the design of the
exploration and the device alone, never from what is finished already, so that all arms of a comparison are trained in
the same way and their records are found again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise

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

        They are as equal as possible. A size for which stacking is not worth it, or not possible, becomes so many times 1.
        """
        network = network_like(trial.recipe)
        if self.table is None or network is None or shape_key(trial) is None:
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
    groups = groupby(trials, key=lambda trial: (trial.recipe, trial.seed))
    return tuple(trial for _, folds in groups for trial in stacked(tuple(folds), stacking))


def stacked(trials: Sequence[Trial], stacking: Stacking) -> tuple[Trial, ...]:
    """Let trials of one shape form populations, in this order, where stacking pays for their model."""
    ends = list(accumulate(stacking.sizes(trials[0], len(trials)), initial=0))
    return tuple(trial for first, end in pairwise(ends) for trial in as_population(trials[first:end]))


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
