"""A study run on a pool that does not train: which trainings it asks for, in which order, and when the last one ends.

The strategies, the queue and the order of the trainings are those of a real run. In place of workers there is a clock: each
task ends after its predicted seconds with a null record. Null records are those of a study in which nothing is found, so
that no comparison is decided and every baseline stays the best. A study that finds better settings trains about as many
trials, but of other recipes: a level that becomes the incumbent may add or save an arm in a later stage.
"""

import heapq
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ceteris.digests import digest_of
from ceteris.execution.progress import Progress, StageKind
from ceteris.execution.queue import Queue, Records, Request
from ceteris.execution.worker import Done, Event, Task
from ceteris.records import Cost, CrossValidationSplit, Finished, Record, Trial
from ceteris.study import ExperimentContext, ModelResult, Study, model_experiment
from ceteris.study.strategies import SearchResult, search_of, strategy_of
from ceteris.study.study import ModelSpec, varied
from ceteris.study.trials import TUNING_REPETITION

T = TypeVar("T")
SecondsOf = Callable[[Sequence[Trial]], float]  # of a task: one trial, or the members of a population

# Accuracies of null records: the baseline's, the gain of a level that is to be kept, and swings of the others.
_BASELINE, _GAIN, _LEAST_SWING, _STEADY_SWING = 0.5, 0.02, 0.01, 1e-4
# The best recipe is not known yet. It is planned as the baseline at a rate that takes as long and that nobody would ask for.
_UNKNOWN_BEST = 1 + 2**-20


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One stage of one model: what is compared in it, and the trials that are new in it, round after round.

    A round begins when the one before it is finished. ``comparisons`` is the number of levels that are each compared with
    the incumbent on ``blocks`` blocks, 0 where the stage compares nothing by pairs; ``complete`` arms are trained on all of
    them. ``known`` of the trials are in the store already; ``seconds`` is the time of one core for the others.

    ``detectable`` is the smallest true difference of accuracy (0..1) that the comparisons find with power 0.8,
    ``detectable_with_more`` that with more repetitions. ``expected_gain`` of accuracy is what taking the best bet will bring,
    ``gain_per_hour`` that for an hour of all workers. All are None where there are no pairs, or nobody asked, the last also
    where nothing is left to train.
    """

    model: str
    stage: str
    kind: StageKind
    arms: tuple[str, ...]
    rounds: tuple[tuple[Trial, ...], ...]
    comparisons: int = 0
    blocks: int = 0
    complete: int = 0
    known: int = 0
    seconds: float = 0.0
    detectable: float | None = None
    detectable_with_more: float | None = None
    expected_gain: float | None = None
    gain_per_hour: float | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All new trials of the stage."""
        return tuple(trial for trials in self.rounds for trial in trials)


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """All stages, model after model, the tasks that were not known, and when the last of them ends on the simulated clock."""

    stages: tuple[PlannedStage, ...]
    tasks: tuple[Task, ...]
    seconds: float


def dry_run(
    context: ExperimentContext,
    *,
    workers: int = 1,
    seconds_of: SecondsOf = lambda trials: 0.0,
    is_known: Callable[[Trial], bool] = lambda trial: False,
) -> DryRun:
    """Run a study without training: the most that its strategy can ask for within the design, nothing beyond it.

    Args:
        context: the study and its machine.
        workers: how many tasks run at a time; 0 (train in this process) counts as 1.
        seconds_of: the predicted seconds of one task.
        is_known: whether a trial is in the store already and takes no time.
    """
    strategy = strategy_of(context.study)
    study = replace(context.study, strategy=strategy.upper_bound(context.study.strategy))
    study = replace(study, exploration=replace(study.exploration, repetitions=study.exploration.seeds))
    context = replace(context, study=study, extension=None)
    nulls = NullRecords(study)
    notes, pool = Notes(study, nulls, is_known), SimulatedPool(workers, seconds_of, nulls)
    queue: Queue[ModelResult] = Queue(notes, pool, Progress())
    queue.run([notes.noted(model_experiment(context, model, _search)) for model in study.models])
    return DryRun(stages=tuple(notes.stages(pool.seconds)), tasks=tuple(pool.tasks), seconds=pool.clock)


def _search(context: ExperimentContext, model: ModelSpec) -> Generator[Request, Records, SearchResult]:
    """Search as the study says; in place of what was found, which means nothing, stand two more recipes like the baseline."""
    found = yield from search_of(context, model)
    if not varied(context.study, model.name):
        return found  # nothing better can be found
    best, sure = (
        replace(
            model.recipe, optimizer=replace(model.recipe.optimizer, lr=model.recipe.optimizer.lr * _UNKNOWN_BEST**power)
        )
        for power in (1, 2)
    )
    return replace(found, best=best, sure=sure)


class SimulatedPool:
    """Workers that answer every task with null records after its predicted seconds, on a clock of their own."""

    def __init__(self, workers: int, seconds_of: SecondsOf, nulls: "NullRecords") -> None:
        self.clock = 0.0
        self.tasks: list[Task] = []
        self.seconds: dict[str, float] = {}  # of each trial by its digest: its share of the task's
        self._workers, self._seconds_of, self._nulls = max(1, workers), seconds_of, nulls
        self._running: list[tuple[float, int, Task]] = []

    def idle(self) -> int:
        """Return how many workers have nothing to do."""
        return self._workers - len(self._running)

    def submit(self, task: Task) -> None:
        """Begin a task now, by the simulated clock."""
        seconds = self._seconds_of(task.trials)
        self.seconds |= dict.fromkeys(task.digests, seconds / len(task.trials))
        heapq.heappush(self._running, (self.clock + seconds, len(self.tasks), task))
        self.tasks.append(task)

    def events(self, timeout: float) -> Iterator[Event]:
        """Let the clock go on until the next task ends."""
        self.clock, _, task = heapq.heappop(self._running)
        records = tuple(map(self._nulls.record, task.trials))
        yield Done(digest=task.digest, records=records)


