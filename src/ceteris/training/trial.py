"""From a trial to its record: the images, the objects, the training, the numbers."""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ceteris.data import ImageSet, split_indices, standardisation
from ceteris.errors import CeterisError, DataError, DivergedError
from ceteris.models import set_dropout_generator, summarise
from ceteris.records import Cost, Failed, Finished, FloatArray, IntArray, Predictions, Record, Trial
from ceteris.training import build, graph
from ceteris.training.device import environment, full_float32, one_thread, wait_for
from ceteris.training.history import History
from ceteris.training.images import ResidentImages, resident
from ceteris.training.loop import Fitted, Parts, Plan, State, fit, predict, train_step
from ceteris.training.memory import peak_bytes, reset_peak
from ceteris.training.streams import Streams, lent_global_generators, streams_of
from ceteris.user_code import NO_IMPORTS, ImportPolicy

Tensors = Mapping[str, NDArray[Any]]
_FEW_IMAGES = 4  # with which a step of the largest network takes less than a second


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """A record, with the weights by name and the weights of every epoch as "epoch/name" where the trial keeps them."""

    record: Record
    weights: Tensors | None = None
    snapshots: Tensors | None = None


def run_trial(
    trial: Trial,
    train: ImageSet,
    *,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    imports: ImportPolicy = NO_IMPORTS,
) -> TrialResult:
    """Train one trial and return what was observed; a training that diverges or fails gives a record that says so.

    Args:
        trial: what to train.
        train: the training images of the study.
        on_epoch: called with the number of every finished epoch, from 1.
        imports: whether the user's own code may be imported by path.

    Raises:
        DataError: when the images cannot be split as the trial says.
    """
    try:
        with full_float32(trial.execution.device):
            return _train(trial, train, on_epoch, imports)
    except DivergedError as error:
        return TrialResult(record=diverged_record(trial, error))
    except DataError:
        raise  # what is wrong with the images is wrong for every trial
    except Exception as error:  # one failed trial never ends a study: it is a row that says what happened
        return TrialResult(record=failed_record(trial, told(error), traceback.format_exc()))


def told(error: Exception) -> str:
    """Return an error as a record tells it; the kind of an error that is not ours is named."""
    return str(error) if isinstance(error, CeterisError) else f"{type(error).__name__}: {error}"


def failed_record(trial: Trial, message: str, trace: str = "") -> Failed:
    """Return the record of a trial that ended with an error: the first line of its message, and the traceback."""
    first = message.strip().splitlines()[0][:300] if message.strip() else "unknown error"
    return Failed(trial=trial, status="failed", error=first, environment=environment(), traceback=trace)


def diverged_record(trial: Trial, error: DivergedError) -> Failed:
    """Return the record of a trial whose loss stopped being finite."""
    return Failed(trial=trial, status="diverged", error=str(error), environment=environment())


def standardisation_of(trial: Trial, train: ImageSet) -> tuple[FloatArray, FloatArray]:
    """Return mean and deviation per channel, (c,) each in 0..255, of the images that the trial fits on."""
    return standardisation(train.images, split_indices(trial.split, train.labels, train.groups)[0])


def measure_step(
    trial: Trial, train: ImageSet, *, imports: ImportPolicy = NO_IMPORTS, seconds: float = 0.1
) -> tuple[int, float]:
    """Time steps of a trial without training it; return the images of one step and its seconds.

    A step takes a whole mini-batch, or as much of one as can be timed within about ``seconds``. On a processor its own time
    is counted, not that of the clock on the wall, so that what else runs does not count.

    Raises:
        ConfigError: when the trial's model or loss cannot be built.
    """
    clock = time.process_time if trial.execution.device == "cpu" else time.perf_counter
    places = np.arange(min(len(train), trial.recipe.batch_size))
    streams = streams_of(trial)
    images, _ = _resident_parts(trial, train, places, places[:1])
    with one_thread(), full_float32(trial.execution.device), lent_global_generators(trial):
        parts = make_parts(trial, train, images, streams, imports)
        plan = plan_of(trial, train)
        parts.model.train()

        def step(size: int) -> float:
            began, chosen = clock(), torch.arange(size, device=images.device)
            train_step(parts, images.batch(chosen), images.labels[chosen], plan, streams, rate=0.0)
            wait_for(images.device)
            return clock() - began

        size = min(_FEW_IMAGES, len(images))
        step(size)  # the first step of a size allocates and compiles
        times = [step(size)]
        affordable = int(size * seconds / (3 * times[0]))
        if affordable > size:
            size = min(affordable, len(images))
            step(size)
            times = [step(size)]
        while sum(times) < seconds / 2 and len(times) < 9:
            times.append(step(size))
    return size, float(np.median(times))


def _train(trial: Trial, train: ImageSet, on_epoch: Callable[[int], None], imports: ImportPolicy) -> TrialResult:
    device = trial.execution.device
    reset_peak(device)
    streams = streams_of(trial)
    fit_places, held_places = split_indices(trial.split, train.labels, train.groups)
    fit_images, held_out = _resident_parts(trial, train, fit_places, held_places)
    parts = make_parts(trial, train, fit_images, streams, imports)
    flops = summarise(parts.model, train.shape).flops
    graphs = graph.graphs_on(device, build.why_not_recorded([trial.recipe]))
    plan = plan_of(trial, train)
    with lent_global_generators(trial):
        fitted = fit(parts, fit_images, held_out, plan=plan, streams=streams, on_epoch=on_epoch, graphs=graphs)
    return observed(
        trial,
        train,
        parts,
        fitted,
        TrialFacts(fitted=len(fit_images), held_out=held_out, held_places=held_places, flops=flops),
    )


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """What the record of a finished training tells besides its history; ``memory`` says what was halved to fit."""

    fitted: int  # images
    held_out: ResidentImages
    held_places: IntArray
    flops: int  # of one image's forward pass
    memory: str = ""


