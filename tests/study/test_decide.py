from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.example_records import example_record
from tests.study.example_study import example_context

from ceteris.findings import IncumbentBroken, Kept, SameTraining, Taken
from ceteris.records import Finished, Record
from ceteris.stats import posterior_of
from ceteris.study import Exploration
from ceteris.study.decide import Decision, accuracies, cost_of, decide

BASE = [0.80, 0.81, 0.79, 0.80, 0.82, 0.78]
MARGIN = 0.01
PLACE: dict[str, Any] = {"equivalence_margin": MARGIN, "exploration": Exploration(folds=3, seeds=2)}


def block(values: Sequence[float | None], *, flops: int = 3000) -> list[Record]:
    """One record per value; None stands for a training that diverged."""
    return [
        example_record(status="diverged") if value is None else example_record(accuracy=value, flops=flops)
        for value in values
    ]


def shifted(by: float, noise: float = 0.0) -> list[float]:
    return [value + by + noise * (-1) ** place for place, value in enumerate(BASE)]


def decided(incumbent: str, blocks: Mapping[str, Sequence[Record]], **other: Any) -> Decision:
    return decide(example_context(**PLACE | other), incumbent, blocks)


def test_the_level_that_is_expected_to_bring_the_most_is_taken() -> None:
    blocks = {
        "old": block(BASE), "good": block(shifted(0.05, 0.001)), "best": block(shifted(0.1, 0.001)),
        "bad": block(shifted(-0.1)),
    }  # fmt: skip
    decision = decided("old", blocks)
    assert decision.label == "best"
    assert isinstance(decision.reason, Taken)
    assert decision.reason.gain == pytest.approx(0.1, abs=0.01)
    assert decision.reason.chance > 0.99
    assert [decision.comparisons[label].verdict for label in ("best", "bad")] == ["better", "worse"]


def test_a_best_bet_needs_no_proof_unless_the_study_is_cautious() -> None:
    blocks = {"old": block(BASE), "new": block(shifted(0.03, 0.06))}
    for caution, label in ((0.0, "new"), (0.5, "new"), (0.99, "old")):
        decision = decided("old", blocks, caution=caution)
        assert decision.comparisons["new"].verdict == "undecided"
        assert decision.label == label
    assert isinstance(decision.reason, Kept)
    assert decision.reason.leader == "new"
    assert 0 < decision.reason.gain < 0.03
    assert 0.5 < decision.reason.chance < 0.99


def test_a_gain_that_does_not_matter_is_not_taken() -> None:
    for gain, label in ((MARGIN / 20, "old"), (MARGIN, "new")):
        assert decided("old", {"old": block(BASE), "new": block(shifted(gain, 1e-5))}).label == label


def test_a_doubling_of_the_operations_costs_a_fifth_of_the_margin() -> None:
    for flops, cost in ((3000, 0.0), (6000, MARGIN / 5), (24000, 3 * MARGIN / 5), (1500, -MARGIN / 5)):
        assert cost_of(example_context(**PLACE).study, block(BASE, flops=flops), block(BASE)) == pytest.approx(cost)
    gain = block(shifted(MARGIN / 2, 1e-5), flops=3000 * 2**3)
    assert decided("old", {"old": block(BASE), "new": gain}).label == "old"


def test_what_is_as_good_and_clearly_cheaper_is_taken() -> None:
    for flops, label in ((1000, "new"), (2900, "old")):
        decision = decided("old", {"old": block(BASE), "new": block(shifted(0.0, 0.0005), flops=flops)})
        assert decision.label == label
    blocks = {"old": block(BASE), "a": block(BASE, flops=1500), "b": block(BASE, flops=1000)}
    decision = decided("old", blocks)
    assert decision.label == "b"
    assert isinstance(decision.reason, Taken)
    assert decision.reason.gain == 0
    assert decision.reason.cost < 0


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


def test_a_level_that_failed_anywhere_is_never_taken() -> None:
    decision = decided("old", {"old": block(BASE), "new": block([*shifted(0.1, 0.001)[:5], None])})
    assert decision.label == "old"
    assert decision.comparisons["new"].blocks == 5


def test_identical_arms_differ_by_exactly_nothing_and_are_told_as_the_same_training() -> None:
    decision = decided("old", {"old": block(BASE), "same": block(BASE)})
    comparison = decision.comparisons["same"]
    assert (comparison.difference, comparison.low, comparison.high, comparison.expected_gain) == (0.0, 0.0, 0.0, 0.0)
    assert comparison.identical
    assert (comparison.verdict, decision.label) == ("equivalent", "old")
    assert decision.reason == SameTraining()


def test_a_factor_with_one_level_keeps_it() -> None:
    decision = decided("only", {"only": block(BASE)})
    assert (decision.label, decision.comparisons, decision.reason) == ("only", {}, Kept())


def test_a_level_that_left_is_compared_but_not_taken() -> None:
    blocks = {"old": block(BASE), "new": block(shifted(0.1, 0.001))}
    decision = decide(example_context(**PLACE), "old", blocks, left=["new"])
    assert decision.label == "old"
    assert decision.comparisons["new"].verdict == "better"


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
    incumbent, caution = data.draw(st.sampled_from(sorted(blocks))), data.draw(st.sampled_from([0.0, 0.5, 0.9]))
    decision = decided(incumbent, blocks, caution=caution)
    chosen, study = decision.label, example_context(**PLACE).study
    complete = {label for label, values in blocks.items() if np.isfinite(accuracies(values)).all()}
    taken = isinstance(decision.reason, Taken) or (isinstance(decision.reason, IncumbentBroken) and bool(complete))
    assert taken == (chosen != incumbent)
    assert incumbent not in decision.comparisons
    if incumbent not in complete:
        assert chosen in complete or not complete
        return
    worth = {
        label: found.expected_gain - cost_of(study, blocks[label], blocks[incumbent])
        for label, found in decision.comparisons.items()
        if label in complete
    }
    if taken:
        assert chosen in complete
        assert worth[chosen] == max(worth.values()) > MARGIN / 10
        cost = cost_of(study, blocks[chosen], blocks[incumbent])
        assert posterior_of(decision.comparisons[chosen]).chance_above(cost) >= caution
    elif worth and caution == 0:
        assert max(worth.values()) <= MARGIN / 10


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
    decision = decided("old", {"old": block(BASE), "same": block(BASE)}, equivalence_margin=margin)
    assert decision.comparisons["same"].verdict == "equivalent"
    assert decision.reason == SameTraining()
