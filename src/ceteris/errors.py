"""The errors that a user can meet.

Every message names the parameter, what is allowed, what was received and how to mend it. The command line prints such
an error as one short message and exits with a status other than 0; any other exception is a defect of ceteris.
"""

import difflib
from collections.abc import Iterable


class CeterisError(Exception):
    """Something the user can mend; the message says how."""


class ConfigError(CeterisError, ValueError):
    """A study, a recipe or a command-line option that cannot be meant as written."""


class DataError(CeterisError, ValueError):
    """Images or labels that are missing, damaged or do not fit together."""


class StoreError(CeterisError, RuntimeError):
    """A record or a result on disk that is missing, damaged or cannot be written."""


class DivergedError(CeterisError, ArithmeticError):
    """A training whose loss stopped being a finite number."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean "…"?' for the closest known word, or '' when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""
