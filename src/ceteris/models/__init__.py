"""Models built layer by layer from plain arguments, and their summary."""

from ceteris.models.cnn import CNN
from ceteris.models.dropout import Dropout, set_dropout_generator
from ceteris.models.layers import GlobalAveragePooling
from ceteris.models.mlp import MLP
from ceteris.models.resnet import PaddingShortcut, ResidualBlock, ResNet
from ceteris.models.stacked import StackedModel
from ceteris.models.summary import (
    convolutions,
    device_of,
    evaluating,
    layer_named,
    linears,
    modes_kept,
    summarise,
    summary_text,
)

__all__ = [
    "CNN",
    "MLP",
    "Dropout",
    "GlobalAveragePooling",
    "PaddingShortcut",
    "ResNet",
    "ResidualBlock",
    "StackedModel",
    "convolutions",
    "device_of",
    "evaluating",
    "layer_named",
    "linears",
    "modes_kept",
    "set_dropout_generator",
    "summarise",
    "summary_text",
]
