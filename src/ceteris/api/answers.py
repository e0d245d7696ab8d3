"""A trained model at work: on labelled images, whose ledger notes the look, and on pictures of one's own."""

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ceteris.analysis.metrics import scores
from ceteris.api.model import ModelCard, TrainedModel
from ceteris.data import (
    DataSet,
    ImageSet,
    Labelled,
    SealedTest,
    labels_among,
    load_labelled,
    make_image_set,
    parts_of,
    picture_sizes,
    pictures_in,
    read_images,
    read_pictures_of_shape,
    seal,
    unlike_training,
)
from ceteris.errors import DataError
from ceteris.findings import Look
from ceteris.formats import span
from ceteris.records import ByteArray, Float32Array, IntArray
from ceteris.stats import Interval, wilson_interval
from ceteris.store import looks_at, record_look

PartName = Literal["train", "test", "all"]
DEFAULT_STORE = Path("ceteris-results") / "store"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reached on labelled images; everything lies in 0..1 except ``loss`` (nats).

    ``classes`` are the model's, in its order; ``per_class`` has a row (name, precision, recall, F1, images) for each. Those
    without an image are ``absent``: precision, recall, F1 and AUC are averages over the others.
    """

    title: str
    note: str
    classes: tuple[str, ...]
    absent: tuple[str, ...]
    images: int
    accuracy: Interval
    precision: float
    recall: float
    f1: float
    auc: float
    loss: float
    per_class: tuple[tuple[str, float, float, float, int], ...]
    confusion: IntArray  # (classes, classes), rows true
    looks: int


def open_test(test: SealedTest, store: Path, *, study: str, reason: str, trials: Iterable[str]) -> ImageSet:
    """Open a test set for the models of these trials; the look is in the ledger before the first image is read.

    Raises:
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    date = datetime.now(UTC).isoformat(timespec="seconds")
    models = tuple(sorted({trial[:16] for trial in trials}))
    look = Look(date=date, study=study, reason=reason, models=models)
    return test.open(record_look=lambda fingerprint: record_look(store, fingerprint, look))


