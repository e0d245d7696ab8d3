"""Every requirement of the five briefs has its place in a report, and what names the places is right."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

from ceteris.analysis.results import results_of
from ceteris.figures import figures
from ceteris.findings import LevelTest, Reference, StatedResult
from ceteris.report import tables
from ceteris.report.sections import SECTIONS
from ceteris.study import shipped_studies
from tests.example_findings import example_findings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
briefs = importlib.import_module("briefs")
sys.path.pop(0)

IDS = [
    f"{letter}{number}"
    for letter, last in zip("ABCDE", (20, 4, 10, 11, 12), strict=True)
    for number in range(1, last + 1)
]
FOUND = briefs.promised(briefs.PAGE.read_text(encoding="utf-8"))


def test_every_requirement_has_a_study_and_a_place() -> None:
    assert list(FOUND) == IDS
    assert {study for study, _ in FOUND.values()} <= set(shipped_studies())
    assert [name for name, (_, places) in FOUND.items() if not places] == []


def test_every_place_that_is_named_is_one_of_a_report() -> None:
    stated = Reference(source="a paper", results=(StatedResult(model="cnn", accuracy=0.9),))
    findings = example_findings(models=("cnn", "resnet"))
    factor = findings.models[0].factors[0]
    tested = LevelTest(factor=factor.name, label=factor.levels[0].label, digest="0" * 64, status="finished")
    models = (replace(findings.models[0], level_tests=(tested,)), *findings.models[1:])
    results = results_of(replace(findings, models=models, references=(stated,)))
    shown = {
        "table": [table.name for table in tables(results)],
        "figure": [figure.name for figure in figures(results)],
        "section": [name for name, _, _ in SECTIONS],
    }
    for name, (_, places) in FOUND.items():
        assert briefs.missing([place for place in places if place[0] != "file"], shown) == [], name


def test_what_a_result_does_not_show_is_named(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "data.csv").touch()
    (tmp_path / "report.html").write_text('<section id="data">', encoding="utf-8")
    shown = briefs.shown_in(tmp_path)
    assert briefs.missing([("table", "data"), ("section", "data"), ("file", "report.html")], shown) == []
    assert briefs.missing([("table", "roc"), ("figure", "curves-*")], shown) == ["table roc", "figure curves-*"]
