"""What a running study shows: a bar for every model in a terminal, plain lines elsewhere."""

import io

from rich.console import Console

from ceteris.cli.display import Display
from ceteris.execution.progress import StageKind, Work
from tests.example_records import example_record


def work(model: str, stage: str) -> Work:
    kind: StageKind = "final" if stage == "final" else "comparison"
    return Work(model=model, stage=stage, kind=kind, label="adam", epochs=4, units=1.0)


def shown(*, terminal: bool) -> str:
    """Return what is on the screen while the second of three trainings runs."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    display = Display(console, workers=1)
    with display:
        display.phase("preparing the data")
        display.planned([[work("mlp", "rate")], [work("mlp", "final")], [work("cnn [2]", "final")]])
        display.requested([work("mlp", "rate")])
        display.started("a", work("mlp", "rate"))
        if terminal:
            console.print(display._draw())
        display.finished("a", work("mlp", "rate"), example_record(), reused=False)
        display.started("b", work("mlp", "final"))
        display.epoch("b", 3)
        if terminal:
            console.print(display._draw())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_shows_a_bar_and_the_stages_of_every_model() -> None:
    text = shown(terminal=True)
    assert "rate, then 1 more" in next(line for line in text.splitlines() if "0/2" in line)
    assert "final" in next(line for line in text.splitlines() if "1/2" in line)
    assert any("cnn [2]" in line and "0/1" in line for line in text.splitlines())
    assert "mlp · final · adam · epoch 3/4" in text
    assert "1 of 3 trainings" in text


def test_without_a_terminal_there_are_plain_lines() -> None:
    lines = shown(terminal=False).splitlines()
    assert "preparing the data" in lines[0]
    assert "1 of 3 trainings" in lines[1]
    assert not any("\x1b" in line for line in lines)
