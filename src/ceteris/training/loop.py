"""The training loop: what every trial of every study goes through, visible in one screen."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ceteris.techniques import ExponentialMovingAverage, shrink_weights_
from ceteris.training.build import Augment
from ceteris.training.device import wait_for
from ceteris.training.graph import Graphs, Multipliers, Outputs, StepParts, rates_on_device, step_of, tensors_of
from ceteris.training.history import BestEpoch, History
from ceteris.training.images import ResidentImages
from ceteris.training.memory import EvaluationBatch, evaluated_at_once, is_out_of_memory
from ceteris.training.streams import Streams

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The objects of one training, as a recipe describes them; None where the recipe asks for nothing."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Callable[[float, list[float]], float]
    loss: Callable[[Tensor, Tensor], Tensor]
    augment: Augment | None
    penalty: Callable[[], Tensor] | None
    clip: Callable[[], Tensor] | None
    average: ExponentialMovingAverage | None
    decay: float
    decayed: list[Tensor]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train and how: ``patience`` 0 runs all ``epochs``; otherwise the best epoch is restored."""

    epochs: int
    batch_size: int
    classes: int
    patience: int
    autocast: bool
    snapshots: bool


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came out: the history, the epoch (from 1) whose weights the model now has, the weights of every epoch.

    ``evaluation_batch`` has the size that fitted into the memory; ``cuda_graph`` says whether the steps were replayed, ""
    where there are no graphs.
    """

    history: History
    best_epoch: int
    snapshots: list[State]
    evaluation_batch: EvaluationBatch
    cuda_graph: str


def fit(
    parts: Parts,
    fit_images: ResidentImages,
    held_out: ResidentImages,
    *,
    plan: Plan,
    streams: Streams,
    on_epoch: Callable[[int], None],
    graphs: Graphs = Graphs(),  # noqa: B008 - it is frozen
) -> Fitted:
    """Train a model; afterwards it has the weights of the best epoch (of the last one without early stopping).

    Raises:
        DivergedError: when the loss stops being a finite number.
    """
    history, best, snapshots = History(plan.classes), BestEpoch(plan.patience), list[State]()
    batch = evaluation_batch(held_out)
    full_rate = float(parts.optimizer.param_groups[0]["lr"])
    step = step_of(step_parts(parts, fit_images, plan, streams, graphs), graphs)
    for epoch in range(plan.epochs):
        started = time.perf_counter()
        parts.model.train()
        for progress, places in batches(len(fit_images), plan.batch_size, epoch, streams.order, fit_images.device):
            rate = parts.schedule(progress / plan.epochs, history.train_losses)
            loss, logits, labels = step(places, [rate])
            history.iteration(loss, logits, labels, rate * full_rate)
        wait_for(fit_images.device)
        history.close_epoch(seconds=time.perf_counter() - started, model=parts.model)
        with averaged_weights(parts):
            history.measure(predict(parts.model, held_out, autocast=plan.autocast, batch=batch), held_out.labels)
            snapshots += [state_of(parts.model)] if plan.snapshots else []
            stop = best.should_stop(epoch, history, lambda: state_of(parts.model))
        on_epoch(epoch + 1)
        if stop:
            break
    step.forget()
    if parts.average:
        parts.average.copy_to_model()
    best_epoch = best.restore(parts.model, history)
    return Fitted(
        history=history, best_epoch=best_epoch, snapshots=snapshots, evaluation_batch=batch, cuda_graph=step.note
    )


def step_parts(parts: Parts, images: ResidentImages, plan: Plan, streams: Streams, graphs: Graphs) -> StepParts:
    """Return one step of a training: what has to be done by itself, and what can be recorded.

    Augmentation seeds the stream of every operation anew for every batch, which waits for the device: it stays outside.
    """
    full_rates = [float(group["lr"]) for group in parts.optimizer.param_groups]
    if graphs.recorder:
        rates_on_device(parts.optimizer, images.device)

    def gathered(places: Tensor) -> tuple[Tensor, Tensor]:
        return images.batch(places), images.labels.index_select(0, places)

    def prepare(places: Tensor) -> Sequence[Tensor]:
        if parts.augment is None:
            return (places,)
        batch, labels = gathered(places)
        return (*augmented(parts, batch, labels, plan, streams), labels)

    def learn(inputs: Sequence[Tensor], multipliers: Multipliers) -> Outputs:
        set_learning_rates(parts.optimizer, full_rates, multipliers[0])
        if len(inputs) == 1:
            batch, labels = gathered(inputs[0])
            targets = labels
        else:
            batch, targets, labels = inputs
        loss, logits = descend(parts, batch, targets, plan, multipliers[0] * full_rates[0])
        return loss.detach(), logits.detach(), labels

    return StepParts(
        prepare=prepare,
        learn=learn,
        changed=lambda: changed_by_a_step(parts),
        generators=lambda: [streams.dropout],
        precision="bfloat16" if plan.autocast else "float32",
    )


def changed_by_a_step(parts: Parts) -> list[Tensor]:
    """Return every tensor that a step changes."""
    averages = parts.average.averages if parts.average else []
    return [*parts.model.parameters(), *parts.model.buffers(), *tensors_of(parts.optimizer), *averages]


def train_step(
    parts: Parts, images: Tensor, labels: Tensor, plan: Plan, streams: Streams, rate: float
) -> tuple[Tensor, Tensor]:
    """Do one step of gradient descent; return the loss without penalty, (), and the logits, (b, classes)."""
    images, targets = augmented(parts, images, labels, plan, streams)
    return descend(parts, images, targets, plan, rate)


def augmented(parts: Parts, images: Tensor, labels: Tensor, plan: Plan, streams: Streams) -> tuple[Tensor, Tensor]:
    """Return the images, (b, c, h, w), and targets, labels (b,) or class shares (b, classes), that a step learns from."""
    if parts.augment is None:
        return images, labels
    return parts.augment(
        images,
        labels,
        plan.classes,
        streams.augmentation,
        loss_of=lambda x, y: undisturbed_loss(parts, plan, x, y),
    )


def descend(parts: Parts, images: Tensor, targets: Tensor, plan: Plan, rate: float | Tensor) -> tuple[Tensor, Tensor]:
    """Learn from a batch as it is, at a learning rate, or () on the device; return loss and logits of a step."""
    with autocasting(images.device.type, plan.autocast):
        logits = parts.model(images)
    loss = parts.loss(logits.float(), targets)
    forget_gradients(parts.optimizer)
    (loss + parts.penalty() if parts.penalty else loss).backward()  # type: ignore[no-untyped-call]
    if parts.clip:
        parts.clip()
    if parts.decay:
        shrink_weights_(parts.decayed, 1 - rate * parts.decay)
    parts.optimizer.step()
    if parts.average:
        parts.average.update()
    return loss, logits


def batches(
    count: int, batch_size: int, epoch: int, order: torch.Generator, device: torch.device | str = "cpu"
) -> Iterator[tuple[float, Tensor]]:
    """Yield (epochs done so far, places (b,)) for one shuffled pass; a last batch that is not full is left out.

    The places go to ``device`` all at once: moving those of every batch would wait for every step.
    """
    shuffled = torch.randperm(count, generator=order).to(device)
    steps = max(1, count // batch_size)
    for step in range(steps):
        yield epoch + step / steps, shuffled[step * batch_size : (step + 1) * batch_size]


def set_learning_rates(optimizer: torch.optim.Optimizer, full_rates: list[float], multiplier: float | Tensor) -> None:
    """Give every parameter group its full rate times ``multiplier``; a tensor () changes the rates' own tensors."""
    for group, rate in zip(optimizer.param_groups, full_rates, strict=True):
        if isinstance(multiplier, Tensor):
            group["lr"].copy_(rate * multiplier)
        else:
            group["lr"] = rate * multiplier


