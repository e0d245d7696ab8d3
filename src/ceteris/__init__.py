"""Controlled experiments on image classifiers: one change at a time, everything else equal, and an honest verdict.

import ceteris
result = ceteris.run("digits")
result.table("what_helped")
result.figure("factor_effects_cnn")
ceteris.read_model(result.folder / "models/cnn-best").probabilities(images)
"""

from typing import Any

__all__ = [
    "Result",
    "Study",
    "TrainedModel",
    "__version__",
    "evaluate_model",
    "open_result",
    "predict_pictures",
    "read_model",
    "read_study",
    "run",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: ``import ceteris`` alone loads neither torch nor matplotlib."""
    if name in ("Study", "read_study"):
        from ceteris import study

        return getattr(study, name)
    if name in __all__:
        from ceteris import api

        return getattr(api, name)
    raise AttributeError(f"module 'ceteris' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
