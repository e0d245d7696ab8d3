"""What a strategy asks of the queue, and what it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass

from ceteris.records import Trial, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials that a strategy wants, with the words that the progress display uses for them."""

    model: str
    stage: str
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]


Records = Mapping[str, TrialRecord]  # by digest
