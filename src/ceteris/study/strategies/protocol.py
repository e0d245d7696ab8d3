"""What a strategy is: a generator that asks for trials, receives their records and returns the route of one model.

It neither trains nor knows who does. It decides on records alone, so that a study that was stopped takes the same way
again when it goes on.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from ceteris.findings import Candidate, FactorFinding, Interaction
from ceteris.recipe import Recipe
from ceteris.records import Trial, TrialRecord
from ceteris.study.study import StudyModel
from ceteris.study.trials import Setting


@dataclass(frozen=True, kw_only=True)
class Request:
    """Trials that a strategy wants, with the words that the progress display uses for them."""

    model: str
    stage: str
    trials: tuple[Trial, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a strategy went with one model: from the baseline to the best recipe, and what it found on the way.

    ``summary`` says in one sentence what the search did; the other fields are those of ``ModelFinding``.
    """

    model: StudyModel
    best: Recipe
    factors: tuple[FactorFinding, ...] = ()
    worth: tuple[FactorFinding, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings_saved: int = 0
    summary: str = ""


Records = Mapping[str, TrialRecord]
Search = Generator[Request, Records, Route]
Strategy = Callable[[Setting, StudyModel], Search]
