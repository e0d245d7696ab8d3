"""What a race asks of the blocks so far: do its arms differ at all, and who will lead when all blocks are trained?"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.arguments import all_equal, paired_differences


@dataclass(frozen=True, kw_only=True)
class FriedmanResult:
    """Mean ranks (arms,), 1 is best; chi-square corrected for ties, and Iman & Davenport's F, of which ``p_value`` is taken."""

    mean_ranks: FloatArray
    chi_square: float
    statistic: float
    p_value: float


def friedman_test(results: ArrayLike) -> FriedmanResult:
    """Rank the arms inside every block of results (blocks, arms), higher is better, and test whether all are alike.

    Friedman (1937) with the F of Iman & Davenport (1980), as Demšar (Statistical comparisons of classifiers over multiple
    data sets, JMLR 7, 2006) describes them. The blocks must be independent.

    Raises:
        ConfigError: fewer than 2 blocks or arms, or a result that is not finite.
    """
    table = np.asarray(results, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ConfigError(
            f"Friedman's test needs finite results (blocks, arms) of at least 2 blocks and 2 arms, received {table.shape}"
        )
    blocks, arms = table.shape
    ranks = stats.rankdata(-table, axis=1)  # (blocks, arms)
    total = float(((ranks - (arms + 1) / 2) ** 2).sum()) / (arms - 1)
    between = blocks**2 * float(((ranks.mean(axis=0) - (arms + 1) / 2) ** 2).sum())
    chi_square = between / total if total > 0 else 0.0
    rest = blocks * (arms - 1) - chi_square
    if rest <= 1e-9 * blocks:
        # All blocks rank the arms alike: the chance of that among the arms! orders of every block.
        statistic, p_value = float("inf"), float(factorial(arms)) ** (1 - blocks)
    else:
        statistic = (blocks - 1) * chi_square / rest
        p_value = float(stats.f.sf(statistic, arms - 1, (arms - 1) * (blocks - 1)))
    return FriedmanResult(mean_ranks=ranks.mean(axis=0), chi_square=chi_square, statistic=statistic, p_value=p_value)


def chance_of_lead(differences: ArrayLike, *, of: int, lead: float = 0.0) -> float:
    """Return how probably the mean difference over all blocks will exceed ``lead``.

    Predictive probabilities of stochastic curtailment (Spiegelhalter, Freedman & Blackburn, Monitoring clinical trials:
    conditional or predictive power?, Controlled Clinical Trials 7, 1986): the mean of all ``of`` blocks is, given the first n,
    Student-distributed around theirs with n - 1 degrees of freedom and scale sqrt((1/n - 1/of) * variance); what is
    common to all blocks of the study is in both means.

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
