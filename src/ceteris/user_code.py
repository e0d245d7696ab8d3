"""Code of the user's own that a recipe names by import path: whether it may be imported, what it is, its digest."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
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

    def digest(self, paths: Mapping[str, str]) -> str:
        """Return the digest of the sources behind import paths by parameter, '' where there are none.

        It covers each path's module and what that imports of the user's own, see :func:`local_sources`. Looking for a
        module imports the packages around it, so every path is checked first.

        Raises:
            ConfigError: when a path is not allowed.
        """
        for parameter, path in paths.items():
            self.check(path, parameter)
        if not paths:
            return ""
        sources, helpers = [], dict[str, bytes]()
        for path in paths.values():
            module, _, names = path.partition(":")
            source, file = _source(module, names.partition(".")[0])
            sources.append(source)
            helpers |= local_sources(module, file) if file else {}
        return hashlib.sha256(b"".join([*sources, *(helpers[name] for name in sorted(helpers))])).hexdigest()


NO_IMPORTS = ImportPolicy()
ALL_IMPORTS = ImportPolicy(paths=None)


def _source(module: str, name: str) -> tuple[bytes, Path | None]:
    """Return the source of a module and its file; of one without a spec (a notebook, a script) the source of ``name``."""
    try:
        spec = importlib.util.find_spec(module)
        if spec and spec.origin and Path(spec.origin).is_file():
            return Path(spec.origin).read_bytes(), Path(spec.origin)
    except (ImportError, ValueError):
        pass  # a module without a file, such as a notebook: its class may still tell its source
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    try:
        return inspect.getsource(getattr(loaded, name)).encode(), Path(file) if file else None
    except (AttributeError, OSError, TypeError):
        return b"", None


def local_sources(module: str, file: Path) -> dict[str, bytes]:
    """Return the sources of the user's modules that a module imports, and that those import in turn, by module name.

    Import statements are read, nothing is imported: what is imported by a name made at run time is not seen. The user's
    modules are those below the folder that ``module`` is found in; site-packages and the standard library are not.
    """
    depth = module.count(".") + (file.name == "__init__.py")
    root, found, waiting = file.absolute().parents[depth], dict[str, bytes](), [(module, file)]
    while waiting:
        importing, source = waiting.pop()
        package = importing if source.name == "__init__.py" else importing.rpartition(".")[0]
        for name in imported_names(source.read_bytes(), package) - {module, *found}:
            if helper := _own_file(root, name):
                found[name] = helper.read_bytes()
                waiting.append((name, helper))
    return found


def _own_file(root: Path, module: str) -> Path | None:
    """Return the file of a module below a folder, None where there is none or it was installed."""
    place = root.joinpath(*module.split("."))
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        installed = {"site-packages", "dist-packages"} & set(file.parts) or file.resolve().is_relative_to(standard)
        if file.is_file() and not installed:
            return file
    return None


@lru_cache(maxsize=1024)
def imported_names(source: bytes, package: str) -> frozenset[str]:
    """Return all modules that a source of a package may import: ``from a import b`` names ``a`` and ``a.b``."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    modules = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                start = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue  # more dots than packages: it cannot be imported
            modules |= {start, *(f"{start}.{alias.name}" for alias in node.names if alias.name != "*")}
    return frozenset(
        ".".join(parts[:count]) for name in modules for parts in [name.split(".")] for count in range(1, len(parts) + 1)
    )
