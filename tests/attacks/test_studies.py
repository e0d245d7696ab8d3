"""Studies that somebody sent: odd files in the place of one, and texts that are meant to break the one who reads them."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.conftest import Attack

STUDY = """\
name = "tiny"
data = "digits"
exploration = { folds = 2, images = 200 }

[models.mlp]
model = { kind = "mlp", hidden = [16] }
optimizer = { kind = "sgd", lr = 0.1 }
epochs = 2

[[factors]]
name = "width"
field = "model.hidden"
levels = [[16], [32]]
"""


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 << 30)  # of which nothing lies on the disk


def listening(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


ODD_FILES: list[Callable[[Path], None]] = [pipe, endless, folder, large, listening]


@pytest.mark.parametrize("make", ODD_FILES)
def test_what_is_no_regular_file_of_moderate_size_is_no_study(
    victim: Attack, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "study.toml")
    victim("plan", "study.toml", folder=tmp_path).assert_refused(words="study.toml")


def with_line(line: str, *, after: str = "") -> str:
    """Return the study with a line at its start, or after another one."""
    assert after in STUDY
    return STUDY.replace(after, f"{after}\n{line}") if after else f"{line}\n{STUDY}"


TEXTS: dict[str, str | bytes] = {
    "no text": b"\xff\xfe\x00\xd8" * 50,
    "zeros": b"\0" * 1000,
    "lists in lists": with_line("title = " + "[" * 100_000 + "]" * 100_000),
    "lists in lists, not closed": with_line("title = " + "[" * 100_000),
    "lists 300 deep": with_line("title = " + "[" * 300 + "]" * 300),
    "tables in tables": with_line("title = " + "{a=" * 100_000 + "1" + "}" * 100_000),
    "tables 200 deep": with_line("title = " + "{a=" * 200 + "1" + "}" * 200),
    "a key of many parts": with_line(".".join("a" * 100_000) + " = 1"),
    "a spaced key of many parts": with_line(" . ".join("a" * 100_000) + " = 1"),
    "many keys of many parts": with_line("\n".join(f"{'.'.join('a' * 400)}.k{number} = 1" for number in range(1000))),
    "a table of many parts": STUDY + f"[{'.'.join('a' * 100_000)}]\n",
    "a number of many digits": with_line("seed = " + "9" * 100_000),
    "a number of 4,000 digits": with_line("seed = " + "9" * 4_000),
    "a hexadecimal number of many digits": with_line("seed = 0x" + "f" * 100_000),
    "many digits where a list belongs": with_line("field = 0x" + "f" * 100_000, after='name = "width"').replace(
        'field = "model.hidden"\n', ""
    ),
    "many digits as factors": STUDY.partition("[[factors]]")[0].replace(
        "[models", "factors = 0x" + "f" * 100_000 + "\n[models"
    ),
    "many digits in a level": STUDY.replace("[32]", "0x" + "f" * 100_000),
    "a fraction of many digits": with_line("significance = 0." + "9" * 100_000),
    "an infinite number": STUDY.replace("lr = 0.1", "lr = inf"),
    "no number": STUDY.replace("lr = 0.1", "lr = nan"),
    "a number out of range": with_line("significance = 1e999999999"),
    "a name of many letters": STUDY.replace("tiny", "x" * 1_000_000),
    "an unknown key of control characters": with_line('"\\u001b]0;owned\\u0007" = 1'),
    "a path as name": STUDY.replace("tiny", "x/../../elsewhere"),
    "an absolute path as name": STUDY.replace("tiny", "/tmp/elsewhere"),
    "a path as a model's name": STUDY.replace("[models.mlp]", '[models."x/../../elsewhere"]'),
    "a device as a model's name": STUDY.replace("[models.mlp]", "[models.nul]"),
    "a name with a line end": STUDY.replace('"tiny"', '"tiny\\n"'),
    "a name with a zero": STUDY.replace('"tiny"', '"tiny\\u0000"'),
    "a kind that is a table": STUDY.replace('kind = "mlp"', "kind = { a = 1 }"),
    "a kind that is a list": STUDY.replace('kind = "mlp"', "kind = [[1]]"),
    "models that are a list": STUDY.replace("[models.mlp]", "[[models]]"),
    "a factor's name that is a list": STUDY.replace('name = "width"', "name = [1]"),
    "fields that are a number": STUDY.replace('field = "model.hidden"', "fields = 1"),
    "fields of dots": STUDY.replace('"model.hidden"', '"' + "." * 50_000 + '"'),
    "a field that leads into Python": STUDY.replace('"model.hidden"', '"__class__.__init__.__globals__"'),
    "a label that is a table": STUDY.replace("[[16], [32]]", "[{ label = { a = 1 }, value = [16] }]"),
    "code of the standard library": STUDY.replace(
        '{ kind = "mlp", hidden = [16] }', '{ kind = "custom", path = "os:system" }'
    ),
    "code beside the study": STUDY.replace(
        '{ kind = "mlp", hidden = [16] }', '{ kind = "custom", path = "planted:Model" }'
    ),
    "code by a path": STUDY.replace(
        '{ kind = "mlp", hidden = [16] }', '{ kind = "custom", path = "../planted.py:Model" }'
    ),
    "a loss of one's own": with_line('loss = { kind = "custom", path = "planted:loss" }', after="epochs = 2"),
    "more repetitions than anybody trains": with_line("final = { seeds = 1000000000 }"),
    "more repetitions of the exploration": STUDY.replace("folds = 2", "folds = 2, seeds = 1000000000"),
    "a search without an end": with_line('strategy = { kind = "joint", trials = 1000000000 }'),
    "a grid without an end": with_line('strategy = "factorial"')
    + "".join(
        f'[[factors]]\nname = "f{number}"\nfield = "{field}"\nlevels = {[level / 100 + 0.01 for level in range(60)]}\n'
        for number, field in enumerate(["optimizer.lr", "optimizer.momentum", "model.dropout"])
    ),
    "data that is a pipe": STUDY.replace('"digits"', '"pipe"'),
    "data that never ends": STUDY.replace('"digits"', '"/dev/zero"'),
    "data with a zero in its name": STUDY.replace('"digits"', '"a\\u0000b"'),
    "data with a name of many letters": STUDY.replace('"digits"', '"' + "x" * 100_000 + '"'),
    "data of a user's folder that is not there": STUDY.replace('"digits"', '"~nobody-here/x"'),
    "a set of the hub that is a folder": STUDY.replace('"digits"', '"hf:../planted"'),
}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_texts_are_refused_in_words(victim: Attack, tmp_path: Path, name: str) -> None:
    text = TEXTS[name]
    (tmp_path / "study.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    (tmp_path / "planted.py").write_text('open("executed", "w")\n')
    os.mkfifo(tmp_path / "pipe")
    outcome = victim("plan", "study.toml", "--store", "store", folder=tmp_path)
    outcome.assert_refused(tmp_path / "store", words="")
    assert not (tmp_path / "executed").exists()


def test_odd_texts_that_can_be_meant_are_planned_and_not_obeyed(victim: Attack, tmp_path: Path) -> None:
    title = f'title = "\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m{"x" * 900_000}"'
    text = with_line(title).replace("[[16], [32]]", '[[16], { label = "{0.__class__}%s", value = [3] }]')
    (tmp_path / "study.toml").write_text(text)
    outcome = victim("plan", "study.toml", "--store", "store", folder=tmp_path)
    outcome.assert_harmless(tmp_path / "store")
    assert outcome.status == 0, outcome.output[-3000:]
    assert not set(outcome.output) & {"\x1b", "\x07", "\x9b"}


@pytest.mark.parametrize(
    "setting",
    [
        "a" + ".a" * 50_000 + "=1",
        "models=" + "[" * 50_000,
        "seed=" + "9" * 100_000,
        "seed=0x" + "f" * 50_000,
        "=",
        "models.mlp=3\nname='x'",
    ],
)
def test_hostile_settings_are_refused_in_words(victim: Attack, tmp_path: Path, setting: str) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    victim("plan", "study.toml", "--set", setting, folder=tmp_path).assert_refused(words="")
