"""A data set as a study receives it: training images in the open, test images under seal."""

from dataclasses import dataclass
from pathlib import Path

from ceteris.data.imageset import ImageSet
from ceteris.data.sealed import SealedTest


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSet:
    """A named data set with its provenance.

    ``prepared`` is the folder of the prepared copy: a worker process opens the training part from there with
    ``open_train(prepared)``. ``source`` is the citation, ``note`` what every figure drawn from the set has to say beside
    it (for instance that the split is not the official one), ``preprocessing`` what was done to the pixels on reading.
    """

    name: str
    title: str
    source: str
    licence: str
    note: str
    train: ImageSet
    test: SealedTest
    warnings: tuple[str, ...]
    preprocessing: tuple[str, ...]
    label_meaning: str
    prepared: Path
