"""The process that all attacks share, and what an attack may do at most."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Code that prints what a call gives, or the error that a user would be told.
ANSWER = """
import sys
from pathlib import Path
from ceteris.data import ReadOptions, read_pictures_of_shape
from ceteris.errors import CeterisError
from ceteris.findings import Look
from ceteris.store import Store, looks_at, record_look
try:
    print(CALL)
except CeterisError as error:
    print("error: ", error)
    sys.exit(1)
"""
SECONDS = 5.0  # of the processor
MEGABYTES = 1024.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of an attack: the exit status (-1: an exception that nobody answered), what was told, and what it took."""

    status: int | None
    output: str
    written: list[str]
    started: list[str]
    folder: Path
    hangs: bool
    signal: int
    seconds: float
    megabytes: float

    def assert_harmless(self, *allowed: Path, seconds: float = SECONDS) -> None:
        """It ended by itself, without a traceback, within its limits; it wrote below ``allowed`` alone, started nothing."""
        assert not self.hangs, "it hangs"
        assert not self.signal, f"it was ended by the signal {self.signal}"
        assert "Traceback" not in self.output, self.output[-3000:]
        assert self.status in (0, 1), self.output[-3000:]
        assert self.megabytes < MEGABYTES
        assert self.seconds < seconds
        outside = [
            path
            for path in self.written
            if not any(Path(path).is_relative_to(place) for place in (*allowed, self.folder / "scratch"))
        ]
        assert not outside
        assert not self.started

    def assert_refused(self, *allowed: Path, words: str) -> None:
        """It was harmless, and ended with a message of a moderate length that says ``words``."""
        self.assert_harmless(*allowed)
        assert self.status == 1, self.output[-3000:]
        assert "error: " in self.output, self.output[-3000:]
        assert words in self.output.replace("\n", " "), self.output[-3000:]
        assert len(self.output) < 5000
        assert not _controls(self.output)


def _controls(text: str) -> set[str]:
    """Return the characters of a text that move a terminal's cursor, change its colours or the order of its letters."""
    return {
        letter
        for letter in text
        if (letter < " " and letter not in "\n\t")
        or "\x7f" <= letter <= "\x9f"
        or letter in "\u202a\u202b\u202d\u202e\u2066\u2067"
    }


Attack = Callable[..., Outcome]


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Return what attacks a process: ``attack("run", "study.toml", folder=...)`` or ``attack(code="...", folder=...)``."""
    output = tmp_path_factory.mktemp("attacks") / "output"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.attacks.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        asked, told = process.stdin, process.stdout

        def attack(*arguments: str | Path, folder: Path, code: str = "", patience: float = 10.0) -> Outcome:
            what: dict[str, Any] = {"code": code} if code else {"arguments": list(map(str, arguments))}
            where = {"folder": str(folder), "output": str(output), "patience": patience}
            asked.write(json.dumps(what | where) + "\n")
            asked.flush()
            answer = json.loads(told.readline())
            answer["written"] = [path for path in answer["written"] if path]
            return Outcome(folder=folder, output=output.read_text(encoding="utf-8", errors="replace"), **answer)

        yield attack
        process.stdin.close()
        process.wait(timeout=30)
