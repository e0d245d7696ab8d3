"""An estimator with scikit-learn's ``fit`` and ``predict_proba`` as a network: it answers images with logits.

What it learned is a state of arrays where the estimator hands one out by ``state_dict()`` and takes it back by
``load_state_dict(state)``, as the network by hand in ceteris.studies.numpy_mlp does. No estimator is pickled: one without
such a state is fitted again, from the same images and the same seed, where it is needed again.
"""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn

from ceteris.records import FloatArray, IntArray

_LEAST = 1e-7  # a probability of 0 would make the log-loss of one image infinite


class EstimatorNetwork(nn.Module):
    """An estimator that takes images as rows of standardised pixels, (n, channels x height x width).

    ``predict_proba`` must return (n, classes), in the order of ``classes_`` where the estimator has that.
    """

    def __init__(self, estimator: Any, classes: int) -> None:
        super().__init__()
        self.estimator = estimator
        self.classes = classes
        self.fitted = False

    @property
    def keeps_state(self) -> bool:
        """Whether the estimator hands out what it learned as arrays."""
        return hasattr(self.estimator, "state_dict") and hasattr(self.estimator, "load_state_dict")

    @property
    def parameter_count(self) -> int:
        """How many numbers it learned, 0 where it does not hand them out."""
        return sum(tensor.numel() for tensor in self.state_dict().values())

    def fit(self, images: Tensor, labels: IntArray, *, epoch: bool = False) -> None:
        """Fit on standardised images (n, channels, height, width); with ``epoch`` by one more pass of ``partial_fit``."""
        rows = _rows(images)
        with threadpool_limits(1), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            if epoch:
                self.estimator.partial_fit(rows, labels, classes=np.arange(self.classes))
            else:
                self.estimator.fit(rows, labels)
        for text in dict.fromkeys(str(one.message) for one in told):
            logging.getLogger("ceteris").warning("%s: %s", type(self.estimator).__name__, text)
        self.fitted = True

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the probabilities, (n, classes); 0 before it is fitted.

        Raises:
            ValueError: when the estimator returns another shape than (n, classes).
        """
        if not self.fitted:
            return torch.zeros(len(images), self.classes)
        with threadpool_limits(1):
            found = np.asarray(self.estimator.predict_proba(_rows(images)))
        columns = np.asarray(getattr(self.estimator, "classes_", np.arange(self.classes))).astype(np.int64)
        if found.shape != (len(images), len(columns)):
            raise ValueError(
                f"predict_proba must return ({len(images)}, {len(columns)}) here; it returned {found.shape}."
            )
        probabilities = np.zeros((len(images), self.classes), np.float32)
        probabilities[:, columns] = found
        return torch.from_numpy(np.log(probabilities.clip(_LEAST)))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Return what it learned, empty where the estimator does not hand it out."""
        state = self.estimator.state_dict() if self.keeps_state and self.fitted else {}
        return {name: torch.from_numpy(np.array(array)) for name, array in state.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take back what was learned; an empty state changes nothing."""
        if state_dict:
            self.estimator.load_state_dict({name: tensor.numpy() for name, tensor in state_dict.items()})
            self.fitted = True
        return None


def _rows(images: Tensor) -> FloatArray:
    """Return images as rows in double precision: discriminant analysis of MNIST falls from 90 to 12 % in single precision."""
    rows: FloatArray = np.ascontiguousarray(images.flatten(1).numpy(), dtype=np.float64)
    return rows
