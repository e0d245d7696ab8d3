"""All randomness of ceteris: (seed, fold, role) -> its own stream of numbers.

A stream never depends on the arm, so two arms of a comparison see the same split, the same initial draws, the same
batch order and the same augmentation draws; and no stream depends on how much another one was used.
"""

import hashlib
from typing import Literal

import numpy as np

Role = Literal[
    "split", "initialisation", "order", "augmentation", "dropout", "adversary", "explanation", "bootstrap", "sample",
    "search", "reserve", "validation",
]  # fmt: skip


def stream_seed(seed: int, fold: int, role: Role) -> int:
    """Return the 63-bit seed of one stream.

    Args:
        seed: root seed of the trial, any integer.
        fold: number of the fold (0 where there is none).
        role: what the stream is used for.
    """
    digest = hashlib.sha256(f"ceteris/{seed}/{fold}/{role}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, fold: int, role: Role) -> np.random.Generator:
    """Return the numpy generator of one stream; see :func:`stream_seed`."""
    return np.random.default_rng(stream_seed(seed, fold, role))
