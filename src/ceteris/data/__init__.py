"""Data sets: reading every usual format, splits that return indices, and the description of what is in a set."""

from ceteris.data.audit import DataAudit, audit
from ceteris.data.describe import TextTable, answers, as_json, describe, reading_lines, text_tables, write_page
from ceteris.data.download import Progress
from ceteris.data.formats.arrays import labels_among, parts_of, read_images
from ceteris.data.formats.folder_layout import pictures_in
from ceteris.data.formats.pictures import read_pictures_of_shape
from ceteris.data.hazards import Hazards
from ceteris.data.imageset import ImageSet, make_image_set, standardisation
from ceteris.data.likeness import Appearance, Unlike, picture_sizes, unlike_training
from ceteris.data.load import Labelled, from_arrays, list_sets, load, load_labelled
from ceteris.data.named import NamedSet, SetRow, find_named, named_sets
from ceteris.data.prepared import open_prepared, open_train
from ceteris.data.sealed import DataSet, SealedTest, seal
from ceteris.data.source import ReadOptions
from ceteris.data.splits import SplitImages, held_out_share, split_images, split_indices, stratified_sample

__all__ = [
    "Appearance",
    "DataAudit",
    "DataSet",
    "Hazards",
    "ImageSet",
    "Labelled",
    "NamedSet",
    "Progress",
    "ReadOptions",
    "SealedTest",
    "SetRow",
    "SplitImages",
    "TextTable",
    "Unlike",
    "answers",
    "as_json",
    "audit",
    "describe",
    "find_named",
    "from_arrays",
    "held_out_share",
    "labels_among",
    "list_sets",
    "load",
    "load_labelled",
    "make_image_set",
    "named_sets",
    "open_prepared",
    "open_train",
    "parts_of",
    "picture_sizes",
    "pictures_in",
    "read_images",
    "read_pictures_of_shape",
    "reading_lines",
    "seal",
    "split_images",
    "split_indices",
    "standardisation",
    "stratified_sample",
    "text_tables",
    "unlike_training",
    "write_page",
]
