"""What is written down while a model trains, and which of its epochs was the best."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ceteris.errors import DivergedError
from ceteris.records import EpochHistory, FloatArray, IntArray, IterationHistory
from ceteris.techniques import gradient_norm
from ceteris.training.metrics import confusion_matrix, macro_f1


@dataclass(frozen=True, kw_only=True)
class ObservedEpoch:
    """The mini-batches of one epoch and the norm of the last one's gradient."""

    losses: FloatArray  # (steps,)
    predicted: IntArray  # (steps, b)
    labels: IntArray  # (steps, b)
    rates: list[float]
    gradient_norm: float


class History:
    """Collects every iteration and every epoch; the numbers leave the device once per epoch, not at each step."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._epochs: dict[str, list[float]] = {name: [] for name in EpochHistory.__dataclass_fields__}
        self._iterations: dict[str, list[float]] = {name: [] for name in IterationHistory.__dataclass_fields__}
        self._losses: list[Tensor] = []
        self._predicted: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._rates: list[float] = []

    @property
    def train_losses(self) -> list[float]:
        """The mean training loss of every finished epoch."""
        return self._epochs["train_loss"]

    @property
    def validation_scores(self) -> list[tuple[float, float]]:
        """(accuracy, -loss) on the held-out images for every epoch; larger is better."""
        losses = (-loss for loss in self._epochs["validation_loss"])
        return list(zip(self._epochs["validation_accuracy"], losses, strict=True))

    def iteration(self, loss: Tensor, logits: Tensor, labels: Tensor, rate: float) -> None:
        """Note one mini-batch: loss (), logits (b, classes), labels (b,), learning rate."""
        self._losses.append(loss)
        self._predicted.append(logits.argmax(1))
        self._labels.append(labels)
        self._rates.append(rate)

    def close_epoch(self, *, seconds: float, model: nn.Module) -> None:
        """Sum up the epoch's mini-batches, which took ``seconds``.

        Raises:
            DivergedError: when a loss or a weight is no longer a finite number.
        """
        losses = torch.stack(self._losses).double().cpu().numpy()
        predicted, labels = torch.stack(self._predicted).cpu().numpy(), torch.stack(self._labels).cpu().numpy()
        norm = gradient_norm([weight.grad for weight in model.parameters() if weight.grad is not None])
        epoch = ObservedEpoch(
            losses=losses, predicted=predicted, labels=labels, rates=self._rates.copy(), gradient_norm=float(norm)
        )
        for kept in (self._losses, self._predicted, self._labels, self._rates):
            kept.clear()
        self.note_epoch(epoch, seconds)

    def note_epoch(self, epoch: ObservedEpoch, seconds: float) -> None:
        """Note all mini-batches of an epoch that took ``seconds``.

        Raises:
            DivergedError: when a loss or a weight is no longer a finite number.
        """
        losses, predicted, labels = epoch.losses, epoch.predicted, epoch.labels
        self._require_finite(float(losses.mean()))
        self._require_finite(epoch.gradient_norm)
        correct = (predicted == labels).mean(axis=1)
        self._note("train_loss", losses.mean())
        self._note("train_accuracy", correct.mean())
        self._note("train_f1", macro_f1(confusion_matrix(labels.ravel(), predicted.ravel(), self._classes)))
        self._note("learning_rate", epoch.rates[-1])
        self._note("gradient_norm", epoch.gradient_norm)
        self._note("seconds", seconds + (self._epochs["seconds"][-1] if self._epochs["seconds"] else 0.0))
        self._iterations["loss"] += losses.tolist()
        self._iterations["accuracy"] += correct.tolist()
        self._iterations["learning_rate"] += epoch.rates

    def measure(self, logits: Tensor, labels: Tensor) -> None:
        """Note the held-out images after an epoch: logits (n, classes), labels (n,).

        Raises:
            DivergedError: when the loss is not a finite number.
        """
        truth, predicted = labels.cpu().numpy(), logits.argmax(1).cpu().numpy()
        confusion = confusion_matrix(truth, predicted, self._classes)
        loss = float(nn.functional.cross_entropy(logits, labels))
        self._require_finite(loss)
        self._note("validation_loss", loss)
        self._note("validation_accuracy", float((truth == predicted).mean()))
        self._note("validation_f1", macro_f1(confusion))

    def epochs(self) -> EpochHistory:
        """Return the epochs as arrays."""
        return EpochHistory(**{name: np.array(values) for name, values in self._epochs.items()})

    def iterations(self) -> IterationHistory:
        """Return the mini-batches as arrays."""
        return IterationHistory(**{name: np.array(values, np.float32) for name, values in self._iterations.items()})

    def _note(self, name: str, value: float) -> None:
        self._epochs[name].append(float(value))

    def _require_finite(self, value: float) -> None:
        if not np.isfinite(value):
            epoch = len(self._epochs["seconds"]) + 1
            raise DivergedError(
                f"the loss became {value} in epoch {epoch}; a smaller learning rate or clipping may help"
            )


class BestEpoch:
    """Remembers the weights of the epoch with the highest held-out accuracy, the lower loss deciding ties.

    With ``patience`` 0 it never stops a training and the last epoch counts as the best.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best = -1
        self._state: dict[str, Tensor] | None = None

    def should_stop(self, epoch: int, history: History, state: Callable[[], dict[str, Tensor]]) -> bool:
        """Hear that ``epoch`` (from 0) was measured; say whether ``patience`` epochs went by without a better one."""
        if not self._patience:
            return False
        scores = history.validation_scores
        if self._best < 0 or scores[epoch] > scores[self._best]:
            self._best, self._state = epoch, state()
        return epoch - self._best >= self._patience

    def restore(self, model: nn.Module, history: History) -> int:
        """Give the model the weights of the best epoch and return its number, from 1."""
        if self._state is None:
            return len(history.train_losses)
        model.load_state_dict(self._state)
        return self._best + 1
