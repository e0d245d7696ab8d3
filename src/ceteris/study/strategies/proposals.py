"""New recipes to try: what a sampler suggests, without those that were tried before and those that do not fit together."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ceteris.digests import digest_of
from ceteris.study.strategies.sampling import Sampler, search_generator
from ceteris.study.strategies.space import Drawn, Space
from ceteris.study.study import Study

_REPEATS = 5  # suggestions in a row that bring nothing new before one is drawn at random


@dataclass
class _Known:
    """One recipe that was given out: its tickets wait for a score until it has one."""

    score: float | None = None
    waiting: list[int] = field(default_factory=list)


class Proposals:
    """Hands out recipes, none twice; a suggestion that was tried before is answered with what is known of it.

    ``misfits`` counts suggestions whose values do not go together, by reason; they count as the worst seen so far.
    """

    def __init__(self, study: Study, space: Space, sampler: Sampler) -> None:
        self._space, self._sampler = space, sampler
        self._others = space.points(search_generator(study, 1))
        self._known: dict[str, _Known] = {}
        self._misfit_tickets: list[int] = []
        self.misfits: dict[str, int] = {}

    def baseline(self) -> Drawn:
        """Hand out the baseline's own recipe."""
        drawn = self._space.drawn(self._space.start)
        self._known[digest_of(self._space.baseline)] = _Known(waiting=[self._sampler.take(self._space.start)])
        return replace(drawn, recipe=self._space.baseline)

    def new(self) -> Drawn | None:
        """Hand out a recipe that was never handed out before; None when there is none left."""
        for _ in range(_REPEATS if self._space.dimensions else 0):
            ticket, point = self._sampler.ask()
            drawn = self._space.drawn(point)
            if self._is_new(drawn):
                return self._hand_out(drawn, ticket)
            self._answer(ticket, drawn)
        for point in self._others:
            drawn = self._space.drawn(point)
            if self._is_new(drawn):
                return self._hand_out(drawn, self._sampler.take(point))
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
        for ticket in self._misfit_tickets:
            self._sampler.tell(ticket, worst)
        self._misfit_tickets.clear()

    def _is_new(self, drawn: Drawn) -> bool:
        return drawn.recipe is not None and digest_of(drawn.recipe) not in self._known

    def _hand_out(self, drawn: Drawn, ticket: int) -> Drawn:
        self._known[digest_of(drawn.recipe)] = _Known(waiting=[ticket])
        return drawn

    def _answer(self, ticket: int, drawn: Drawn) -> None:
        """Tell at once what is known, else when it is."""
        if drawn.recipe is None:
            self.misfits[drawn.reason] = self.misfits.get(drawn.reason, 0) + 1
            self._misfit_tickets.append(ticket)
            return
        known = self._known[digest_of(drawn.recipe)]
        if known.score is None:
            known.waiting.append(ticket)
        else:
            self._sampler.tell(ticket, known.score)
