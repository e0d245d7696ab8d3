"""Where to look next: points of a space, drawn evenly or by what is known so far (Optuna's samplers), no recipe twice.

Optuna is imported only when one of its samplers runs. It works in memory: a search that goes on after a stop asks and
tells all over again, with the known records, and arrives where it was.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol, assert_never

import numpy as np
from scipy.stats import qmc

from ceteris.digests import digest_of
from ceteris.seeds import stream_seed
from ceteris.study.strategies.space import Choice, Dimension, Number, Point, Sampled, Space
from ceteris.study.study import Joint, Study
from ceteris.training.device import one_thread

_REPEATS = 5  # suggestions in a row that bring nothing new before one is drawn at random
_POWERS = range(5, 31)  # Sobol sequences are even at lengths of 2, 4, 8, ...


class Sampler(Protocol):
    """Gives points to try and learns from their scores; a ticket stands for a point that was given out."""

    def ask(self) -> tuple[int, Point]:
        """Return a ticket and its point."""

    def take(self, point: Point) -> int:
        """Return the ticket of a point that somebody else chose."""

    def tell(self, ticket: int, score: float) -> None:
        """Learn what a point reached; higher is better."""


def sampler_of(study: Study, space: Space) -> Sampler:
    """Return the sampler that a joint search asks for, seeded from the study's seed."""
    assert isinstance(study.strategy, Joint)
    match study.strategy.sampler:
        case "random":
            random = search_generator(study)
            return FixedSequence(space.at(random.random(len(space.dimensions))) for _ in count())
        case "quasi-random":
            return FixedSequence(quasi_random_points(space, study))
        case "tpe" | "gp" | "cma-es":
            return _Learning(study.strategy.sampler, space, stream_seed(study.seed, 0, "search") % 2**32)
        case _:
            assert_never(study.strategy.sampler)


def search_generator(study: Study, purpose: int = 0) -> np.random.Generator:
    """Return the generator of a search's own draws, another one for every purpose."""
    return np.random.default_rng([stream_seed(study.seed, 0, "search"), purpose])


def quasi_random_points(space: Space, study: Study) -> Iterator[Point]:
    """Yield the points of a scrambled Sobol sequence (Sobol 1967; Owen 1998), which leaves smaller gaps than chance does."""
    if not space.dimensions:
        return
    given = 0
    for power in _POWERS:
        sequence = qmc.Sobol(len(space.dimensions), scramble=True, rng=search_generator(study))
        shares = sequence.random_base2(power)  # (points, dimensions); the shorter one is the beginning of the longer
        yield from (space.at(row) for row in shares[given:])
        given = len(shares)


class FixedSequence:
    """Points of a sequence that learns nothing."""

    def __init__(self, points: Iterator[Point]) -> None:
        self._points = points

    def ask(self) -> tuple[int, Point]:
        """Return the next point; all have the same ticket."""
        return 0, next(self._points)

    def take(self, point: Point) -> int:
        """Return the ticket of all points."""
        return 0

    def tell(self, ticket: int, score: float) -> None:
        """Pass over what a point reached."""


