"""The documents themselves: the page asks for nothing outside, the PDF keeps to five pages, the notebook runs."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pytest
from tests.example_findings import example_findings
from tests.report.conftest import HOSTILE

from ceteris.analysis.results import results_of
from ceteris.api import Result
from ceteris.errors import ConfigError
from ceteris.findings import OwnWords, StudyFindings
from ceteris.report import compose, html_report, notebook_report, pdf_report, write_report
from ceteris.report.alt_text import NUMBERS
from ceteris.report.html import inlined, template
from ceteris.report.notebook import unexecuted
from ceteris.report.sections import Report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects what the tests ask about and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def having(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def _parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def bare(small: StudyFindings) -> StudyFindings:
    """The same study before any final training: four figures."""
    return replace(small, finals=(), explanations=(), residual=None)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return _parsed(html_report(report))


def test_page_asks_for_nothing_outside_itself(report: Report) -> None:
    html = html_report(report)
    page = _parsed(html)
    names = ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
    for tag, attributes in page.elements:
        for name in names:
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    assert not re.search(r"@import|url\((?!#|data:)", html)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.elements}


def test_the_only_script_of_the_page_is_that_of_its_own_policy(report: Report) -> None:
    html = html_report(report)
    data, script = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert data[0] == ' type="application/json" id="study"'
    assert json.loads(data[1])["classes"] == list(report.results.data.classes)
    assert script == ("", template("page.js"))
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in html
    assert len(script[1].splitlines()) <= 300


def test_every_picture_has_words_for_those_who_cannot_see_it(page: Page, report: Report) -> None:
    pictures = [entry for entry in page.having("svg") if entry.get("role") == "img"]
    assert len(pictures) == sum(not entry.figure.columns for entry in report.drawn)
    assert all(len(entry["aria-label"] or "") > 30 for entry in pictures)
    assert all(entry.get("alt") for entry in page.having("img"))


def test_words_for_a_picture_hold_its_numbers(page: Page, report: Report) -> None:
    [best] = report.results.best
    counts = best.results[0].confusion
    labels = " ".join(entry.get("aria-label") or "" for entry in page.having("svg"))
    assert f"In numbers: {counts.trace():,} of {counts.sum():,} right; " in labels
    assert f"{100 * best.mean('accuracy'):.2f} % of the test images" in labels
    assert f"macro AUC {best.mean('auc'):.4f}" in labels
    numbered = {entry.figure.kind for entry in report.drawn} & set(NUMBERS)
    assert labels.count("In numbers: ") == len(numbered) > 6


def test_page_has_headers_in_every_table_and_a_contents_list_whose_links_lead_somewhere(page: Page) -> None:
    assert sum(1 for _ in page.having("thead")) == sum(1 for _ in page.having("table")) > 10
    assert all(entry.get("scope") in ("col", "row") for entry in page.having("th"))
    places = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [entry["href"] or "" for entry in page.having("a")]
    assert len(links) > 10
    assert all(link[1:] in places for link in links)


def test_no_two_elements_of_the_page_share_a_name(page: Page) -> None:
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_hostile_names_stay_words(page: Page, report: Report) -> None:
    assert HOSTILE in "".join(page.words)
    assert "49" not in "".join(page.words).split("{{ 7*7 }}")[0][-5:]


def test_own_words_stand_apart_from_what_was_measured(small: StudyFindings) -> None:
    own = OwnWords(hypothesis=HOSTILE, why="First.\n\nSecond.", conclusion="So it is.", reflection="Next time.")
    factors = tuple(replace(factor, words=own) for factor in small.models[0].factors)
    made = results_of(replace(small, words=own, models=(replace(small.models[0], words=own, factors=factors),)))
    html = html_report(Report(made, (), ()))
    quotes = re.findall(r'<blockquote class="own"><p class="why">(\w+), in the authors’ words</p>', html)
    assert quotes.count("Hypothesis") == 1 + 1 + len(factors)
    assert quotes.count("Reflection") == 1
    assert html.count("<p>First.</p><p>Second.</p>") == quotes.count("Why")
    assert HOSTILE in "".join(_parsed(html).words)


def test_note_on_the_data_stands_once_above_all_figures(page: Page) -> None:
    assert "".join(page.words).count("About the data: not the official split") == 1


def test_page_stays_small(report: Report) -> None:
    assert (
        len(html_report(report).encode()) < 70_000 * sum(not entry.figure.columns for entry in report.drawn) + 500_000
    )


def test_colours_of_an_inlined_drawing_follow_the_page(report: Report) -> None:
    [drawn] = [entry for entry in report.drawn if entry.figure.name == "search-path"]
    glyphs: dict[str, str] = {}
    text = inlined(drawn.svg, name="a", label='"<&>"', glyphs=glyphs)
    assert "var(--ink)" in text
    assert "#1c2128" not in text
    assert {f'href="#{name}"' in text for name in glyphs.values()} == {True}
    assert 'aria-label="&quot;&lt;&amp;&gt;&quot;"' in text
    assert "<metadata" not in text


def test_pdf_and_page_without_any_final_training_are_whole(bare: StudyFindings) -> None:
    made = compose(results_of(bare))
    assert pdf_report(made).pages >= 1
    assert "no test result" in "".join(_parsed(html_report(made)).words)


def test_notebook_runs_alone_in_an_empty_folder_and_is_the_work_itself(finished: Result) -> None:
    notebook = nbformat.from_dict(json.loads(notebook_report(finished.results, finished.folder)))  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    # The layers that are written out are the networks of the study: their answers are those that it recorded.
    apart = re.findall(r"(\w+): the largest difference to (\d+) recorded answers is (\S+)", printed)
    assert [(name, count) for name, count, _ in apart] == [("mlp", "50"), ("resnet", "50")]
    assert all(float(difference) < 1e-4 for _, _, difference in apart)
    assert "Epoch 1/" in printed
    assert "Train Loss" in printed
    assert "folds" in printed
    test = finished.findings
    for place, label in enumerate(test.test_labels[:6]):
        assert f"test image {place}: true {test.data.classes[label]}; mlp: " in printed
    # Its own code is explained, nothing prints pages of values, and it is small.
    lines = [
        line for cell in code if "cellView" not in cell.metadata for line in cell.source.splitlines() if line.strip()
    ]
    assert sum("#" in line or '"""' in line for line in lines) > 0.25 * len(lines)
    assert max(len(output.get("data", {}).get("text/plain", "")) for output in outputs) < 300
    assert len(json.dumps(notebook)) < 1_500_000
    assert str(finished.folder) not in json.dumps(notebook)
    assert not any("filterwarnings" in cell.source for cell in code)


