"""The measurements, each a function that runs in a process of its own and keeps what it prepared for the next round."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from ceteris.data import SplitImages, split_indices
from ceteris.records import IntArray, Record, Trial, finished
from ceteris.training.batches import ResidentImages
from ceteris.training.device import has_fast_bfloat16, one_thread
from ceteris.training.history import Run, RunImages, predict
from ceteris.training.loop import fit, train_step
from ceteris.training.population import run_population, shape_key
from ceteris.training.single import SingleTrainee, images_on_device, single_trainee
from ceteris.training.trial import standardisation_of
from ceteris.user_code import NO_IMPORTS
from fleet.networks import Load, characters, trial_of
from fleet.products import Products
from typical_loop import TypicalLoop

_STEPS_PER_EPOCH = 100  # what an epoch's end costs is shared by so many steps


@dataclass(frozen=True, kw_only=True)
class LoopTimes:
    """What the whole training loop takes and adds to its steps.

    ``step_seconds`` is a bare step with its batch, ``between_seconds`` what the loop does between two steps,
    ``epoch_seconds`` what it does at the end of an epoch, without the evaluation of held-out images.
    """

    images_per_second: float
    step_seconds: float
    between_seconds: float
    epoch_seconds: float

    @property
    def overhead(self) -> float:
        """What the loop costs beyond its bare steps, as a share of them, in epochs of 100 steps."""
        return (self.between_seconds + self.epoch_seconds / _STEPS_PER_EPOCH) / self.step_seconds


def typical_rate(network: str, load: Load, workers: int) -> float:
    """Return the images per second of the typical loop with so many loader processes and torch's default threads."""
    return _typical_loop(network, load.batch_size, load.steps, workers).images_per_second()


def single_rate(network: str, load: Load) -> float:
    """Return the images per second of one training on one core, with all that is written down on the way."""
    with one_thread():
        return load.images / _clocks(_training(network, load).whole_loop)[0]


def loop_times(network: str, load: Load, pairs: int) -> LoopTimes:
    """Return how fast one training is on one core and what its loop adds to the bare steps on the same objects.

    Loop and bare steps take turns ``pairs`` times. What the loop adds is small beside a step, so it is not the difference of
    two long times, which is noise, but looked at where it happens: between one step's end and the next one's beginning.
    """
    with one_thread():
        training = _training(network, load)
        turns = [_turn(training, swapped=bool(number % 2)) for number in range(pairs)]
    loops, bares = [loop for loop, _ in turns], [bare for _, bare in turns]
    evaluation = _clocks(training.evaluate)[0]
    return LoopTimes(
        images_per_second=load.images / median(loop.seconds for loop in loops),
        step_seconds=median(length for bare in bares for length in bare.steps()),
        between_seconds=_median_gap(loops) - _median_gap(bares),
        epoch_seconds=max(0.0, median(loop.after_the_last_step() for loop in loops) - evaluation),
    )


def _turn(training: "_Training", *, swapped: bool) -> tuple["_StepClock", "_StepClock"]:
    if swapped:  # what runs second finds warmer caches, so each is second as often as the other
        bare = training.clocked(training.bare_steps)
        return training.clocked(training.whole_loop), bare
    return training.clocked(training.whole_loop), training.clocked(training.bare_steps)


def _median_gap(clocks: Sequence["_StepClock"]) -> float:
    return median(gap for clock in clocks for gap in clock.gaps())


