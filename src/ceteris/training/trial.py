"""From a trial to its record: the images, the training, the numbers."""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ceteris.data import ImageSet, SplitImages
from ceteris.errors import CeterisError, DataError
from ceteris.models.estimator import EstimatorNetwork
from ceteris.models.summary import summarise
from ceteris.recipe import Estimator
from ceteris.records import Cost, Failed, Finished, FloatArray, Predictions, Record, Trial
from ceteris.training import build
from ceteris.training.batches import Batch
from ceteris.training.device import environment, full_float32, one_thread, peak_bytes, reset_peak, wait_for
from ceteris.training.estimator import fit_estimator
from ceteris.training.history import Run, State
from ceteris.training.loop import ProgressError, fit, train_step
from ceteris.training.single import seeded_global_rng, single_trainee, split_of
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
        OSError: when ``on_epoch`` raises one: nobody waits for this training any more.
    """
    try:
        with full_float32(trial.execution.device):
            reset_peak(trial.execution.device)
            images = split_of(trial, train.labels, train.groups)
            if isinstance(trial.recipe.model, Estimator):
                run = fit_estimator(trial, train, images, imports, on_epoch)
                return result_of(trial, train, run, TrialMeta(images=images, flops=0))
            trainee = single_trainee(trial, train, images, imports)
            flops = summarise(trainee.model, train.shape).flops
            with seeded_global_rng(trial):
                (run,) = fit(trainee, on_epoch)
            return result_of(trial, train, run, TrialMeta(images=images, flops=flops))
    except (DataError, ProgressError):
        raise  # what is wrong with the images is wrong for every trial; who has gone needs no more records
    except Exception as error:  # one failed trial never ends a study: it is a row that says what happened
        message = str(error) if isinstance(error, CeterisError) else f"{type(error).__name__}: {error}"
        return TrialResult(record=failed_record(trial, message, traceback.format_exc()))


def failed_record(trial: Trial, message: str, trace: str = "") -> Failed:
    """Return the record of a trial that ended with an error: the first line of its message, and the traceback."""
    first = message.strip().splitlines()[0][:300] if message.strip() else "unknown error"
    return Failed(trial=trial, status="failed", error=first, environment=environment(), traceback=trace)


def standardisation_of(trial: Trial, train: ImageSet) -> tuple[FloatArray, FloatArray]:
    """Return what a trial subtracts from every channel and divides it by, (c,) each in 0..255: mostly mean and deviation."""
    return build.build_standardisation(
        trial.recipe.standardisation, train.images, split_of(trial, train.labels, train.groups).fitted
    )


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
    indices = np.arange(min(len(train), trial.recipe.batch_size))
    if isinstance(trial.recipe.model, Estimator):
        few = SplitImages(fitted=indices, held_out=indices[:1])
        began = clock()
        fit_estimator(trial, train, few, imports)
        return len(indices), (clock() - began) / trial.recipe.epochs
    with one_thread(), full_float32(trial.execution.device), seeded_global_rng(trial):
        trainee = single_trainee(trial, train, SplitImages(fitted=indices, held_out=indices[:1]), imports)
        trainee.model.train()
        device = trainee.config.device
        labels = torch.from_numpy(train.labels[indices]).to(device)

        def step(size: int) -> float:
            began = clock()
            train_step(trainee, Batch(0.0, torch.arange(size, device=device), labels[:size]))
            wait_for(device)
            return clock() - began

        size = min(_FEW_IMAGES, len(indices))
        step(size)  # the first step of a size allocates and compiles
        times = [step(size)]
        affordable = int(size * seconds / (3 * times[0]))
        if affordable > size:
            size = min(affordable, len(indices))
            step(size)
            times = [step(size)]
        while sum(times) < seconds / 2 and len(times) < 9:
            times.append(step(size))
    return size, float(np.median(times))


@dataclass(frozen=True, kw_only=True)
class TrialMeta:
    """What the record of a training tells besides what was observed in it."""

    images: SplitImages
    flops: int  # of one image's forward pass


def result_of(trial: Trial, train: ImageSet, run: Run, meta: TrialMeta) -> TrialResult:
    """Return everything that was observed in a training that has ended."""
    if run.diverged:
        record = Failed(trial=trial, status="diverged", error=str(run.diverged), environment=environment())
        return TrialResult(record=record)
    held_out, note = meta.images.held_out, run.evaluation_batch.note
    snapshots = {
        f"{epoch}/{name}": array
        for epoch, state in enumerate(run.snapshots, start=1)
        for name, array in _arrays(state).items()
    }
    return TrialResult(
        record=Finished(
            trial=trial,
            accuracy=run.scores.accuracy,
            f1=run.scores.f1,
            loss=run.scores.loss,
            train_accuracy=float(run.epochs.train_accuracy[run.best_epoch - 1]),
            clean_train_accuracy=run.clean_scores.accuracy,
            clean_train_loss=run.clean_scores.loss,
            best_epoch=run.best_epoch,
            epoch_count=len(run.epochs.seconds),
            step_count=len(run.iterations.loss),
            epochs=run.epochs,
            iterations=run.iterations,
            predictions=Predictions(probabilities=run.probabilities, labels=train.labels[held_out], indices=held_out),
            cost=_cost(run, meta, trial),
            environment=environment() | ({"memory": note} if note else {}),
        ).per_image(),
        weights=_arrays(run.model.state_dict()) if trial.keep_weights else None,
        snapshots=snapshots if trial.keep_snapshots else None,
    )


def _cost(run: Run, meta: TrialMeta, trial: Trial) -> Cost:
    seen, seconds = len(run.epochs.seconds) * len(meta.images.fitted), float(run.epochs.seconds[-1])
    return Cost(
        train_seconds=seconds,
        evaluation_seconds=run.evaluation_seconds,
        peak_memory_bytes=peak_bytes(trial.execution.device),
        parameters=parameter_count(run.model),
        forward_flops_per_image=meta.flops,
        training_flops=round(build.passes_per_image(trial.recipe) * meta.flops * seen),
        images_per_second=seen / seconds if seconds else 0.0,
    )


def parameter_count(model: torch.nn.Module) -> int:
    """Return the number of weights that a model learned."""
    if isinstance(model, EstimatorNetwork):
        return model.parameter_count
    return sum(weight.numel() for weight in model.parameters())


def _arrays(state: State) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(tensor.cpu().numpy()) for name, tensor in state.items()}
