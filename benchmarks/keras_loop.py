"""Time Keras' own training loop: images per second of `model.fit`, for the networks of `ceteris bench` without the ResNet.

    pip install keras tensorflow-cpu
    KERAS_BACKEND=tensorflow python benchmarks/keras_loop.py --network mlp

`model.fit` gets the standardised images as one array in memory, which is the fastest way to feed it, and compiles the
step where the backend can. The first epoch is not counted.
"""

import argparse
import os
import statistics
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

CLASSES = 47


def main() -> int:
    """Print the median over the epochs."""
    parser = argparse.ArgumentParser(description="Training with Keras: images per second.")
    parser.add_argument("--network", choices=("mlp", "small-cnn", "cnn"), default="mlp")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if find_spec("keras") is None:
        print("Keras is not installed: pip install keras tensorflow-cpu")
        return 1
    rate, backend = images_per_second(options.network, options.images, options.epochs)
    print(f"Keras on {backend}, {options.network}: {rate:,.0f} images/s (median of {options.epochs})")
    return 0


def images_per_second(network: str, count: int, epochs: int) -> tuple[float, str]:
    keras: Any = import_module("keras")
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers_of(network, keras.layers)])
    model.compile(optimizer_of(network, keras), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(0)
    images = random.standard_normal((count, 28, 28, 1), dtype=np.float32)
    labels = random.integers(0, CLASSES, count)
    seconds = []
    for _ in range(epochs + 1):
        began = time.perf_counter()
        model.fit(images, labels, batch_size=128, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - began)
    return count / statistics.median(seconds[1:]), keras.backend.backend()


def layers_of(network: str, layers: Any) -> list[Any]:
    if network == "mlp":
        hidden = [
            layer
            for _ in range(3)
            for layer in (
                layers.Dense(128, use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
                layers.Dropout(0.2),
            )
        ]
        return [layers.Flatten(), *hidden, layers.Dense(CLASSES)]
    if network == "small-cnn":
        found: list[Any] = []
        for filters in (8, 16, 32):
            found += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
            found += [layers.MaxPooling2D(2)] if filters < 32 else []
        return [*found, layers.Flatten(), layers.Dense(CLASSES)]
    found = []
    for filters, kernel in ((32, 5), (64, 5), (128, 3)):
        found += [layers.Conv2D(filters, kernel, padding="same", use_bias=False), layers.BatchNormalization()]
        found += [layers.ReLU(), layers.MaxPooling2D(2)]
    return [*found, layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(CLASSES)]


def optimizer_of(network: str, keras: Any) -> Any:
    if network == "small-cnn":
        return keras.optimizers.SGD(0.01, momentum=0.9)
    return keras.optimizers.Adam(1e-3)


if __name__ == "__main__":
    sys.exit(main())
