"""Tables and numbers for a paper of one's own: LaTeX tables (booktabs), a file of macros, and the report as Markdown."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from ceteris.analysis.results import Results
from ceteris.formats import duration, plain_points, points, shortened, visible
from ceteris.report import knowledge, words
from ceteris.report.paper_tables import paper_tables
from ceteris.report.sections import Report
from ceteris.report.table import NUMERIC, Table

_MARKUP = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}", "−": r"$-$", "±": r"$\pm$", "×": r"$\times$", "✓": r"\checkmark{}", "✗": r"$\times$",
    "–": "--", "→": r"$\rightarrow$", "…": r"\ldots{}", "“": "``", "”": "''", "’": "'", "\u200b": "",
}  # fmt: skip
_DIGITS = dict(
    zip("0123456789", ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"], strict=True)
)
LONGEST = 80  # letters of a cell


def escaped(text: str) -> str:
    """Return a text as LaTeX sets it letter by letter; what pdfLaTeX has no letter for is named by its number, "[U+540D]"."""
    return "".join(_MARKUP.get(letter) or _letter(letter) for letter in visible(text).replace("\n", " "))


def _letter(letter: str) -> str:
    if letter == "\u200b":
        return ""
    latin = ord(letter) < 128 or unicodedata.name(letter, "").startswith("LATIN")
    return letter if latin else f"[U+{ord(letter):04X}]"


def latex_table(table: Table) -> str:
    """Return a table for ``\\input``: booktabs, numbers to the right, strong rows in bold, the note below.

    It needs the packages booktabs and amssymb.
    """
    sides = "".join("r" if column.kind in NUMERIC else "l" for column in table.columns)
    head = " & ".join(escaped(shortened(column.title, LONGEST)) for column in table.columns)
    lines = [
        "% \\usepackage{booktabs,amssymb}", "\\begin{table}", "\\centering", f"\\caption{{{escaped(table.title)}.}}",
        f"\\label{{tab:{table.name}}}", f"\\begin{{tabular}}{{{sides}}}", "\\toprule", f"{head} \\\\", "\\midrule",
    ]  # fmt: skip
    for place, row in enumerate(table.texts()):
        cells = [escaped(shortened(cell, LONGEST)) for cell in row]
        if place in table.strong:
            cells = [f"\\textbf{{{cell}}}" if cell else "" for cell in cells]
        lines.append(f"{' & '.join(cells)} \\\\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    if table.note:
        lines.append(f"\\par\\smallskip\\footnotesize {escaped(table.note)}")
    return "\n".join([*lines, "\\end{table}", ""])


def macro_name(*parts: str) -> str:
    """Return a LaTeX command of letters alone: ("cnn-2", "best") becomes "ceterisCnnTwoBest"."""
    words = re.findall(r"[A-Za-z]+|\d", "-".join(parts))
    return "ceteris" + "".join(_DIGITS.get(word, word[:1].upper() + word[1:]) for word in words)


def macros(results: Results) -> str:
    """Return a file of macros with every number that a text is likely to name, rounded as in the report."""
    found = {
        macro_name("test-images"): f"{results.test_count:,}",
        macro_name("training-images"): f"{results.data.train_count:,}",
        macro_name("trainings"): f"{results.trials_total:,}",
        macro_name("training-time"): duration(results.training_seconds),
    }
    for version in results.versions:
        name, interval = (version.model, version.version), version.accuracy_interval
        numbers = {
            "accuracy": plain_points(version.mean("accuracy")), "accuracy-low": plain_points(interval.low),
            "accuracy-high": plain_points(interval.high), "precision": plain_points(version.mean("precision")),
            "recall": plain_points(version.mean("recall")), "macro-f": plain_points(version.mean("f1")),
            "auc": f"{version.mean('auc'):.4f}", "loss": f"{version.mean('loss'):.3f}", "gap": points(version.gap),
            "parameters": f"{version.mean_cost('parameters'):,.0f}" if version.costs else "--",
            "time": duration(version.mean_cost("train_seconds")) if version.costs else "--",
        }  # fmt: skip
        found |= {macro_name(*name, number): text for number, text in numbers.items()}
    for model in results.models:
        if model.confirmation is not None and (gain := model.confirmation.comparison) is not None:
            ends = {"": gain.difference, "low": gain.low, "high": gain.high}
            found |= {macro_name(model.name, "improvement", part): points(value) for part, value in ends.items()}
    lines = [f"\\newcommand{{\\{name}}}{{{escaped(text)}}}" for name, text in found.items()]
    return "\n".join(["% Numbers of the study; accuracies in per cent, differences in points.", *lines, ""])


def plain(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return re.sub(r"([\\`*_{}\[\]<>$#|~])", r"\\\1", visible(text).replace("\n", " "))


def markdown_table(table: Table) -> str:
    """Return a table as Markdown (GitHub, Quarto, Pandoc)."""
    head = [plain(column.title) for column in table.columns]
    rule = ["---:" if column.kind in NUMERIC else ":---" for column in table.columns]
    rows = [
        [f"**{plain(cell)}**" if cell and place in table.strong else plain(cell) for cell in row]
        for place, row in enumerate(table.texts())
    ]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
    note = ["", f"*{plain(table.note)}*"] if table.note else []
    return "\n".join([f"**{plain(table.title)}**", "", *lines, *note])


OWN = "*(In your own words: {}.)*"


def markdown_report(report: Report) -> str:
    """Return the report as Markdown with its figures by path and places for own words; Quarto renders it as ``report.qmd``."""
    return "\n\n".join(part for part in _parts(report) if part) + "\n"


def _parts(report: Report) -> Iterator[str]:
    results = report.results
    tables = {table.name: markdown_table(table) for table in paper_tables(results)}
    pictures = {
        drawn.figure.name.removeprefix("paper-"): drawn.figure for drawn in report.drawn if drawn.figure.columns
    }

    def shown(*names: str) -> Iterator[str]:
        for name in names:
            if name in pictures:
                yield f"![{plain(pictures[name].caption)}](figures/{pictures[name].name}.png)"
            yield tables.get(name, "")

    def own(name: str, hint: str) -> Iterator[str]:
        found = words.own_texts(results, name)
        yield from (f"*{plain(place)}*: {plain(text)}" for place, text in found)
        if not found:
            yield OWN.format(hint)

    def bullets(texts: Iterable[str]) -> str:
        return "\n".join(f"- {plain(text)}" for text in texts)

    yield f"# {plain(results.label)}"
    yield plain(" · ".join(part for part in (results.people, results.date) if part))
    yield f"**Abstract.** {plain(words.abstract(results))}"
    yield "## Question"
    yield plain(results.question)
    yield from own("hypothesis", "what did you expect, and why")
    yield "## Data"
    yield plain(words.data_text(results))
    yield from shown("samples", "data")
    yield "## Models"
    yield from shown("models")
    yield "## What was explored, and why"
    yield plain(words.exploration_text(results))
    yield from own("why", "why these techniques")
    yield bullets(words.reasons(results))
    yield "## What helped"
    yield plain(words.TAKEN_AND_SHOWN)
    yield from shown("taken", "effects", "improvement")
    yield "## Training, over- and underfitting"
    yield plain(words.training_text(results))
    yield from shown("curves", "fit")
    yield bullets(words.fit_sentences(results))
    yield plain(words.remedies_text(results))
    yield "## Results on the test set"
    yield from shown(
        "test", "accuracies", "confusion", "classes", "confused", "first-images", "mistakes", "residual", "attention"
    )
    yield "## Time and memory"
    yield from shown("costs")
    yield "## Conclusions"
    yield bullets(words.conclusions(results))
    yield from own("conclusion", "what follows for you")
    yield "## Reflection"
    yield from own("reflection", "what you learned, and what you would do better next time")
    yield from own("contributions", "who did what")
    yield from own("statement", "which help was used, generative AI included")
    told = " ".join(
        [*words.reasons(results), words.method_text(results), *(figure.caption for figure in pictures.values())]
    )
    yield "## References"
    yield bullets(knowledge.sources_in(told))
