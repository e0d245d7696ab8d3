"""What a strategy is: a generator that asks for trials, receives their records and returns the route of one model.

It neither trains nor knows who does. It decides on records alone, so that a study that was stopped takes the same way
again when it goes on.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

from ceteris.execution.queue import Records, Request
from ceteris.findings import Candidate, FactorFinding, Interaction, SearchSummary
from ceteris.recipe import Recipe
from ceteris.study.study import ModelSpec
from ceteris.study.trials import ExperimentContext


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Where a strategy went with one model: from the baseline to the best recipe, and what it found on the way.

    The fields are those of ``ModelFinding``.
    """

    model: ModelSpec
    best: Recipe
    search: SearchSummary
    factors: tuple[FactorFinding, ...] = ()
    worth: tuple[FactorFinding, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trainings_saved: int = 0


Search = Generator[Request, Records, SearchResult]
Strategy = Callable[[ExperimentContext, ModelSpec], Search]
