"""Splits that keep together what belongs together (one writer, one patient): whole groups are dealt or held out."""

from collections.abc import Sequence

import numpy as np

from ceteris.errors import DataError
from ceteris.records import IntArray

_DIGITS = 12  # sums of shares are compared rounded, so that the last bit of a float never decides where a group goes


def grouped_share(
    labels: IntArray, groups: IntArray | Sequence[str], fraction: float, random: np.random.Generator
) -> IntArray:
    """Return sorted indices of about ``fraction`` of the images such that no group is torn apart.

    Groups are taken in random order, each one as long as that brings the class counts held out closer to ``fraction`` of
    every class, measured by squared differences, and leaves images of each of its classes to fit on.

    Args:
        labels: int64 (n,).
        groups: (n,) numbers or names.
        fraction: share to hold out, 0..1.
        random: decides the order.

    Raises:
        DataError: ``fraction`` is not between 0 and 1, or there are fewer than two groups.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"fraction: a share between 0 and 1 (both excluded) can be held out, received {fraction}.")
    members = _members_of_groups(groups)
    if len(members) < 2:
        raise DataError(f"groups: at least 2 different groups are needed to split by them, there is {len(members)}.")
    total = np.bincount(labels)
    wanted, held = fraction * total, np.zeros(len(total), dtype=np.int64)
    chosen: list[int] = []
    for group in random.permutation(len(members)):
        counts = np.bincount(labels[members[group]], minlength=len(total))
        closer = ((held + counts - wanted) ** 2).sum() < ((held - wanted) ** 2).sum()
        if closer and _leaves_every_class(held + counts, total) and len(chosen) < len(members) - 1:
            held += counts
            chosen.append(int(group))
    if not chosen:  # one group holds nearly everything: the smallest one is better than none
        chosen = [_smallest(members, labels, total)]
    return np.sort(np.concatenate([members[group] for group in chosen]))


def grouped_folds(labels: IntArray, groups: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """Return the fold of every image, int64 (n,) in 0..folds-1, such that no group is torn apart and no fold is empty.

    Groups are dealt in order of their size, the largest first; each goes to the fold that keeps the sum over folds and
    classes of (the fold's share of the class)² smallest, all images counting as one more class. Sizes are compared by
    powers of two and groups of about the same size are shuffled, so that another seed gives other folds.

    Raises:
        DataError: fewer groups than folds, or one fold would hold out all images of a class.
    """
    members = _members_of_groups(groups)
    if len(members) < folds:
        raise DataError(
            f"groups: {len(members)} different groups cannot be spread over {folds} folds without tearing one apart. "
            f"Use at most {max(len(members), 2)} folds, add images of other groups, or name no group column."
        )
    total = np.append(np.bincount(labels), len(labels))  # (classes + 1,)
    weights = 1.0 / np.maximum(total, 1) ** 2
    dealt = np.zeros((folds, len(total)), dtype=np.int64)
    fold_of = np.empty(len(labels), dtype=np.int64)
    for group in _large_first(members, random):
        counts = np.append(np.bincount(labels[members[group]], minlength=len(total) - 1), len(members[group]))
        # (share + part)² - share² - part² = 2 · share · part; the total's column makes an empty fold win always.
        fold = int(np.argmin((dealt @ (weights * counts)).round(_DIGITS)))
        dealt[fold] += counts
        fold_of[members[group]] = fold
    _refuse_whole_class(dealt, total)
    return fold_of


def _members_of_groups(groups: IntArray | Sequence[str]) -> list[IntArray]:
    """Return the sorted places of every group, in the order of the groups' numbers or names."""
    _, numbers, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.split(np.argsort(numbers, kind="stable"), np.cumsum(counts)[:-1])


def _large_first(members: list[IntArray], random: np.random.Generator) -> list[int]:
    shuffled = random.permutation(len(members)).tolist()
    return sorted(shuffled, key=lambda group: -len(members[group]).bit_length())


def _leaves_every_class(held: IntArray, total: IntArray) -> bool:
    return bool(np.all((held < total) | (total == 0)))


def _smallest(members: list[IntArray], labels: IntArray, total: IntArray) -> int:
    """Return the smallest group without which every class keeps an image; the smallest of all where there is none."""
    by_size = sorted(range(len(members)), key=lambda group: len(members[group]))
    for group in by_size:
        if _leaves_every_class(np.bincount(labels[members[group]], minlength=len(total)), total):
            return group
    return by_size[0]


def _refuse_whole_class(dealt: IntArray, total: IntArray) -> None:
    fold, label = np.argwhere((dealt == total) & (total > 0))[:1].T
    if len(label):
        raise DataError(
            f"Class {label[0]} has its {total[label[0]]} images in too few groups: fold {fold[0]} would hold out all of "
            "them and leave none to fit on. Use fewer folds, add images of that class from other groups, leave the class "
            "out, or name no group column."
        )
