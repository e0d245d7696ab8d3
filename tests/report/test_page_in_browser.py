"""The page as readers use it, in a real browser: clicks, keyboard, sorting, copying, dark, print, phone, accessibility."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import pytest

from ceteris.analysis.results import Results
from ceteris.insights import AttentionMaps
from ceteris.report import Report, html_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install ceteris[dev])")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FIGURE = "figure-confusion-resnet"
# From the numbers of a panel's axes to the screen.
ON_SCREEN = """([figure, x, y]) => {
  const panel = JSON.parse(document.getElementById("study").textContent).panels[figure][0];
  const [left, top, width, height] = panel.box;
  const svg = document.querySelector(`#figure-${figure} svg`);
  svg.scrollIntoView({block: "center"});
  const at = new DOMPoint(left + (x - panel.x[0]) / (panel.x[1] - panel.x[0]) * width,
    top + (y - panel.y[0]) / (panel.y[1] - panel.y[0]) * height).matrixTransform(svg.getScreenCTM());
  return [at.x, at.y];
}"""


@pytest.fixture(scope="module")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page with a few of its figures as a file, the confusion matrix of a second model (a copy) among them."""
    drawn = [entry for entry in report.drawn if entry.figure.kind in ("samples", "improvement", "effects")]
    [confusion] = [entry for entry in report.drawn if entry.figure.kind == "confusion"]
    other = replace(confusion, figure=replace(confusion.figure, name="confusion-cnn", model="cnn"))
    path = tmp_path_factory.mktemp("page") / "report.html"
    looked = replace(report.results, insights=replace(report.results.insights, attention=_maps(report.results)))
    made = replace(report, results=looked, drawn=(*drawn, confusion, other))
    path.write_text(html_report(made), encoding="utf-8")
    return path.as_uri()


