"""A whole study, exploration and finals, over a test set that nobody may touch."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from tests.study.example_study import FACTOR, NORM, example_study, model
from tests.tiny_trials import MLP, RESNET, tiny_images

from ceteris import recipe as r
from ceteris.data import DataSet, ImageSet, SealedTest, from_arrays
from ceteris.execution.pools import InProcessPool
from ceteris.execution.progress import Progress
from ceteris.execution.queue import Queue
from ceteris.records import finished
from ceteris.store import Store, looks_at
from ceteris.study import ExperimentContext, Exploration, model_experiment
from ceteris.study.model_experiment import ModelResult
from ceteris.user_code import NO_IMPORTS

AUGMENTED = replace(MLP, augmentation=(r.Shift(),), averaging=r.ExponentialMovingAverage(decay=0.5))


class TouchedError(AssertionError):
    """Somebody reached for the test set."""


class Untouchable:
    """Raises whatever anybody wants of it."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise TouchedError(name)

    def __len__(self) -> NoReturn:
        raise TouchedError("len")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    images = tiny_images()
    cache = tmp_path_factory.mktemp("cache")
    whole = from_arrays(
        images.images, images.labels, images.images[:6], images.labels[:6], name="tiny", cache_dir=cache
    )
    hidden = list(whole.prepared.glob("test*"))
    assert hidden
    for part in hidden:
        part.unlink()
    return replace(whole, test=Untouchable())  # type: ignore[arg-type]


def test_the_guard_notices_every_touch(guarded: DataSet) -> None:
    with pytest.raises(TouchedError):
        _ = guarded.test.count
    with pytest.raises(TouchedError):
        len(guarded.test)


def test_exploration_and_finals_never_touch_the_test_set(guarded: DataSet, tmp_path: Path) -> None:
    study = example_study(
        models=(model("mlp", AUGMENTED), model("net", RESNET)),
        factors=(replace(FACTOR, levels=FACTOR.levels[:2]), NORM),
        exploration=Exploration(folds=2),
    )
    place = ExperimentContext(study=study, data=guarded.train.digest, device="cpu")
    store = Store(tmp_path)
    with InProcessPool(guarded.train, store, imports=NO_IMPORTS) as pool:
        queue: Queue[ModelResult] = Queue(store, pool, Progress())
        outcomes = queue.run([model_experiment(place, one) for one in study.models])
    finals = [record for outcome in outcomes for records in outcome.finals.values() for record in records]
    assert len(finals) == 2 * 2 + 3 * 2
    assert {record.status for record in finals} == {"finished"}
    assert all(len(outcome.found.factors) == 2 for outcome in outcomes)
    assert not (tmp_path / "looks").exists()
    for record in finals:
        predictions = finished(store.find(record.digest) or record).predictions
        assert predictions is not None
        assert np.isin(predictions.indices, np.arange(48)).all()


def test_a_sealed_test_set_that_is_opened_is_noticed(tmp_path: Path) -> None:
    """The other side: the door that the guard stands for does lead to the images, and the ledger knows."""
    images = tiny_images(12)
    whole = from_arrays(
        images.images, images.labels, images.images[:6], images.labels[:6], name="t", cache_dir=tmp_path
    )
    opened: list[str] = []
    test: SealedTest = whole.test
    answer: ImageSet = test.open(record_look=opened.append)
    assert (len(answer), opened) == (6, [test.fingerprint])
    assert looks_at(tmp_path, test.fingerprint) == ()
