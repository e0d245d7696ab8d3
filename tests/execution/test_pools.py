"""Real processes train real (tiny) trials; they are started once for all tests of this file."""

import os
import signal
from dataclasses import dataclass, replace

import pytest
from tests.example_records import assert_same
from tests.execution.test_queue import Found, asking
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial

from ceteris import recipe as r
from ceteris.data import DataSet, from_arrays
from ceteris.errors import StoreError
from ceteris.execution.pools import InProcessPool, WorkerPool, environment_of_workers
from ceteris.execution.populations import as_population
from ceteris.execution.progress import Progress
from ceteris.execution.queue import Queue
from ceteris.execution.worker import WorkerConfig
from ceteris.records import HoldoutSplit, Record, Trial
from ceteris.store import Store
from ceteris.user_code import ALL_IMPORTS

MEASURED = frozenset({"seconds", "cost"})
DROPOUT = replace(MLP, model=r.MLP(hidden=(16,), dropout=0.3), augmentation=(r.Shift(), r.Noise()))
FINAL = tiny_trial(
    DROPOUT, split=HoldoutSplit(fraction=0.25, seed=0), patience=1, keep_weights=True, keep_snapshots=True
)
TRIALS = [FINAL, tiny_trial(MLP), tiny_trial(CNN, fold=1), tiny_trial(RESNET, fold=2)]
BROKEN = tiny_trial(replace(MLP, model=r.CustomModel(path="tests.training.own_code:Broken")))
LONG = tiny_trial(replace(MLP, epochs=300))
UNWRITABLE = tiny_trial(MLP, seed=77)
POPULATION = list(as_population([tiny_trial(DROPOUT, fold=fold) for fold in range(3)]))
LONG_POPULATION = list(as_population([tiny_trial(replace(MLP, epochs=400), fold=fold, seed=5) for fold in range(3)]))


class Killer(Progress):
    """Kills the process that trains a task as soon as it has finished an epoch, so many times."""

    def __init__(self, pool: WorkerPool, task: str, times: int = 1) -> None:
        self._pool, self._task, self._times, self.killed = pool, task, times, list[int]()

    def epoch(self, digest: str, epoch: int) -> None:
        training = [worker.process for worker in self._pool._workers if worker.task == self._task]
        if training and len(self.killed) < self._times and training[0].pid not in self.killed:
            process = training[0]
            assert process.pid
            self.killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Trained:
    """What the pools gave."""

    here: Found
    one: Found
    two: Found
    broken: Record
    survived: Record
    killed: list[int]
    refused: str
    stores: tuple[Store, Store, Store]
    whole: Found
    again: Found
    giving_up: Found
    alive: list[bool]


def population_of(trials: list[Trial]) -> str:
    return trials[0].execution.population


