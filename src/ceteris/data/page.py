"""A description and an audit as one HTML page with pictures, complete in itself."""

import base64
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ceteris.data.audit import DataAudit
from ceteris.data.presentation import text_tables
from ceteris.errors import DataError
from ceteris.findings import DataDescription
from ceteris.records import ByteArray

_SCALE_TO = 56  # pixels on the page for the longer side of a small image

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --line: #d9dee6; --paper: #fff; --warn: #fff4de;
  --bar: #3b6fb6; --test: #d98a29; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333c48; --paper: #14181e;
  --warn: #33290f; --bar: #78a6e8; --test: #e8ad62; } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p.lead { color: var(--soft); margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; min-width: 6rem; }
td.bars { width: 75%; }
.scroll { overflow-x: auto; }
ul.warnings { background: var(--warn); border-radius: .5rem; padding: .8rem 1rem .8rem 2rem; margin: 1rem 0; }
.pictures { display: flex; flex-wrap: wrap; gap: .5rem 1rem; }
figure { margin: 0; max-width: 100%; }
figcaption { font-size: .78rem; color: var(--soft); }
.means figure { width: 7rem; overflow-wrap: anywhere; }
img { image-rendering: pixelated; display: block; max-width: 100%; height: auto; border-radius: 3px; }
.bar { display: inline-block; height: .62em; border-radius: 2px; background: var(--bar); }
.bar.test { background: var(--test); }
"""

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ description.title }}: what is in it</title><style>{{ style }}</style></head><body>
{% macro pictures(rows, what) %}
{% for name, source, width, height in rows %}
<figure><img src="{{ source }}" width="{{ width }}" height="{{ height }}"
 alt="{{ description.title }}: {{ what }} of class {{ name }}"><figcaption>{{ name }}</figcaption></figure>
{% endfor %}
{% endmacro %}
{% macro rows_of(table) %}
<h2>{{ table.title }}</h2><div class="scroll"><table><thead><tr>
{% for column in table.columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table></div>
{% endmacro %}
<h1>{{ description.title }}</h1><p class="lead">{{ description.problem }}</p>
{% if description.note %}<p><strong>{{ description.note }}</strong></p>{% endif %}
{% if warnings %}<h2>Warnings</h2><ul class="warnings">
{% for text in warnings %}<li>{{ text }}</li>{% endfor %}</ul>{% endif %}
{{ rows_of(answers) }}
<h2>Samples of the training part</h2><div class="pictures">{{ pictures(samples, "samples") }}</div>
{% if means %}<h2>Mean training image of every class</h2>
<div class="pictures means">{{ pictures(means, "mean image") }}</div>{% endif %}
{% if findings %}{{ rows_of(findings) }}{% endif %}
<h2>Class balance</h2><p class="lead">Blue: training images, orange: test images.</p>
<div class="scroll"><table><tbody>
{% for name, train, test, train_width, test_width in balance %}<tr><th scope="row">{{ name }}</th><td class="bars">
<span class="bar" style="width:{{ train_width }}%"></span> {{ train }}<br>
<span class="bar test" style="width:{{ test_width }}%"></span> {{ test }}</td></tr>{% endfor %}
</tbody></table></div>
{{ rows_of(classes) }}
</body></html>
"""


def write_page(path: Path, description: DataDescription, audit: DataAudit | None = None) -> None:
    """Write the page; it has no reference to anything outside itself.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text(page(description, audit), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise DataError(f"{path}: the page cannot be written ({error.strerror or error}).") from error


def page(description: DataDescription, audit: DataAudit | None = None) -> str:
    """Return the page as text."""
    import jinja2  # only here, so that worker processes do not pay for it

    tables = {table.title: table for table in text_tables(description, audit)}
    warnings = dict.fromkeys((*description.warnings, *(audit.warnings if audit else ())))
    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(_TEMPLATE)
    return template.render(
        description=description,
        answers=tables["Questions and answers"],
        classes=tables["Classes"],
        findings=tables.get("Audit"),
        warnings=list(warnings),
        balance=_balance(description),
        samples=_samples(description),
        means=_means(description, audit) if audit else [],
        style=_STYLE,
    )


def _balance(description: DataDescription) -> list[tuple[str, int, int, float, float]]:
    train, test = description.train_class_counts, description.test_class_counts
    largest = max(int(train.max()), int(test.max()), 1)
    return [
        (name, int(first), int(second), round(80 * first / largest, 2), round(80 * second / largest, 2))
        for name, first, second in zip(description.classes, train, test, strict=True)
    ]


def _samples(description: DataDescription) -> list[tuple[str, str, int, int]]:
    labels = description.sample_labels
    return [
        (description.classes[label], *_picture(description.sample_images[labels == label]))
        for label in np.unique(labels)
    ]


def _means(description: DataDescription, audit: DataAudit) -> list[tuple[str, str, int, int]]:
    return [(name, *_picture(mean[None])) for name, mean in zip(description.classes, audit.class_means, strict=True)]


def _picture(images: ByteArray) -> tuple[str, int, int]:
    """Return a PNG as data address, and its width and height on the page, of images (n, c, h, w) side by side."""
    count, channels, height, width = images.shape
    apart = np.full((count, channels, height, width + 1), 128, dtype=np.uint8)  # a grey line between two images
    apart[..., :width] = images
    side_by_side = apart.transpose(1, 2, 0, 3).reshape(channels, height, -1)[..., :-1]
    pixels = (
        np.ascontiguousarray(side_by_side[0])
        if channels == 1
        else np.ascontiguousarray(side_by_side[:3].transpose(1, 2, 0))
    )
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    scale = max(1, math.ceil(_SCALE_TO / max(height, width)))
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/png;base64,{encoded}", side_by_side.shape[2] * scale, height * scale
