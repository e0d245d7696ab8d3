"""One study on several data sets: their test results in one table, a page and a PDF that hold the report of each."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import jinja2
import typst

from ceteris.analysis.results import Results
from ceteris.report.appendix import page_count
from ceteris.report.table import Cell, Table, columns, made

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font:16px/1.5 system-ui,sans-serif; margin:1.5rem; color:#1b1f23; background:#fff; }
table { border-collapse:collapse; margin:1rem 0; }
th,td { padding:.3rem .8rem; border-bottom:1px solid #d8dee4; text-align:right; }
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2) { text-align:left; }
iframe { width:100%; height:90vh; border:1px solid #d8dee4; }
summary { font-size:1.3rem; cursor:pointer; margin:1rem 0 .4rem; }
</style>
<h1>{{ title }}</h1>
<p>The same study on {{ sets | length }} data sets. Each set has its own split, its own choices and its own test images.</p>
<table><caption>{{ table.title }}</caption>
<tr>{% for column in table.columns %}<th scope="col">{{ column.title }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</table>
{% for name, data in sets.items() %}
<details open><summary>{{ data }}</summary><p><a href="{{ name | urlencode }}/report.html">the report alone</a></p>
<iframe src="{{ name | urlencode }}/report.html" title="{{ data }}" loading="lazy"></iframe></details>
{% endfor %}
"""
_PDF = """
#let d = json("data.json")
#set document(title: d.title)
#set page(paper: "a4", margin: 18mm)
#set text(size: 9.5pt)
#text(size: 1.7em, weight: "bold", d.title)

#d.lead

#table(columns: d.titles.len(), align: (column, _) => if column < 2 { left } else { right }, stroke: none,
  table.hline(), table.header(..d.titles.map(title => strong(title))), table.hline(), ..d.rows.flatten(), table.hline())
#for part in d.sets {
  for number in range(1, part.pages + 1) { page(margin: 0pt, image(part.file, page: number, width: 100%, height: 100%)) }
}
"""


def side_by_side(results: Mapping[str, Results]) -> Table:
    """Put the test accuracy, with its interval, and the macro F1 of every version on every data set into one table."""
    found: dict[tuple[str, str], dict[str, tuple[Cell, ...]]] = {}
    for name, result in results.items():
        for version in result.versions:
            interval = version.accuracy_interval
            cells = (version.mean("accuracy"), interval.low, interval.high, version.mean("f1"))
            found.setdefault((version.title, version.version_title), {})[name] = cells
    figures = [f"{name}: {part}" for name in results for part in ("accuracy", "low", "high", "F1")]
    titles = columns("model", "version", *((figure, "share") for figure in figures))
    rows = (
        (*key, *(cell for name in results for cell in by_set.get(name, (None,) * 4))) for key, by_set in found.items()
    )
    return made("side_by_side", "Results on the test images, side by side", titles, rows)


def side_by_side_page(title: str, results: Mapping[str, Results]) -> str:
    """Return a page with the table and the page of every data set, which lies in a folder of its name beside it."""
    table = side_by_side(results)
    sets = {name: result.data.title or result.data.name for name, result in results.items()}
    page = jinja2.Environment(autoescape=True).from_string(_PAGE)
    return page.render(title=title, table=table, rows=table.texts(), sets=sets)


def side_by_side_pdf(title: str, results: Mapping[str, Results], pdfs: Mapping[str, bytes]) -> bytes:
    """Return a PDF with the table, then the pages of every data set's report."""
    table = side_by_side(results)
    with tempfile.TemporaryDirectory(prefix="ceteris-pdf-") as scratch:
        folder, sets = Path(scratch), []
        for number, pdf in enumerate(pdfs.values()):
            (folder / "report.pdf").write_bytes(pdf)
            sets.append({"file": f"{number}.pdf", "pages": page_count(folder)})
            (folder / f"{number}.pdf").write_bytes(pdf)
        data = {
            "title": title,
            "lead": f"The same study on {len(results)} data sets; {table.title[0].lower()}{table.title[1:]}.",
            "titles": [column.title for column in table.columns],
            "rows": table.texts(),
            "sets": sets,
        }
        (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        (folder / "whole.typ").write_text(_PDF, encoding="utf-8")
        whole = typst.compile(str(folder / "whole.typ"), root=str(folder), format="pdf")
    assert isinstance(whole, bytes)
    return whole
