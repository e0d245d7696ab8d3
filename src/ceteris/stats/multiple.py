"""P-values of several comparisons made at once: Holm for claims, Benjamini-Hochberg for screens."""

import numpy as np
from numpy.typing import ArrayLike

from ceteris.errors import ConfigError
from ceteris.records import FloatArray


def holm(p_values: ArrayLike) -> FloatArray:
    """Return adjusted p-values (m,) that bound the chance of any false claim (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1 and never falls below its predecessors.

    Raises:
        ConfigError: a p-value outside 0..1.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Return adjusted p-values (m,) that bound the expected share of false claims (Benjamini & Hochberg 1995).

    The i-th smallest of m is multiplied by m / i and never exceeds its successors.

    Raises:
        ConfigError: a p-value outside 0..1.
    """
    p = _p_values(p_values)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def _p_values(p_values: ArrayLike) -> FloatArray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ConfigError(f"p-values must be an array (m,) of numbers in 0..1, received {p.tolist()}")
    return p
