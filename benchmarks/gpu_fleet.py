"""Time populations on a CUDA device, step by step and from graphs, beside what people write, and print Markdown.

    python benchmarks/gpu_fleet.py
    python benchmarks/gpu_fleet.py --network mlp --members 1 32 --rounds 9

Every figure is the images per second that go through training, all members together, as the median of some epochs; the
first epoch, in which memory is allocated and the graph is recorded, is left out. "typical loop" is
``typical_loop.py`` with its model and its batches on the device: K models in turn go no faster than one.
"torch.vmap" trains K models of the same network as one functional model, with its images on the device as bytes. These two
run with torch's defaults, in which convolutions in float32 are rounded to TF32; ceteris computes all digits of float32.
A column "graphs" that fell back to eager steps says why under the table. Without a CUDA device it ends with status 1.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from ceteris.data import split_indices
from ceteris.records import Finished, Record
from ceteris.training import execution_of, graph, run_population
from ceteris.training.device import processor_name, wait_for
from fleet.networks import NETWORKS, TITLES, Load, characters, trial_of
from typical_loop import NETWORKS as TYPICAL
from typical_loop import TypicalLoop

MEMBERS = (1, 8, 32, 128)


def rate_of_population(
    network: str, members: int, load: Load, device: str, *, graphs: bool, precision: str
) -> tuple[float, str]:
    """Return the images per second of a population, and why it was not trained from a graph, "" if it was."""
    trials = [trial_of(network, load, member) for member in range(members)]
    recipes = [replace(trial.recipe, precision=precision) for trial in trials]  # type: ignore[arg-type]
    trials = [
        replace(trial, recipe=recipe, execution=execution_of(recipe, device))
        for trial, recipe in zip(trials, recipes, strict=True)
    ]
    if graphs:
        records = [result.record for result in run_population(trials, characters())]
    else:
        with patch.object(graph, "graphs_on", lambda device, refusal: graph.Graphs()):
            records = [result.record for result in run_population(trials, characters())]
    note = records[0].environment.get("cuda_graph", "not used: no CUDA device")
    return _rate_of(records, load), "" if note == "used" else note


def _rate_of(records: Sequence[Record], load: Load) -> float:
    """Every member bears an equal share of the seconds of its population."""
    trained = [record.epochs.seconds for record in records if isinstance(record, Finished) is not None]
    assert len(trained) == len(records), [record.error for record in records]
    epoch = float(np.median(np.diff(np.sum(trained, axis=0))))
    fitted = len(split_indices(records[0].trial.split, characters().labels)[0]) // load.batch_size * load.batch_size
    return len(records) * fitted / epoch


class DeviceLoop(TypicalLoop):
    """The typical loop with its model and its batches on a device, read from pinned memory."""

    def __init__(self, network: str, load: Load, device: str, workers: int) -> None:
        count = load.batch_size * load.steps
        images, labels = characters().images[:count, 0], characters().labels[:count]
        super().__init__(network, images, labels, batch_size=load.batch_size, workers=workers)
        self.model.to(device)
        self.loader.pin_memory = device.startswith("cuda")
        self.device = torch.device(device)

    def epoch(self) -> float:
        """Train for one epoch and return its mean loss, which waits for the device."""
        self.model.train()
        total = torch.zeros((), device=self.device)
        for images, labels in self.loader:
            images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach()
        return float(total) / len(self.loader)


class FunctionalFleet:
    """K models of one network as one functional model under ``torch.vmap``, each with batches of its own."""

    def __init__(self, network: str, members: int, load: Load, device: str) -> None:
        make_model, make_optimizer = TYPICAL[network]
        models = [make_model().to(device).train() for _ in range(members)]
        for model in models:
            torch.func.replace_all_batch_norm_modules_(model)  # torch.vmap cannot keep running statistics
        stacked, self.buffers = torch.func.stack_module_state(models)
        self.parameters: dict[str, Tensor] = {name: nn.Parameter(values.detach()) for name, values in stacked.items()}
        self.optimizer = make_optimizer(nn.ParameterList(self.parameters.values()))
        self.members, self.load = members, load
        count = load.batch_size * load.steps
        self.pixels = torch.from_numpy(characters().images[:count].astype(np.uint8)).to(device)
        self.labels = torch.from_numpy(characters().labels[:count]).to(device)
        skeleton = make_model().to("meta").train()
        torch.func.replace_all_batch_norm_modules_(skeleton)

        def loss_of(
            parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor, labels: Tensor
        ) -> Tensor:
            logits = torch.func.functional_call(skeleton, (parameters, buffers), (images,))
            return nn.functional.cross_entropy(logits, labels)

        self.losses = torch.vmap(loss_of, randomness="different")

    def epoch(self) -> float:
        """Train for one epoch and return the mean loss of all members, which waits for the device."""
        count = len(self.labels)
        orders = torch.stack([torch.randperm(count) for _ in range(self.members)]).to(self.labels.device)
        total = torch.zeros((), device=self.labels.device)
        for places in torch.split(orders, self.load.batch_size, dim=1):
            images = self.pixels[places].to(torch.float32).div_(255).sub_(0.1745).div_(0.3327)
            losses = self.losses(self.parameters, self.buffers, images, self.labels[places])
            self.optimizer.zero_grad()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += losses.detach().mean()
        return float(total) / self.load.steps

    def images_per_second(self) -> float:
        """Train for one epoch and return how many images of all members went through in a second."""
        began = time.perf_counter()
        self.epoch()
        return self.members * len(self.labels) / (time.perf_counter() - began)


def median_rate(loop: DeviceLoop | FunctionalFleet, device: str, rounds: int) -> float:
    """Return the median of some epochs after a first one that allocates."""
    loop.epoch()
    wait_for(torch.device(device))
    return statistics.median(loop.images_per_second() for _ in range(rounds))


def told(rate: Callable[[], float]) -> str:
    """Return a rate for the table, or that the memory did not suffice for it."""
    try:
        return f"{rate():,.0f}"
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return "out of memory"


def table(
    networks: Sequence[str], members: Sequence[int], load: Load, device: str, *, workers: int, precision: str
) -> str:
    """Measure everything and return it as Markdown; ``load.epochs`` counts the first one, too."""
    rounds = load.epochs - 1
    lines = [
        "| network | K | eager | graphs | graphs / eager | typical loop | torch.vmap |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    notes: list[str] = []
    for network in networks:
        typical = told(lambda name=network: median_rate(DeviceLoop(name, load, device, workers), device, rounds))  # type: ignore[misc]
        for count in members:
            eager, _ = rate_of_population(network, count, load, device, graphs=False, precision=precision)
            graphed, note = rate_of_population(network, count, load, device, graphs=True, precision=precision)
            functional = told(
                lambda name=network, k=count: median_rate(FunctionalFleet(name, k, load, device), device, rounds)  # type: ignore[misc]
            )
            lines.append(
                f"| {TITLES[network]} | {count} | {eager:,.0f} | {graphed:,.0f} | {graphed / eager:.2f} "
                f"| {typical} | {functional} |"
            )
            notes += [f"{TITLES[network]}, K = {count}: graph {note}"] if note else []
    return "\n".join([*lines, "", *notes])


def hardware() -> str:
    """Return what was measured on, in one line."""
    return (
        f"{torch.cuda.get_device_name()}, {processor_name()}, torch {torch.__version__} "
        f"(CUDA {torch.version.cuda}), Python {platform.python_version()}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=list(NETWORKS), nargs="+", default=list(NETWORKS))
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS), help="sizes of a population")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60, help="batches of an epoch")
    parser.add_argument("--rounds", type=int, default=5, help="epochs whose median is told")
    parser.add_argument("--workers", type=int, default=4, help="DataLoader processes of the typical loop")
    chosen = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("gpu_fleet: this measures CUDA graphs and needs a CUDA device, and torch sees none.", file=sys.stderr)
        return 1
    load = Load(batch_size=chosen.batch_size, steps=chosen.steps, epochs=chosen.rounds + 1)
    print(f"{hardware()}. Images/s, medians of {chosen.rounds}, {chosen.precision}, batches of {chosen.batch_size}.\n")
    print(table(chosen.network, chosen.members, load, "cuda", workers=chosen.workers, precision=chosen.precision))
    return 0


if __name__ == "__main__":
    sys.exit(main())
