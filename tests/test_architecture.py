"""The shape of the house: who imports whom, what loads what, and where randomness may come from."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

import ceteris
from ceteris import recipe
from ceteris.cli.app import run_command
from ceteris.study.strategies import STRATEGIES
from ceteris.training import trial
from tests.api.tiny import TINY

SOURCE = Path(ceteris.__file__).parent

# Lowest first; rooms on one floor do not know each other, a room imports only from the floors below it. `ceteris` itself
# is a door: it hands out the names of `study` and `api` when they are asked for.
FLOORS: list[set[str]] = [
    {"digests", "errors", "formats"},
    {"files"},
    {"recipe", "seeds", "user_code"},
    {"fields"},
    {"records"},
    {"insights"},
    {"findings"},
    {"data", "models", "techniques", "stats"},
    {"training", "explain", "store", "analysis"},
    {"execution"},
    {"study", "figures"},
    {"planning"},
    {"report"},
    {"api"},
    {"cli"},
    {"__main__"},
]
DATA_ONLY = {"studies"}  # holds .toml files, and what a user would write for them
WITHOUT_TORCH = {
    "errors",
    "fields",
    "recipe",
    "seeds",
    "records",
    "findings",
    "insights",
    "data",
    "stats",
    "store",
    "analysis",
    "figures",
    "report",
    "formats",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
PACKAGES = [name for name, path in MODULES.items() if path.name == "__init__.py"]
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Every imported module or name, dotted, wherever the import stands: in a function it counts too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(name: str) -> set[str]:
    """The modules of ceteris that a module imports."""
    owners = set()
    for imported in imported_names(TREES[name]):
        owner = imported if imported in MODULES else imported.rpartition(".")[0]
        owners |= {owner} & MODULES.keys()
    return owners - {name}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room(name) for name in MODULES} - {"ceteris"} - DATA_ONLY
    assert rooms == set().union(*FLOORS)


def test_code_of_the_shipped_studies_knows_nothing_of_ceteris_and_nothing_of_it_is_needed() -> None:
    ours = {name for name in MODULES if room(name) in DATA_ONLY}
    assert [name for name in ours if imported_modules(name)] == []
    assert [name for name in MODULES if name not in ours and imported_modules(name) & ours] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name != "ceteris" and room(name) not in DATA_ONLY])
def test_a_room_imports_only_rooms_below_it(name: str) -> None:
    wrong = {
        other
        for other in imported_modules(name)
        if other != "ceteris" and room(other) != room(name) and floor(room(other)) >= floor(room(name))
    }
    assert not wrong


def test_only_the_uppermost_rooms_enter_through_the_front_door() -> None:
    entered = {room(name) for name in MODULES if "ceteris" in imported_modules(name)}
    assert entered <= {"api", "cli"}


def test_imports_have_no_cycle() -> None:
    waiting = {name: imported_modules(name) - {"ceteris"} for name in MODULES if name != "ceteris"}
    while free := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting, f"these modules import each other in a ring: {sorted(waiting)}"


def test_imports_are_absolute_so_that_the_floors_can_be_read() -> None:
    relative = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert not relative


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in WITHOUT_TORCH])
def test_rooms_of_plain_numbers_never_import_torch(name: str) -> None:
    assert not [imported for imported in imported_names(TREES[name]) if imported.split(".")[0] == "torch"]


def test_torchvision_is_nowhere() -> None:
    assert not [
        name
        for name, tree in TREES.items()
        if any(imported.split(".")[0] == "torchvision" for imported in imported_names(tree))
    ]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_says_sorted_what_it_offers(name: str) -> None:
    module = importlib.import_module(name)
    if room(name) in DATA_ONLY or not hasattr(module, "__all__"):
        assert MODULES[name].read_text(encoding="utf-8").count("\n") <= 1, f"{name} has code but no __all__"
        return
    offered = module.__all__
    assert list(offered) == sorted(set(offered), key=place_in_a_list_of_names)
    assert [wanted for wanted in offered if not hasattr(module, wanted)] == []


def place_in_a_list_of_names(name: str) -> tuple[int, str]:
    """CONSTANTS first, then Classes, then functions, as isort and ruff sort them."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("module", ["ceteris", "ceteris.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'torch', 'matplotlib', 'sklearn', 'scipy'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def choice_types() -> set[str]:
    return {choice.__name__ for group in recipe.CHOICES.values() for choice in group}


def choices_named_in(tree: ast.Module) -> set[str]:
    """The concrete choices of ceteris.recipe that a module names, imported by name or through `recipe.`."""
    direct = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "ceteris.recipe"
        for alias in node.names
    }
    through = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "recipe"
    }
    return (direct | through) & choice_types()


def test_a_recipe_is_turned_into_objects_in_one_place_only() -> None:
    naming = {name: choices for name, tree in TREES.items() if (choices := choices_named_in(tree))}
    everything = naming.pop("ceteris.training.build")
    assert everything >= choice_types()
    naming.pop("ceteris.recipe", None)
    # Code of the user's own is digested where trials are made, and made a recipe where it is handed in from Python.
    own = {"CustomModel", "CustomLoss", "Estimator"}
    others = {name: choices - own for name, choices in naming.items() if room(name) != "report"}
    assert {name: choices for name, choices in others.items() if choices} == {}