def evaluate_model(
    model: TrainedModel,
    data: DataSet | str | Path | Sequence[Any],
    store: str | Path | None = None,
    *,
    part: PartName | None = None,
    reason: str = "evaluate a trained model",
    data_dir: str | Path | None = None,
    offline: bool | None = None,
) -> Evaluation:
    """Evaluate a model on labelled images; the look is written into the ledger first. Classes are matched by their names.

    Args:
        model: a trained model.
        data: a DataSet, a known name, the path of a folder, table or archive, or arrays as :func:`ceteris.run` takes them.
        store: folder of finished trainings, where the ledger lies; ceteris-results/store without it.
        part: "train", "test" or "all"; without it the test part, or all images of data that have no parts.
        reason: why the images are looked at, for the ledger.
        data_dir: where named data sets are looked for.
        offline: never use the network; None asks the environment variable CETERIS_OFFLINE.

    Raises:
        DataError: when images or classes do not fit the model.
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    root, card = Path(store or DEFAULT_STORE), model.card
    if isinstance(data, DataSet):
        if part == "all":
            raise DataError('part: of a DataSet "train" or "test" can be evaluated, received "all".')
        images = seal(data.train) if part == "train" else data.test
        asked = Labelled(title=data.title, note=data.note, images=images)
    elif not isinstance(data, str | Path):
        asked = Labelled(title="arrays", note="", images=_labelled_arrays(card, data, part))
    else:
        asked = load_labelled(
            str(data),
            part=part,
            shape=card.input_shape,
            trained_on=card.trained_on,
            data_dir=Path(data_dir) if data_dir else None,
            cache_dir=root / "data",
            options=card.reading,
            offline=offline,
        )
    class_of = _classes_by_name(card, asked)
    test = open_test(asked.images, root, study=card.study, reason=reason, trials=[card.trial])
    probabilities, labels = model.probabilities(test.images), class_of[test.labels]
    found = scores(probabilities, labels)
    each = found.per_class
    rows = zip(card.classes, each.precision, each.recall, each.f1, each.support, strict=True)
    return Evaluation(
        title=asked.title,
        note=asked.note,
        classes=card.classes,
        absent=tuple(name for name, count in zip(card.classes, each.support, strict=True) if not count),
        images=len(test),
        accuracy=wilson_interval(int(np.trace(found.confusion)), len(test)),
        precision=found.precision,
        recall=found.recall,
        f1=found.f1,
        auc=found.auc,
        loss=found.loss,
        per_class=tuple((name, float(p), float(r), float(f1), int(count)) for name, p, r, f1, count in rows),
        confusion=found.confusion,
        looks=len(looks_at(root, asked.images.fingerprint)),
    )


def _labelled_arrays(card: ModelCard, arrays: Sequence[Any], part: PartName | None) -> SealedTest:
    """Return arrays as they mean it for this model: white, order of axes and class numbers are those of its training."""
    first, second = parts_of(arrays)
    pairs = [second] if second and part in (None, "test") else [first]
    if second and part == "all":
        pairs = [first, second]
    images = [read_images(pixels, card.reading, shape=card.input_shape) for pixels, _ in pairs]
    labels = [labels_among(labels, card.classes) for _, labels in pairs]
    return seal(make_image_set(np.concatenate(images), np.concatenate(labels), card.classes))


def _classes_by_name(card: ModelCard, asked: Labelled) -> IntArray:
    """Return the model's number of every class of labelled images, int64 (classes,); before the images are looked at.

    Raises:
        DataError: images of another shape, or of a class that the model does not know.
    """
    images = asked.images
    if images.image_shape != card.input_shape:
        raise DataError(
            f"data: the model takes images of {card.input_shape} (channels, height, width); {asked.title} has "
            f"{images.image_shape}. Choose the data that the model was trained for."
        )
    number = {_plain(name): place for place, name in enumerate(card.classes)}
    number |= {name: place for place, name in enumerate(card.classes)}
    found = [number.get(name, number.get(_plain(name), -1)) for name in images.classes]
    unknown = [
        f"{name!r} ({count:,} images)"
        for name, place, count in zip(images.classes, found, images.class_counts, strict=True)
        if place < 0 and count
    ]
    if unknown:
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        raise DataError(
            f"data: the model does not know {'the class' if len(unknown) == 1 else 'the classes'} "
            f"{', '.join(unknown[:10])}{more} of {asked.title}; it knows {', '.join(card.classes[:20])}"
            f"{', …' if len(card.classes) > 20 else ''}. Classes are matched by name: rename them or leave them out."
        )
    return np.array(found, dtype=np.int64)


def _plain(name: str) -> str:
    """Return the name of a class without what is easily written otherwise: letter case, Unicode form, outer spaces."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def picture_files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """Return picture files as they are, and all pictures in folders and below, sorted; system and hidden folders left out.

    Raises:
        DataError: a folder without a picture.
    """
    files = list[Path]()
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        found = pictures_in(path) if path.is_dir() else [path]
        if not found:
            raise DataError(f"pictures: the folder {path} holds no picture in a format that is read.")
        files += found
    return files


def predict_pictures(
    model: TrainedModel,
    files: str | Path | Iterable[str | Path],
    *,
    invert: bool = False,
    warn: Callable[[str], None] = warnings.warn,
) -> Float32Array:
    """Return class probabilities float32 (files, classes) for picture files, read as the model's training pictures were.

    A picture of another size is brought to the model's size by the ``fit`` of the study (pad, crop or stretch).

    Args:
        model: a trained model.
        files: PNG, JPEG or any format that Pillow reads; of a folder all pictures, see :func:`picture_files`.
        invert: turn dark on light (ink on paper) into light on dark, as MNIST and EMNIST have it.
        warn: is told when pictures are unlike the training images in size, or dark where those are light.

    Raises:
        DataError: when a file is missing or no picture.
    """
    paths = picture_files(files)
    pictures = read_pictures_of_shape(paths, model.card.input_shape, model.card.reading, invert=invert)
    for text in _unlike_training(model.card, paths, pictures):
        warn(text)
    return model.probabilities(pictures)


def _unlike_training(card: ModelCard, paths: Sequence[Path], pictures: ByteArray) -> list[str]:
    """Return what distinguishes pictures so strongly from those of the training that answers mean little."""
    if card.appearance is None:  # a model of an earlier version
        return []
    found = unlike_training(pictures, picture_sizes(paths), card.appearance)
    told = []
    sizes = [(paths[unlike.index], unlike.size) for unlike in found if unlike.size]
    if sizes:
        (path, (height, width)), count = sizes[0], len(sizes)
        usual = " x ".join(span(*side) for side in (card.appearance.heights, card.appearance.widths))
        told.append(
            f"{count} of {len(paths)} pictures have another size or shape than the training pictures (height x width {usual}), "
            f'such as {path} ({height} x {width}); reading.fit = "{card.reading.fit}" brought them to '
            f"{card.input_shape[1]} x {card.input_shape[2]}."
        )
    turned = [paths[unlike.index] for unlike in found if unlike.inverted]
    if turned:
        told.append(
            f"{len(turned)} of {len(paths)} pictures are light where those of the training are dark, or the other way round, "
            f"such as {turned[0]}; --invert (in Python: invert=True) turns them."
        )
    return told
