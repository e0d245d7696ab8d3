"""Times as people write them: 90s, 30m, 2h, 1h30m."""

import math
import re

from ceteris.errors import ConfigError

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of(text: str | float, *, name: str = "budget") -> float:
    """Return the seconds of a duration such as "90s", "30m" or "1h30m"; a number is taken as seconds.

    Raises:
        ConfigError: for anything else, and for a time that is not above 0.
    """
    seconds = _parsed(text) if isinstance(text, str) else float(text)
    if seconds is None or not (math.isfinite(seconds) and seconds > 0):
        raise ConfigError(
            f'{name}: a time above 0 is needed, as 90s, 30m, 2h or 1h30m (h, m and s in this order); received "{text}".'
        )
    return seconds


def budget_of(until_decided: bool, budget: str | float | None) -> float | None:
    """Return the budget of a run in seconds, None without one.

    Raises:
        ConfigError: when the budget is no time, or is given to a run that keeps to its design.
    """
    if budget is None:
        return None
    seconds = seconds_of(budget)
    if not until_decided:
        raise ConfigError(
            "budget: a run keeps to the design of its study, so a budget alone changes nothing. Add --until-decided "
            "(until_decided=True) to spend it on more repetitions where something is undecided, or let "
            f"`ceteris plan STUDY --budget {budget}` say which design fits into it."
        )
    return seconds


def _parsed(text: str) -> float | None:
    found = _DURATION.fullmatch(text.strip().lower().replace(" ", ""))
    if not found or not any(found.groups()):
        return None
    return sum(float(count) * _SECONDS[unit] for unit, count in found.groupdict().items() if count)
