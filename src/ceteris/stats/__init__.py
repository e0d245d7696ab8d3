"""Statistics of controlled experiments: arrays in, frozen results out; numpy and scipy only."""

from ceteris.stats.bayesian import RopeProbabilities, bayesian_correlated_t_test
from ceteris.stats.bootstrap import bootstrap_accuracy, bootstrap_interval
from ceteris.stats.corrected import PairedResult, corrected_t_test, overlap_share
from ceteris.stats.curtailed import (
    Forecast,
    StoppingBounds,
    chance_of_equivalence,
    chance_of_lead,
    forecast,
    stopping_bounds,
)
from ceteris.stats.designs import d_optimal, effect_coding, estimable_effects
from ceteris.stats.effects import EffectSizes, effect_sizes, probability_of_improvement, probability_of_superiority
from ceteris.stats.five_by_two import FiveByTwoResult, five_by_two_f_test
from ceteris.stats.multiple import benjamini_hochberg, holm
from ceteris.stats.permutation import SignFlipResult, sign_flip_test
from ceteris.stats.power import (
    blocks_needed,
    blocks_to_decide,
    corrected_t_power,
    detectable_difference,
    equivalence_power,
    images_for_difference,
    images_for_interval,
)
from ceteris.stats.proportions import Interval, McNemarResult, mcnemar, wilson_interval
from ceteris.stats.ranks import FriedmanResult, WilcoxonResult, friedman_test, wilcoxon_blocks_needed, wilcoxon_test
from ceteris.stats.variance import (
    CrossedVariance,
    RunVariance,
    SourceVariance,
    crossed_variance,
    run_variance,
    sampling_deviation,
    variance_by_source,
)
from ceteris.stats.verdicts import compare_levels

__all__ = [
    "CrossedVariance",
    "EffectSizes",
    "FiveByTwoResult",
    "Forecast",
    "FriedmanResult",
    "Interval",
    "McNemarResult",
    "PairedResult",
    "RopeProbabilities",
    "RunVariance",
    "SignFlipResult",
    "SourceVariance",
    "StoppingBounds",
    "WilcoxonResult",
    "bayesian_correlated_t_test",
    "benjamini_hochberg",
    "blocks_needed",
    "blocks_to_decide",
    "bootstrap_accuracy",
    "bootstrap_interval",
    "chance_of_equivalence",
    "chance_of_lead",
    "compare_levels",
    "corrected_t_power",
    "corrected_t_test",
    "crossed_variance",
    "d_optimal",
    "detectable_difference",
    "effect_coding",
    "effect_sizes",
    "equivalence_power",
    "estimable_effects",
    "five_by_two_f_test",
    "forecast",
    "friedman_test",
    "holm",
    "images_for_difference",
    "images_for_interval",
    "mcnemar",
    "overlap_share",
    "probability_of_improvement",
    "probability_of_superiority",
    "run_variance",
    "sampling_deviation",
    "sign_flip_test",
    "stopping_bounds",
    "variance_by_source",
    "wilcoxon_blocks_needed",
    "wilcoxon_test",
    "wilson_interval",
]
