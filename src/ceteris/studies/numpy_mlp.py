"""A fully connected network written by hand in NumPy: forward pass, softmax cross-entropy, backpropagation, mini-batches.

Nothing here knows of torch or of the rest of ceteris. A study lets it take part beside any other model, on the same folds and
test images; a copy of this file beside the study file is yours to change (``path = "numpy_mlp:NumpyMLP"``, --allow-imports):

    [models.by-hand]
    model = { kind = "estimator", path = "ceteris.studies.numpy_mlp:NumpyMLP", arguments = { hidden = [64] }, by_epochs = true }
    epochs = 5

Shapes: n images of d pixels, layers of width h, k classes. A layer computes z = a W + b with a (n, in), W (in, out), b (out,).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


class NumpyMLP:
    """A network of linear layers with ReLU between them, trained by mini-batch gradient descent.

    It has what an estimator needs (``fit``, ``predict_proba``), ``partial_fit`` for one epoch at a time, and
    ``state_dict``/``load_state_dict``, so that its weights are kept as arrays.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128,),
        lr: float = 0.1,
        batch_size: int = 128,
        epochs: int = 5,
        random_state: int = 0,
    ) -> None:
        self.hidden = tuple(hidden)  # the width of every hidden layer
        self.lr = lr  # how far a step goes against the gradient
        self.batch_size = batch_size  # images per step
        self.epochs = epochs  # passes over the images that fit() makes
        self.generator = np.random.default_rng(random_state)  # draws the first weights and the order of the images
        self.weights: list[Array] = []  # one matrix (in, out) per layer
        self.biases: list[Array] = []  # one vector (out,) per layer

    def fit(self, images: Array, labels: NDArray[np.integer[Any]]) -> "NumpyMLP":
        """Train from new weights for all epochs on images (n, d) with labels (n,) in 0..k - 1."""
        self.weights, self.biases = [], []  # forget what was learned before
        for _ in range(self.epochs):
            self.partial_fit(images, labels, classes=np.arange(labels.max() + 1))
        return self

    def partial_fit(
        self, images: Array, labels: NDArray[np.integer[Any]], classes: NDArray[np.integer[Any]]
    ) -> "NumpyMLP":
        """Train one epoch: one pass over all images in a new random order, mini-batch by mini-batch."""
        if not self.weights:  # the first epoch: now the number of pixels and of classes is known
            self.initialise(images.shape[1], len(classes))
        order = self.generator.permutation(len(images))  # every epoch sees the images in another order
        for start in range(0, len(order), self.batch_size):  # the last mini-batch may be smaller
            batch = order[start : start + self.batch_size]  # which images this step looks at
            _, weight_gradients, bias_gradients = self.loss_and_gradients(images[batch], labels[batch])
            for layer in range(len(self.weights)):  # gradient descent: a step against the gradient
                self.weights[layer] -= self.lr * weight_gradients[layer]
                self.biases[layer] -= self.lr * bias_gradients[layer]
        return self

    def initialise(self, pixels: int, classes: int) -> None:
        """Draw the first weights from a normal distribution with variance 2 / in (He et al. 2015); biases start at 0."""
        widths = (pixels, *self.hidden, classes)
        for inputs, outputs in pairwise(widths):  # one layer after another
            self.weights.append(self.generator.normal(0.0, np.sqrt(2.0 / inputs), size=(inputs, outputs)))
            self.biases.append(np.zeros(outputs))

    def forward(self, images: Array) -> tuple[list[Array], Array]:
        """Return the inputs of every layer, a_0 = images (n, d) to a_L, and the scores z_L of the last one (n, k)."""
        activations = [images]  # a_0
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            scores = activations[-1] @ weight + bias  # z = a W + b
            activations.append(np.maximum(scores, 0.0))  # a = ReLU(z)
        return activations, activations[-1] @ self.weights[-1] + self.biases[-1]  # no ReLU after the last layer

    def loss_and_gradients(
        self, images: Array, labels: NDArray[np.integer[Any]]
    ) -> tuple[float, list[Array], list[Array]]:
        """Return the mean cross-entropy of a mini-batch and its gradients for every weight and bias, by backpropagation."""
        count, rows = len(images), np.arange(len(images))
        activations, scores = self.forward(images)
        probabilities = softmax(scores)  # p = exp(z) / sum exp(z), (n, k)
        loss = float(-np.log(probabilities[rows, labels].clip(1e-300)).mean())  # -log p of the true class
        # The derivative of softmax and cross-entropy together is p - y, y being 1 for the true class and 0 elsewhere.
        delta = probabilities.copy()  # dL/dz of the last layer, (n, k)
        delta[rows, labels] -= 1.0
        delta /= count  # the loss is a mean over the images
        weight_gradients: list[Array] = []
        bias_gradients: list[Array] = []
        for layer in reversed(range(len(self.weights))):  # from the last layer back to the first
            weight_gradients.insert(0, activations[layer].T @ delta)  # dL/dW = aᵀ dL/dz, (in, out)
            bias_gradients.insert(0, delta.sum(axis=0))  # dL/db = the sum over the images, (out,)
            if layer:  # hand the error on to the layer before, as far as its ReLU let something through
                delta = (delta @ self.weights[layer].T) * (activations[layer] > 0)  # dL/dz = (dL/dz' W'ᵀ) · ReLU'(z)
        return loss, weight_gradients, bias_gradients

    def predict_proba(self, images: Array) -> Array:
        """Return the probability of every class for images (n, d), (n, k)."""
        return softmax(self.forward(images)[1])

    def state_dict(self) -> dict[str, Array]:
        """Return what was learned, by name."""
        weights = {f"weight{layer}": weight for layer, weight in enumerate(self.weights)}
        return weights | {f"bias{layer}": bias for layer, bias in enumerate(self.biases)}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take back what was learned."""
        layers = range(len(self.hidden) + 1)
        self.weights = [np.array(state[f"weight{layer}"]) for layer in layers]
        self.biases = [np.array(state[f"bias{layer}"]) for layer in layers]


def softmax(scores: Array) -> Array:
    """Turn scores (n, k) into probabilities; the largest score is taken off first, so that exp() stays finite."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found
