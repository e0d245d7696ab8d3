"""Letters of every script: fonts of this machine that have them, else a spelling that can be drawn.

DejaVu Sans comes with matplotlib and has Latin, Greek, Cyrillic, Arabic and more. For what it lacks (Kana, Han, Devanagari,
emoji) the fonts of the machine are asked; a letter that none of them has is spelled: "カ" as "ka".
"""

import functools
import unicodedata

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from ceteris.formats import shortened

FIRST = "DejaVu Sans"
_UNUSABLE = ("Last Resort", "Color")  # boxes in the place of letters; pictures that matplotlib cannot draw


def fit_letters(figure: Figure) -> None:
    """Give every text of a drawing fonts that have its letters, and spell the letters that no font has."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    ticks = [(axis, [label.get_text() for label in axis.get_ticklabels()]) for axis in axes]
    told = [*(text.get_text() for text in texts), *(name for _, names in ticks for name in names)]
    families, lacking = fonts_for(frozenset("".join(told)))
    if families == (FIRST,) and not lacking:
        return
    for axis, names in ticks:
        if lacking & set("".join(names)):
            axis.set_ticklabels([drawable(name) for name in names])
        axis.set_tick_params(labelfontfamily=list(families))
    for text in texts:
        text.set_fontfamily(list(families))
        text.set_text(drawable(text.get_text()))


def drawable(text: str) -> str:
    """Return a text in which the letters that no font has are spelled, not much longer than before."""
    _, lacking = fonts_for(frozenset(text))
    if not lacking:
        return text
    spelled = "".join(spelling(letter) if letter in lacking else letter for letter in text)
    return shortened(spelled, max(len(text) + 4, 10))


def spelling(letter: str) -> str:
    """Return Latin letters for one of another script, by its Unicode name: its sound, what it shows, or its number."""
    name = unicodedata.name(letter, "")
    for mark in ("SYLLABLE ", "LETTER SMALL ", "LETTER "):
        if mark in name:
            return name.partition(mark)[2].split()[0].lower()
    if not name or "IDEOGRAPH" in name:
        return f"{ord(letter):X}"
    return "" if unicodedata.category(letter).startswith(("M", "C")) else name.lower()


@functools.cache
def fonts_for(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return font families that have as many of the letters as this machine allows, ``FIRST`` first, and what they lack."""
    families = [FIRST]
    lacking = {letter for letter in letters if letter.isprintable() and not letter.isspace()}
    lacking -= _among(str(font_manager.findfont(FIRST)), lacking)
    while lacking:
        name, found = max(((name, _among(path, lacking)) for name, path in _fonts()), key=lambda font: len(font[1]))
        if not found:
            break
        families.append(name)
        lacking -= found
    return tuple(families), frozenset(lacking)


@functools.cache
def _fonts() -> tuple[tuple[str, str], ...]:
    found = {font.name: str(font.fname) for font in font_manager.fontManager.ttflist if font.style == "normal"}
    return tuple((name, path) for name, path in sorted(found.items()) if not any(bad in name for bad in _UNUSABLE))


@functools.cache
def _letters_of(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that this version of FreeType does not read
        return frozenset()


def _among(path: str, letters: set[str]) -> set[str]:
    known = _letters_of(path)
    return {letter for letter in letters if ord(letter) in known}
