"""The training loop: what every trial of every study goes through, one model or several that learn in lockstep.

What it does between two steps and at the end of an epoch adds 1.4 % to the bare steps of an MLP and at most 0.6 % to those
of three convolutional networks (one core, medians of 4 to 5 rounds; docs/performance.md, the line "loop").
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

from ceteris.recipe import LastBatch
from ceteris.techniques.averaging import ExponentialMovingAverage
from ceteris.training.batches import Batch
from ceteris.training.device import autocasting, wait_for
from ceteris.training.history import EpochTrace, Run

OnEpoch = Callable[[int], None]
Targets = TypeVar(
    "Targets"
)  # of one model a tensor, of K models one per model: labels (b,) or class shares (b, classes)


class ProgressError(OSError):
    """Whoever is told of finished epochs is gone; it says nothing about the training."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long to train and how; ``autocast`` computes products in bfloat16."""

    epochs: int
    batch_size: int
    last_batch: LastBatch
    classes: int
    autocast: bool
    device: torch.device


class Trainee(Protocol[Targets]):
    """What :func:`fit` trains: one model, or K models stacked into one. A loss is () of one model, (K,) of K models."""

    config: TrainingConfig
    model: nn.Module
    weights: list[nn.Parameter]
    average: ExponentialMovingAverage | None
    runs: list[Run]  # one for every model that still trains

    def batches(self, epoch: int) -> list[Batch]:
        """Return the mini-batches of an epoch, from 0."""
        ...

    def inputs(self, batch: Batch) -> tuple[Tensor | list[Tensor], Targets]:
        """Return the augmented images of a batch and their targets."""
        ...

    def losses(self, logits: Tensor, targets: Targets) -> Tensor:
        """Return the mean loss of the batch for every model, without penalties."""
        ...

    def objective(self, losses: Tensor) -> Tensor:
        """Return what is differentiated, ()."""
        ...

    def update(self, progress: float) -> list[float]:
        """Change the weights by their gradients: clip, decay, step; return every model's learning rate."""
        ...

    def gradient_norms(self) -> list[float]:
        """Return the Euclidean norm of every model's last gradient."""
        ...

    def keep(self, indices: list[int]) -> None:
        """Go on with some of the models; the others keep the weights that they have."""
        ...


def fit(trainee: Trainee[Targets], on_epoch: OnEpoch = lambda epoch: None) -> list[Run]:
    """Train to the end; return the run of every model, in their order.

    Args:
        trainee: one model or several.
        on_epoch: called with the number of every finished epoch, from 1.

    Raises:
        ProgressError: ``on_epoch`` raised an OSError.
    """
    runs = trainee.runs
    for epoch in range(trainee.config.epochs):
        started, batches = time.perf_counter(), trainee.batches(epoch)
        trainee.model.train()
        trace = EpochTrace([batch.labels for batch in batches])
        for batch in batches:
            step = train_step(trainee, batch)
            trace.note(*step)
        wait_for(trainee.config.device)
        seconds = (time.perf_counter() - started) / len(trainee.runs)
        with trainee.average.applied() if trainee.average else nullcontext():
            for run, observed in zip(trainee.runs, trace.of_models(trainee.gradient_norms()), strict=True):
                run.close_epoch(observed, seconds)
        try:
            on_epoch(epoch + 1)
        except OSError as error:
            raise ProgressError("nobody takes the progress of this training") from error
        staying = [index for index, run in enumerate(trainee.runs) if not run.ended]
        if not staying:
            break
        if len(staying) < len(trainee.runs):
            trainee.keep(staying)
    for run in runs:
        run.finish()
    return runs


class Step(NamedTuple):
    """What one step of gradient descent leaves."""

    losses: Tensor  # () or (K,), without penalties
    logits: Tensor  # (b, classes) or (K, b, classes)
    rates: list[float]  # of every model


def train_step(trainee: Trainee[Targets], batch: Batch) -> Step:
    """Make one step of gradient descent."""
    images, targets = trainee.inputs(batch)
    with autocasting(trainee.config.device, trainee.config.autocast):
        logits = trainee.model(images)
    losses = trainee.losses(logits.float(), targets)
    for weight in trainee.weights:  # what zero_grad does, without its bookkeeping of a tenth of a millisecond per step
        weight.grad = None
    trainee.objective(losses).backward()  # type: ignore[no-untyped-call]
    rates = trainee.update(batch.progress)
    if trainee.average:
        trainee.average.update()
    return Step(losses.detach(), logits.detach(), rates)
