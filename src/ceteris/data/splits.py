"""Which images a trial fits on and which it holds out: stratified, reproducible, as indices.

Where images belong together (one writer, one patient), whole groups are dealt or held out, and none is torn apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ceteris.errors import DataError
from ceteris.records import CrossValidationSplit, HoldoutSplit, IntArray, ReserveSplit, Split
from ceteris.seeds import generator

_DIGITS = 12  # sums of shares are compared rounded, so that the last bit of a float never decides where a group goes


@dataclass(frozen=True, kw_only=True)
class SplitImages:
    """Sorted indices, int64: of the images that are fitted on, those held out, and those that early stopping looks at.

    ``watched`` None means the held-out ones.
    """

    fitted: IntArray
    held_out: IntArray
    watched: IntArray | None = None


def split_images(
    split: Split, labels: IntArray, groups: IntArray | None = None, *, classes: Sequence[str] = ()
) -> SplitImages:
    """Return what every image is for; see :func:`split_indices`."""
    fitted, held_out = split_indices(split, labels, groups, classes=classes)
    validation = 0.0 if isinstance(split, HoldoutSplit) else split.validation
    if not validation:
        return SplitImages(fitted=fitted, held_out=held_out)
    fold = split.index if isinstance(split, CrossValidationSplit) else 0
    own_groups = None if groups is None else groups[fitted]
    watched = held_out_share(labels[fitted], own_groups, validation, generator(split.seed, fold, "validation"), classes)
    return SplitImages(fitted=np.delete(fitted, watched), held_out=held_out, watched=fitted[watched])


def split_indices(
    split: Split, labels: IntArray, groups: IntArray | None = None, *, classes: Sequence[str] = ()
) -> tuple[IntArray, IntArray]:
    """Return the sorted indices that are not held out and those that are, each int64; a reserve is in neither.

    In cross-validation every class is spread over the folds so that its share differs by at most one image between two
    folds, and so do the folds' sizes. The folds depend on the seed, the labels and the groups, never on ``split.index``.

    With ``groups`` all images of a group are on the same side, and the shares are as even as whole groups allow. A sample
    (``split.images``) is drawn image by image also then, since images that are left out cannot leak.

    Args:
        split: a fold of a cross-validation, a holdout or the reserve of a study.
        labels: int64 (n,) of the training part.
        groups: int64 (n,), equal for images that belong together (one writer, one patient); None for no such groups.
        classes: names of the classes for messages.

    Raises:
        DataError: a class has fewer images than folds, there are too few groups, or the numbers in ``split`` are out of
            range.
    """
    if groups is not None and groups.shape != labels.shape:
        raise DataError(f"groups: expected one group per image, shape {labels.shape}, received shape {groups.shape}.")
    random, everything = generator(split.seed, 0, "split"), np.arange(len(labels))
    if isinstance(split, HoldoutSplit):
        sample = stratified_sample(labels, split.images, random)
        if not split.fraction:
            return sample, sample[:0]
        of_sample = None if groups is None else groups[sample]
        held_out = held_out_share(labels[sample], of_sample, split.fraction, random, classes)
        return np.delete(sample, held_out), sample[held_out]
    if isinstance(split, CrossValidationSplit) and not split.reserve:
        return _fold(split, labels, groups, random, classes)
    reserve = held_out_share(labels, groups, split.reserve, generator(split.reserve_seed, 0, "reserve"), classes)
    others = np.setdiff1d(everything, reserve)
    if isinstance(split, ReserveSplit):
        return others[stratified_sample(labels[others], split.images, random)], reserve
    fit, held_out = _fold(split, labels[others], None if groups is None else groups[others], random, classes)
    return others[fit], others[held_out]


def held_out_share(
    labels: IntArray,
    groups: IntArray | Sequence[str] | None,
    fraction: float,
    random: np.random.Generator,
    classes: Sequence[str] = (),
) -> IntArray:
    """Return sorted indices of a ``fraction`` (0..1) of the images: stratified, or of whole groups where there are any.

    Raises:
        DataError: ``fraction`` is not between 0 and 1, a class has a single image, or there are fewer than two groups.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"fraction: a share between 0 and 1 (both excluded) can be held out, received {fraction}.")
    if groups is None:
        return _stratified_share(labels, fraction, random, classes)
    return _grouped_share(labels, groups, fraction, random)


def _stratified_share(
    labels: IntArray, fraction: float, random: np.random.Generator, classes: Sequence[str]
) -> IntArray:
    """Return sorted indices of a share of every class, at least one image and never all of a class."""
    chosen = []
    for label, members in _members(labels, random):
        if len(members) < 2:
            raise DataError(
                f"{_name(label, classes)} has a single image; at least 2 are needed to hold some out. "
                "Add images or drop the class."
            )
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        chosen.append(members[:count])
    return np.sort(np.concatenate(chosen))


def _grouped_share(
    labels: IntArray, groups: IntArray | Sequence[str], fraction: float, random: np.random.Generator
) -> IntArray:
    """Return sorted indices of about a share of the images such that no group is torn apart.

    Groups are taken in random order, each one as long as that brings the class counts held out closer to ``fraction`` of
    every class, measured by squared differences, and leaves images of each of its classes to fit on.
    """
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
    if not chosen:  # one group holds nearly everything: the smallest one that leaves every class is better than none
        by_size = sorted(range(len(members)), key=lambda group: len(members[group]))
        counts_of = (np.bincount(labels[members[group]], minlength=len(total)) for group in by_size)
        possible = (
            group for group, counts in zip(by_size, counts_of, strict=True) if _leaves_every_class(counts, total)
        )
        chosen = [next(possible, by_size[0])]
    return np.sort(np.concatenate([members[group] for group in chosen]))