def _maps(results: Results) -> AttentionMaps:
    """Heat maps of one mistake, for the predicted and for the true class."""
    [best], kept, labels = results.best, results.images.kept, results.images.labels
    answers = best.finals[0].probabilities[kept.indices]
    place = int(np.flatnonzero(answers.argmax(axis=1) != labels[kept.indices])[0])
    true, given = int(labels[kept.indices[place]]), int(answers[place].argmax())
    maps = np.linspace(-1, 1, 2 * kept.images[0, 0].size, dtype=np.float32)
    return AttentionMaps(
        methods=("grad-cam",), models=("resnet",), layers=("stage1",), indices=kept.indices[[place]],
        images=kept.images[[place]], labels=np.array([true]), targets=np.array([[[given, true]]]),
        confidences=answers[place, [given, true]].astype(np.float32)[None, None],
        maps=maps.reshape(1, 1, 1, 2, *kept.images.shape[2:]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page in a window of its own; at the end nothing may have gone wrong in it, and nothing been asked for."""
    opened = browser.new_page(viewport={"width": 1280, "height": 1400}, reduced_motion="reduce")
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: wrong.append(dialog.message))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    assert wrong == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    opened.close()


def _point(page: Any, figure: str, x: float, y: float) -> tuple[float, float]:
    across, down = page.evaluate(ON_SCREEN, [figure, x, y])
    return across, down


def test_a_click_on_a_cell_shows_the_very_images_that_were_mistaken(page: Any, report: Report) -> None:
    results, [best] = report.results, report.results.best
    answers, labels = best.finals[0].probabilities, results.images.labels
    given = answers.argmax(axis=1)
    counts = best.results[0].confusion * (1 - np.eye(len(results.data.classes), dtype=np.int64))
    truth, answer = divmod(int(counts.argmax()), len(counts))
    wanted = set(np.flatnonzero((labels == truth) & (given == answer)).tolist())
    page.mouse.click(*_point(page, "confusion-resnet", answer, truth))
    tiles = page.locator(f"#{FIGURE} .tiles li").all_inner_texts()
    assert {int(text.split()[2]) for text in tiles} == wanted
    index = int(tiles[0].split()[2])
    assert f"{100 * answers[index, answer]:.1f} %" in tiles[0]
    assert f"{100 * answers[index, truth]:.1f} %" in tiles[0]
    assert results.data.classes[truth] in tiles[0]
    # The keyboard's way to the same images.
    for number, value in enumerate((truth, answer)):
        assert page.locator(f"#{FIGURE} select").nth(number).input_value() == str(value)
    page.locator(f"#{FIGURE} select").nth(1).select_option("")
    assert page.locator(f"#{FIGURE} .tiles li").count() == min(60, int(counts[truth].sum()))
    # Of the one that was looked into, what speaks for the predicted and for the true class.
    page.locator(f"#{FIGURE} select").nth(0).select_option("")
    said = page.locator(f"#{FIGURE} .heat").evaluate_all("(found) => found.map((one) => one.ariaLabel)")
    assert [text.startswith("Grad-CAM for the predicted class") for text in said] == [True, False]


def test_a_dot_of_a_comparison_tells_its_block_and_draws_its_learning_curve(page: Any, report: Report) -> None:
    [model], level = report.results.models, report.results.models[0].factors[0].levels[0]
    shown = page.evaluate("JSON.parse(document.getElementById('study').textContent).blocks['blocks-resnet'].levels[0]")
    assert shown["label"].endswith(level.tuned_label)
    page.mouse.move(*_point(page, "effects-resnet", 100 * level.accuracies[1], shown["y"]))
    told = page.locator(".tip").inner_text()
    assert f"{100 * level.accuracies[1]:.1f} %" in told
    assert "repetition 1, fold 2" in told or model.block == "block"
    assert page.locator(".tip polyline").count() == len(level.accuracies)
    page.keyboard.press("Escape")
    assert not page.locator(".tip").is_visible()
    walk = page.locator("#figure-effects-resnet button")
    walk.focus()
    page.keyboard.press("ArrowRight")
    assert "fold 3" in page.locator(".tip").inner_text()  # on from where the pointer was
    page.keyboard.press("Tab")


def _column(page: Any, table: str, place: int) -> list[str]:
    return [
        str(text) for text in page.locator(f"{table} tbody tr:not([hidden]) > :nth-child({place})").all_text_contents()
    ]


def test_tables_are_sorted_by_value_and_filtered(page: Any, report: Report) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((entry) => { entry.open = true; })")
    table = '[aria-label="Results class by class"]'
    place = 1 + page.locator(f"{table} thead th").all_text_contents().index("F1")
    before, head = _column(page, table, place), page.locator(f"{table} thead th").nth(place - 1)
    order = sorted(before, key=lambda text: float(text.split()[0]))
    for state, wanted in (("ascending", order), ("descending", order[::-1]), (None, before)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == state
        assert _column(page, table, place) == wanted
    name = report.results.data.classes[0]
    page.locator(f"{table} + .tools input").fill(name)
    assert set(_column(page, table, 2)) == {name}
    page.locator(f"{table} + .tools input").fill("")


def test_a_table_is_copied_as_latex_csv_and_markdown(page: Any) -> None:
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text; }}})"
    )
    copied = {}
    for form in ("LaTeX", "CSV", "Markdown"):
        page.locator('[aria-label="Results class by class"] + .tools button', has_text=form).click()
        copied[form] = page.evaluate("window.copied").splitlines()
    assert copied["LaTeX"][:2] == ["\\begin{tabular}{llrrrrr}", "\\toprule"]
    assert any("\\#" in line and line.endswith("\\\\") for line in copied["LaTeX"])
    assert any("\\textbackslash{}" in line for line in copied["LaTeX"])
    assert copied["CSV"][0] == "model,class,test images,precision,recall,F1,AUC"
    assert {len(line.replace("\\|", "").split("|")) for line in copied["Markdown"]} == {9}


def test_a_figure_is_switched_between_models_and_print_shows_all(page: Any) -> None:
    shown = page.locator(".variants figure:visible")
    assert page.locator(".variants figure").count() == 2
    assert shown.count() == 1
    page.locator(".variants > .tools button").nth(1).click()
    assert shown.get_attribute("id") == "figure-confusion-cnn"
    page.emulate_media(media="print")
    assert shown.count() == 2
    assert not page.locator("nav").is_visible()
    page.emulate_media(media="screen")
    page.locator(".variants > .tools button").nth(0).click()


@pytest.mark.parametrize(("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_page_has_no_serious_fault_of_accessibility(page: Any, scheme: str, rules: dict[str, Any]) -> None:
    page.emulate_media(color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    session = page.context.new_cdp_session(page)  # past the page's own policy, which allows no other script
    session.send("Runtime.evaluate", {"expression": axe})
    run = f"axe.run(document, {json.dumps(rules)}).then((found) => JSON.stringify([found.passes.length, found.violations]))"
    answer = session.send("Runtime.evaluate", {"expression": run, "awaitPromise": True})
    passed, violations = json.loads(answer["result"]["value"])
    page.emulate_media(color_scheme=None)
    assert passed >= (1 if rules else 15)
    assert [
        (one["id"], one["nodes"][0]["html"]) for one in violations if one["impact"] in ("serious", "critical")
    ] == []


def test_nothing_is_wider_than_a_phone(browser: Any, address: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        opened = context.new_page()
        opened.goto(address)
        assert opened.evaluate("document.documentElement.scrollWidth") == 390


def test_without_javascript_all_tables_and_figures_are_there(browser: Any, address: str, page: Any) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        opened = context.new_page()
        opened.goto(address)
        for query in ("table", "figure svg"):
            assert opened.locator(query).count() == page.locator(query).count() > 3
        assert opened.locator("figure:visible").count() == opened.locator("figure").count()
        assert opened.locator("button, input, select").count() == 0