def forget_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Let go of all gradients: what ``zero_grad`` does, without its bookkeeping of a tenth of a millisecond per step."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None


def predict(
    model: nn.Module, images: ResidentImages, *, autocast: bool, batch: EvaluationBatch | None = None
) -> Tensor:
    """Return the logits of all images in evaluation mode, float32 (n, classes).

    Where the memory does not suffice, ``batch`` is halved until it does.
    """
    batch = batch or evaluation_batch(images)
    while True:
        try:
            return _logits(model, images, autocast, batch.images)
        except (RuntimeError, MemoryError) as error:
            if not (is_out_of_memory(error) and batch.halve()):
                raise


def evaluation_batch(images: ResidentImages) -> EvaluationBatch:
    """Return how many of the images are evaluated at once at first."""
    return EvaluationBatch(evaluated_at_once(images.labels.device.type))


@torch.inference_mode()
def _logits(model: nn.Module, images: ResidentImages, autocast: bool, size: int) -> Tensor:
    model.eval()
    with autocasting(images.labels.device.type, autocast):
        parts = [model(images.slice(start, start + size)) for start in range(0, len(images), size)]
    return torch.cat([part.float() for part in parts])


def state_of(model: nn.Module) -> State:
    """Return a copy of all weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def averaged_weights(parts: Parts) -> AbstractContextManager[None]:
    """Return a context in which the model has the weights that are evaluated: the averaged ones where there are some."""
    return parts.average.applied() if parts.average else nullcontext()


def undisturbed_loss(parts: Parts, plan: Plan, images: Tensor, targets: Tensor) -> Tensor:
    """Return the loss in evaluation mode, so that neither running statistics nor dropout draws are touched."""
    parts.model.eval()
    with autocasting(images.device.type, plan.autocast):
        logits = parts.model(images)
    parts.model.train()
    return parts.loss(logits.float(), targets)


def autocasting(device: str, enabled: bool) -> AbstractContextManager[object]:
    """Return a context in which products are computed in bfloat16, where ``enabled``."""
    return torch.autocast(device, dtype=torch.bfloat16) if enabled else nullcontext()
