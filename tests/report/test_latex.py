"""LaTeX tables, macros and Markdown: the numbers of the report, and names that stay names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.example_findings import example_findings

from ceteris.analysis.results import Results, results_of
from ceteris.formats import plain_points
from ceteris.report.latex import escaped, latex_table, macros, markdown_report
from ceteris.report.paper_tables import paper_tables
from ceteris.report.sections import Report

NAMES = ("<script>", "#include", "$x$", "名", "שלום", "%", "\\input{x}", "x" * 300, "a_b^c", "& ~more")


@pytest.fixture(scope="module")
def hostile() -> Results:
    return results_of(
        example_findings(models=("cnn",), factors=2, seeds=1, class_names=NAMES, title="\\end{table} $#%&_{}")
    )


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_name_is_a_command(name: str) -> None:
    bare = re.sub(r"\\(textbackslash|text\w+|checkmark|ldots)\{\}|\\[{}$&#%_]|\$\\?[a-z-]+\$", "", escaped(name))
    assert not set(bare) & set("\\{}$&#%_^~<>")
    assert all(ord(letter) < 128 for letter in bare)


def test_every_row_of_a_latex_table_has_the_cells_of_its_head(hostile: Results) -> None:
    for table in paper_tables(hostile):
        text = latex_table(table)
        rows = [line for line in text.splitlines() if line.endswith("\\\\")]
        assert len(rows) == len(table.rows) + 1
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.columns) - 1}
        assert text.count("\\begin{table}") == text.count("\\end{table}") == 1
        assert [place for place, row in enumerate(rows[1:]) if "\\textbf" in row] == sorted(table.strong)


def test_macros_hold_the_numbers_of_the_report(results: Results) -> None:
    text = macros(results)
    best = results.models[1].version()
    assert best is not None
    assert f"\\newcommand{{\\ceterisCnnBestAccuracy}}{{{plain_points(best.mean('accuracy'))}}}" in text
    assert f"\\newcommand{{\\ceterisCnnBestAccuracyLow}}{{{plain_points(best.accuracy_interval.low)}}}" in text
    names = re.findall(r"\\newcommand\{\\(\w+)\}", text)
    assert len(names) == len(set(names)) > 60
    assert all(name.isalpha() for name in names)


def test_markdown_keeps_names_as_words_and_leaves_places_for_own_ones(hostile: Results) -> None:
    text = markdown_report(Report(hostile, (), ()))
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "In your own words: what you learned" in text
    assert "\\$x\\$" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs LaTeX")
def test_latex_sets_the_tables(hostile: Results, tmp_path: Path) -> None:
    body = "\n".join(latex_table(table) for table in paper_tables(hostile))
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,amssymb}\n"
    (tmp_path / "a.tex").write_text(
        f"{head}{macros(hostile)}\\begin{{document}}{body}\\end{{document}}", encoding="utf-8"
    )
    subprocess.run(["pdflatex", "-halt-on-error", "a.tex"], cwd=tmp_path, check=True, capture_output=True)
