"""How long trainings take: one model for the plan, the order of the work and the progress bar.

    training   = start + epochs x (steps x step + held-out images x evaluation)
    step       = layers x OVERHEAD + weights x UPDATE + batch x image
    image      = 3 x FLOPs / rate of the kind of layer + values between layers x TRAFFIC    (backward costs twice forward)
    evaluation = image / 3

The constants are those of one core of an AMD EPYC of 2024 with torch 2.13: a fit to 254 kinds of training, those of the four
shipped studies, of which 80 % took 0.87 to 1.35 times what it says. Techniques and other machines are not in it. They come
in as ratios of real to modelled steps, from what finished records say and from a few steps measured on this machine: of the
same kind of training, else of the same network, else of the same family, else of any.
"""

import math
import multiprocessing
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from ceteris.data import DataSet, ImageSet, open_train
from ceteris.digests import digest_of, plain
from ceteris.errors import CeterisError, ConfigError
from ceteris.execution.pools import environment_of_workers, main_thread_prepared, worker_context
from ceteris.execution.populations import DeviceTable, network_like
from ceteris.execution.worker import exit_with_parent
from ceteris.findings import ModelSummary
from ceteris.recipe import Recipe
from ceteris.records import CrossValidationSplit, Finished, HoldoutSplit, ReserveSplit, Trial
from ceteris.training.build import summary_of, watched_share
from ceteris.training.compiler import put_off_compiler
from ceteris.training.device import one_thread, processor_name
from ceteris.training.trial import measure_step
from ceteris.user_code import NO_IMPORTS, ImportPolicy

_OVERHEAD = 26e-6  # seconds per layer and step
_UPDATE = 1.2e-9  # seconds per weight and step
_TRAFFIC = 0.75e-9  # seconds per value that a layer hands on, forward and backward
_CONVOLUTION_RATES = {"float32": 107e9, "bfloat16": 460e9}  # FLOPs per second
_PRODUCT_RATE = 165e9
_EVALUATED_AT_ONCE = 128

# What a worker spends on a trial besides steps and evaluation: reading the task, the record; closing an epoch; splitting
# the images, standardising and copying them.
_SECONDS_PER_RECORD, _SECONDS_PER_EPOCH = 0.012, 0.001
_SECONDS_PER_LABEL, _SECONDS_PER_BYTE = 1.5e-7, 4e-9

_SECONDS_OF_STARTING = 10.0  # until the first measurement, at most
_SECONDS_OF_MEASURING = 2.5  # from then on, in all
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 1.0  # for one kind of training


def images_of(trial: Trial, train_count: int) -> tuple[int, int]:
    """Return on how many images of a training set a trial fits, and how many it evaluates after every epoch."""
    most, cut = trial.split.images, watched_share(trial.recipe.schedule)
    match trial.split:
        case HoldoutSplit(fraction=share):
            used = min(most or train_count, train_count)
            others, validation = round(used * (1 - share)), 0.0 if share else cut
            judged = used - others
        case CrossValidationSplit(folds=folds, reserve=reserve):
            left = round(train_count * (1 - reserve))
            used = min(most or left, left)
            others, validation = round(used * (1 - 1 / folds)), trial.split.validation or cut
            judged = used - others
        case ReserveSplit(reserve=reserve):
            left = round(train_count * (1 - reserve))
            others, validation = min(most or left, left), trial.split.validation or cut
            judged = train_count - left
    fitted = round(others * (1 - validation))
    return min(trial.recipe.images or fitted, fitted), others - fitted if validation else judged


@dataclass(frozen=True, kw_only=True)
class Network:
    """What of a model decides on its speed and its memory; FLOPs and ``values`` between layers are those of one image."""

    layers: int
    weights: int
    convolution_flops: int
    product_flops: int
    values: int

    def image_seconds(self, precision: str) -> float:
        """Return the seconds of one image in a step, the same for all sizes of batch."""
        flops = self.convolution_flops / _CONVOLUTION_RATES[precision] + self.product_flops / _PRODUCT_RATE
        return 3 * flops + _TRAFFIC * self.values

    def step_seconds(self, images: int, precision: str) -> float:
        """Return the seconds of one step on so many images."""
        return _OVERHEAD * self.layers + _UPDATE * self.weights + images * self.image_seconds(precision)

    def evaluation_seconds(self, precision: str) -> float:
        """Return the seconds of evaluating one image."""
        return self.image_seconds(precision) / 3 + _OVERHEAD * self.layers / (4 * _EVALUATED_AT_ONCE)


_UNKNOWN_NETWORK = Network(layers=1, weights=0, convolution_flops=0, product_flops=10**6, values=0)


