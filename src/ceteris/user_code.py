"""Code of the user's own that a recipe names by import path: whether it may be imported, what it is, its digest."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from ceteris.errors import ConfigError, did_you_mean

# Code that is imported unasked: what the shipped studies show of a user's own, and estimators installed with ceteris. Their
# arguments are numbers and names; whole paths are named, as a module alone would lead to all that it imports.
SHIPPED = frozenset(
    f"ceteris.studies.{path}" for path in ("own_code:Inception", "own_code:cross_entropy", "numpy_mlp:NumpyMLP")
)
ALLOWED_UNASKED = SHIPPED | frozenset(
    f"sklearn.{path}"
    for path in (
        "dummy:DummyClassifier",
        "discriminant_analysis:LinearDiscriminantAnalysis",
        "discriminant_analysis:QuadraticDiscriminantAnalysis",
        "ensemble:ExtraTreesClassifier",
        "ensemble:GradientBoostingClassifier",
        "ensemble:HistGradientBoostingClassifier",
        "ensemble:RandomForestClassifier",
        "linear_model:LogisticRegression",
        "linear_model:SGDClassifier",
        "naive_bayes:GaussianNB",
        "neighbors:KNeighborsClassifier",
        "neural_network:MLPClassifier",
        "tree:DecisionTreeClassifier",
    )
)


@dataclass(frozen=True)
class ImportPolicy:
    """Which import paths may be imported: ``paths`` names them, None allows every one.

    ``folder`` holds code that was handed over with weights (see :func:`code_files`); it comes before other modules.
    """

    paths: frozenset[str] | None = frozenset()
    folder: Path | None = None

    def check(self, path: str, parameter: str) -> None:
        """Refuse a path that is not allowed.

        Raises:
            ConfigError: naming the parameter, the path and how to allow it.
        """
        if self.paths is not None and path not in self.paths | ALLOWED_UNASKED:
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
            found: Any = self._module(module_name)
        except ImportError as error:
            raise ConfigError(
                f'{parameter}: the module of "{path}" could not be imported: {error}. '
                f"It was looked for in {', '.join(folder or '.' for folder in sys.path[:3])} and where packages are installed. "
                "Install it, or add its folder to the environment variable PYTHONPATH."
            ) from error
        for name in names.split("."):
            if not hasattr(found, name):
                raise ConfigError(f'{parameter}: "{path}" has no "{name}".{did_you_mean(name, dir(found))}')
            found = getattr(found, name)
        if not callable(found):
            raise ConfigError(f'{parameter}: "{path}" must be a class or a function, received {type(found).__name__}.')
        return found  # type: ignore[no-any-return]

    def _module(self, name: str) -> ModuleType:
        if self.folder is None:
            return importlib.import_module(name)
        with _modules_of(self.folder):
            main = self.folder / _MAIN_FILE
            if name != "__main__" or not main.is_file():
                return importlib.import_module(name)
            spec = importlib.util.spec_from_file_location("handed_over_main", main)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module

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
            if path in ALLOWED_UNASKED - SHIPPED:
                sources.append(f"{path} {metadata.version('scikit-learn')}".encode())
                continue
            module, _, names = path.partition(":")
            source, file = _source(module, names.partition(".")[0])
            sources.append(source)
            helpers |= local_sources(module, file, source) if file else {}
        return hashlib.sha256(b"".join([*sources, *(helpers[name] for name in sorted(helpers))])).hexdigest()


NO_IMPORTS = ImportPolicy()
ALL_IMPORTS = ImportPolicy(paths=None)
_MAIN_FILE = "__main__.py"  # what a notebook or script defines, among handed-over files


@contextmanager
def _modules_of(folder: Path) -> Iterator[None]:
    """Import from a folder first; modules of the same names that are loaded already come back afterwards."""
    names = {place.stem for place in folder.iterdir()}
    before = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names - {"__main__"}
    }
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        if before:
            for name in [name for name in sys.modules if name.partition(".")[0] in names - {"__main__"}]:
                del sys.modules[name]
            sys.modules.update(before)


def code_files(paths: Iterable[str]) -> dict[str, bytes]:
    """Return the user's own files behind import paths by their relative names, to be handed over with trained weights.

    They are each path's module with its packages, and what it imports of the user's own, see :func:`local_sources`. What
    a notebook or script defines becomes a file of its own. Installed packages are left out.
    """
    files = dict[str, bytes]()
    for module, _, names in (path.partition(":") for path in paths if path not in ALLOWED_UNASKED):
        source, file = _source(module, names.partition(".")[0])
        if module == "__main__":
            files[_MAIN_FILE] = source
        if file is not None:
            root = _root(module, file)
            packages = [module.rsplit(".", level)[0] for level in range(module.count(".") + 1)]
            for name in (*packages, *local_sources(module, file, source)):
                if name != "__main__" and (own := _own_file(root, name)):
                    files[own.relative_to(root).as_posix()] = own.read_bytes()
    return files


def source_with_names(module: ModuleType, name: str) -> str:
    """Return the source of a class of a notebook or script with the imports, definitions and constants that it uses."""
    parts, seen = list[str](), set[str]()

    def add(name: str) -> None:
        seen.add(name)
        value = vars(module)[name]
        if isinstance(value, ModuleType):
            parts.append(f"import {value.__name__} as {name}\n")
        elif getattr(value, "__module__", module.__name__) != module.__name__ and hasattr(value, "__name__"):
            parts.append(f"from {value.__module__} import {value.__name__} as {name}\n")
        elif isinstance(value, type | FunctionType):
            text = _definition(value)
            used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
            for other in sorted((used & vars(module).keys()) - seen):
                if other not in seen:
                    add(other)
            parts.append(text)
        elif isinstance(value, bool | int | float | str | tuple | list | dict):
            parts.append(f"{name} = {value!r}\n")

    add(name)
    return "\n".join(parts)


def _definition(value: type | FunctionType) -> str:
    """Return the source of a class or function, of one in the cell of a notebook too; '' where it is not known."""
    try:
        return textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        for function in vars(value).values():  # the cell is known by the files of a class's functions
            code = getattr(function, "__code__", None)
            cell = "".join(linecache.getlines(code.co_filename)) if code else ""
            for node in reversed(ast.parse(cell).body if cell else []):
                if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                    return ast.unparse(node) + "\n"
    return ""


def _source(module: str, name: str) -> tuple[bytes, Path | None]:
    """Return the source of a module and its file; of a notebook or a script what belongs to ``name``."""
    try:
        spec = importlib.util.find_spec(module) if module != "__main__" else None  # which would run when it is imported
        if spec and spec.origin and Path(spec.origin).is_file():
            return Path(spec.origin).read_bytes(), Path(spec.origin)
    except (ImportError, ValueError):
        pass  # a module without a file, such as a notebook: its class may still tell its source
    loaded = sys.modules.get(module)
    if loaded is None or not hasattr(loaded, name):
        return b"", None
    return source_with_names(loaded, name).encode(), Path(getattr(loaded, "__file__", None) or Path.cwd() / _MAIN_FILE)


def local_sources(module: str, file: Path, source: bytes | None = None) -> dict[str, bytes]:
    """Return the sources of the user's modules that a module imports, and that those import in turn, by module name.

    Import statements are read, in ``source`` where that is given and not all of the file counts; nothing is imported: what
    is imported by a name made at run time is not seen. The user's modules are those below the folder that ``module`` is
    found in; site-packages and the standard library are not.
    """
    root, found = _root(module, file), dict[str, bytes]()
    waiting = [(module, file, file.read_bytes() if source is None else source)]
    while waiting:
        importing, place, text = waiting.pop()
        package = importing if place.name == "__init__.py" else importing.rpartition(".")[0]
        for name in imported_names(text, package) - {module, *found}:
            if own := _own_file(root, name):
                found[name] = own.read_bytes()
                waiting.append((name, own, found[name]))
    return found


def _root(module: str, file: Path) -> Path:
    """Return the folder in which a module of that file was found."""
    return file.absolute().parents[module.count(".") + (file.name == "__init__.py")]


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
