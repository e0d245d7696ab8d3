"""Code of the user's own that a recipe names by import path: whether it may be imported, and what it stands for."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ceteris.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class ImportPolicy:
    """Which import paths may be imported: ``paths`` names them, None allows every one."""

    paths: frozenset[str] | None = frozenset()

    def check(self, path: str, parameter: str) -> None:
        """Refuse a path that is not allowed.

        Raises:
            ConfigError: naming the parameter, the path and how to allow it.
        """
        if self.paths is not None and path not in self.paths:
            raise ConfigError(
                f'{parameter}: "{path}" is code of your own, which a study file may not run unasked. '
                "If you trust it, add --allow-imports (in Python: allow_imports=True)."
            )

    def resolve(self, path: str, parameter: str) -> Callable[..., Any]:
        """Import what ``package.module:name`` stands for.

        Raises:
            ConfigError: when importing was not allowed, or there is no such callable.
        """
        self.check(path, parameter)
        module_name, _, names = path.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
        except ImportError as error:
            raise ConfigError(
                f'{parameter}: the module of "{path}" could not be imported: {error}. '
                "Install it, or add its folder to the environment variable PYTHONPATH."
            ) from error
        for name in names.split("."):
            if not hasattr(found, name):
                raise ConfigError(f'{parameter}: "{path}" has no "{name}".{did_you_mean(name, dir(found))}')
            found = getattr(found, name)
        if not callable(found):
            raise ConfigError(f'{parameter}: "{path}" must be a class or a function, received {type(found).__name__}.')
        return found  # type: ignore[no-any-return]


NO_IMPORTS = ImportPolicy()
ALL_IMPORTS = ImportPolicy(paths=None)
