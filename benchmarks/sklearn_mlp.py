"""Time scikit-learn's MLPClassifier: images per second of training the network 784-128-128-128-47 with Adam.

    python benchmarks/sklearn_mlp.py

It has neither batch normalisation nor dropout, so it computes less than the MLP of `ceteris bench`; a single call of `fit`
with one iteration over all images is timed, validation off. The first call is not counted.
"""

import argparse
import statistics
import sys
import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np


def main() -> int:
    """Print the median over the rounds."""
    parser = argparse.ArgumentParser(description="Training with scikit-learn's MLPClassifier: images per second.")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if find_spec("sklearn") is None:
        print("scikit-learn is not installed: pip install scikit-learn")
        return 1
    warnings.simplefilter("ignore")  # one iteration does not converge, and is not meant to
    random = np.random.default_rng(0)
    images = random.standard_normal((options.images, 784), dtype=np.float32)
    labels = random.integers(0, 47, options.images)
    rates = [images_per_second(images, labels) for _ in range(options.rounds + 1)][1:]
    print(f"scikit-learn, mlp: {statistics.median(rates):,.0f} images/s (median of {options.rounds})")
    return 0


def images_per_second(images: Any, labels: Any) -> float:
    network: Any = import_module("sklearn.neural_network")
    classifier = network.MLPClassifier((128, 128, 128), batch_size=128, max_iter=1)
    began = time.perf_counter()
    classifier.fit(images, labels)
    return len(images) / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
