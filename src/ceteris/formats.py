"""Numbers as people read them: shares, points, p-values, times; and texts cut to a length. Every room writes with these."""

import math
import re
from collections.abc import Sequence


def percent(share: float, digits: int = 2) -> str:
    """Write a share in 0..1 as a percentage, a missing number as a dash."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 2, *, zero: str = "") -> str:
    """Write a difference of shares in percentage points with its sign; ``zero`` stands before a 0."""
    if math.isnan(difference):
        return "–"
    rounded = round(100 * difference, digits) + 0.0
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else zero}{abs(rounded):.{digits}f}"


def plain_points(share: float) -> str:
    """Write a share in percentage points, without a sign where it is positive."""
    return f"{100 * share:.2f}"


def points_range(shares: Sequence[float]) -> str:
    """Write the smallest and the largest of some shares in percentage points: "1.19 to 1.62", or one number."""
    low, high = map(plain_points, (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"


_UNITS = {
    "accuracy": "points", "macro-f1": "points of macro F1", "balanced-accuracy": "points of balanced accuracy",
    "log-loss": "hundredths of log loss",
}  # fmt: skip


def unit_of(criterion: str) -> str:
    """Return what a hundredth of a criterion is called: "points" of accuracy, "points of macro F1"."""
    return _UNITS[criterion]


def chance(probability: float) -> str:
    """Write a probability in whole percent, one that is all but sure as "> 99 %"."""
    if math.isnan(probability):
        return "–"
    return "> 99 %" if probability > 0.99 else "< 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def p_value(p: float, form: str = ".3g") -> str:
    """Write a p-value: "p = 0.0312", below a thousandth "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:{form}}"


def duration(seconds: float) -> str:
    """Write a time in the unit that people would use, with one decimal."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def rough_duration(seconds: float) -> str:
    """Write an estimated time: in whole seconds or minutes, above ninety minutes in hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """Write a time span as a clock shows it: "2:05", "1:02:05"."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def shortened(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: max(1, limit - 1)].rstrip() + "…"


def some(things: Sequence[object], most: int) -> str:
    """List the first things, with an ellipsis where there are more."""
    return ", ".join(map(str, things[:most])) + (", …" if len(things) > most else "")


def span(low: int, high: int) -> str:
    """Write a range of whole numbers: "5 to 1,200", or one number."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Write control characters, and those that turn the order of letters, as escapes, so that nothing obeys them."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def several(count: int, word: str) -> str:
    """Write a count with its word: "1 seed", "2 seeds"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
