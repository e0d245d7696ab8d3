from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.example_records import example_record
from tests.study.example_study import example_study

from ceteris.findings import Better, Cheaper, IncumbentBroken, NoneBetter
from ceteris.records import Finished, Record
from ceteris.study.decide import Decision, accuracies, decide

STUDY = replace(example_study(), equivalence_margin=0.01)
BASE = [0.80, 0.81, 0.79, 0.80, 0.82, 0.78]
STEADY = replace(STUDY, exploration=replace(STUDY.exploration, folds=3, seeds=2))


def block(values: Sequence[float | None], *, flops: int = 3000) -> list[Record]:
    """One record per value; None stands for a training that diverged."""
    return [
        example_record(status="diverged") if value is None else example_record(accuracy=value, flops=flops)
        for value in values
    ]


def shifted(by: float, noise: float = 0.0) -> list[float]:
    return [value + by + noise * (-1) ** place for place, value in enumerate(BASE)]


def decided(incumbent: str, blocks: Mapping[str, Sequence[Record]]) -> Decision:
    return decide(STEADY, incumbent, blocks)


def test_a_level_that_is_better_by_more_than_the_noise_is_kept() -> None:
    decision = decided("old", {"old": block(BASE), "new": block(shifted(0.1, 0.001))})
    assert decision.label == "new"
    assert decision.comparisons["new"].verdict == "better"
    assert decision.reason == Better()


def test_of_several_better_levels_the_highest_mean_is_kept() -> None:
    blocks = {
        "old": block(BASE), "good": block(shifted(0.05, 0.001)), "best": block(shifted(0.1, 0.001)),
        "bad": block(shifted(-0.1)),
    }  # fmt: skip
    decision = decided("old", blocks)
    assert decision.label == "best"
    assert decision.comparisons["bad"].verdict == "worse"


def test_an_undecided_level_does_not_replace_the_incumbent_however_high_its_mean() -> None:
    decision = decided("old", {"old": block(BASE), "new": block(shifted(0.03, 0.08), flops=1)})
    assert decision.comparisons["new"].verdict == "undecided"
    assert decision.label == "old"
    assert isinstance(decision.reason, NoneBetter)
    assert decision.reason.leader == "new"
    assert decision.reason.lead == pytest.approx(0.03)


def test_an_equivalent_level_is_kept_only_when_it_is_clearly_cheaper() -> None:
    for flops, kept in ((2000, "new"), (2690, "new"), (2710, "old"), (3000, "old"), (9000, "old")):
        decision = decided("old", {"old": block(BASE), "new": block(shifted(0.0, 0.0005), flops=flops)})
        assert decision.comparisons["new"].verdict == "equivalent"
        assert decision.label == kept
    reason = decide_cheaper().reason
    assert isinstance(reason, Cheaper)
    assert reason.saved == pytest.approx(1 / 3)


def decide_cheaper() -> Decision:
    return decided("old", {"old": block(BASE), "new": block(BASE, flops=2000)})


def test_of_several_cheaper_equivalents_the_cheapest_is_kept() -> None:
    blocks = {
        "old": block(BASE),
        "a": block(BASE, flops=2000),
        "b": block(BASE, flops=1000),
        "c": block(BASE, flops=1500),
    }
    assert decided("old", blocks).label == "b"


def test_better_counts_more_than_cheaper() -> None:
    blocks = {"old": block(BASE), "cheap": block(BASE, flops=1), "good": block(shifted(0.1, 0.001), flops=90000)}
    assert decided("old", blocks).label == "good"


def test_a_broken_incumbent_is_replaced_by_the_best_level_that_finished_everywhere() -> None:
    blocks = {
        "old": block([*BASE[:5], None]), "low": block(shifted(-0.3)), "high": block(shifted(-0.2)),
        "torn": block([None, *shifted(0.1)[1:]]),
    }  # fmt: skip
    decision = decided("old", blocks)
    assert decision.label == "high"
    assert decision.reason == IncumbentBroken(broken=1, blocks=6)


def test_when_nothing_finished_the_incumbent_stays_and_the_reason_says_why() -> None:
    decision = decided("old", {"old": block([None] * 6), "new": block([None] * 6)})
    assert (decision.label, decision.comparisons) == ("old", {})
    assert decision.reason == IncumbentBroken(broken=6, blocks=6)


def test_a_level_that_failed_anywhere_is_never_kept() -> None:
    decision = decided("old", {"old": block(BASE), "new": block([*shifted(0.1, 0.001)[:5], None])})
    assert decision.label == "old"
    assert decision.comparisons["new"].blocks == 5


def test_identical_arms_differ_by_exactly_nothing() -> None:
    decision = decided("old", {"old": block(BASE), "same": block(BASE)})
    comparison = decision.comparisons["same"]
    assert (comparison.difference, comparison.low, comparison.high) == (0.0, 0.0, 0.0)
    assert (comparison.verdict, decision.label) == ("equivalent", "old")


def test_a_factor_with_one_level_keeps_it() -> None:
    decision = decided("only", {"only": block(BASE)})
    assert (decision.label, decision.comparisons) == ("only", {})


def test_accuracies_of_unfinished_trainings_are_missing() -> None:
    np.testing.assert_array_equal(accuracies(block([0.5, None])), [0.5, np.nan])


SCORES = st.one_of(st.none(), st.integers(0, 1000).map(lambda thousandths: thousandths / 1000))
BLOCKS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]),
    st.tuples(st.lists(SCORES, min_size=6, max_size=6), st.integers(1, 10**6)),
    min_size=1,
).map(lambda arms: {label: block(values, flops=flops) for label, (values, flops) in arms.items()})


@settings(max_examples=120, deadline=None)
@given(BLOCKS, st.data())
def test_whatever_happens_the_choice_keeps_its_promises(blocks: dict[str, list[Record]], data: st.DataObject) -> None:
    incumbent = data.draw(st.sampled_from(sorted(blocks)))
    decision = decided(incumbent, blocks)
    chosen, results = decision.label, {label: accuracies(values) for label, values in blocks.items()}
    complete = {label for label, values in results.items() if np.isfinite(values).all()}
    stays = isinstance(decision.reason, NoneBetter) or (isinstance(decision.reason, IncumbentBroken) and not complete)
    assert stays == (chosen == incumbent)
    assert incumbent not in decision.comparisons
    if chosen == incumbent:
        better = {label for label, comparison in decision.comparisons.items() if comparison.verdict == "better"}
        assert incumbent not in complete or not better & complete
        return
    assert chosen in complete
    if incumbent in complete:
        verdict = decision.comparisons[chosen].verdict
        assert verdict in ("better", "equivalent")
        assert verdict == "equivalent" or results[chosen].mean() > results[incumbent].mean()


@settings(max_examples=40, deadline=None)
@given(BLOCKS)
def test_the_order_of_the_levels_decides_nothing_but_exact_ties(blocks: dict[str, list[Record]]) -> None:
    means = [float(np.nan_to_num(accuracies(values), nan=-1).sum()) for values in blocks.values()]
    costs = [
        sum(record.cost.training_flops for record in values if isinstance(record, Finished))
        for values in blocks.values()
    ]
    if len(set(means)) < len(means) or len(set(costs)) < len(costs):
        return
    incumbent = min(blocks)
    turned = dict(reversed(blocks.items()))
    assert decided(incumbent, turned).label == decided(incumbent, blocks).label


@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_ties_stay_ties_without_a_margin(margin: float) -> None:
    study = replace(STEADY, equivalence_margin=margin)
    assert decide(study, "old", {"old": block(BASE), "same": block(BASE)}).comparisons["same"].verdict == "equivalent"