def observed(trial: Trial, train: ImageSet, parts: Parts, fitted: Fitted, facts: TrialFacts) -> TrialResult:
    """Return everything that was observed in a training that has ended."""
    began = time.perf_counter()
    logits = predict(parts.model, facts.held_out, autocast=_autocast(trial), batch=fitted.evaluation_batch)
    seconds = time.perf_counter() - began
    predictions = Predictions(
        probabilities=logits.softmax(1).cpu().numpy(), labels=train.labels[facts.held_places], indices=facts.held_places
    )
    cost = _cost(fitted.history, parts, facts, seconds, trial.execution.device)
    memory = "; ".join(note for note in (facts.memory, fitted.evaluation_batch.note) if note)
    notes = {name: note for name, note in (("memory", memory), ("cuda_graph", fitted.cuda_graph)) if note}
    return TrialResult(
        record=_record(trial, fitted, predictions, cost, notes),
        weights=_arrays(parts.model.state_dict()) if trial.keep_weights else None,
        snapshots=_epoch_arrays(fitted.snapshots) if trial.keep_snapshots else None,
    )


def _resident_parts(
    trial: Trial, train: ImageSet, fit_places: IntArray, held_places: IntArray
) -> tuple[ResidentImages, ResidentImages]:
    mean, deviation = standardisation(train.images, fit_places)

    def part(places: IntArray) -> ResidentImages:
        return resident(
            train.images,
            train.labels,
            places,
            mean=mean,
            deviation=deviation,
            device=trial.execution.device,
            channels_last=trial.recipe.model.kind != "mlp",
        )

    return part(fit_places), part(held_places)


def make_parts(
    trial: Trial, train: ImageSet, fit_images: ResidentImages, streams: Streams, imports: ImportPolicy
) -> Parts:
    """Return the objects of a trial; see :mod:`ceteris.training.build`."""
    recipe = trial.recipe
    model = build.build_model(
        recipe.model,
        input_shape=train.shape,
        classes=len(train.classes),
        generator=streams.initialisation,
        imports=imports,
    ).to(trial.execution.device)
    if fit_images.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    set_dropout_generator(model, streams.dropout)
    return Parts(
        model=model,
        optimizer=build.build_optimizer(recipe.optimizer, model),
        schedule=build.build_schedule(recipe.schedule),
        loss=build.build_loss(recipe.loss, imports=imports),
        augment=build.build_augmentation(recipe.augmentation, fill=fit_images.standardised_zero()),
        penalty=build.build_penalty(recipe.penalty, model),
        clip=build.build_clipping(recipe.clipping, model),
        average=build.build_averaging(recipe.averaging, model),
        decay=build.decay_of(recipe.penalty),
        decayed=list(build.penalised_weights(model)),
    )


def plan_of(trial: Trial, train: ImageSet) -> Plan:
    """Return how long and how a trial trains."""
    return Plan(
        epochs=trial.recipe.epochs,
        batch_size=trial.recipe.batch_size,
        classes=len(train.classes),
        patience=trial.patience,
        autocast=_autocast(trial),
        snapshots=trial.keep_snapshots,
    )


def _autocast(trial: Trial) -> bool:
    return trial.execution.precision == "bfloat16"


def _cost(history: History, parts: Parts, facts: TrialFacts, evaluation: float, device: str) -> Cost:
    epochs = history.epochs()
    steps = len(history.iterations().loss)
    seen = len(epochs.seconds) * facts.fitted
    seconds = float(epochs.seconds[-1])
    return Cost(
        train_seconds=seconds,
        evaluation_seconds=evaluation,
        peak_memory_bytes=peak_bytes(device),
        parameters=sum(weight.numel() for weight in parts.model.parameters()),
        forward_flops_per_image=facts.flops,
        # backward costs about twice the forward pass: once for the inputs, once for the weights
        training_flops=3 * facts.flops * seen,
        images_per_second=seen / seconds if seconds and steps else 0.0,
    )


def _record(trial: Trial, fitted: Fitted, predictions: Predictions, cost: Cost, notes: dict[str, str]) -> Finished:
    epochs = fitted.history.epochs()
    iterations, best = fitted.history.iterations(), fitted.best_epoch - 1
    return Finished(
        trial=trial,
        accuracy=float(epochs.validation_accuracy[best]),
        f1=float(epochs.validation_f1[best]),
        loss=float(epochs.validation_loss[best]),
        train_accuracy=float(epochs.train_accuracy[best]),
        best_epoch=fitted.best_epoch,
        epoch_count=len(epochs.seconds),
        step_count=len(iterations.loss),
        epochs=epochs,
        iterations=iterations,
        predictions=predictions,
        cost=cost,
        environment=environment() | notes,
    )


def _arrays(state: State) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in state.items()}


def _epoch_arrays(snapshots: list[State]) -> dict[str, NDArray[Any]]:
    return {
        f"{epoch}/{name}": array
        for epoch, state in enumerate(snapshots, start=1)
        for name, array in _arrays(state).items()
    }
