"""What residual connections and batch normalisation do: a study of equal networks of growing depth, with and without them.

He et al. 2016 (deep residual learning) and 2016b (identity mappings), Ioffe & Szegedy 2015 (batch normalisation), Zagoruyko
& Komodakis 2017 (Dirac initialisation). Every depth is a model, every kind of network a level of one factor, so that tuning,
pairing and claims are those of any other study.
"""

from collections.abc import Sequence
from typing import Any

from ceteris.errors import ConfigError
from ceteris.study.files import study_from_tree
from ceteris.study.study import OneAtATime, Study

CONNECTIONS = "connections"  # the name of the factor
DEPTHS = (8, 14, 20, 32)  # layers with weights: the first convolution, those of the blocks, and the classifier
_ENDS = 2  # of these layers lie outside the blocks
# Label and what is on: shortcuts, batch normalisation; and what else differs from the plain network.
ARMS: tuple[tuple[str, bool, bool, dict[str, Any]], ...] = (
    ("plain", False, False, {}),
    ("plain, batch norm", False, True, {}),
    ("residual", True, False, {}),
    ("residual, batch norm", True, True, {}),
    ("pre-activation, batch norm", True, True, {"block": "pre-activation"}),
    ("plain, Dirac", False, False, {"initialisation": "dirac"}),
)


def residual_study(
    data: str,
    *,
    name: str = "residual",
    depths: Sequence[int] = DEPTHS,
    convolutions: int = 2,
    filters: Sequence[int] = (8, 16),
    images: int = 2400,
    epochs: int = 12,
    seeds: int = 2,
    folds: int = 2,
    seed: int = 0,
) -> Study:
    """Return a study of plain and residual networks in which nothing but the connections differs.

    Args:
        data: name or path of the data.
        name: of the study.
        depths: layers with weights, each 2 more than a multiple of ``convolutions``.
        convolutions: convolutions under one shortcut, 2 or 3.
        filters: of every stage; each stage halves the image.
        images: training images of the exploration, 0 for all.
        epochs: of every training.
        seeds: repetitions of the cross-validation, with initial weights of their own.
        folds: of the cross-validation.
        seed: the root of all randomness.

    Raises:
        ConfigError: when no whole number of blocks makes up a depth, or a value is not allowed.
    """
    models: dict[str, Any] = {}
    for depth in dict.fromkeys(depths):
        blocks, rest = divmod(depth - _ENDS, convolutions)
        if rest or blocks < len(filters):
            raise ConfigError(
                f"depths: with {convolutions} convolutions per block and {len(filters)} stages allowed are {_ENDS} + "
                f"{convolutions} * n for n >= {len(filters)}, as {_ENDS + convolutions * len(filters)} or "
                f"{_ENDS + convolutions * 3 * len(filters)}; received {depth}."
            )
        stages = len(filters)
        models[f"layers-{depth}"] = {
            "title": f"{depth} layers",
            "model": {
                "kind": "resnet", "blocks": [(blocks + place) // stages for place in reversed(range(stages))],
                "filters": list(filters), "convolutions_per_block": convolutions, "residual": False, "batch_norm": False,
                "stem_stride": 3,
            },
            "optimizer": {"kind": "sgd", "lr": 0.03, "momentum": 0.9}, "batch_size": 32, "epochs": epochs,
        }  # fmt: skip
    fields = ("residual", "batch_norm", "block", "initialisation")
    levels = [
        {"label": label, "model.residual": residual, "model.batch_norm": batch_norm}
        | {f"model.{field}": value for field, value in other.items()}
        for label, residual, batch_norm, other in ARMS
    ]
    tree = {
        "name": name,
        "title": "What residual connections and batch normalisation do",
        "question": "Do residual connections and batch normalisation let deeper networks train, and what do they cost in time?",
        "data": data,
        "seed": seed,
        "strategy": OneAtATime().kind,
        "exploration": {"folds": folds, "seeds": seeds, "repetitions": seeds, "images": images},
        "confirmation": {"seeds": 0},
        "final": {"seeds": 1, "epochs": 1, "test_curves": False},
        "explain": {"mistakes": 0, "doubts": 0, "dynamics": True},
        "models": models,
        "factors": [
            {
                "name": CONNECTIONS,
                "title": "Connections",
                "question": "Which networks of this depth train?",
                "fields": [f"model.{field}" for field in fields],
                "levels": levels,
                "tune": [{"field": "optimizer.lr", "trials": 4, "folds": 1, "step": 4.0}],
            }
        ],
    }
    return study_from_tree(tree, origin="residual")