@pytest.mark.parametrize("strategy", ["halving", "leave-one-out", "one-at-a-time"])
def test_a_strategy_is_named_in_the_types_of_a_study_the_table_of_strategies_and_its_own_file(strategy: str) -> None:
    """Whoever wants to know something of a strategy asks its Strategy, or the types in the findings of its search."""
    naming = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".jinja", ".typ") and strategy in path.read_text(encoding="utf-8").lower()
    }
    module = STRATEGIES[strategy].partition(":")[0]
    own = f"study/strategies/{module}.py"
    assert naming - {own} == {"study/study.py", "study/strategies/__init__.py"}


def calls_in(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_seeds_or_reads_a_global_generator() -> None:
    """`default_generator` is lent to a user's own model inside fork_rng, which gives it back as it was."""
    forbidden = {"torch.manual_seed", "torch.seed", "np.random.seed", "numpy.random.seed", "random.seed"}
    found = [(name, called) for name, tree in TREES.items() for called, _ in calls_in(tree) if called in forbidden]
    assert found == []
    lent = [name for name, tree in TREES.items() for called, _ in calls_in(tree) if "default_generator" in called]
    assert lent == ["ceteris.training.build", "ceteris.training.single"]


def test_random_numbers_of_numpy_come_from_a_generator_that_was_handed_in() -> None:
    allowed = {"default_rng", "Generator", "PCG64", "SeedSequence"}
    found = [
        (name, called)
        for name, tree in TREES.items()
        for called, _ in calls_in(tree)
        if called.startswith(("np.random.", "numpy.random.")) and called.rpartition(".")[2] not in allowed
    ]
    assert found == []


def test_the_standard_library_s_random_is_not_used() -> None:
    users = [name for name, tree in TREES.items() if "random" in {part.split(".")[0] for part in imported_names(tree)}]
    assert users == []


DRAWING_OF_TORCH = {
    "torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.normal", "torch.bernoulli",
    "torch.multinomial",
}  # fmt: skip


def test_every_draw_of_torch_names_its_generator() -> None:
    silent = [
        (name, ast.unparse(call))
        for name, tree in TREES.items()
        for called, call in calls_in(tree)
        if called in DRAWING_OF_TORCH and "generator" not in {keyword.arg for keyword in call.keywords}
    ]
    assert silent == []


DOCS = Path(__file__).parents[1] / "docs" / "architecture.md"


class AtTheLoopError(BaseException):
    """Raised where the loop would begin, with the functions on the way to it."""


def way_from_the_command_to_the_loop(folder: Path, patch: pytest.MonkeyPatch) -> list[str]:
    """Every function of ceteris between the command ``run`` and ``fit``, both included, as "file: name"."""

    def stop(*arguments: object, **named: object) -> None:
        way, frame = ["training/loop.py: fit"], sys._getframe(1)
        while frame.f_code.co_name != "run_command" and frame.f_back:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(SOURCE):
                way.append(f"{path.relative_to(SOURCE).as_posix()}: {frame.f_code.co_name}")
            frame = frame.f_back
        raise AtTheLoopError(way[::-1])

    (folder / "study.toml").write_text(tomli_w.dumps(TINY), encoding="utf-8")
    patch.setattr(trial, "fit", stop)
    with pytest.raises(AtTheLoopError) as reached:
        run_command(["run", str(folder / "study.toml"), "--workers", "0", "--out", str(folder / "out")])
    way: list[str] = reached.value.args[0]
    return way


def test_from_the_command_to_the_loop_it_is_six_calls_and_the_page_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = way_from_the_command_to_the_loop(tmp_path, monkeypatch)
    assert len(way) - 1 <= 6, way
    page = DOCS.read_text(encoding="utf-8")
    missing = [step for step in way if not re.search(rf"{step.split(': ')[0]} +(\w+\.)?{step.split(': ')[1]}\b", page)]
    assert missing == []


def test_every_room_and_every_file_that_the_page_names_exists() -> None:
    page = DOCS.read_text(encoding="utf-8")
    rooms = {room(name) for name in MODULES} - {"ceteris"} - DATA_ONLY
    assert {name for name in rooms if f"`{name}`" not in page} == set()
    named = set(re.findall(r"`?((?:\w+/)+\w+)(?:\.py)?`", page)) - {"study/strategies/"}
    assert {
        name
        for name in named
        if not (SOURCE / f"{name}.py").exists()
        and not (SOURCE / name).is_dir()
        and not (DOCS.parents[1] / f"{name}.py").exists()
    } == set()


def test_a_single_training_never_meets_population_code() -> None:
    for name in ("loop", "single", "trial"):
        assert not {
            other
            for other in imported_modules(f"ceteris.training.{name}")
            if other.endswith((".population", ".stacked"))
        }


def test_no_module_makes_sentences_of_findings_but_the_report_and_the_strategies() -> None:
    """The types of the findings hold no prose: no field is called sentence, text, summary or decision."""
    prose = [
        (name, node.target.id)
        for name in ("ceteris.findings", "ceteris.stats.verdicts", "ceteris.study.decide")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id in {"sentence", "sentences", "told", "decision", "prospect"}
        and ast.unparse(node.annotation) == "str"
    ]
    assert prose == []
