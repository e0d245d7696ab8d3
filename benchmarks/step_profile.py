"""Say where the time of a training step goes, what augmentation adds to it, and what evaluating costs, as Markdown.

    python benchmarks/step_profile.py

One thread, the four networks of `ceteris bench`, batches of 128. Operations come from torch.profiler (each its own time
without what it calls); augmentation is a shift, a rotation and a cutout; a training evaluates its held-out images, a
quarter as many as it trains on in 5-fold cross-validation, after every epoch. Medians of rounds in which all is measured in
turn.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from ceteris.data import SplitImages, standardisation
from ceteris.recipe import Recipe
from ceteris.training.batches import Batch
from ceteris.training.device import one_thread
from ceteris.training.history import predict
from ceteris.training.loop import train_step
from ceteris.training.single import images_on_device, single_trainee
from ceteris.user_code import NO_IMPORTS
from fleet.networks import NETWORKS, TITLES, Load, characters, trial_of

AUGMENTATION = ({"kind": "shift", "fraction": 0.08}, {"kind": "rotate", "degrees": 10.0}, {"kind": "cutout"})
GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "convolutions": ("mkldnn_convolution", "convolution_backward", "convolution"),
    "batch normalisation": ("batch_norm",),
    "pooling": ("pool",),
    "activation": ("relu", "clamp_min", "threshold", "leaky"),
    "dropout": ("random_", "aten::ge"),
    "optimizer": ("optimizer.", "_fused_", "_foreach"),
    "loss": ("softmax", "nll_loss"),
    "images to floats": ("index_select", "aten::_to_copy", "aten::copy_"),
    "autograd": ("autograd::", "aten::zeros", "aten::add_"),
}


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description="Where the time of a training step goes.")
    parser.add_argument("--network", action="append", choices=NETWORKS, help="only this one; repeatable")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chosen = options.network or list(NETWORKS)
    with one_thread():
        steps = {network: Step(network, options.batch_size) for network in chosen}
        print_table(
            ["share of a step, %", *GROUPS, "rest"], [profile_row(TITLES[name], it) for name, it in steps.items()]
        )
        augmented = {
            network: Step(network, options.batch_size, AUGMENTATION) for network in chosen if network != "resnet"
        }
        titles = ["", "a step, ms", "augmented step, ms", "augmentation, % of the step"]
        print_table(titles, [cost_row(TITLES[name], steps[name], it, options.rounds) for name, it in augmented.items()])
        titles = ["", "training, µs per image", "evaluation, µs per image", "evaluation, % of a 5-fold training"]
        print_table(titles, [evaluation_row(TITLES[name], it, options.rounds) for name, it in steps.items()])


class Step:
    """One training step on one batch of made-up images."""

    def __init__(self, network: str, batch_size: int, augmentation: Sequence[dict[str, Any]] = ()) -> None:
        trial = trial_of(network, Load(batch_size=batch_size, steps=1))
        changed = Recipe(**NETWORKS[network] | {"augmentation": augmentation}, batch_size=batch_size, precision="auto")
        trial = replace(trial, recipe=changed)
        chosen = np.arange(batch_size)
        self.trainee = single_trainee(trial, characters(), SplitImages(fitted=chosen, held_out=chosen[:1]), NO_IMPORTS)
        self.images = images_on_device(trial, characters(), chosen, *standardisation(characters().images, chosen))
        self.batch = Batch(0.0, torch.arange(batch_size), self.images.labels)
        self.trainee.model.train()

    def train(self) -> None:
        train_step(self.trainee, self.batch)

    def evaluate(self) -> None:
        predict(self.trainee.model, self.images, autocast=self.trainee.config.autocast)
        self.trainee.model.train()

    def repetitions(self) -> int:
        """Return how many steps take about a tenth of a second."""
        self.train()
        return max(1, round(0.1 / seconds(self.train, 1)))


def profile_row(title: str, step: Step) -> list[str]:
    repetitions = step.repetitions()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(repetitions):
            step.train()
    times = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    whole, shares = sum(times.values()), []
    for parts in GROUPS.values():
        found = [key for key in times if any(part in key.lower() for part in parts)]
        shares.append(100 * sum(times.pop(key) for key in found) / whole)
    return [title, *(f"{share:.0f}" for share in shares), f"{100 - sum(shares):.0f}"]


def cost_row(title: str, plain: Step, augmented: Step, rounds: int) -> list[str]:
    repetitions = plain.repetitions()
    augmented.train()
    pairs = [(seconds(plain.train, repetitions), seconds(augmented.train, repetitions)) for _ in range(rounds)]
    share = median(dear / cheap - 1 for cheap, dear in pairs)
    plain_ms, augmented_ms = (1e3 * median(column) for column in zip(*pairs, strict=True))
    return [title, f"{plain_ms:.2f}", f"{augmented_ms:.2f}", f"{100 * share:.0f}"]


def evaluation_row(title: str, step: Step, rounds: int) -> list[str]:
    repetitions = step.repetitions()
    step.evaluate()
    pairs = [(seconds(step.train, repetitions), seconds(step.evaluate, repetitions)) for _ in range(rounds)]
    share = median(evaluating / training / 4 for training, evaluating in pairs)
    training_us, evaluating_us = (1e6 * median(column) / len(step.images) for column in zip(*pairs, strict=True))
    return [title, f"{training_us:,.1f}", f"{evaluating_us:,.1f}", f"{100 * share:.0f}"]


def seconds(work: Callable[[], None], repetitions: int) -> float:
    """Return the computing seconds of one call."""
    began = time.process_time()
    for _ in range(repetitions):
        work()
    return (time.process_time() - began) / repetitions


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (titles, ["---", *["--:"] * (len(titles) - 1)], *rows):
        print(f"| {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
