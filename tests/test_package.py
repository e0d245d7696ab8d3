"""The package as a user meets it: its documented example, its version, its typed names."""

import ast
import inspect
import re
import tomllib
from pathlib import Path

import ceteris
from ceteris import api, study
from ceteris.findings import StudyFindings

ROOT = Path(__file__).parents[1]


def test_the_documented_example_names_tables_and_figures_that_exist(findings: StudyFindings) -> None:
    result = ceteris.Result(findings=findings, folder=Path())
    told = ceteris.__doc__ or ""
    tables, figures = (re.findall(rf'result\.{kind}\("([^"]+)"\)', told) for kind in ("table", "figure"))
    assert tables
    assert figures
    for name in tables:
        assert result.table(name).rows
    for name in figures:
        assert result.figure(name).axes


def test_the_version_is_written_in_one_place_and_cited() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/ceteris/__init__.py"
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.M)
    assert cited is not None
    assert cited.group(1) == ceteris.__version__


def test_editors_are_told_where_every_public_name_comes_from() -> None:
    """The imports under TYPE_CHECKING are those that are done when a name is asked for."""
    tree = ast.parse(inspect.getsource(ceteris))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert sorted([*typed, "__version__"]) == sorted(ceteris.__all__)
    for name, module in typed.items():
        assert getattr(ceteris, name) is getattr({"ceteris.api": api, "ceteris.study": study}[module or ""], name)
