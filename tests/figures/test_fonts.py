"""Letters of every script are drawn by a font that has them, or spelled."""

import re

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.example_findings import example_findings

from ceteris.analysis.results import results_of
from ceteris.figures import figures, fonts
from ceteris.figures.fonts import drawable, fit_letters, fonts_for, spelling
from ceteris.figures.report_figure import to_png, to_svg
from ceteris.report.words import spelled_sentence


@pytest.fixture
def one_font(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has DejaVu Sans alone."""
    monkeypatch.setattr(fonts, "_fonts", lambda: (("DejaVu Sans", str(font_manager.findfont("DejaVu Sans"))),))
    fonts_for.cache_clear()


@pytest.mark.parametrize(
    ("letter", "told"),
    [("\u30ab", "ka"), ("\u3042", "a"), ("\u0926", "da"), ("\uac15", "gang"), ("\u732b", "732B"),
     ("\U0001f408", "cat"), ("\u0301", "")],
)  # fmt: skip
def test_a_letter_without_a_font_is_spelled_by_its_name(letter: str, told: str) -> None:
    assert spelling(letter) == told


@pytest.mark.usefixtures("one_font")
def test_letters_that_a_font_has_stay_and_the_others_are_spelled() -> None:
    assert drawable("\u30ab\u30cd: \u03c9, \u0436, \u0639") == "kane: \u03c9, \u0436, \u0639"
    assert fonts_for(frozenset("abc\u03c9")) == (("DejaVu Sans",), frozenset())
    assert len(drawable("\U0001f408" * 5)) <= 10


@pytest.mark.usefixtures("one_font")
def test_names_on_ticks_and_in_texts_of_a_drawing_are_all_drawable() -> None:
    names = ["\u30ab", "\u732b", "\u0639\u0631", "\U0001f408", "\uac15", "abc", "\u0926", "\u03c9", "\u0436", "x"]
    results = results_of(example_findings(models=("mlp",), factors=1, seeds=1, class_names=names))
    for entry in figures(results):
        if entry.name in ("samples", "confusion-mlp", "class-scores", "class-balance", "mistakes-mlp"):
            figure = entry.figure()
            to_svg(figure)
            told = "".join(text.get_text() for text in figure.findobj(Text) if isinstance(text, Text))
            assert fonts_for(frozenset(told))[1] == frozenset()
    assert "\u30ab (ka)" in spelled_sentence(results)


def test_a_drawing_whose_letters_are_all_there_is_left_as_it_is() -> None:
    figure = Figure()
    text = figure.text(0, 0, "caf\u00e9 \u03c9")
    before = text.get_fontfamily()
    fit_letters(figure)
    assert (text.get_text(), text.get_fontfamily()) == ("caf\u00e9 \u03c9", before)


def _boxes(figure: Figure) -> list[tuple[str, float, float, float, float]]:
    to_png(figure, dpi=50)
    width, height = figure.get_size_inches() * figure.dpi
    found = []
    for text in figure.findobj(Text):
        # Numbers on ticks are left out: those beyond the range of an axis are not drawn.
        if isinstance(text, Text) and re.search("[a-z]", text.get_text()):
            box = text.get_window_extent()
            found.append((text.get_text(), box.x0 / width, box.x1 / width, box.y0 / height, box.y1 / height))
    return found


@pytest.mark.parametrize("count", [3, 5, 10, 100])
def test_long_class_names_neither_leave_the_picture_nor_lie_on_the_axis_titles(count: int) -> None:
    names = [f"yorkshire_terrier_of_class_{number}" for number in range(count)]
    made = example_findings(models=("mlp",), factors=1, seeds=1, classes=count, class_names=names)
    for entry in figures(results_of(made)):
        if entry.name not in ("confusion-mlp", "samples", "class-scores", "mistakes-mlp"):
            continue
        boxes = _boxes(entry.figure())
        for told, left, right, low, high in boxes:
            assert left > -0.005, (entry.name, told)
            assert right < 1.005, (entry.name, told)
            assert low > -0.005, (entry.name, told)
            assert high < 1.005, (entry.name, told)
        titles = [box for box in boxes if box[0] in ("predicted class", "true class") or "confusion matrix" in box[0]]
        for title in titles:
            for other in boxes:
                apart = (
                    other is title
                    or other[1] >= title[2]
                    or other[2] <= title[1]
                    or other[3] >= title[4]
                    or other[4] <= title[3]
                )
                assert apart, (entry.name, title[0], other[0])
