"""The page of a running study: written after every comparison, whole at any time, and silent where nothing is trained."""

from pathlib import Path

import pytest
from tests.example_records import finished_record

from ceteris.execution.progress import Progress, Work
from ceteris.records import Failed, Record
from ceteris.report.running import RELOAD, RunningPage

HOSTILE = "<script>alert(1)</script>"


class Heard(Progress):
    """Remembers that it heard."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def started(self, digest: str, work: Work) -> None:
        self.calls.append(f"started {work.label}")

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        self.calls.append(f"finished {work.label}")

    def phase(self, text: str) -> None:
        self.calls.append(text)


def _work(label: str) -> Work:
    return Work(model="mlp", stage="rate", label=label, epochs=1, units=1.0, kind="comparison")


def _page(path: Path, heard: Progress) -> RunningPage:
    return RunningPage(heard, path, title=HOSTILE, models={"mlp": "MLP"}, stages={"rate": "Learning rate"}, workers=1)


def test_a_comparison_that_is_complete_is_on_the_page_and_all_is_passed_on(tmp_path: Path) -> None:
    heard, path, works = Heard(), tmp_path / "report.html", [_work("0.1"), _work(HOSTILE)]
    with _page(path, heard) as page:
        page.requested(works)
        page.phase("preparing")
        assert not path.exists()  # nothing was trained yet
        page.started("a", works[0])
        assert "0 of 2 trainings" in path.read_text()
        page.finished("a", works[0], finished_record(accuracy=0.75), reused=False)
        assert "75.00 %" not in path.read_text()  # one of two arms is no comparison
        failed = Failed(trial=finished_record().trial, status="diverged", error="loss nan", environment={})
        page.finished("b", works[1], failed, reused=False)
        text = path.read_text()
    assert text == path.read_text()  # the end is the report's
    assert all(part in text for part in ("2 of 2 trainings", "1 did not finish", "75.00 %", "Learning rate", ">MLP<"))
    assert f'http-equiv="refresh" content="{RELOAD}"' in text
    assert HOSTILE not in text
    assert heard.calls == ["preparing", "started 0.1", "finished 0.1", f"finished {HOSTILE}"]


def test_a_stopped_study_says_so_and_reloads_no_more(tmp_path: Path) -> None:
    def interrupted() -> None:
        with _page(tmp_path / "report.html", Progress()) as page:
            page.started("a", _work("0.1"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    text = (tmp_path / "report.html").read_text()
    assert "was stopped" in text
    assert "refresh" not in text


def test_a_page_that_cannot_be_written_does_not_stop_the_study(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file is in the way")
    with _page(tmp_path / "folder" / "report.html", Progress()) as page:
        page.started("a", _work("0.1"))
