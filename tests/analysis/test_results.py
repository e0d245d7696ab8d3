"""What is said of a test set: which classes are hard, and what one training each can tell."""

from dataclasses import replace

import numpy as np
import pytest

from ceteris.analysis.results import Results, VersionResults, results_of
from ceteris.findings import StudyFindings


def answers(results: Results, *, seeds: int, harder: float) -> VersionResults:
    """Ten classes of 100 images each, of which 5 % are missed, of class 3 so much more; an image is as hard for every seed."""
    random, labels = np.random.default_rng(5), np.repeat(np.arange(10), 100)
    hardness = random.random(1000) - harder * (labels == 3)
    right = np.array([hardness + 0.02 * random.normal(size=1000) > 0.05 for _ in range(seeds)])
    return replace(results.versions[0], right=right, labels=labels)


@pytest.mark.parametrize(("seeds", "harder", "expected"), [(5, 0.0, []), (5, 0.15, [3]), (1, 0.15, [])])
def test_a_class_is_hard_where_seeds_and_images_show_it(
    results: Results, seeds: int, harder: float, expected: list[int]
) -> None:
    assert answers(results, seeds=seeds, harder=harder).hard_classes.tolist() == expected


def test_one_training_each_shows_nothing_about_recipes(findings: StudyFindings) -> None:
    first = min(final.seed for final in findings.finals)
    alone = results_of(replace(findings, finals=tuple(final for final in findings.finals if final.seed == first)))
    assert alone.comparisons
    for found in alone.comparisons:
        assert (found.seeds, found.shown) == (1, False)
        assert np.isnan([found.p_value, found.adjusted_p]).all()
        assert found.low <= found.difference <= found.high
