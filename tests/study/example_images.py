"""Records that say of every held-out image what it was taken for, without any training: for choices and claims."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tests.example_records import example_record, finished_record
from tests.study.example_study import example_study

from ceteris.data import split_indices
from ceteris.records import Record, Trial
from ceteris.study import ExperimentContext

CLASSES = 4
Right = Callable[[Trial], float | None]  # the true accuracy of a trial's recipe, None where it diverges


def labels_of(count: int) -> Any:
    return np.arange(count) % CLASSES


def images_context(count: int = 1000, **other: Any) -> ExperimentContext:
    """The context of an example study of so many training images."""
    return ExperimentContext(study=example_study(**other), data="tiny", device="cpu", labels=labels_of(count))


def image_record(trial: Trial, accuracy: float | None, count: int = 1000, *, same: bool = False) -> Record:
    """A record in which an image is right where its difficulty, half of it its own, the rest the training's, allows it.

    The same trial always gives the same; with ``same`` every recipe does so on one block.
    """
    if accuracy is None:
        return example_record(trial, status="diverged")
    labels = labels_of(count)
    _, held_out = split_indices(trial.split, labels)
    own = np.random.default_rng(7).normal(size=count)[held_out]
    seed = trial.split.seed if same else int(trial.digest[:12], 16)
    luck = np.random.default_rng(seed).normal(size=len(held_out))
    right = np.sqrt(0.5) * (own + luck) < np.quantile(np.random.default_rng(1).normal(size=100_000), accuracy)
    predicted = np.where(right, labels[held_out], (labels[held_out] + 1) % CLASSES).astype(np.uint8)
    record = finished_record(trial, accuracy=float(right.mean()))
    return replace(
        record,
        loss=float(np.where(right, 0.1, 2.0).mean()),
        predicted=predicted,
        log_likelihood=np.where(right, -0.1, -2.0).astype(np.float16),
    )