def _fold(
    split: CrossValidationSplit,
    labels: IntArray,
    groups: IntArray | None,
    random: np.random.Generator,
    classes: Sequence[str],
) -> tuple[IntArray, IntArray]:
    if split.folds < 2 or not 0 <= split.index < split.folds:
        raise DataError(
            f"folds: at least 2 folds, numbered from 0, are needed; received folds={split.folds}, index={split.index}."
        )
    sample = stratified_sample(labels, split.images, random)
    _refuse_small_classes(labels[sample], split, classes)
    if groups is None:
        fold_of = _dealt_folds(labels[sample], split.folds, random)
    else:
        fold_of = _grouped_folds(labels[sample], groups[sample], split.folds, random, classes)
    return sample[fold_of != split.index], sample[fold_of == split.index]


def stratified_sample(labels: IntArray, images: int, random: np.random.Generator) -> IntArray:
    """Return sorted indices of a stratified sample of ``images`` images (all of them for 0 or when there are fewer).

    The shares of the classes are whole numbers, as nearly proportional as possible (largest remainders, Hamilton).
    """
    if images < 0:
        raise DataError(f"images: a number of images to draw, or 0 for all, received {images}.")
    if images == 0 or images >= len(labels):
        return np.arange(len(labels))
    members = [indices for _, indices in _members(labels, random)]
    counts = np.array([len(indices) for indices in members])
    shares, rest = np.divmod(counts * images, counts.sum())
    order = np.argsort(-rest, kind="stable")
    shares[order[: images - shares.sum()]] += 1
    return np.sort(np.concatenate([indices[:share] for indices, share in zip(members, shares, strict=True)]))


def _dealt_folds(labels: IntArray, folds: int, random: np.random.Generator) -> IntArray:
    """Deal every class's shuffled images out in turn; the next class goes on where the last one stopped."""
    fold_of = np.empty(len(labels), dtype=np.int64)
    dealt = 0
    for _, members in _members(labels, random):
        fold_of[members] = (dealt + np.arange(len(members))) % folds
        dealt += len(members)
    return fold_of


def _grouped_folds(
    labels: IntArray, groups: IntArray, folds: int, random: np.random.Generator, classes: Sequence[str]
) -> IntArray:
    """Return the fold of every image, int64 (n,) in 0..folds-1, such that no group is torn apart and no fold is empty.

    Groups are dealt in order of their size, the largest first; each goes to the fold that keeps the sum over folds and
    classes of (the fold's share of the class)² smallest, all images counting as one more class. Sizes are compared by
    powers of two and groups of about the same size are shuffled, so that another seed gives other folds.
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
    shuffled = random.permutation(len(members)).tolist()
    for group in sorted(shuffled, key=lambda group: -len(members[group]).bit_length()):
        counts = np.append(np.bincount(labels[members[group]], minlength=len(total) - 1), len(members[group]))
        # (share + part)² - share² - part² = 2 · share · part; the total's column makes an empty fold win always.
        fold = int(np.argmin((dealt @ (weights * counts)).round(_DIGITS)))
        dealt[fold] += counts
        fold_of[members[group]] = fold
    whole = np.argwhere((dealt == total) & (total > 0))
    if len(whole):
        fold, label = whole[0]
        raise DataError(
            f"{_name(label, classes)} has its {total[label]} images in too few groups: fold {fold} would hold out all of "
            "them and leave none to fit on. Use fewer folds, add images of that class from other groups, leave the class "
            "out, or name no group column."
        )
    return fold_of


def _members(labels: IntArray, random: np.random.Generator) -> list[tuple[int, IntArray]]:
    """Return every label with the shuffled indices of its images."""
    order = np.argsort(labels, kind="stable")
    values, starts = np.unique(labels[order], return_index=True)
    groups = np.split(order, starts[1:])
    return [(int(value), random.permutation(group)) for value, group in zip(values, groups, strict=True)]


def _members_of_groups(groups: IntArray | Sequence[str]) -> list[IntArray]:
    """Return the sorted indices of every group, in the order of the groups' numbers or names."""
    _, numbers, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.split(np.argsort(numbers, kind="stable"), np.cumsum(counts)[:-1])


def _leaves_every_class(held: IntArray, total: IntArray) -> bool:
    return bool(np.all((held < total) | (total == 0)))


def _refuse_small_classes(labels: IntArray, split: CrossValidationSplit, classes: Sequence[str]) -> None:
    counts = np.bincount(labels)
    small = np.flatnonzero((counts > 0) & (counts < split.folds))
    if not len(small):
        return
    label, count = small[0], counts[small[0]]
    images = "a single image" if count == 1 else f"{count} images"
    drawn = f" among the {split.images} images drawn" if split.images else ""
    fewer_folds = f"Use at most {count} folds" if count > 1 else "Cross-validation needs at least 2 of every class"
    raise DataError(
        f"{_name(label, classes)} has {images}{drawn}, fewer than the {split.folds} folds. {fewer_folds}, "
        f"{'draw more images, ' if split.images else ''}add images of that class or leave the class out."
    )


def _name(label: int, classes: Sequence[str]) -> str:
    return f"The class {classes[label]!r}" if label < len(classes) else f"Class {label}"
