"""torch's compiler, put off until somebody compiles.

Every optimizer of torch imports the compiler with its first step, to tell it to keep out. That takes a second or more of
every training process and about 100 MB, and here nothing is compiled, unless a user's own model does it.
"""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import torch

_COMPILER = "torch._dynamo"
F = TypeVar("F", bound=Callable[..., Any])


class _PutOff(ModuleType):
    """Stands in for the compiler: keeps out when it is told to, and makes way for the real one when anything else is asked."""

    @staticmethod
    def disable(function: F, recursive: bool = True, *, wrapping: bool = True) -> F:
        """Return a function that the compiler leaves alone: as long as it is not there, any function is one."""
        return function

    @staticmethod
    def graph_break() -> None:
        """Do nothing: there is no graph."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
            torch.__dict__.pop("_dynamo", None)
        return getattr(importlib.import_module(_COMPILER), name)


def put_off_compiler() -> None:
    """Keep this process from importing torch's compiler before it is used; does nothing when it is there already.

    For a process that only trains: the optimizers' own steps are not hidden from a compiler that is used later on.
    """
    if _COMPILER not in sys.modules:
        stand_in = _PutOff(_COMPILER)
        sys.modules[_COMPILER] = stand_in
        torch.__dict__["_dynamo"] = stand_in
