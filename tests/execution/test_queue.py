import random
import tracemalloc
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.example_records import assert_same
from tests.study.example_study import example_context, invented_record, model
from tests.tiny_trials import CNN, MLP, RESNET, tiny_trial

from ceteris import recipe as r
from ceteris.execution.populations import as_population
from ceteris.execution.progress import Progress, Work
from ceteris.execution.queue import Queue, Request
from ceteris.execution.worker import Done, Epoch, Event, Lost, Task
from ceteris.records import Failed, Predictions, Record, Trial
from ceteris.store import Store
from ceteris.study import model_experiment
from ceteris.study.model_experiment import ModelResult

Found = dict[str, Record]


class InventedPool:
    """Finishes tasks at random times, in any order; some are lost on the way, as often as ``losses`` says."""

    def __init__(self, seed: int = 0, places: int = 2, losses: Mapping[str, int] | None = None) -> None:
        self._random, self._places = random.Random(seed), places
        self._losses = Counter(losses or {})
        self._running: dict[str, Task] = {}
        self.submitted: list[str] = []
        self.tasks: list[Task] = []

    def idle(self) -> int:
        return self._places - len(self._running)

    def submit(self, task: Task) -> None:
        assert self.idle() > 0
        assert task.digest not in self._running
        self.submitted += task.digests
        self.tasks.append(task)
        self._running[task.digest] = task

    def events(self, timeout: float) -> Iterator[Event]:
        for digest in self._random.sample(sorted(self._running), self._random.randint(0, len(self._running))):
            task = self._running.pop(digest)
            if self._losses[digest]:
                self._losses[digest] -= 1
                yield Lost(digest=digest, message="the training process died (exit code -9)")
                continue
            yield Epoch(digest=digest, epoch=1)
            records = tuple(invented_record(trial, own) for trial, own in zip(task.trials, task.digests, strict=True))
            yield Done(digest=digest, records=records)


class Listener(Progress):
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.requests: list[Sequence[Work]] = []

    def requested(self, work: Sequence[Work]) -> None:
        self.requests.append(work)

    def started(self, digest: str, work: Work) -> None:
        self.heard.append(("started", digest))

    def epoch(self, digest: str, epoch: int) -> None:
        self.heard.append((f"epoch {epoch}", digest))

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        self.heard.append(("reused" if reused else record.status, digest))


def asking(*stages: Sequence[Trial]) -> Generator[Request, Mapping[str, Record], Found]:
    """A strategy that checks that it is given exactly what it asked for, and returns all of it."""
    found: Found = {}
    for number, trials in enumerate(stages):
        request = Request(
            model="m", stage=str(number), trials=tuple(trials), labels=tuple(str(trial.seed) for trial in trials)
        )
        records = yield request
        assert records.keys() == {trial.digest for trial in trials}
        assert all(record.digest == digest for digest, record in records.items())
        found |= records
    return found


def queue(folder: Path, pool: InventedPool, listener: Progress | None = None) -> Queue[Found]:
    return Queue(Store(folder), pool, listener or Progress())


def trials(*seeds: int, recipe: r.Recipe = MLP) -> list[Trial]:
    return [tiny_trial(recipe, seed=seed) for seed in seeds]


def test_every_strategy_gets_what_it_asked_for_and_its_result_comes_back_in_order(tmp_path: Path) -> None:
    found = queue(tmp_path, InventedPool()).run([asking(trials(1, 2), trials(3)), asking([]), asking(trials(4))])
    assert [{record.trial.seed for record in one.values()} for one in found] == [{1, 2, 3}, set(), {4}]
    assert all(record.status == "finished" for one in found for record in one.values())


def test_no_strategies_no_work(tmp_path: Path) -> None:
    assert queue(tmp_path, InventedPool()).run([]) == []


def test_a_trial_that_two_strategies_ask_for_is_trained_once(tmp_path: Path) -> None:
    pool = InventedPool(places=1)
    shared = trials(1, 2, 3)
    first, second = queue(tmp_path, pool).run([asking([*shared, *shared], trials(4)), asking(trials(4), shared)])
    assert Counter(pool.submitted) == Counter(trial.digest for trial in trials(1, 2, 3, 4))
    assert_same(first, dict(sorted(second.items(), key=lambda pair: list(first).index(pair[0]))))