class NullRecords:
    """Records that decide nothing; where a strategy follows choices, the first new level of every factor is kept."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._follows_choices = strategy_of(study).follows_choices
        self._best = {model.name: model.recipe for model in study.models}
        self._gains: dict[str, float] = {}  # of the recipes that are kept, by digest

    def observe(self, request: Request) -> None:
        """Choose what will be found better: all that is confirmed, and a level where the strategy is about what was kept."""
        if request.kind == "confirmation":
            self._gains |= {digest_of(trial.recipe): _GAIN for trial in request.trials[len(request.trials) // 3 :]}
        if not self._follows_choices or request.kind != "comparison":
            return
        new = next((trial.recipe for trial in request.trials if trial.recipe != self._best[request.model]), None)
        if new and (digest := digest_of(new)) not in self._gains:
            self._gains[digest] = _GAIN * (1 + len(self._gains))
            self._best[request.model] = new

    def record(self, trial: Trial) -> Finished:
        """Return a finished record without history: strategies decide on accuracy, loss and cost."""
        accuracy = self._accuracy(trial)
        return Finished(
            trial=trial,
            accuracy=accuracy,
            f1=accuracy,
            loss=1 - accuracy,
            train_accuracy=accuracy,
            balanced_accuracy=accuracy,
            best_epoch=trial.recipe.epochs,
            epoch_count=trial.recipe.epochs,
            step_count=0,
            cost=_NULL_COST,
            environment={},
        )

    def _accuracy(self, trial: Trial) -> float:
        if trial.split.seed == self._study.seed + TUNING_REPETITION:
            return _BASELINE  # all values alike: the one to start from is kept
        digest = digest_of(trial.recipe)
        share = int(digest[:4], 16) / 2**16
        swing = _STEADY_SWING if self._gains else max(_LEAST_SWING, 6 * self._study.equivalence_margin)
        # Plus and minus in turns, 0 for the last of an odd number of folds: the mean difference of every repetition is 0.
        split, sign = trial.split, 0
        if isinstance(split, CrossValidationSplit) and not (split.folds % 2 and split.index == split.folds - 1):
            sign = 1 - 2 * (split.index % 2)
        return _BASELINE + self._gains.get(digest, 0.0) + swing * (1 + share) * sign


_NULL_COST = Cost(
    train_seconds=1.0,
    evaluation_seconds=0.0,
    peak_memory_bytes=0,
    parameters=1,
    forward_flops_per_image=1,
    training_flops=1,
    images_per_second=1.0,
)


class Notes:
    """The store of a dry run: it notes what is asked for, and has the null records of what the real store holds."""

    def __init__(self, study: Study, nulls: NullRecords, is_known: Callable[[Trial], bool]) -> None:
        self._study, self._nulls, self._is_known = study, nulls, is_known
        # model, kind and name of a stage -> its requests, each with what is new in it by digest
        self._stages: dict[tuple[str, StageKind, str], list[tuple[Request, dict[str, Trial]]]] = {}
        self._seen: dict[str, set[str]] = {model.name: set() for model in study.models}  # digests
        self._known: dict[str, Trial] = {}  # by digest

    def find(self, digest: str, *, light: bool = False) -> Record | None:
        """Return the null record of a trial that the real store holds."""
        trial = self._known.get(digest)
        return self._nulls.record(trial) if trial else None

    def noted(self, experiment: Generator[Request, Records, T]) -> Generator[Request, Records, T]:
        """Pass on an experiment's requests, each noted before it is answered; what its model asked for before is not new."""
        records: Records | None = None
        while True:
            try:
                request = next(experiment) if records is None else experiment.send(records)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            new = {trial.digest: trial for trial in request.trials if trial.digest not in self._seen[request.model]}
            self._seen[request.model].update(new)
            self._known |= {digest: trial for digest, trial in new.items() if self._is_known(trial)}
            self._stages.setdefault((request.model, request.kind, request.stage), []).append((request, new))
            self._nulls.observe(request)
            records = yield request

    def stages(self, seconds: Mapping[str, float]) -> Iterator[PlannedStage]:
        """Yield the stages, model after model, with the seconds of their trials by digest (0 of those that are known)."""
        study, order = self._study, [model.name for model in self._study.models]
        for (model, kind, name), noted in sorted(self._stages.items(), key=lambda item: order.index(item[0][0])):
            arms = tuple(dict.fromkeys(label for request, _ in noted for label in request.labels))
            digests = [digest for _, new in noted for digest in new]
            compared = kind in ("comparison", "confirmation")
            in_exploration = study.exploration.folds * study.exploration.seeds
            blocks = len(noted[0][0].trials) // len(arms) if kind == "confirmation" else in_exploration
            yield PlannedStage(
                model=model,
                stage=name,
                kind=kind,
                arms=arms,
                rounds=tuple(tuple(new.values()) for _, new in noted if new),
                comparisons=len(arms) - 1 if compared else 0,
                blocks=blocks if compared else 0,
                complete=len(set(noted[-1][0].labels)),
                known=sum(digest in self._known for digest in digests),
                seconds=sum(seconds.get(digest, 0.0) for digest in digests),
            )
