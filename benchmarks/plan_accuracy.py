"""Plans a study, runs it, and prints the predicted times beside the real ones, stage by stage.

    python benchmarks/plan_accuracy.py digits
    python benchmarks/plan_accuracy.py mnist --data-dir FOLDER

The store is a new folder, so that everything is trained (with --folder, what lies there is not trained again). A stage's
time is that of all its trainings on their workers; the machine should have nothing else to do.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ceteris.api import run_study
from ceteris.execution.progress import Progress, Work
from ceteris.planning.estimate import PlanEstimate, plan_study
from ceteris.records import Record
from ceteris.study import read_study
from ceteris.study.trials import RunOptions, open_data

Stage = tuple[str, str, str]  # model, kind, name


class Clock(Progress):
    """Adds up how long the workers were at every stage, and notes when the phases of the run began."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.busy: dict[Stage, float] = defaultdict(float)
        self.trainings: dict[Stage, int] = defaultdict(int)
        self.phases: list[tuple[float, str]] = []
        self.first = self.last = 0.0
        self._running: dict[str, float] = {}

    def started(self, digest: str, work: Work) -> None:
        """Note when a training began."""
        self.first = self.first or self.seconds()
        self._running[digest] = self.seconds()

    def finished(self, digest: str, work: Work, record: Record, *, reused: bool) -> None:
        """Add a training to its stage."""
        self.last = self.seconds()
        if digest in self._running:
            # the members of a population are trained at the same time
            share = 1 / record.trial.execution.members
            self.busy[work.model, work.kind, work.stage] += share * (self.last - self._running.pop(digest))
            self.trainings[work.model, work.kind, work.stage] += 1

    def phase(self, text: str) -> None:
        """Note a phase."""
        self.phases.append((self.seconds(), text))

    def seconds(self) -> float:
        """Return the time since the run began."""
        return time.monotonic() - self.began


def main() -> None:
    """Plan, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--folder", type=Path, help="keep store and report here; without it nothing is kept")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    study = read_study(arguments.study, arguments.settings)
    with tempfile.TemporaryDirectory() as scratch:
        place = arguments.folder or Path(scratch)
        options = RunOptions(
            out=place / "out", store=place / "store", data_dir=arguments.data_dir, workers=arguments.workers
        )
        began = time.monotonic()
        estimate = plan_study(study, open_data(study, options), options)
        planned = time.monotonic() - began
        clock = Clock()
        try:
            run_study(study, options, clock)
        finally:
            print_comparison(estimate, clock, planned, clock.seconds())


def print_comparison(estimate: PlanEstimate, clock: Clock, planned: float, whole: float) -> None:
    """Print stages, then the parts of the run, as Markdown."""
    rows = [
        (
            f"{stage.model}, {stage.stage}",
            f"{len(stage.trials)} / {clock.trainings[stage.model, stage.kind, stage.stage]}",
            stage.seconds,
            clock.busy[stage.model, stage.kind, stage.stage],
        )
        for stage in estimate.stages
    ]
    print_table(("stage (time of one core)", "trainings planned / real"), rows)
    print()
    parts = [
        ("until the first training", "", estimate.preparing_seconds, clock.first),
        ("training", "", estimate.training_seconds, clock.last - clock.first),
        ("report", "", estimate.report_seconds, whole - clock.last),
        ("whole run", "", estimate.seconds, whole),
    ]
    print_table(("part of the run (wall clock)", ""), parts)
    print(f"\nThe plan itself took {planned:.1f} s. Workers: {estimate.workers}. Phases:")
    for seconds, text in clock.phases:
        print(f"  {seconds:8.1f} s  {text}")


def print_table(titles: tuple[str, str], rows: Sequence[tuple[str, str, float, float]]) -> None:
    """Print names, predicted and real seconds and their ratio."""
    print(
        f"| {titles[0]} | {titles[1]} | predicted s | real s | predicted / real |\n| --- | --- | ---: | ---: | ---: |"
    )
    for name, note, predicted, real in rows:
        ratio = f"{predicted / real:.2f}" if real else "not trained"
        print(f"| {name} | {note} | {predicted:.1f} | {real:.1f} | {ratio} |")


if __name__ == "__main__":
    main()