def test_notebook_without_the_weights_says_how_to_get_them(finished: Result, tmp_path: Path) -> None:
    cells = [cell.source for cell in unexecuted(finished.results, tmp_path).cells if cell.cell_type == "code"]
    [source] = [source for source in cells if "def take_weights" in source]
    told: list[str] = []
    exec(source, known := {"RESULT": tmp_path, "STORED": {"weights": {}}, "TRAIN": False, "print": told.append})
    known["take_weights"]("mlp", None)  # type: ignore[operator]
    assert re.search(r"models/mlp-best/model\.safetensors is not there.*TRAIN = True", told[0])


def test_notebook_that_trains_everything_runs_the_study_again(finished: Result) -> None:
    notebook = json.loads(notebook_report(finished.results, finished.folder, train=True))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert "\nTRAIN = True " in code[0]
    assert any("result = ceteris.run(tomllib.loads(STORED" in source for source in code)
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_notebook_that_cannot_be_executed_is_written_and_says_why(finished: Result) -> None:
    text = finished.findings.study_text
    nowhere = replace(finished.results, study_text=re.sub(r"^data = .*$", 'data = "nowhere"', text, flags=re.MULTILINE))
    notebook = json.loads(notebook_report(nowhere, finished.folder))
    assert "It was not executed here" in "".join(notebook["cells"][1]["source"])
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_write_report_leaves_whole_files_and_names_them(bare: StudyFindings, tmp_path: Path) -> None:
    told: list[str] = []
    written = write_report(bare, tmp_path / "out", formats=("html", "pdf"), progress=told.append)
    assert sorted(path.relative_to(tmp_path / "out") for path in written) == sorted(
        Path(folder, name).relative_to(tmp_path / "out")
        for folder, _, names in os.walk(tmp_path / "out")
        for name in names
    )
    assert all(path.stat().st_size > 0 for path in written)
    stems = {path.stem for path in written if path.suffix == ".svg"}
    assert stems == {path.stem for path in written if path.suffix == ".png"}
    assert any("report.pdf" in line for line in told)


def test_a_part_that_fails_is_left_out_and_the_page_says_so(
    bare: StudyFindings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no ink")

    monkeypatch.setattr("ceteris.figures.data.draw_samples", broken)
    monkeypatch.setattr("ceteris.report.pdf_report", broken)
    monkeypatch.setattr("ceteris.report.notebook_report", broken)
    written = {path.name for path in write_report(bare, tmp_path, formats=("html", "pdf", "ipynb"))}
    assert "report.html" in written
    assert not {"samples.svg", "report.pdf", "report.ipynb"} & written
    words = " ".join(_parsed((tmp_path / "report.html").read_text(encoding="utf-8")).words)
    assert "The figure samples could not be made and is left out: no ink." in words
    assert "Report.pdf could not be made and is left out: no ink." in words
    assert "Report.ipynb could not be made and is left out: no ink." in words


def test_a_topic_that_fails_costs_its_own_figures_alone(bare: StudyFindings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no path")

    monkeypatch.setattr("ceteris.figures.search_path.has_path", broken)
    made = compose(results_of(bare))
    assert any("Search path figure could not be made" in note for note in made.notes)
    assert {"samples", "effects-resnet"} <= {drawn.figure.name for drawn in made.drawn}


def test_an_unknown_format_is_answered_with_those_there_are(small: StudyFindings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="html, pdf, ipynb"):
        write_report(small, tmp_path, formats=("docx",))
    assert list(tmp_path.iterdir()) == []


def test_the_arrays_of_the_findings_are_left_as_they_were(small: StudyFindings, report: Report) -> None:
    fresh = example_findings(models=("resnet",), factors=2, seeds=1)
    np.testing.assert_array_equal(small.finals[0].probabilities, fresh.finals[0].probabilities)
