"""Data sets: reading every usual format, splits that return indices, and the description of what is in a set."""

from ceteris.data.catalogue import NamedSet, find_named, named_sets
from ceteris.data.dataset import DataSet
from ceteris.data.description import describe
from ceteris.data.imageset import ImageSet, make_image_set
from ceteris.data.load import from_arrays, load
from ceteris.data.options import ReadOptions
from ceteris.data.pixels import standardisation
from ceteris.data.prepared import open_prepared, open_train
from ceteris.data.sealed import SealedTest, seal
from ceteris.data.splits import split_indices

__all__ = [
    "DataSet",
    "ImageSet",
    "NamedSet",
    "ReadOptions",
    "SealedTest",
    "describe",
    "find_named",
    "from_arrays",
    "load",
    "make_image_set",
    "named_sets",
    "open_prepared",
    "open_train",
    "seal",
    "split_indices",
    "standardisation",
]