class _Learning:
    """Optuna (Akiba et al. 2019): points that were asked for and not told yet count as mediocre, so that a round spreads out.

    Tree-structured Parzen estimators (Bergstra et al. 2011), a Gaussian process, or CMA-ES (Hansen & Ostermeier 2001).
    """

    def __init__(self, kind: str, space: Space, seed: int) -> None:
        import optuna

        self._dimensions = space.dimensions
        with _quiet():
            samplers: dict[str, Callable[[], Any]] = {
                "tpe": lambda: optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
                "gp": lambda: optuna.samplers.GPSampler(seed=seed),
                "cma-es": lambda: optuna.samplers.CmaEsSampler(seed=seed),
            }
            self._study = optuna.create_study(direction="maximize", sampler=samplers[kind]())
            self._distributions = {str(place): _distribution(one) for place, one in enumerate(space.dimensions)}

    def ask(self) -> tuple[int, Point]:
        with _quiet(), one_thread():
            trial = self._study.ask(self._distributions)
        return trial.number, tuple(trial.params[str(place)] for place in range(len(self._dimensions)))

    def take(self, point: Point) -> int:
        with _quiet():
            self._study.enqueue_trial({str(place): value for place, value in enumerate(point)})
        return self.ask()[0]

    def tell(self, ticket: int, score: float) -> None:
        with _quiet():
            self._study.tell(ticket, score)


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case Choice():
            return CategoricalDistribution(dimension.labels)
        case Number(whole=True):
            return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        case Number():
            return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
        case _:
            assert_never(dimension)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log and its warnings of experimental features away: the progress display speaks for the search."""
    from optuna import logging
    from optuna.exceptions import ExperimentalWarning

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logging.set_verbosity(before)


# ---------------------------------------------------------------------------------------------------------------------
# What was tried before


@dataclass
class _Known:
    """One recipe that was given out: its tickets wait for a score until it has one."""

    score: float | None = None
    waiting: list[int] = field(default_factory=list)


class Proposals:
    """Hands out recipes, none twice; a suggestion that was tried before is answered with what is known of it.

    ``incompatible`` counts suggestions whose values do not go together, by reason; they count as the worst seen so far.
    """

    def __init__(self, study: Study, space: Space, sampler: Sampler) -> None:
        self._space, self._sampler = space, sampler
        self._others = space.points(search_generator(study, 1))
        self._known: dict[str, _Known] = {}
        self._incompatible_tickets: list[int] = []
        self.incompatible = Counter[str]()

    def take(self, count: int) -> list[Sampled]:
        """Hand out so many recipes, the baseline first of all; fewer when there are no others left."""
        taken = [] if self._known else [self.baseline()]
        while len(taken) < count and (new := self.new()):
            taken.append(new)
        return taken

    def baseline(self) -> Sampled:
        """Hand out the baseline's own recipe."""
        sampled = self._space.sampled(self._space.start)
        self._known[digest_of(self._space.baseline)] = _Known(waiting=[self._sampler.take(self._space.start)])
        return replace(sampled, recipe=self._space.baseline)

    def new(self) -> Sampled | None:
        """Hand out a recipe that was never handed out before; None when there is none left."""
        for _ in range(_REPEATS if self._space.dimensions else 0):
            ticket, point = self._sampler.ask()
            sampled = self._space.sampled(point)
            if self._is_new(sampled):
                return self._hand_out(sampled, ticket)
            if sampled.recipe is None:
                self.incompatible[sampled.reason] += 1
                self._incompatible_tickets.append(ticket)
            elif (score := self._known[digest_of(sampled.recipe)].score) is None:
                self._known[digest_of(sampled.recipe)].waiting.append(ticket)
            else:
                self._sampler.tell(ticket, score)
        for point in self._others:
            sampled = self._space.sampled(point)
            if self._is_new(sampled):
                return self._hand_out(sampled, self._sampler.take(point))
        return None

    def learn(self, scores: Mapping[str, float | None]) -> None:
        """Tell the sampler what recipes reached, by digest; None where a training did not finish."""
        seen = [known.score for known in self._known.values() if known.score is not None]
        seen += [score for score in scores.values() if score is not None]
        worst = min(seen, default=0.0)
        for digest, score in scores.items():
            known = self._known[digest]
            known.score = worst if score is None else score
            for ticket in known.waiting:
                self._sampler.tell(ticket, known.score)
            known.waiting.clear()
        for ticket in self._incompatible_tickets:
            self._sampler.tell(ticket, worst)
        self._incompatible_tickets.clear()

    def _is_new(self, sampled: Sampled) -> bool:
        return sampled.recipe is not None and digest_of(sampled.recipe) not in self._known

    def _hand_out(self, sampled: Sampled, ticket: int) -> Sampled:
        self._known[digest_of(sampled.recipe)] = _Known(waiting=[ticket])
        return sampled