class _StepClock:
    """Notes when every step begins (with its forward pass) and ends (with its optimizer's step)."""

    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.seconds = 0.0
        self._began = 0.0

    @contextmanager
    def running(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Note the steps inside the block."""

        def begin(module: nn.Module, inputs: Any) -> None:
            if module.training:  # otherwise it is an evaluation
                self.begins.append(time.perf_counter())

        hooks = (
            model.register_forward_pre_hook(begin),
            optimizer.register_step_post_hook(lambda *_: self.ends.append(time.perf_counter())),
        )
        self._began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds = time.perf_counter() - self._began
            for hook in hooks:
                hook.remove()

    def steps(self) -> list[float]:
        """Return the seconds from every step's end to the next one's."""
        return [after - before for before, after in pairwise(self.ends)]

    def gaps(self) -> list[float]:
        """Return the seconds between every step's end and the next one's beginning, within epochs or across them."""
        return [begin - end for begin, end in zip(self.begins[1:], self.ends, strict=False)]

    def after_the_last_step(self) -> float:
        """Return the seconds from the last step's end to the end of the block."""
        return self._began + self.seconds - self.ends[-1]


def population_rate(network: str, load: Load, members: int) -> float:
    """Return the images per second, of all members together, of a stacked population on one core."""
    trials = [trial_of(network, load, member) for member in range(members)]
    with one_thread():
        results = run_population(trials, characters())
    return _images_per_second([result.record for result in results])


def can_be_stacked(network: str) -> bool:
    """Say whether trainings of this network can be stacked at all."""
    return shape_key(trial_of(network, Load(batch_size=1, steps=1))) is not None


def product_seconds(network: str, load: Load, passes: int) -> float:
    """Return the seconds per image that the network's matrix products and convolutions take alone on one core."""
    with one_thread():
        return _products(network, load.batch_size).seconds_per_image(passes)


def forget() -> None:
    """Let go of what was prepared for a network; loader processes end."""
    for prepared in (_typical_loop, _training, _products):
        prepared.cache_clear()


def _images_per_second(records: Sequence[Record]) -> float:
    """Every member bears its share of the population's time, so the shares add up to the whole."""
    costs = [finished(record).cost for record in records]
    images = sum(cost.training_flops / (3 * cost.forward_flops_per_image) for cost in costs)
    return images / sum(cost.train_seconds for cost in costs)


class _Training:
    """The objects of one training, so that the whole loop and its bare steps run on the same ones."""

    def __init__(self, trial: Trial, load: Load) -> None:
        fitted, others = split_indices(trial.split, characters().labels)
        held_out = others[:1]  # a single one: what evaluating costs is measured elsewhere
        self._trial = trial
        self._trainee: SingleTrainee = single_trainee(
            trial,
            characters(),
            SplitImages(fitted=fitted[: load.batch_size * load.steps], held_out=held_out),
            NO_IMPORTS,
        )
        self._held_out = _resident(trial, held_out)

    def whole_loop(self) -> None:
        """Train as every trial does, with schedule, history and the measures of every epoch."""
        held_out, classes = self._held_out, self._trainee.config.classes
        self._trainee.runs = [
            Run(self._trial, self._trainee.model, RunImages(held_out, held_out, lambda: held_out), classes)
        ]
        fit(self._trainee)

    def clocked(self, work: Callable[[], None]) -> _StepClock:
        """Return when the steps of ``work`` begin and end."""
        clock = _StepClock()
        with clock.running(self._trainee.model, self._trainee.scheduled.optimizer):
            work()
        return clock

    def evaluate(self) -> None:
        """Evaluate the held-out images as the loop does at the end of an epoch."""
        predict(self._trainee.model, self._held_out, autocast=self._trainee.config.autocast)

    def bare_steps(self) -> None:
        """Take the same number of steps on batches of the same images, and write nothing down."""
        self._trainee.model.train()
        for epoch in range(self._trainee.config.epochs):
            for batch in self._trainee.batches(epoch):
                train_step(self._trainee, batch)


def _resident(trial: Trial, indices: IntArray) -> ResidentImages:
    return images_on_device(trial, characters(), indices, *standardisation_of(trial, characters()))


def _clocks(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds on the wall and those that this process computed, which other programs disturb less."""
    began, computing = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - computing


@lru_cache(maxsize=4)
def _training(network: str, load: Load) -> _Training:
    return _Training(trial_of(network, load), load)


@lru_cache(maxsize=4)
def _typical_loop(network: str, batch_size: int, steps: int, workers: int) -> TypicalLoop:
    count = batch_size * steps
    images, labels = characters().images[:count, 0], characters().labels[:count]
    loop = TypicalLoop(network, images, labels, batch_size=batch_size, workers=workers)
    loop.epoch()  # starts the processes and fills the caches
    return loop


@lru_cache(maxsize=1)
def _products(network: str, batch_size: int) -> Products:
    load = Load(batch_size=batch_size, steps=1)
    trial = trial_of(network, load)
    chosen = np.arange(batch_size)
    images = _resident(trial, chosen)
    model = single_trainee(trial, characters(), SplitImages(fitted=chosen, held_out=chosen[:1]), NO_IMPORTS).model
    precisions = (torch.float32, torch.bfloat16) if has_fast_bfloat16("cpu") else (torch.float32,)
    return Products(model.eval(), images.slice(0, batch_size), precisions)
