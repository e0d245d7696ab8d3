"""Invented records, as a store holds them, and equality of values that hold arrays."""

import dataclasses
import math
from typing import Any

import numpy as np

from ceteris.records import Cost, EpochHistory, Failed, Finished, IterationHistory, Predictions, Record, Trial
from tests.tiny_trials import tiny_trial


def example_record(
    trial: Trial | None = None, *, accuracy: float = 0.75, flops: int = 3000, status: Any = "finished"
) -> Record:
    if status == "finished":
        return finished_record(trial, accuracy=accuracy, flops=flops)
    return Failed(
        trial=trial or tiny_trial(),
        status=status,
        error=f"it {status}: é",
        environment={"python": "3", "processor": "ü"},
    )


def finished_record(trial: Trial | None = None, *, accuracy: float = 0.75, flops: int = 3000) -> Finished:
    return Finished(
        trial=trial or tiny_trial(),
        accuracy=accuracy,
        f1=accuracy / 3,
        loss=math.nan,
        train_accuracy=1 / 3,
        best_epoch=2,
        epoch_count=2,
        step_count=7,
        epochs=EpochHistory(**{name: np.array([0.1, math.nan]) for name in EpochHistory.__dataclass_fields__}),
        iterations=_iterations(),
        predictions=_predictions(),
        cost=_cost(flops),
        environment={"python": "3", "processor": "ü"},
    )


def _iterations() -> IterationHistory:
    return IterationHistory(
        **{name: np.linspace(0, 1, 7, dtype=np.float32) for name in IterationHistory.__dataclass_fields__}
    )


def _predictions() -> Predictions:
    return Predictions(
        probabilities=np.full((4, 3), 1 / 3, np.float32), labels=np.array([0, 1, 2, 0]), indices=np.array([5, 1, 9, 0])
    )


def _cost(flops: int) -> Cost:
    return Cost(
        train_seconds=0.5,
        evaluation_seconds=0.0,
        peak_memory_bytes=2**40,
        parameters=10,
        forward_flops_per_image=flops // 3,
        training_flops=flops,
        images_per_second=math.inf,
    )


def assert_same(one: Any, other: Any, *, but: frozenset[str] = frozenset()) -> None:
    """Compare two values field by field, arrays bit for bit (NaN equals NaN), passing over the fields named in ``but``."""
    assert type(one) is type(other)
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            if field.name not in but:
                assert_same(getattr(one, field.name), getattr(other, field.name), but=but)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for part, counterpart in zip(one, other, strict=True):
            assert_same(part, counterpart, but=but)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key], but=but)
    else:
        assert one == other or (one != one and other != other)
