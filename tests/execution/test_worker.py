"""What a training process is made of, and that it keeps a population whole or not at all."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.example_records import assert_same, example_record
from tests.tiny_trials import CNN, MLP, tiny_images, tiny_trial

from ceteris.data import ImageSet
from ceteris.execution import worker
from ceteris.execution.pools import InProcessPool
from ceteris.execution.populations import as_population
from ceteris.execution.worker import Done, Task, train_and_keep
from ceteris.records import Trial, finished
from ceteris.store import Store
from ceteris.training.population import run_population
from ceteris.training.trial import TrialResult, run_trial
from ceteris.user_code import NO_IMPORTS

TRAINING = """
import sys
import ceteris.execution.worker
from ceteris.training.compiler import put_off_compiler
from tests.tiny_trials import CNN, tiny_images, tiny_trial
put_off_compiler()
assert ceteris.execution.worker.run_population([tiny_trial(CNN)], tiny_images())[0].record.status == "finished"
heavy = {"scipy", "sklearn", "sympy", "matplotlib", "pandas", "cyclopts", "rich", "optuna", "ceteris.study",
         "ceteris.stats", "torch._dynamo.eval_frame", "torch._inductor"}
print(*sorted(heavy & set(sys.modules)))
"""
COMPILING = """
import torch
from ceteris.training.compiler import put_off_compiler
put_off_compiler()
put_off_compiler()
weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.SGD([weight], 0.5)
weight.sum().backward()
optimizer.step()
print(weight.tolist(), torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(1)).item())
optimizer.step()
import torch._dynamo.config
print(weight.tolist(), torch._dynamo.config.recompile_limit > 0)
"""


def answer(code: str) -> list[str]:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    return done.stdout.splitlines()


def test_a_training_process_loads_nothing_that_a_training_does_not_need() -> None:
    assert answer(TRAINING) == [""]


def test_the_compiler_that_was_put_off_is_there_as_soon_as_somebody_compiles() -> None:
    assert answer(COMPILING) == ["[0.5, 0.5] 2.0", "[0.0, 0.0] True"]


def task_of(trials: Sequence[Trial]) -> Task:
    return Task(trials=tuple(trials))


@pytest.mark.parametrize("broken", [False, True])
def test_a_population_is_kept_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    def one_fails(members: Sequence[Trial], train: ImageSet, **other: Any) -> list[TrialResult]:
        statuses = ["finished", "failed" if broken else "diverged"]
        return [
            TrialResult(record=example_record(trial, status=status))
            for trial, status in zip(members, statuses, strict=True)
        ]

    monkeypatch.setattr(worker, "run_population", one_fails)
    store, task = Store(tmp_path), task_of(as_population([tiny_trial(fold=0), tiny_trial(fold=1)]))
    records = train_and_keep(task, tiny_images(), store, imports=NO_IMPORTS)
    assert [record.status for record in records] == ["finished", "failed" if broken else "diverged"]
    assert [store.holds(trial) for trial in task.trials] == [not broken, not broken]


def test_this_process_trains_a_population_with_the_digits_of_a_worker(tmp_path: Path) -> None:
    trials = as_population([tiny_trial(CNN, fold=fold) for fold in range(3)])
    store, train = Store(tmp_path), tiny_images()
    with InProcessPool(train, store, imports=NO_IMPORTS) as pool:
        pool.submit(task_of(trials))
        (event,) = pool.events(0.0)
        assert isinstance(event, Done)
    alone = run_population(trials, train)
    for record, result in zip(event.records, alone, strict=True):
        kept = finished(store.find(record.digest) or record)
        assert_same(kept.epochs, finished(result.record).epochs, but=frozenset({"seconds"}))
        assert_same(kept.light(), record)


def test_a_single_trial_is_the_plain_loop(tmp_path: Path) -> None:
    (record,) = train_and_keep(task_of([tiny_trial(MLP)]), tiny_images(), Store(tmp_path), imports=NO_IMPORTS)
    kept = finished(Store(tmp_path).find(record.digest) or record)
    assert_same(kept.iterations, finished(run_trial(tiny_trial(MLP), tiny_images()).record).iterations)
    assert not (tmp_path / "populations").exists()
