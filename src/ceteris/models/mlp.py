"""Fully connected networks."""

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from ceteris.models.dropout import Dropout, shares_of
from ceteris.models.layers import ActivationFactory, Normalisation, chosen_norm, normalising


class MLP(nn.Sequential):
    """Flatten, then for every hidden width linear, (normalisation), activation, (dropout), then a linear layer.

    Takes images (n, channels, height, width) and returns logits (n, classes). A linear layer has no bias where batch
    normalisation follows, because the normalisation subtracts it again.

    Args:
        input_shape: channels, height and width of an image.
        classes: number of logits.
        hidden: width of every hidden layer; () gives a linear classifier.
        activation: makes the activation, called once per hidden layer.
        batch_norm: normalise before every activation (Ioffe & Szegedy 2015).
        dropout: probability of dropping a hidden unit, 0 <= dropout < 1, of all layers or one for each.
        normalisation: another kind of normalisation, in the place of batch normalisation.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, int, int],
        classes: int,
        hidden: Sequence[int],
        activation: ActivationFactory,
        batch_norm: bool,
        dropout: float | Sequence[float],
        normalisation: Normalisation | None = None,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        width = math.prod(input_shape)
        shares, norm = shares_of(dropout, len(hidden)), chosen_norm(normalisation, batch_norm=batch_norm)
        for number, (units, share) in enumerate(zip(hidden, shares, strict=True), start=1):
            layers[f"linear{number}"] = nn.Linear(width, units, bias=norm != "batch")
            layers.update(normalising(norm, units, number, maps=False))
            layers[f"activation{number}"] = activation()
            if share:
                layers[f"dropout{number}"] = Dropout(share)
            width = units
        layers["classifier"] = nn.Linear(width, classes)
        super().__init__(layers)