@pytest.mark.parametrize("later", [False, True])
def test_a_trial_in_the_store_is_not_trained_again(tmp_path: Path, later: bool) -> None:
    known, unknown = trials(1, 2)
    record = replace(invented_record(known, known.digest), accuracy=0.123)
    Store(tmp_path).put(record)
    pool, listener = InventedPool(), Listener()
    stages = (trials(2), trials(1)) if later else (trials(1, 2),)
    (found,) = queue(tmp_path, pool, listener).run([asking(*stages)])
    assert pool.submitted == [unknown.digest]
    assert_same(found[known.digest], record.light())
    assert listener.heard.count(("reused", known.digest)) == 1


def test_a_lost_trial_is_trained_again_once(tmp_path: Path) -> None:
    digest = tiny_trial(seed=1).digest
    pool = InventedPool(losses={digest: 1})
    (found,) = queue(tmp_path, pool).run([asking(trials(1, 2))])
    assert pool.submitted.count(digest) == 2
    assert found[digest].status == "finished"


def test_a_trial_that_is_lost_again_is_a_row_that_says_so_and_the_study_goes_on(tmp_path: Path) -> None:
    digest = tiny_trial(seed=1).digest
    pool = InventedPool(losses={digest: 5})
    first, second = queue(tmp_path, pool).run([asking(trials(1, 2), trials(3)), asking(trials(1))])
    assert pool.submitted.count(digest) == 2
    lost = first[digest]
    assert isinstance(lost, Failed)
    assert (lost.status, lost.error) == ("failed", "the training process died (exit code -9)")
    assert_same(first[digest], second[digest])
    assert first[tiny_trial(seed=3).digest].status == "finished"


def population(*seeds: int) -> list[Trial]:
    return list(as_population(trials(*seeds)))


def test_a_population_is_one_task_in_its_order_and_its_members_are_told_of_one_by_one(tmp_path: Path) -> None:
    pool, listener, members = InventedPool(), Listener(), population(3, 1, 2)
    (found,) = queue(tmp_path, pool, listener).run([asking([*trials(9), *members])])
    digests = tuple(trial.digest for trial in members)
    assert [task.digests for task in pool.tasks] == [(tiny_trial(seed=9).digest,), digests]
    assert pool.tasks[1].digest == members[0].execution.population
    assert set(digests) < found.keys()
    for digest in digests:
        assert [word for word, of in listener.heard if of == digest] == ["started", "epoch 1", "finished"]


def test_a_population_that_two_strategies_ask_for_is_trained_once(tmp_path: Path) -> None:
    pool = InventedPool(places=1)
    first, second = queue(tmp_path, pool).run([asking(population(1, 2)), asking(trials(5), population(1, 2))])
    assert len(pool.tasks) == 2
    assert first.keys() < second.keys()


@pytest.mark.parametrize("losses", [1, 2])
def test_a_lost_population_is_trained_once_more_and_then_all_its_members_are_failures(
    tmp_path: Path, losses: int
) -> None:
    members = population(1, 2)
    pool = InventedPool(losses={members[0].execution.population: losses})
    (found,) = queue(tmp_path, pool).run([asking(members)])
    assert len(pool.tasks) == 2
    assert {record.status for record in found.values()} == ({"finished"} if losses == 1 else {"failed"})
    assert found.keys() == {trial.digest for trial in members}


@pytest.mark.parametrize("marked", [False, True])
def test_a_population_in_the_store_counts_only_when_it_is_whole(tmp_path: Path, marked: bool) -> None:
    members, store = population(1, 2), Store(tmp_path)
    digests = [trial.digest for trial in members]
    for trial, digest in zip(members, digests, strict=True):
        store.put(invented_record(trial, digest))
    if marked:
        store.mark_population(members[0].execution.population, digests)
    pool, listener = InventedPool(), Listener()
    queue(tmp_path, pool, listener).run([asking(members)])
    assert len(pool.tasks) == (0 if marked else 1)
    assert [word for word, _ in listener.heard].count("reused") == (2 if marked else 0)