def network_of(summary: ModelSummary) -> Network:
    """Return what of a model's summary decides on its speed."""
    convolutions = sum(layer.flops for layer in summary.layers if layer.kind.startswith("Conv"))
    return Network(
        layers=len(summary.layers),
        weights=summary.parameters,
        convolution_flops=convolutions,
        product_flops=summary.flops - convolutions,
        values=sum(math.prod(layer.output_shape) for layer in summary.layers),
    )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one trial asks of one core: its network, the images and steps of an epoch, and the seconds that they take."""

    network: Network
    fitted: int  # images
    held_out: int
    batch: int
    step_seconds: float
    evaluation_seconds: float  # of one image

    @property
    def steps(self) -> int:
        """The mini-batches of an epoch."""
        return max(1, self.fitted // self.batch)

    @property
    def epoch_seconds(self) -> float:
        """The seconds of an epoch with the evaluation of the held-out images."""
        return self.steps * self.step_seconds + self.held_out * self.evaluation_seconds


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What trials have in common that differ only in sizes of numbers (a rate, a seed), epochs and images.

    ``levels`` are what their speed is known from, the nearest first: kind, network, family, device.
    """

    network: Network
    precision: str
    levels: tuple[tuple[str, ...], ...]


class Timing:
    """Predicts the seconds of trainings on one training set; it gets better with what it is told of real ones."""

    def __init__(self, train: ImageSet, *, imports: ImportPolicy, table: DeviceTable | None = None) -> None:
        self._train, self._imports, self._table = train, imports, table
        self._networks: dict[str, Network] = {}
        self._kinds: dict[str, _Kind] = {}
        self._ratios: dict[tuple[str, ...], list[float]] = defaultdict(list)  # real to modelled, by level

    def seconds(self, trials: Sequence[Trial]) -> float:
        """Return the seconds of one worker on trials, all their epochs counted; of members of a population on their shares.

        Raises:
            ConfigError: when a model cannot be built.
        """
        return sum(map(self._trial_seconds, trials))

    def size(self, trial: Trial) -> float:
        """Return the seconds of a trial for the progress display; it never fails."""
        try:
            return self.seconds([trial])
        except ConfigError:
            return 1.0

    def workload(self, trial: Trial) -> Workload:
        """Return what a trial asks of one core, its execution in a population not counted.

        Raises:
            ConfigError: when its model cannot be built.
        """
        kind = self._kind_of(trial)
        ratio = next((median(self._ratios[level]) for level in kind.levels if level in self._ratios), 1.0)
        fitted, held_out = images_of(trial, len(self._train))
        batch = min(trial.recipe.batch_size, fitted)
        return Workload(
            network=kind.network,
            fitted=fitted,
            held_out=held_out,
            batch=batch,
            step_seconds=ratio * kind.network.step_seconds(batch, kind.precision),
            evaluation_seconds=ratio * kind.network.evaluation_seconds(kind.precision),
        )

    def network(self, recipe: Recipe) -> Network:
        """Return the network of a recipe; a middling one for a user's own model that fails.

        Raises:
            ConfigError: when the model cannot be built.
        """
        key = digest_of(recipe.model)
        if key not in self._networks:
            try:
                with one_thread():
                    self._networks[key] = network_of(summary_of(recipe, self._train, imports=self._imports))
            except ConfigError:
                raise
            except Exception:  # it will fail in training too, where a row of the report says how
                self._networks[key] = _UNKNOWN_NETWORK
        return self._networks[key]

    def learn(self, trial: Trial, images: int, seconds: float) -> None:
        """Take what one step of a trial on so many images really took."""
        kind = self._kind_of(trial)
        for level in kind.levels:
            self._ratios[level].append(seconds / kind.network.step_seconds(images, kind.precision))

    def learn_records(self, recorded: Iterable[Finished], like: Iterable[Trial]) -> None:
        """Take what trainings of the same kinds as some trials took, on the same images and on a processor like this."""
        here, kinds = processor_name(), {self._kind_of(trial).levels[0] for trial in like}
        for record in recorded:
            rate, batch = record.cost.images_per_second, record.trial.recipe.batch_size
            if record.environment.get("processor", "") != here or record.trial.execution.members > 1 or not rate:
                continue
            if _levels_of(record.trial)[0] in kinds:
                self.learn(record.trial, batch, batch / rate)

    def unknown(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return one trial of every kind that it was told nothing of, those first whose kinds take most of the time."""
        seconds: dict[tuple[str, ...], float] = defaultdict(float)
        examples: dict[tuple[str, ...], Trial] = {}
        for trial in trials:
            kind = self._kind_of(trial).levels[0]
            seconds[kind] += self.seconds([trial])
            examples.setdefault(kind, trial)
        kinds = sorted(examples, key=lambda kind: -seconds[kind])
        return [examples[kind] for kind in kinds if kind not in self._ratios]

    def _trial_seconds(self, trial: Trial) -> float:
        work, count = self.workload(trial), len(self._train)
        pixels = (work.fitted + work.held_out) * (self._train.images.nbytes // count)
        start = _SECONDS_PER_RECORD + _SECONDS_PER_LABEL * count + _SECONDS_PER_BYTE * pixels
        like = network_like(trial.recipe)
        gain = self._table.gain(like, trial.execution.members) if self._table and like else 1.0
        return start + trial.recipe.epochs * (work.epoch_seconds + _SECONDS_PER_EPOCH) / gain

    def _kind_of(self, trial: Trial) -> _Kind:
        key = digest_of([trial.recipe, trial.execution.precision, trial.execution.device, trial.code])
        if key not in self._kinds:
            self._kinds[key] = _Kind(
                network=self.network(trial.recipe), precision=trial.execution.precision, levels=_levels_of(trial)
            )
        return self._kinds[key]


def _levels_of(trial: Trial) -> tuple[tuple[str, ...], ...]:
    tree = {name: part for name, part in plain(trial.recipe).items() if name not in ("epochs", "images")}
    kind = digest_of([_without_sizes(tree), trial.code])
    network = digest_of([_without_sizes(tree["model"]), trial.recipe.batch_size])
    device = trial.execution.device.partition(":")[0]
    family = (device, trial.execution.precision, trial.recipe.model.kind)
    return (*family, network, kind), (*family, network), family, (device,)


def _without_sizes(value: Any) -> Any:
    """Whether a number with a fraction is 0 can switch something on (dropout, momentum); how large it is costs nothing."""
    if isinstance(value, dict):
        return {key: _without_sizes(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_sizes(part) for part in value]
    return value != 0 if isinstance(value, float) else value


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


Step = tuple[int, float] | None  # images and seconds; None where it failed
_PROCESS: dict[str, Any] = {}  # what a measuring process measures with


def calibrate(
    timing: Timing,
    trials: Iterable[Trial],
    data_set: DataSet,
    *,
    workers: int,
    imports: ImportPolicy,
    progress: Callable[[str], None],
) -> None:
    """Measure steps of the kinds of training that are not known, the most important first, for a few seconds in all.

    As many processes measure at a time as will train (0: this one), since they share memory and caches. What cannot be
    measured in time, or dies, is left to the model.

    Raises:
        ConfigError: when a model cannot be built.
    """
    kinds = timing.unknown(trials)
    if not kinds:
        return
    progress("measuring how fast this machine trains")
    processes = min(workers, len(kinds))
    each = max(_LEAST_SECONDS, min(_MOST_SECONDS, _SECONDS_OF_MEASURING * max(1, processes) / len(kinds)))
    if processes:
        steps = _measured_by_processes(kinds, each, data_set.prepared, imports, processes)
    else:
        steps = _measured_here(kinds, each, data_set.train, imports)
    for number, (trial, step) in enumerate(steps, start=1):
        progress(f"measuring how fast this machine trains: {number} of {len(kinds)} kinds of training")
        if step:
            timing.learn(trial, *step)


def _measured_here(
    kinds: Sequence[Trial], seconds: float, train: ImageSet, imports: ImportPolicy
) -> Iterator[tuple[Trial, Step]]:
    end = time.monotonic() + _SECONDS_OF_MEASURING
    for trial in kinds:
        if time.monotonic() < end:
            yield trial, _step(trial, seconds, train, imports)


def _measured_by_processes(
    kinds: Sequence[Trial], seconds: float, prepared: Path, imports: ImportPolicy, processes: int
) -> Iterator[tuple[Trial, Step]]:
    with environment_of_workers(), main_thread_prepared(hide_main=imports == NO_IMPORTS):
        pool = worker_context().Pool(processes, _begin_measuring, (prepared, imports))
    with pool:  # its processes are ended with it, whatever they do
        results = pool.imap_unordered(_measure, [(trial, seconds) for trial in kinds])
        end = time.monotonic() + _SECONDS_OF_STARTING
        for _ in kinds:
            try:
                yield results.next(timeout=max(0.0, end - time.monotonic()))
            except multiprocessing.TimeoutError:
                return
            end = min(end, time.monotonic() + _SECONDS_OF_MEASURING)


def _begin_measuring(prepared: Path, imports: ImportPolicy) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the plan, which ends this process
    exit_with_parent()
    put_off_compiler()
    _PROCESS.update(train=open_train(prepared), imports=imports)


def _measure(task: tuple[Trial, float]) -> tuple[Trial, Step]:
    return task[0], _step(*task, **_PROCESS)


def _step(trial: Trial, seconds: float, train: ImageSet, imports: ImportPolicy) -> Step:
    try:
        return measure_step(trial, train, imports=imports, seconds=seconds)
    except CeterisError:
        raise
    except Exception:
        return None  # code of the user's own: it will fail in training too
