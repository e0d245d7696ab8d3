"""What the authors write themselves: keys of the study file, or a Markdown file of the same name beside it.

# Question                  of the study, as Hypothesis, Why, Conclusion, Reflection, Contributions and Statement
Which techniques help?
# Model cnn                 of one model, by its name in the study file
## Hypothesis
# Factor optimizer          of one factor
## Why
"""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ceteris.errors import ConfigError, did_you_mean
from ceteris.files import open_regular
from ceteris.findings import OwnWords, StudyFindings
from ceteris.study.study import Study

PLACES = tuple(field.name for field in fields(OwnWords))
MOST_BYTES = 1 << 20  # of the Markdown file
_HEADING = re.compile(r" {0,3}(#{1,2})\s+(.+?)\s*#*\s*")


def words_apart(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of a study file with its own words in a table ``words`` of their own."""
    return {key: part for key, part in table.items() if key not in PLACES} | {
        "words": {key: part for key, part in table.items() if key in PLACES}
    }


def words_within(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table with the words that are not empty as keys of its own, as they stand in a study file."""
    words = table.pop("words")
    return table | {place: text for place, text in words.items() if text}


def add_markdown(tree: dict[str, Any], file: Path) -> None:
    """Add the words of a Markdown file to the plain values of the study file beside it; a file that is absent adds nothing.

    Raises:
        ConfigError: it cannot be read, a heading is not known, or a text stands in the study file too.
    """
    try:
        with open_regular(file, MOST_BYTES) as opened:
            text = opened.read().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError(f"{file}: the own words beside the study cannot be read ({reason}).") from None
    for (scope, name, place), written in _sections(text, file).items():
        table = tree if not scope else _table_of(tree, scope, name, file)
        if table.get(place):
            raise ConfigError(
                f'{file}: "{place}" of {name or "the study"} stands in the study file too. Keep one of them.'
            )
        table[place] = written


def _sections(text: str, file: Path) -> dict[tuple[str, str, str], str]:
    """Return the texts by (scope, name, place); scope is "model", "factor" or "" for the study."""
    found = dict[tuple[str, str, str], str]()
    scope, name, place, heading, fenced = "", "", "", "", False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        match = None if fenced else _HEADING.fullmatch(line)
        if match:
            heading, words = match[2], match[2].split(maxsplit=1)
            if len(match[1]) == 1:
                scope = words[0].lower() if words[0].lower() in ("model", "factor") and len(words) > 1 else ""
                name = words[1] if scope else ""
            place = heading.lower() if heading.lower() in PLACES else ""
        elif place:
            key = (scope, name, place)
            found[key] = f"{found[key]}\n{line}" if key in found else line
        elif line.strip() and not fenced:
            below = f"the heading {heading!r}" if heading else "no heading"
            raise ConfigError(
                f'{file}: the text "{line.strip()[:60]}" stands below {below}, '
                f"which is not known.{did_you_mean(heading.lower(), PLACES)} Known: {', '.join(map(str.capitalize, PLACES))}, "
                'alone ("# Hypothesis") or as "## Hypothesis" below "# Model NAME" or "# Factor NAME".'
            )
    return {key: written.strip() for key, written in found.items() if written.strip()}


def _table_of(tree: Mapping[str, Any], scope: str, name: str, file: Path) -> dict[str, Any]:
    """Return the table of a model or factor in the plain values of a study file."""
    models, factors = tree.get("models"), tree.get("factors")
    tables: dict[str, Any] = models if scope == "model" and isinstance(models, dict) else {}
    if scope == "factor" and isinstance(factors, list):
        tables = {str(factor.get("name")): factor for factor in factors if isinstance(factor, dict)}
    if not isinstance(tables.get(name), dict):
        raise ConfigError(
            f'{file}: the study has no {scope} "{name}".{did_you_mean(name, tables)} Allowed: {", ".join(tables)}.'
        )
    found: dict[str, Any] = tables[name]
    return found


def with_words(findings: StudyFindings, study: Study) -> StudyFindings:
    """Return findings with the own words of a study, of its models and factors; what was measured stays as it is."""
    models, factors = {model.name: model.words for model in study.models}, {f.name: f.words for f in study.factors}

    def of_factor(finding: Any) -> Any:
        words = factors.get(finding.name, finding.words)
        return replace(finding, words=words, question=words.question)

    return replace(
        findings,
        words=study.words,
        question=study.words.question,
        models=tuple(
            replace(model, words=models[model.name], factors=tuple(map(of_factor, model.factors)))
            for model in findings.models
        ),
    )


def without_words(study: Study) -> Study:
    """Return a study without its own words, which change nothing that is measured."""
    return replace(
        study,
        words=OwnWords(),
        models=tuple(replace(model, words=OwnWords()) for model in study.models),
        factors=tuple(replace(factor, words=OwnWords()) for factor in study.factors),
    )
