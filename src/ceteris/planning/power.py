"""What a planned comparison can find out, and what it is expected to bring, before anything is trained.

Two recipes differ on the held-out images that exactly one of them answers rightly: a share of all. This share, and how much
more blocks vary than their images explain, go into the formulas of the test that will be made. Both are taken from the
store, where trials of this model family on this data and design lie. Otherwise they are assumed from an error rate e, the
smallest one seen, or half a percent per class (10 to 50 %):

    share = 0.27 sqrt(e (1 - e))     blocks vary 1.4 times as much as their images explain

which were measured on real networks (docs/methodology.md, "What a plan rests on").
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import stats

from ceteris.data import ImageSet, split_images
from ceteris.digests import digest_of
from ceteris.records import CrossValidationSplit, Finished, FloatArray, Trial
from ceteris.stats import detectable_difference, overlap_share
from ceteris.stats.expected_gain import PRIOR_SCALES, PRIOR_WEIGHTS, expected_gain
from ceteris.stats.twopart import PERSISTENT, PairedMoments, judge_moments, training_variance
from ceteris.study import Study

_LEAST_ARMS = 3
_LEAST_ERROR, _ERROR_PER_CLASS = 0.1, 1 / 200  # of a data set of which nothing is known
_SHARE_OF_DEVIATION, _ASSUMED_RATIO = 0.27, 1.4
_STEPS = 200  # of an integral over measured differences


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """How two recipes of one model differ on held-out images; it is what the plan of a comparison rests on.

    On ``share`` of the images exactly one of them is right. Their difference varies between blocks ``ratio`` times as much as
    the images explain. ``error`` is the error rate. ``arms`` × ``blocks`` trials of the store gave these numbers; 0 arms where
    they are assumed.
    """

    share: float
    ratio: float
    error: float
    arms: int = 0
    blocks: int = 0


def disagreement_of(recorded: Iterable[Finished], trial: Trial, train: ImageSet) -> Disagreement:
    """Return how recipes differ in trials like this one: the same data, model family, folds and images."""
    like = [other for other in recorded if _design(other.trial) == _design(trial)]
    folds = _right_answers(like, train)
    arms = len(folds[0]) if folds else 0
    if arms < _LEAST_ARMS:
        return assumed_disagreement([1 - other.accuracy for other in like], len(train.classes))
    first, second = np.triu_indices(arms, k=1)
    differences, shares, explained = [], [], []  # by fold, of every pair of arms
    for right in folds:  # (arms, images)
        accuracy = right.mean(axis=1)
        both = (right @ right.T)[first, second] / right.shape[1]
        differences.append(accuracy[first] - accuracy[second])
        shares.append(accuracy[first] + accuracy[second] - 2 * both)
        explained.append((shares[-1] - differences[-1] ** 2) / right.shape[1])
    # Medians are not moved by an arm that fails; that of a chi-square variable lies below its mean by a known factor.
    share, own = float(np.median(np.mean(shares, axis=0))), len(folds) - 1
    if not share:
        return assumed_disagreement([1 - other.accuracy for other in like], len(train.classes))
    spread = float(np.median(np.var(differences, axis=0, ddof=1))) * own / float(stats.chi2.median(own))
    return Disagreement(
        share=share,
        ratio=spread / float(np.median(np.mean(explained, axis=0))),
        error=1 - float(np.median(np.mean([right.mean(axis=1) for right in folds], axis=0))),
        arms=arms,
        blocks=len(folds),
    )


def assumed_disagreement(errors: Sequence[float], classes: int) -> Disagreement:
    """Return what is assumed of two recipes with the smallest error rate seen, or with one that grows with the classes."""
    error = min(errors, default=max(_LEAST_ERROR, min(0.5, classes * _ERROR_PER_CLASS)))
    error = min(max(error, 1e-3), 1 - 1e-3)
    share = _SHARE_OF_DEVIATION * float(np.sqrt(error * (1 - error)))
    return Disagreement(share=share, ratio=_ASSUMED_RATIO, error=error)


@dataclass(frozen=True, kw_only=True)
class Design:
    """How the arms of one model are compared: cross-validations of ``folds`` blocks, each of which holds out ``images`` in all.

    They are a share ``drawn`` of the images that there are; below 1 every repetition draws others. ``disagreement`` says how
    two recipes differ on them.
    """

    folds: int
    images: int
    drawn: float
    disagreement: Disagreement

    def detectable(self, study: Study, levels: int, blocks: int, *, share: float = 1.0) -> float:
        """Return the smallest true difference that comparing ``levels`` with one incumbent finds with power 0.8.

        Args:
            study: whose test it is, at a ``share`` of its significance; Bonferroni bounds Holm.
            levels: that are compared with the incumbent.
            blocks: on which they are, at least 2.
            share: of the significance, which several looks divide.
        """
        moments = self._moments(blocks)
        if study.test == "two-part":
            repeated = blocks > self.folds and self.drawn == 1
            error, degrees, _ = map(float, judge_moments(moments, folds=self.folds, repeated=repeated))
        else:
            overlap = overlap_share(folds=self.folds, blocks=blocks)
            error, degrees = float(np.sqrt(moments.spread * (1 / blocks + overlap))), blocks - 1
        return detectable_difference(error=error, degrees=degrees, significance=share * study.significance / levels)

    def detectable_on_reserve(self, study: Study, levels: int, seeds: int, images: int) -> float:
        """Return the smallest true difference that is found on reserved images, which every one of some seeds answers.

        The squared error is that of ``two_way_test``: the images' and the seeds' parts.
        """
        share, ratio = self.disagreement.share, self.disagreement.ratio
        of_images = share / images * (PERSISTENT + (1 - PERSISTENT) / seeds)
        luck = max(0.0, ratio - 1) * share * self.folds / self.images
        of_seeds = ((1 - PERSISTENT) * share / images + luck) / seeds
        degrees = (of_images + of_seeds) ** 2 / (of_images**2 / (images - 1) + of_seeds**2 / max(1, seeds - 1))
        error = float(np.sqrt(of_images + of_seeds))
        return detectable_difference(error=error, degrees=degrees, significance=study.significance / levels)

    def expected_gain(self, levels: int, blocks: int) -> float:
        """Return what taking the best bet among ``levels`` is expected to bring after so many blocks."""
        moments = self._moments(blocks)
        choice_error = float(np.sqrt(moments.image_variance + training_variance(moments)[0]))
        return gain_of_best(levels, choice_error, self.disagreement.error)

    def _moments(self, blocks: int) -> PairedMoments:
        """Return what is to be expected of the differences of two recipes that are equally good."""
        repetitions, share = blocks / self.folds, self.disagreement.share
        kept = 1 / repetitions + (1 - 1 / repetitions) * PERSISTENT * self.drawn  # of the variance of one repetition
        explained = share / (self.images / self.folds)
        discordant = np.asarray(share * self.images / 2)
        return PairedMoments(
            mean=np.zeros(()),
            image_variance=np.asarray(share / self.images * kept),
            binomial=np.asarray(explained),
            spread=np.asarray(self.disagreement.ratio * explained),
            gains=discordant,
            losses=discordant,
            images=self.images,
            blocks=blocks,
        )


def design_of(recorded: Iterable[Finished], trial: Trial, train: ImageSet, images: int) -> Design:
    """Return the design of a trial's exploration, with what the store tells of trials like it.

    Args:
        recorded: light records are enough.
        trial: of a cross-validation.
        train: the training images that all of them split.
        images: that one cross-validation uses.
    """
    split = trial.split
    assert isinstance(split, CrossValidationSplit)
    drawn, found = images / round(len(train) * (1 - split.reserve)), disagreement_of(recorded, trial, train)
    return Design(folds=split.folds, images=images, drawn=drawn, disagreement=found)


@cache
def gain_of_best(levels: int, noise: float, error: float) -> float:
    """Return what taking the best bet among some levels is expected to bring, if their differences are those of the prior.

    Of the measured differences, which are taken as independent, the largest has the distribution function F^levels; its
    posterior mean counts where it is above 0.

    Args:
        levels: that are each compared with the incumbent.
        noise: standard error of a difference, as a choice weighs it.
        error: rate of the incumbent.
    """
    deviations = np.hypot(PRIOR_SCALES * error, noise)
    edges = np.linspace(0, 6 * deviations.max(), _STEPS + 1)
    below = (PRIOR_WEIGHTS * stats.norm.cdf(edges[:, None] / deviations)).sum(axis=1) ** levels
    gains = [expected_gain(middle, noise, error=error).gain for middle in (edges[1:] + edges[:-1]) / 2]
    return float(np.diff(below) @ gains)


def _right_answers(recorded: Sequence[Finished], train: ImageSet) -> list[FloatArray]:
    """Return for every fold what each arm answered rightly (1 or 0) on its held-out images, (arms, images).

    Only whole cross-validations count, one of them for every arm: the one that most arms have.
    """
    arms: dict[int, dict[str, dict[int, Finished]]] = defaultdict(lambda: defaultdict(dict))  # seed, arm, fold
    for other in recorded:
        split, alone = other.trial.split, replace(other.trial.execution, members=1, population="")
        assert isinstance(split, CrossValidationSplit)
        arms[split.seed][digest_of([other.trial.recipe, alone, other.trial.code])][split.index] = other
        folds = split.folds
    whole = [[of_arm for of_arm in of_seed.values() if len(of_arm) == folds] for of_seed in arms.values()]
    right: list[FloatArray] = []
    for index in range(folds if (most := max(whole, key=len, default=[])) else 0):
        held_out = split_images(most[0][index].trial.split, train.labels, train.groups).held_out
        answers = [of_arm[index].predicted for of_arm in most]
        right.append(np.array([answer == train.labels[held_out] for answer in answers], dtype=np.float64))
    return right


def _design(trial: Trial) -> tuple[object, ...]:
    split = trial.split
    if not isinstance(split, CrossValidationSplit):
        return ()
    model = trial.recipe.model
    family = model.path if model.kind in ("custom", "estimator") else model.kind
    return (trial.data, family, split.folds, split.images, split.reserve)
