"""Block after block, all arms side by side; an arm leaves when its verdict on all blocks is all but certain.

The verdicts are those of the test that the full design would end with, so that looking after every block does not make
chance differences significant: see :mod:`ceteris.stats.curtailed`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ceteris.execution.populations import NEVER
from ceteris.execution.queue import Records, Request
from ceteris.findings import Better, Elimination, FactorPath
from ceteris.recipe import Recipe
from ceteris.records import Trial
from ceteris.study.decide import Decision, accuracies, decide, is_cheaper
from ceteris.study.strategies.comparing import Trained, looks_of, until_decided
from ceteris.study.strategies.evidence import request_of
from ceteris.study.strategies.greedy import greedy
from ceteris.study.strategies.one_at_a_time import one_at_a_time
from ceteris.study.strategies.protocol import Search
from ceteris.study.strategies.purse import Purse
from ceteris.study.strategies.race_departures import RaceRules, Standings
from ceteris.study.study import ModelSpec, Race
from ceteris.study.trials import ExperimentContext, exploration_trials


@dataclass
class _Count:
    """Digests of the trainings of the full design, and of those that the race asked for."""

    design: set[str] = field(default_factory=set)
    trained: set[str] = field(default_factory=set)

    @property
    def saved(self) -> int:
        return len(self.design - self.trained)


@dataclass(frozen=True, kw_only=True)
class _Course:
    """The blocks of the design for every arm, what was trained of them so far, and who pays and counts."""

    trials: Mapping[str, Sequence[Trial]]
    blocks: Trained
    purse: Purse
    count: _Count


def race(setting: ExperimentContext, model: ModelSpec) -> Search:
    """Explore one model's factors, racing the levels of each against the best so far or against the baseline."""
    strategy = setting.study.strategy
    assert isinstance(strategy, Race), f"a race was asked for by {strategy.kind}"
    # The folds of an arm are not trained together: it may leave between two of them.
    setting = replace(setting, stacking=NEVER)
    count = _Count()

    def compare(
        setting: ExperimentContext, model: str, stage: str, arms: Mapping[str, Recipe], incumbent: str, purse: Purse
    ) -> Generator[Request, Records, tuple[Trained, Decision]]:
        return _race_arms(setting, model, stage, arms, incumbent, purse, strategy, count)

    if strategy.along == "greedy":
        route = yield from greedy(setting, model, compare=compare)
    else:
        route = yield from one_at_a_time(setting, model, compare=compare)
    assert isinstance(route.search, FactorPath)
    return replace(route, trainings_saved=count.saved, search=replace(route.search, raced=len(count.design)))


def _race_arms(
    setting: ExperimentContext,
    model: str,
    stage: str,
    arms: Mapping[str, Recipe],
    incumbent: str,
    purse: Purse,
    strategy: Race,
    count: _Count,
) -> Generator[Request, Records, tuple[Trained, Decision]]:
    """Race the arms through the blocks of the design and decide; then go on with what is undecided, as the setting says."""
    trials = {label: exploration_trials(setting, recipe) for label, recipe in arms.items()}
    course = _Course(trials=trials, blocks={label: [] for label in arms}, purse=purse, count=count)
    count.design.update(trial.digest for of_arm in trials.values() for trial in of_arm)
    standings = Standings(rules=_rules(setting, strategy), incumbent=incumbent, running=list(arms))
    yield from _run(model, stage, course, standings, strategy.first)
    decision = decide(setting.study, incumbent, course.blocks, looks=looks_of(setting))
    if incumbent in standings.running:
        decision = yield from until_decided(setting, model, stage, arms, incumbent, purse, course.blocks, decision)
    return course.blocks, replace(_settled(decision, standings), eliminations=_eliminations(standings))


def _rules(setting: ExperimentContext, strategy: Race) -> RaceRules:
    study = setting.study
    return RaceRules(
        blocks=study.exploration.folds * study.exploration.seeds,
        folds=study.exploration.folds,
        significance=study.significance / looks_of(setting),
        margin=study.equivalence_margin,
        test=strategy.test,
    )


def _run(
    model: str, stage: str, course: _Course, standings: Standings, first: int
) -> Generator[Request, Records, None]:
    """Train the first blocks, then one after another, until the design ends or nobody is left; fill up with None."""
    done, design = 0, standings.rules.blocks
    alone = standings.over  # a factor without another level: its incumbent runs through the design
    while done < design and (alone or not standings.over):
        following = design if alone else min(max(done + 1, first), design)
        yield from _train(model, stage, course, standings.running, range(done, following))
        done = following
        if done < design:
            results = {label: accuracies(course.blocks[label]) for label in standings.running}
            standings.look(results, _cheaper(course.blocks, standings))
    for block in course.blocks.values():
        block += [None] * (design - done)


def _train(
    model: str, stage: str, course: _Course, running: Sequence[str], numbers: range
) -> Generator[Request, Records, None]:
    """Train who still runs on some blocks; everybody's list grows alike."""
    asked = {label: course.trials[label][numbers.start : numbers.stop] for label in running}
    records = yield request_of(model, stage, asked, "comparison")
    for label, block in course.blocks.items():
        digests = [trial.digest for trial in asked.get(label, ())]
        new = [records[digest] for digest in digests]
        course.purse.charge(new)
        course.count.trained.update(digests)
        block += new or [None] * len(numbers)


def _cheaper(blocks: Trained, standings: Standings) -> list[str]:
    return [label for label in standings.undecided if is_cheaper(blocks[label], blocks[standings.incumbent])]


def _settled(decision: Decision, standings: Standings) -> Decision:
    """Keep the winner of the race: a mean over few blocks may flatter an arm that was overtaken later."""
    overtaken = [label for label, departure in standings.left.items() if departure.fate == "overtaken"]
    if decision.label not in overtaken:
        return decision
    better = {
        label: found.difference
        for label, found in decision.comparisons.items()
        if found.verdict == "better" and label not in overtaken
    }
    if not better:
        return decision
    best = max(better, key=lambda label: better[label])
    return replace(decision, label=best, reason=Better())


def _eliminations(standings: Standings) -> tuple[Elimination, ...]:
    return tuple(
        Elimination(label=label, blocks=departure.blocks, design=standings.rules.blocks, reason=departure.fate)
        for label, departure in standings.left.items()
    )
