import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ceteris.cli.app import run_command

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_the_reference_page_is_what_the_types_say() -> None:
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "docs" / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == module.reference(), "run: python docs/write_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_in_the_docs_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = set()
    commands = (
        "run",
        "plan",
        "init",
        "data list",
        "data describe",
        "evaluate",
        "predict",
        "summary",
        "report",
        "bundle",
        "explain",
        "residual",
        "doctor",
    )
    for command in commands:
        run_command([*command.split(), "--help"])
        known |= set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    for line in re.findall(r"^    (?:\$ )?(?:\S*/)?ceteris .*$", page.read_text(encoding="utf-8"), flags=re.M):
        for option in re.findall(r"--[a-z][a-z-]+", line):
            assert option in known, f"{page.name}: {line.strip()}"


def test_the_documentation_is_built_as_a_site_without_a_warning(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "doctrees")]
    done = subprocess.run([*build, ROOT / "docs", tmp_path / "html"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ceteris.run" in (tmp_path / "html" / "api.html").read_text(encoding="utf-8")