def ask(pool: WorkerPool | InProcessPool, store: Store, trials: list[Trial], listener: Progress | None = None) -> Found:
    queue: Queue[Found] = Queue(store, pool, listener or Progress())
    return queue.run([asking(trials)])[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    images = tiny_images()
    cache = tmp_path_factory.mktemp("cache")
    return from_arrays(images.images, images.labels, images.images[:6], images.labels[:6], name="tiny", cache_dir=cache)


@pytest.fixture(scope="module")
def trained(prepared: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    stores = tuple(Store(tmp_path_factory.mktemp("store")) for _ in range(3))
    with InProcessPool(prepared.train, stores[0], imports=ALL_IMPORTS) as here:
        at_home = ask(here, stores[0], [*TRIALS, *POPULATION])
        whole = ask(here, stores[0], LONG_POPULATION)
    with WorkerPool(workplace(prepared, stores[1]), 1) as pool:
        alone = ask(pool, stores[1], [*TRIALS, *POPULATION])
        giving_up = ask(pool, stores[1], LONG_POPULATION, Killer(pool, population_of(LONG_POPULATION), times=2))
        refused = refusal_of(pool, stores[1])
    with WorkerPool(workplace(prepared, stores[2]), 2) as pool:
        together = ask(pool, stores[2], [*TRIALS, *POPULATION, BROKEN])
        killer = Killer(pool, LONG.digest)
        survived = ask(pool, stores[2], [LONG], killer)[LONG.digest]
        again = ask(pool, stores[2], LONG_POPULATION, Killer(pool, population_of(LONG_POPULATION)))
        processes = [worker.process for worker in pool._workers]
    return Trained(
        here=at_home,
        one=alone,
        two={digest: record for digest, record in together.items() if digest != BROKEN.digest},
        broken=together[BROKEN.digest],
        survived=survived,
        killed=killer.killed,
        refused=refused,
        stores=(stores[0], stores[1], stores[2]),
        whole=whole,
        again=again,
        giving_up=giving_up,
        alive=[process.is_alive() for process in processes],
    )


def workplace(prepared: DataSet, store: Store) -> WorkerConfig:
    return WorkerConfig(train=prepared.prepared, store=store.root, imports=ALL_IMPORTS)


def refusal_of(pool: WorkerPool, store: Store) -> str:
    """What is said when a record's place is taken by a file."""
    folder = store.record_path(UNWRITABLE.digest).parent
    if not folder.exists():
        folder.write_text("in the way")
    with pytest.raises(StoreError) as caught:
        ask(pool, store, [UNWRITABLE])
    return str(caught.value)


@pytest.mark.parametrize("pool", ["one", "two"])
def test_one_worker_two_workers_and_this_process_give_the_same_records(trained: Trained, pool: str) -> None:
    found: Found = getattr(trained, pool)
    assert found.keys() == trained.here.keys() == {trial.digest for trial in [*TRIALS, *POPULATION]}
    for digest, record in trained.here.items():
        assert record.status == "finished", record.error
        assert_same(found[digest], record, but=MEASURED)


def test_every_pool_writes_records_and_weights_before_it_tells_of_them(trained: Trained) -> None:
    digest = FINAL.digest
    for store, found in zip(trained.stores, (trained.here, trained.one, trained.two), strict=True):
        assert_same(store.find(digest, light=True), found[digest])
        assert_same(store.weights(digest), trained.stores[0].weights(digest))
        weights = [kept.weights(digest, every_epoch=True) for kept in (store, trained.stores[0])]
        assert_same(*weights)


def test_a_failed_trial_is_told_but_not_kept_so_that_it_is_tried_again_next_time(trained: Trained) -> None:
    assert trained.broken.status == "failed"
    assert "cannot handle" in trained.broken.error
    assert not trained.stores[2].holds(BROKEN)


def test_a_worker_that_is_killed_is_replaced_and_its_trial_trained_again(trained: Trained) -> None:
    assert len(trained.killed) == 1
    assert trained.survived.status == "finished"
    assert trained.survived.best_epoch == LONG.recipe.epochs
    assert_same(trained.stores[2].find(LONG.digest, light=True), trained.survived)


def test_a_population_whose_worker_is_killed_is_trained_again_with_the_same_digits(trained: Trained) -> None:
    assert trained.again.keys() == trained.whole.keys()
    for digest, record in trained.whole.items():
        assert record.status == "finished", record.error
        assert_same(trained.again[digest], record, but=MEASURED)
        assert_same(trained.stores[2].find(digest, light=True), trained.again[digest])


def test_a_population_whose_workers_die_twice_fails_as_a_whole_and_leaves_nothing_that_counts(trained: Trained) -> None:
    assert [record.status for record in trained.giving_up.values()] == ["failed"] * 3
    assert not any(trained.stores[1].holds(trial) for trial in LONG_POPULATION)


def test_a_record_that_cannot_be_written_ends_the_study_with_a_reason(trained: Trained) -> None:
    assert "cannot be written" in trained.refused


def test_no_worker_outlives_its_pool(trained: Trained) -> None:
    assert trained.alive == [False, False]


def test_workers_inherit_one_thread_per_library_unless_their_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    with environment_of_workers():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
        assert os.environ["MKL_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    assert os.environ["MKL_NUM_THREADS"] == "3"
