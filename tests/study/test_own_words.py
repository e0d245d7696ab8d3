"""Own words: in the study file or beside it, read once, kept apart from what was measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from ceteris.cli.printing import unwritten_line
from ceteris.errors import ConfigError
from ceteris.findings import OwnWords, StudyFindings
from ceteris.study import parse_study, read_study, study_toml
from ceteris.study.own_words import with_words, without_words

STUDY = """
name = "try"
data = "digits"
question = "What helps?"
statement = "Nobody helped."
[models.mlp]
model = "mlp"
hypothesis = "It learns."
[[factors]]
name = "rate"
field = "optimizer.lr"
why = "Rates matter most."
levels = [0.1, 0.01]
"""
MARKDOWN = """# Our study

# Reflection
Next time *more* seeds.

```
# Hypothesis
```

# Model mlp
## Conclusion
It learned.
# Factor rate
## Hypothesis
The larger one.
"""


def written(folder: Path, markdown: str | bytes) -> Path:
    (folder / "try.toml").write_text(STUDY)
    (folder / "try.md").write_bytes(markdown if isinstance(markdown, bytes) else markdown.encode())
    return folder / "try.toml"


def test_words_of_the_file_and_of_the_markdown_beside_it_come_together(tmp_path: Path) -> None:
    study = read_study(str(written(tmp_path, MARKDOWN)))
    reflection = "Next time *more* seeds.\n\n```\n# Hypothesis\n```"
    assert study.words == OwnWords(question="What helps?", statement="Nobody helped.", reflection=reflection)
    assert study.models[0].words == OwnWords(hypothesis="It learns.", conclusion="It learned.")
    assert study.factors[0].words == OwnWords(why="Rates matter most.", hypothesis="The larger one.")
    assert parse_study(study_toml(study)) == study
    assert study.words.empty == ("hypothesis", "why", "conclusion", "contributions")


@pytest.mark.parametrize(
    ("markdown", "told"),
    [
        ("# Reflexion\nText", "Did you mean"),
        ("Text without a heading", "no heading"),
        ("# Model cnn\n## Why\nText", 'no model "cnn"'),
        ("# Factor rat\n## Why\nText", 'Did you mean "rate"'),
        ("# Question\nAgain?", "stands in the study file too"),
        (b"# Question\n\xff", "no text in UTF-8"),
    ],
)
def test_words_that_cannot_be_placed_are_refused(tmp_path: Path, markdown: str | bytes, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_study(str(written(tmp_path, markdown)))
    assert told in str(error.value)
    assert "try.md" in str(error.value)


def test_a_misspelt_key_of_words_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="hypothesis"):
        parse_study(STUDY.replace("hypothesis =", "hypotesis ="))


def test_findings_take_the_words_and_nothing_else(findings: StudyFindings, tmp_path: Path) -> None:
    study = read_study(str(written(tmp_path, MARKDOWN)))
    first, factor = findings.models[0], findings.models[0].factors[0]
    model = replace(first, name="mlp", factors=(replace(factor, name="rate"),))
    worded = with_words(replace(findings, models=(model,), finals=(), explanations=()), study)
    assert worded.words == study.words
    assert worded.question == "What helps?"
    assert worded.models[0].words == study.models[0].words
    assert worded.models[0].factors[0].words == study.factors[0].words
    assert worded.models[0].factors[0].levels == factor.levels
    assert without_words(study) == without_words(parse_study(STUDY))
    line = unwritten_line(worded)
    assert "reflection" not in line
    assert "hypothesis, why, conclusion, contributions" in line
    assert "of the model mlp" in line
    assert "of the factor rate" in line