def test_a_population_with_a_damaged_record_is_trained_again_as_a_whole(tmp_path: Path) -> None:
    members, store = population(1, 2), Store(tmp_path)
    digests = [trial.digest for trial in members]
    for trial, digest in zip(members, digests, strict=True):
        store.put(invented_record(trial, digest))
    store.mark_population(members[0].execution.population, digests)
    store.record_path(digests[1]).write_bytes(b"damaged")
    pool = InventedPool()
    (found,) = queue(tmp_path, pool).run([asking(members)])
    assert [task.digests for task in pool.tasks] == [tuple(digests)]
    assert found.keys() == set(digests)


@pytest.mark.parametrize("part", [slice(0, 2), slice(None, None, -1)])
def test_a_part_of_a_population_or_another_order_is_never_trained(tmp_path: Path, part: slice) -> None:
    with pytest.raises(AssertionError, match="a population is trained whole, in its order"):
        queue(tmp_path, InventedPool()).run([asking(population(1, 2, 3)[part])])


def test_the_listener_hears_every_trial_start_and_end(tmp_path: Path) -> None:
    listener, digest = Listener(), tiny_trial(seed=1).digest
    queue(tmp_path, InventedPool(), listener).run([asking(trials(1))])
    assert listener.heard == [("started", digest), ("epoch 1", digest), ("finished", digest)]
    assert listener.requests == [[Work(model="m", stage="0", label="1", epochs=2, units=1.0)]]


def test_records_are_kept_without_their_predictions_so_that_ten_thousand_fit_into_a_gibibyte(tmp_path: Path) -> None:
    asked, store = trials(*range(40)), Store(tmp_path)
    answers = Predictions(
        probabilities=np.zeros((5000, 47), np.float32), labels=np.zeros(5000, int), indices=np.zeros(5000, int)
    )
    for trial in asked:
        store.put(replace(invented_record(trial, trial.digest), predictions=answers))
    studied: Queue[Found] = Queue(store, InventedPool(), Progress())
    tracemalloc.start()
    try:
        (found,) = studied.run([asking(asked)])
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert studied.records == found
    assert grown / len(found) < 2**30 / 10_000


def test_a_loss_and_a_failure_are_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    digest = tiny_trial(seed=1).digest
    queue(tmp_path, InventedPool(losses={digest: 2})).run([asking(trials(1))])
    died = "the training process died (exit code -9)"
    assert [record.getMessage() for record in caplog.records] == [
        f"training {digest[:16]} was lost: {died}; it is trained again",
        f"training {digest[:16]} was lost: {died}; it is not tried again",
        f"m, 0, 1: failed: {died}",
    ]


def test_a_strategy_s_own_error_is_not_swallowed(tmp_path: Path) -> None:
    def broken() -> Generator[Request, Mapping[str, Record], Found]:
        yield Request(model="m", stage="s", trials=(tiny_trial(),), labels=("l",))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        queue(tmp_path, InventedPool()).run([broken()])


PLACE = example_context(models=(model("mlp"), model("cnn", CNN), model("resnet", RESNET)))


def outcomes(folder: Path, pool: InventedPool) -> list[ModelResult]:
    studied: Queue[ModelResult] = Queue(Store(folder), pool, Progress())
    return studied.run([model_experiment(PLACE, one) for one in PLACE.study.models])


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[ModelResult]:
    return outcomes(tmp_path_factory.mktemp("store"), InventedPool(places=1))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), places=st.integers(1, 40))
def test_neither_the_order_of_ends_nor_the_number_of_workers_changes_an_outcome(
    tmp_path_factory: pytest.TempPathFactory, expected: list[ModelResult], seed: int, places: int
) -> None:
    found = outcomes(tmp_path_factory.getbasetemp() / "empty", InventedPool(seed, places))
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
