"""When a study ends: its queue played through with predicted times, and what comes before and after the trainings."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

# What a whole run takes besides training, on one core of a present server processor; see benchmarks/plan_accuracy.py.
_SECONDS_PREPARING = 2.0
_SECONDS_PER_REPORT = 5.0
_SECONDS_PER_MODEL_IN_REPORT = 5.0

Rounds = Sequence[Sequence[float]]


@dataclass
class _Chain:
    """One model's rounds of trainings, in seconds each; a round begins when the one before it is finished."""

    rounds: deque[Sequence[float]]
    waiting: int = 0


@dataclass
class _Queue:
    workers: int
    clock: float = 0.0
    todo: deque[tuple[float, _Chain]] = field(default_factory=deque)
    running: list[tuple[float, int, _Chain]] = field(default_factory=list)
    _number: int = 0

    def ask(self, chain: _Chain) -> None:
        while chain.rounds and not chain.waiting:
            asked = chain.rounds.popleft()
            chain.waiting = len(asked)
            self.todo.extend((seconds, chain) for seconds in asked)

    def hand_out(self) -> None:
        while self.todo and len(self.running) < self.workers:
            seconds, chain = self.todo.popleft()
            self._number += 1
            heapq.heappush(self.running, (self.clock + seconds, self._number, chain))

    def finish_one(self) -> None:
        self.clock, _, chain = heapq.heappop(self.running)
        chain.waiting -= 1
        self.ask(chain)


def queue_seconds(models: Sequence[Rounds], workers: int) -> float:
    """Return when the last training ends if every model's rounds (seconds of each training) go through one queue."""
    queue = _Queue(workers=max(1, workers))
    for rounds in models:
        queue.ask(_Chain(rounds=deque(rounds)))
    queue.hand_out()
    while queue.running:
        queue.finish_one()
        queue.hand_out()
    return queue.clock


def preparing_seconds(start_seconds: float) -> float:
    """Return what happens before the first training: checking every recipe while nothing trains, starting the workers."""
    return _SECONDS_PREPARING + start_seconds


def report_seconds(models: int, answering: float, workers: int) -> float:
    """Return what the end of a run takes: asking the finals (``answering`` seconds of one core), explaining, reporting."""
    return answering / max(1, workers) + _SECONDS_PER_REPORT + _SECONDS_PER_MODEL_IN_REPORT * models
