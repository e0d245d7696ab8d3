"""Code behind a finished PDF: its own pages as they are, then every file with numbered lines."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import typst

_WHOLE_PAGES = """
#let d = json("data.json")
#set document(title: d.title)
#for number in range(1, d.pages + 1) {
  page(margin: 0pt, image("report.pdf", page: number, width: 100%, height: 100%))
}
#set page(paper: "a4", margin: 18mm, numbering: "1")
#set text(size: 9pt)
#show raw: set text(size: 6.4pt)
#show raw.line: line => [#box(width: 2.4em, align(right, text(fill: luma(140), str(line.number)))) #h(0.6em) #line.body]
#for (index, file) in d.files.enumerate() {
  if index > 0 { pagebreak(weak: true) }
  heading(level: 1, numbering: none, outlined: true, "Appendix: " + file.name)
  raw(file.text, lang: file.lang, block: true)
}
"""


def with_appendix(pdf: bytes, files: Mapping[str, str], title: str) -> bytes:
    """Return a PDF with the texts of files as an appendix; nothing in them is read as markup."""
    listed = [
        {"name": name, "text": text.expandtabs(4), "lang": "python" if name.endswith(".py") else "toml"}
        for name, text in files.items()
    ]
    with tempfile.TemporaryDirectory(prefix="ceteris-pdf-") as scratch:
        folder = Path(scratch)
        (folder / "report.pdf").write_bytes(pdf)
        (folder / "whole.typ").write_text(_WHOLE_PAGES, encoding="utf-8")
        data = {"title": title, "files": listed, "pages": page_count(folder)}
        (folder / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        whole = typst.compile(str(folder / "whole.typ"), root=str(folder), format="pdf")
    assert isinstance(whole, bytes)
    return whole


def page_count(folder: Path) -> int:
    """Return the pages of report.pdf in a folder, of which typst says only whether one is there."""
    count = 0
    while True:
        (folder / "probe.typ").write_text(f'#image("report.pdf", page: {count + 1})', encoding="utf-8")
        try:
            typst.compile(str(folder / "probe.typ"), root=str(folder), format="pdf")
        except typst.TypstError:
            return count
        count += 1
