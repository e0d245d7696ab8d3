"""What is observed of a model: its mini-batches and epochs while it trains, and the held-out images after each of them."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ceteris.errors import DivergedError
from ceteris.records import (
    EpochHistory,
    Float32Array,
    FloatArray,
    IntArray,
    IterationHistory,
    Trial,
    balanced_accuracy,
    score_of,
)
from ceteris.training import build
from ceteris.training.batches import ResidentImages
from ceteris.training.device import autocasting, is_out_of_memory

State = dict[str, Tensor]


def state_of(model: nn.Module) -> State:
    """Return a copy of all weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@dataclass(frozen=True, kw_only=True)
class ObservedEpoch:
    """The mini-batches of one epoch of one model and the norm of the last one's gradient."""

    losses: FloatArray  # (steps,)
    sizes: IntArray  # (steps,), images of every mini-batch; together m
    predicted: IntArray  # (m,)
    labels: IntArray  # (m,)
    rates: list[float]  # (steps,)
    gradient_norm: float


class EpochTrace:
    """The mini-batches of one epoch, of one model or of K; the numbers leave the device once per epoch, not at each step.

    There is room for the whole epoch from the beginning: thousands of small tensors that outlive their step would tear the
    heap apart.

    Args:
        labels: of every mini-batch, (b,) or (K, b).
    """

    def __init__(self, labels: list[Tensor]) -> None:
        self._sizes = [of_batch.shape[-1] for of_batch in labels]
        self._labels = torch.cat(labels, -1)
        self._predicted = torch.empty_like(self._labels)
        self._places = torch.split(self._predicted, self._sizes, -1)
        self._losses = torch.empty(0)
        self._rates: list[list[float]] = []

    def note(self, losses: Tensor, logits: Tensor, rates: list[float]) -> None:
        """Note the next mini-batch: losses () or (K,), logits (b, classes) or (K, b, classes), rates (K,)."""
        step = len(self._rates)
        if step == 0:
            self._losses = losses.new_empty((len(self._sizes), *losses.shape))
        self._losses[step] = losses
        torch.argmax(logits, -1, out=self._places[step])
        self._rates.append(rates)

    def of_models(self, gradient_norms: list[float]) -> list[ObservedEpoch]:
        """Return what every model saw, given the norm of its last gradient."""
        steps, models = len(self._rates), len(gradient_norms)
        # numpy makes the float64 numbers: not every device has them
        losses = self._losses.cpu().numpy().astype(np.float64).reshape(steps, models)
        predicted, labels = (kept.cpu().numpy().reshape(models, -1) for kept in (self._predicted, self._labels))
        return [
            ObservedEpoch(
                losses=losses[:, model],
                sizes=np.array(self._sizes),
                predicted=predicted[model],
                labels=labels[model],
                rates=[of_step[model] for of_step in self._rates],
                gradient_norm=norm,
            )
            for model, norm in enumerate(gradient_norms)
        ]


