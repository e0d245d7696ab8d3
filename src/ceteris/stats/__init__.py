"""Statistics of controlled experiments: arrays in, frozen results out; numpy and scipy only."""

from ceteris.stats.designs import d_optimal, effect_coding, estimable_effects
from ceteris.stats.expected_gain import Posterior, expected_gain
from ceteris.stats.outcomes import (
    BlockDifference,
    BlockOutcome,
    Criterion,
    Outcomes,
    image_values,
    paired_blocks,
    weighted_outcomes,
)
from ceteris.stats.power import (
    detectable_difference,
    detectable_shift,
    equivalence_power,
    t_test_power,
)
from ceteris.stats.proportions import Interval, McNemarResult, mcnemar, wilson_interval
from ceteris.stats.racing import chance_of_lead, friedman_test
from ceteris.stats.student import StudentTest, corrected_t_test, overlap_share
from ceteris.stats.two_way import TwoWay, two_way_bootstrap, two_way_interval, two_way_test
from ceteris.stats.twopart import PairedMoments, TwoPart, judge_moments, paired_moments, two_part_test
from ceteris.stats.variance import sampling_deviation, variance_by_source
from ceteris.stats.verdicts import MORE_REPETITIONS, adjusted_claim, compare_levels, holm, posterior_of

__all__ = [
    "MORE_REPETITIONS", "BlockDifference", "BlockOutcome", "Criterion", "Interval", "McNemarResult", "Outcomes",
    "PairedMoments", "Posterior", "StudentTest", "TwoPart", "TwoWay", "adjusted_claim", "chance_of_lead",
    "compare_levels", "corrected_t_test", "d_optimal", "detectable_difference", "detectable_shift", "effect_coding",
    "equivalence_power", "estimable_effects", "expected_gain", "friedman_test", "holm", "image_values",
    "judge_moments", "mcnemar", "overlap_share", "paired_blocks", "paired_moments", "posterior_of",
    "sampling_deviation", "t_test_power", "two_part_test", "two_way_bootstrap", "two_way_interval", "two_way_test",
    "variance_by_source", "weighted_outcomes", "wilson_interval",
]  # fmt: skip
