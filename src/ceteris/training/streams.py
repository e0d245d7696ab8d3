"""The random streams of one training as torch generators."""

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
    fold = trial.split.index if isinstance(trial.split, CrossValidationSplit) else 0

    def stream(role: Role, device: str) -> torch.Generator:
        return torch.Generator(device).manual_seed(stream_seed(trial.seed, fold, role))

    device = trial.execution.device
    return Streams(
        initialisation=stream("initialisation", "cpu"),
        order=stream("order", "cpu"),
        augmentation=stream("augmentation", device),
        dropout=stream("dropout", device),
    )
