"""Controlled experiments on image classifiers: one change at a time, everything else equal, and an honest verdict.

import ceteris
result = ceteris.run("digits")
result.table("what_helped")
result.figure("effects-cnn")
ceteris.read_model(result.folder / "models/cnn-best").probabilities(images)
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time each name is imported when it is asked for
    from ceteris.api import (
        Result,
        TrainedModel,
        embed_images,
        evaluate_model,
        feature_visualization,
        open_result,
        predict_pictures,
        read_model,
        run,
        run_each,
        test_model,
    )  # fmt: skip
    from ceteris.study import Study, read_study

__all__ = [
    "Result",
    "Study",
    "TrainedModel",
    "__version__",
    "embed_images",
    "evaluate_model",
    "feature_visualization",
    "open_result",
    "predict_pictures",
    "read_model",
    "read_study",
    "run",
    "run_each",
    "test_model",
]

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # what is logged is for files, not for the terminal


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``import ceteris`` alone loads neither torch nor matplotlib."""
    if name not in __all__:
        raise AttributeError(f"module 'ceteris' has no attribute {name!r}")
    room = "ceteris.study" if name in ("Study", "read_study") else "ceteris.api"
    return getattr(importlib.import_module(room), name)


def __dir__() -> list[str]:
    return __all__
