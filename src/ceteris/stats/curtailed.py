"""Stochastic curtailment: what all blocks of a design will say, by the first of them.

A comparison may end as soon as its outcome is all but certain (Lan, Simon & Halperin, Stochastically curtailed tests in
long-term clinical trials, Sequential Analysis 1, 1982), by predictive probabilities (Spiegelhalter, Freedman & Blackburn,
Monitoring clinical trials: conditional or predictive power?, Controlled Clinical Trials 7, 1986).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ceteris.errors import ConfigError
from ceteris.stats.arguments import all_equal, paired_differences


def chance_of_lead(differences: ArrayLike, *, of: int, lead: float = 0.0) -> float:
    """Return how probably the mean difference over all blocks will exceed ``lead``.

    The mean of all ``of`` blocks is, given the first n, Student-distributed around theirs with n - 1 degrees of freedom and
    scale sqrt((1/n - 1/of) * variance); what is common to all blocks of the study is in both means.

    Raises:
        ConfigError: fewer than 2 differences, one that is not finite, or not fewer than ``of``.
    """
    values = paired_differences(differences, purpose="a forecast")
    blocks = len(values)
    if blocks >= of:
        raise ConfigError(f"blocks must be at least 2 and fewer than all {of}, received {blocks}")
    ahead = float(values.mean()) - lead
    if all_equal(values):
        return float(ahead > 0)
    return float(special.stdtr(blocks - 1, ahead / np.sqrt((1 / blocks - 1 / of) * values.var(ddof=1))))
