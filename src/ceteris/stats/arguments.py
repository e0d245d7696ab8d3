"""Checks of what the statistics are given; every refusal says what is needed."""

import numpy as np
from numpy.typing import ArrayLike

from ceteris.errors import ConfigError
from ceteris.records import FloatArray


def paired_differences(values: ArrayLike, *, purpose: str) -> FloatArray:
    """Return values as float64 (blocks,) or raise ConfigError when they are fewer than 2 or not finite."""
    differences = np.asarray(values, dtype=np.float64)
    if differences.ndim != 1 or len(differences) < 2:
        raise ConfigError(
            f"{purpose} needs at least 2 paired blocks in an array (blocks,), "
            f"received shape {differences.shape}; use more folds or seeds"
        )
    if not np.isfinite(differences).all():
        raise ConfigError(f"{purpose} needs finite differences; leave out the blocks where a training failed")
    return differences


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError unless low < value < high."""
    if not low < value < high:
        raise ConfigError(f"{name} must lie between {low:g} and {high:g}, both excluded, received {value}")


def check_not_negative(name: str, value: float) -> None:
    """Raise ConfigError unless value is a finite number of at least 0."""
    if not (np.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} must be a finite number of at least 0, received {value}")


def all_equal(differences: FloatArray) -> bool:
    """Tell whether the differences are one number, up to the rounding of subtracting two of them."""
    return bool(np.ptp(differences) <= 1e-12 * max(1.0, float(np.abs(differences).max())))
