"""What a strategy asks of the queue, and what it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ceteris.records import Record, Trial

# What a stage of a model's experiment is for: recipes or values are searched (tuning included), arms are compared with an
# incumbent block by block, baseline and best are confirmed, finals are trained. Names of stages are for people: a factor
# may be called "final".
StageKind = Literal["search", "comparison", "confirmation", "final"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials that a strategy wants for a stage, with the words that the progress display uses for them."""

    model: str
    stage: str
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]
    kind: StageKind = "search"


Records = Mapping[str, Record]  # by digest
