"""What a change is expected to be worth, and how probably it helps: by these a recipe is chosen, not by a test.

A choice between recipes needs no proof: it can be taken back, and what was chosen is tested afterwards on data that had no
part in it. The best bet is the posterior mean. Most changes matter little, some matter, few matter much; the prior says so
in units of the incumbent's error e (its loss, where that is what counts): a mixture of normal distributions around 0 with
standard deviations 0.06 e (half of all changes), 0.4 e (35 %) and 1.2 e (15 %).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from ceteris.errors import ConfigError
from ceteris.records import FloatArray
from ceteris.stats.arguments import check_not_negative

PRIOR_WEIGHTS = np.array([0.50, 0.35, 0.15])
PRIOR_SCALES = np.array([0.06, 0.4, 1.2])  # in units of the incumbent's error


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What is believed of a true difference after the data: a mixture of normals, (3,) each; ``gain`` is its mean."""

    gain: float
    weights: FloatArray
    means: FloatArray
    deviations: FloatArray

    @property
    def chance(self) -> float:
        """The chance that the level is better, 0..1; a half where nothing speaks for either."""
        return self.chance_above(0.0)

    def chance_above(self, value: float) -> float:
        """Return the chance that the true difference exceeds a value; a half where it is certain to equal it."""
        ahead = self.means - value
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(ahead == 0, 0.0, ahead / self.deviations)
        return float(self.weights @ special.ndtr(z))


def expected_gain(difference: float, standard_error: float, *, error: float) -> Posterior:
    """Return the posterior of a true difference that was measured with a standard error.

    Args:
        difference: level minus incumbent, higher is better.
        standard_error: of the difference as a choice weighs it, see ``TwoPart.choice_error``.
        error: of the incumbent, 1 - accuracy or its loss, in the unit of the difference.

    Raises:
        ConfigError: a standard error or an error that is negative or not finite.
    """
    check_not_negative("standard_error", standard_error)
    check_not_negative("error", error)
    if not np.isfinite(difference):
        raise ConfigError(f"difference must be a finite number, received {difference}")
    prior, noise = (PRIOR_SCALES * error) ** 2, standard_error**2
    total = np.maximum(prior + noise, np.finfo(np.float64).tiny)
    fit = np.log(PRIOR_WEIGHTS) - (np.log(total) + difference**2 / total) / 2
    weights = np.exp(fit - fit.max())
    weights /= weights.sum()
    means = difference * (prior / total if noise else np.ones_like(prior))
    deviations = np.sqrt(prior * noise / total)
    return Posterior(gain=float(weights @ means), weights=weights, means=means, deviations=deviations)
