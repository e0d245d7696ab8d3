"""The random streams of one training as torch generators."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from ceteris.records import CrossValidationSplit, Trial
from ceteris.seeds import Role, stream_seed


@dataclass(frozen=True, kw_only=True)
class Streams:
    """One generator per role; none of them depends on the recipe, so that arms are compared on equal draws."""

    initialisation: torch.Generator
    order: torch.Generator
    augmentation: torch.Generator
    dropout: torch.Generator


def streams_of(trial: Trial) -> Streams:
    """Return the streams of a trial: functions of its seed, its fold and the role alone."""

    def stream(role: Role, device: str) -> torch.Generator:
        return torch.Generator(device).manual_seed(_seed_of(trial, role))

    device = trial.execution.device
    return Streams(
        initialisation=stream("initialisation", "cpu"),
        order=stream("order", "cpu"),
        augmentation=stream("augmentation", device),
        dropout=stream("dropout", device),
    )


@contextmanager
def seeded_global_rng(trial: Trial) -> Iterator[None]:
    """Let code that takes no generator draw from the trial's dropout stream inside the block.

    That is a user's own model with ``torch.nn.Dropout``: without this its masks would depend on what the process trained
    before. The global generators of the CPU and of the trial's CUDA device get their own states back afterwards.
    """
    device = torch.device(trial.execution.device)
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(_seed_of(trial, "dropout"))
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(_seed_of(trial, "dropout"))
        yield


def _seed_of(trial: Trial, role: Role) -> int:
    fold = trial.split.index if isinstance(trial.split, CrossValidationSplit) else 0
    seed = trial.seed if role == "initialisation" or trial.order_seed is None else trial.order_seed
    return stream_seed(seed, fold, role)
