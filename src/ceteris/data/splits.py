"""Which images a trial fits on and which it holds out: stratified, reproducible, as indices."""

import numpy as np

from ceteris.data.group_splits import grouped_folds, grouped_share
from ceteris.errors import DataError
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray, Split
from ceteris.seeds import generator


def split_indices(split: Split, labels: IntArray, groups: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """Return the sorted indices to fit on and those held out, each int64.

    In cross-validation every class is spread over the folds so that its share differs by at most one image between two
    folds, and so do the folds' sizes. The folds depend on the seed, the labels and the groups, never on ``split.index``.

    With ``groups`` all images of a group are on the same side, and the shares are as even as whole groups allow. A sample
    (``split.images``) is drawn image by image also then, since images that are left out cannot leak.

    Args:
        split: a fold of a cross-validation, or a holdout.
        labels: int64 (n,) of the training part.
        groups: int64 (n,), equal for images that belong together (one writer, one patient); None for no such groups.

    Raises:
        DataError: a class has fewer images than folds, there are too few groups, or the numbers in ``split`` are out of
            range.
    """
    if groups is not None and groups.shape != labels.shape:
        raise DataError(f"groups: expected one group per image, shape {labels.shape}, received shape {groups.shape}.")
    random = generator(split.seed, 0, "split")
    if isinstance(split, HoldoutSplit):
        return _holdout(split, labels, groups, random)
    return _fold(split, labels, groups, random)


def stratified_share(labels: IntArray, fraction: float, random: np.random.Generator) -> IntArray:
    """Return sorted indices of a stratified ``fraction`` (0..1) of the images, at least one and never all of a class.

    Raises:
        DataError: ``fraction`` is not between 0 and 1, or a class has a single image.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"fraction: a share between 0 and 1 (both excluded) can be held out, received {fraction}.")
    chosen = []
    for label, members in _members(labels, random):
        if len(members) < 2:
            raise DataError(
                f"Class {label} has a single image; at least 2 are needed to hold some out. Add images or drop the class."
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        chosen.append(members[:count])
    return np.sort(np.concatenate(chosen))


def _holdout(
    split: HoldoutSplit, labels: IntArray, groups: IntArray | None, random: np.random.Generator
) -> tuple[IntArray, IntArray]:
    if groups is None:
        held_out = stratified_share(labels, split.fraction, random)
    else:
        held_out = grouped_share(labels, groups, split.fraction, random)
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def _fold(
    split: CrossValidationSplit, labels: IntArray, groups: IntArray | None, random: np.random.Generator
) -> tuple[IntArray, IntArray]:
    if split.folds < 2 or not 0 <= split.index < split.folds:
        raise DataError(
            f"folds: at least 2 folds, numbered from 0, are needed; received folds={split.folds}, index={split.index}."
        )
    sample = _sample(labels, split.images, random)
    _refuse_small_classes(labels[sample], split)
    if groups is None:
        fold_of = _dealt_folds(labels[sample], split.folds, random)
    else:
        fold_of = grouped_folds(labels[sample], groups[sample], split.folds, random)
    return sample[fold_of != split.index], sample[fold_of == split.index]


def _sample(labels: IntArray, images: int, random: np.random.Generator) -> IntArray:
    """Return sorted indices of a stratified sample of ``images`` images (all of them for 0 or when there are fewer)."""
    if images < 0:
        raise DataError(f"images: a number of images to draw, or 0 for all, received {images}.")
    if images == 0 or images >= len(labels):
        return np.arange(len(labels))
    members = [places for _, places in _members(labels, random)]
    shares = _largest_remainders(np.array([len(places) for places in members]), images)
    return np.sort(np.concatenate([places[:share] for places, share in zip(members, shares, strict=True)]))


def _largest_remainders(counts: IntArray, total: int) -> IntArray:
    """Return whole numbers that add up to ``total``, proportional to ``counts`` as closely as possible (Hamilton)."""
    whole, rest = np.divmod(counts * total, counts.sum())
    order = np.argsort(-rest, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return whole


def _dealt_folds(labels: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """Deal every class's shuffled images out in turn; the next class goes on where the last one stopped."""
    fold_of = np.empty(len(labels), dtype=np.int64)
    dealt = 0
    for _, members in _members(labels, random):
        fold_of[members] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold_of


def _members(labels: IntArray, random: np.random.Generator) -> list[tuple[int, IntArray]]:
    order = np.argsort(labels, kind="stable")
    values, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:])
    return [(int(value), random.permutation(group)) for value, group in zip(values, groups, strict=True)]


def _refuse_small_classes(labels: IntArray, split: CrossValidationSplit) -> None:
    counts = np.bincount(labels)
    small = np.flatnonzero((counts > 0) & (counts < split.folds))
    if not len(small):
        return
    label, count = small[0], counts[small[0]]
    drawn = f" among the {split.images} images drawn" if split.images else ""
    raise DataError(
        f"Class {label} has {count} images{drawn}, fewer than the {split.folds} folds. Use at most {max(count, 2)} folds, "
        f"{'draw more images, ' if split.images else ''}add images of that class or leave the class out."
    )