class History:
    """Collects every mini-batch and every epoch of one model."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._epochs: dict[str, list[float]] = {name: [] for name in EpochHistory.__dataclass_fields__}
        self._iterations: dict[str, list[float]] = {name: [] for name in IterationHistory.__dataclass_fields__}

    @property
    def train_losses(self) -> list[float]:
        """The mean training loss of every finished epoch."""
        return self._epochs["train_loss"]

    @property
    def validation_losses(self) -> list[float]:
        """The loss on the watched images after every epoch."""
        return self._epochs["validation_loss"]

    def note_epoch(self, epoch: ObservedEpoch, seconds: float) -> None:
        """Note all mini-batches of an epoch that took ``seconds``.

        Raises:
            DivergedError: when a loss or a gradient is no longer a finite number.
        """
        losses, predicted, labels = epoch.losses, epoch.predicted, epoch.labels
        self._require_finite(float(losses.mean()), "loss")
        self._require_finite(epoch.gradient_norm, "gradient's norm")
        starts = np.cumsum(epoch.sizes) - epoch.sizes
        correct = np.add.reduceat((predicted == labels).astype(np.float64), starts) / epoch.sizes
        self._note("train_loss", losses.mean())
        self._note("train_accuracy", correct.mean())
        self._note("train_f1", macro_f1(confusion_matrix(labels, predicted, self._classes)))
        self._note("learning_rate", epoch.rates[-1])
        self._note("gradient_norm", epoch.gradient_norm)
        self._note("seconds", seconds + (self._epochs["seconds"][-1] if self._epochs["seconds"] else 0.0))
        self._iterations["loss"] += losses.tolist()
        self._iterations["accuracy"] += correct.tolist()
        self._iterations["learning_rate"] += epoch.rates

    def measure(self, scores: "Scores") -> None:
        """Note the scores of the watched images after an epoch, NaN where there are none.

        Raises:
            DivergedError: when the loss of images is not a finite number.
        """
        if scores is not NOTHING_WATCHED:
            self._require_finite(scores.loss, "loss")
        self._note("validation_loss", scores.loss)
        self._note("validation_accuracy", scores.accuracy)
        self._note("validation_f1", scores.f1)

    def epochs(self) -> EpochHistory:
        """Return the epochs as arrays."""
        return EpochHistory(**{name: np.array(values) for name, values in self._epochs.items()})

    def iterations(self) -> IterationHistory:
        """Return the mini-batches as arrays."""
        return IterationHistory(**{name: np.array(values, np.float32) for name, values in self._iterations.items()})

    def _note(self, name: str, value: float) -> None:
        self._epochs[name].append(float(value))

    def _require_finite(self, value: float, name: str) -> None:
        if not np.isfinite(value):
            epoch = len(self._epochs["seconds"]) + 1
            raise DivergedError(
                f"the {name} became {value} in epoch {epoch}; a smaller learning rate or clipping may help"
            )


class RunImages(NamedTuple):
    """What a run evaluates: at its end the held-out images and a sample of those fitted on; after every epoch the watched.

    Held-out and watched images may be none: then their scores are NaN.
    """

    held_out: ResidentImages
    watched: ResidentImages  # mostly the held-out ones
    fitted: Callable[[], ResidentImages]  # brought to the device when they are needed


class Run:
    """One model on its way through a trial: what is observed of it after every epoch, and how it ended.

    ``best_epoch`` (from 1) is the one in which the trial's criterion is best on the watched images, the lower loss deciding
    ties; a trial with patience 0 runs all its epochs and takes the last one. ``snapshots`` are the weights of every epoch
    where the trial keeps them.
    """

    def __init__(self, trial: Trial, model: nn.Module, images: RunImages, classes: int) -> None:
        self.model = model
        self.history = History(classes)
        self.ended = False
        self.diverged: DivergedError | None = None
        self.best_epoch = 0
        self.snapshots: list[State] = []
        self.evaluation_batch = EvaluationBatch(images.held_out.device)
        self._trial = trial
        self._images = images
        self._classes = classes
        steered_by_validation = build.watched_share(trial.recipe.schedule) > 0
        self.steering_losses = self.history.validation_losses if steered_by_validation else self.history.train_losses
        self._criterion = partial(score_of, criterion=trial.criterion)
        self._best_score = (-math.inf, -math.inf)
        self._best_state: State = {}

    def close_epoch(self, observed: ObservedEpoch, seconds: float) -> None:
        """Note an epoch that took ``seconds``, evaluate the watched images and say in ``ended`` whether it was the last."""
        try:
            self.history.note_epoch(observed, seconds)
            _, scores = self._evaluate(self._images.watched)
            self.history.measure(scores)
        except DivergedError as error:
            self.diverged, self.ended = error, True
            return
        if self._trial.keep_snapshots:
            self.snapshots.append(state_of(self.model))
        epoch, patience = len(self.history.train_losses), self._trial.patience
        score, last = (self._criterion(scores), -scores.loss), epoch == self._trial.recipe.epochs
        if score > self._best_score if patience else last:
            self.best_epoch, self._best_score, self._best_state = epoch, score, state_of(self.model)
        self.ended = last or 0 < patience <= epoch - self.best_epoch

    def finish(self) -> None:
        """Give the model the weights of its best epoch, unless it diverged, and evaluate the held-out and the fitted images."""
        if self.diverged:
            return
        self.model.load_state_dict(self._best_state)
        began = time.perf_counter()
        logits, self.scores = self._evaluate(self._images.held_out)
        self.evaluation_seconds = time.perf_counter() - began
        self.probabilities: Float32Array = logits.softmax(1).cpu().numpy()
        _, self.clean_scores = self._evaluate(self._images.fitted())
        self.epochs, self.iterations = self.history.epochs(), self.history.iterations()

    def _evaluate(self, images: ResidentImages) -> tuple[Tensor, "Scores"]:
        if not len(images):
            return torch.zeros(0, self._classes), NOTHING_WATCHED
        autocast = self._trial.execution.precision == "bfloat16"
        logits = predict(self.model, images, autocast=autocast, batch=self.evaluation_batch)
        return logits, scores_of(logits, images.labels.cpu().numpy(), self._classes)


class EvaluationBatch:
    """How many images a device evaluates at once: halved whenever they do not fit into its memory, and kept so."""

    def __init__(self, device: torch.device) -> None:
        # On a CPU the feature maps of few images stay in its caches: CNN 32-64-128 evaluates 128 at once in 60 % of the
        # time of 1,024.
        self._first = self.images = 128 if device.type == "cpu" else 1024

    def halve(self) -> bool:
        """Halve the batch; False when it is a single image already."""
        if self.images == 1:
            return False
        self.images //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True

    @property
    def note(self) -> str:
        """What a record says about it, "" when nothing was halved."""
        return "" if self.images == self._first else f"evaluation batch halved to {self.images}"


def predict(
    model: nn.Module, images: ResidentImages, *, autocast: bool, batch: EvaluationBatch | None = None
) -> Tensor:
    """Return the logits of all images in evaluation mode, float32 (n, classes).

    Where the memory does not suffice, ``batch`` is halved until it does.
    """
    batch = batch or EvaluationBatch(images.device)
    while True:
        try:
            return _logits(model, images, autocast, batch.images)
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and batch.halve()):
                raise


@torch.inference_mode()
def _logits(model: nn.Module, images: ResidentImages, autocast: bool, size: int) -> Tensor:
    model.eval()
    with autocasting(images.device, autocast):
        parts = [model(images.slice(start, start + size)) for start in range(0, len(images), size)]
    return torch.cat([part.float() for part in parts])


# ---------------------------------------------------------------------------------------------------------------------
# Scores of one epoch, in numpy alone: a worker must not wait for scikit-learn to be imported


class Scores(NamedTuple):
    """How a model does on some images: mean cross-entropy in nats; accuracies and macro-averaged F1 in 0..1."""

    loss: float
    accuracy: float
    f1: float
    balanced_accuracy: float


NOTHING_WATCHED = Scores(math.nan, math.nan, math.nan, math.nan)


def scores_of(logits: Tensor, labels: IntArray, classes: int) -> Scores:
    """Return the scores of logits (n, classes) for images of these labels (n,)."""
    predicted = logits.argmax(1).cpu().numpy()
    return Scores(
        loss=float(nn.functional.cross_entropy(logits, torch.from_numpy(labels).to(logits.device))),
        accuracy=float((labels == predicted).mean()),
        f1=macro_f1(confusion_matrix(labels, predicted, classes)),
        balanced_accuracy=balanced_accuracy(labels, predicted),
    )


def confusion_matrix(labels: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Count how often each true class (row) was given each predicted class (column), (classes, classes).

    ``labels`` and ``predicted`` are (n,) with classes in 0..classes - 1.
    """
    cells = np.asarray(labels, dtype=np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64, copy=False)


def macro_f1(confusion: NDArray[np.number[Any]]) -> float:
    """Return the mean F1 over all classes, 0..1; a class that is neither present nor predicted counts as 0."""
    margins = confusion.sum(axis=1) + confusion.sum(axis=0)
    each = np.divide(2 * confusion.diagonal(), margins, out=np.zeros(len(confusion)), where=margins > 0)
    return float(each.mean())
