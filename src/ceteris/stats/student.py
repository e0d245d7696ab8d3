"""What all tests of a mean difference here have in common: an estimate, its standard error and Student's distribution."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class StudentTest:
    """A difference with its standard error, degrees of freedom and two-sided p-value against 0.

    ``p_value`` may be larger than Student's where few images differ, or where no spread is there to judge by.
    """

    difference: float
    standard_error: float
    degrees: float
    p_value: float

    @property
    def low(self) -> float:
        """Lower bound of the 95 % interval."""
        return self.interval(0.95)[0]

    @property
    def high(self) -> float:
        """Upper bound of the 95 % interval."""
        return self.interval(0.95)[1]

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the confidence interval; it holds 0 wherever the test does not refuse 0 at that level."""
        reach = float(stats.t.ppf((1 + confidence) / 2, self.degrees)) * self.standard_error
        low, high = self.difference - reach, self.difference + reach
        return (min(low, 0.0), max(high, 0.0)) if self.p_value > 1 - confidence else (low, high)

    def shares_beyond(self, margin: float) -> tuple[float, float]:
        """Return the probabilities that the true difference lies below -margin and above margin, under a flat prior.

        For the corrected t-test they are those of Benavoli, Corani, Demšar & Zaffalon (Time for a change: a tutorial for
        comparing multiple classifiers through Bayesian analysis, JMLR 18, 2017, section 3).
        """
        if not self.standard_error:
            return float(self.difference < -margin), float(self.difference > margin)
        beyond = (np.array([-margin, -margin]) + np.array([-1, 1]) * self.difference) / self.standard_error
        below, above = stats.t.cdf(beyond, self.degrees)
        return float(below), float(above)
