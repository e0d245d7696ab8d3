"""What is in a data set: the answers that anybody wants before training on it."""

import numpy as np

from ceteris.data.dataset import DataSet
from ceteris.data.imageset import ImageSet, class_counts, pieces
from ceteris.data.pixels import standardisation
from ceteris.findings import DataDescription
from ceteris.records import IntArray
from ceteris.seeds import generator

SAMPLES_PER_CLASS = 8
MAX_SAMPLES = 100


def describe(data_set: DataSet, *, shares: str = "", folds: int = 0) -> DataDescription:
    """Answer the usual questions about a data set; of the test part only counts are told.

    Args:
        data_set: the set.
        shares: one sentence on what is used for training, validation and test; made from the counts when empty.
        folds: number of cross-validation folds that are planned, 0 for none; a class with fewer images is warned of.
    """
    train = data_set.train
    mean, deviation = standardisation(train.images, np.arange(len(train)))
    low, high = _range(train)
    samples = _sample_places(train)
    return DataDescription(
        name=data_set.name,
        title=data_set.title,
        source=data_set.source,
        note=data_set.note,
        problem=_problem(train),
        label_meaning=data_set.label_meaning,
        train_count=len(train),
        test_count=data_set.test.count,
        image_shape=train.shape,
        minimum=low,
        maximum=high,
        channel_mean=tuple(mean.tolist()),
        channel_deviation=tuple(deviation.tolist()),
        missing=0,  # unsigned bytes cannot be missing; sources with gaps are refused when they are read
        classes=train.classes,
        train_class_counts=class_counts(train.labels, train.classes),
        test_class_counts=data_set.test.class_counts,
        preprocessing=(
            *data_set.preprocessing,
            "each channel minus its mean, divided by its deviation over the images fitted on",
        ),
        shares=shares or _shares(len(train), data_set.test.count),
        sample_images=np.ascontiguousarray(train.images[samples]),
        sample_labels=train.labels[samples],
        warnings=(*data_set.warnings, *_small_classes(train, folds)),
    )


def _problem(train: ImageSet) -> str:
    channels, height, width = train.shape
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return (
        f"Classification: each {colour} image of {height} x {width} pixels belongs to exactly one of "
        f"{len(train.classes)} classes."
    )


def _shares(train: int, test: int) -> str:
    total = train + test
    return (
        f"{train:,} images ({train / total:.1%}) for training, from which validation images are held out, and "
        f"{test:,} ({test / total:.1%}) for the test."
    )


def _range(train: ImageSet) -> tuple[int, int]:
    ranges = [(int(piece.min()), int(piece.max())) for piece in pieces(train.images)]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _sample_places(train: ImageSet) -> IntArray:
    """Return up to MAX_SAMPLES places grouped by class: the same number of random images of every class that fits."""
    present = np.unique(train.labels)
    random = generator(0, 0, "sample")
    if len(present) > MAX_SAMPLES:
        present = np.sort(random.choice(present, MAX_SAMPLES, replace=False))
    per_class = max(1, min(SAMPLES_PER_CLASS, MAX_SAMPLES // len(present)))
    drawn = [random.permutation(np.flatnonzero(train.labels == label))[:per_class] for label in present]
    return np.concatenate(drawn)


def _small_classes(train: ImageSet, folds: int) -> tuple[str, ...]:
    counts = class_counts(train.labels, train.classes)
    small = [f"{train.classes[label]} ({counts[label]})" for label in np.flatnonzero((counts > 0) & (counts < folds))]
    if not small:
        return ()
    return (f"Classes with fewer training images than the {folds} folds: {', '.join(small[:10])}.",)
