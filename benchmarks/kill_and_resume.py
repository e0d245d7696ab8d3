"""Kill a whole run at random moments, start it again, and compare its tables with those of an undisturbed run.

    python benchmarks/kill_and_resume.py --study digits --kills 5 --seed 0
    python benchmarks/kill_and_resume.py --strategies --kills 2      # a small study once with every strategy

All CSV tables but those of times and memory (``costs*.csv``) have to be equal byte for byte.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from strategies_study import STRATEGIES, study_text


def main() -> int:
    """Print what happened and return 0 when all tables agree."""
    options = arguments()
    if not options.strategies:
        return disturbed_and_whole(options, options.study)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for strategy in STRATEGIES:
            path = Path(folder) / f"{strategy}.toml"
            path.write_text(study_text(strategy, data="digits"))
            print(f"== {strategy}", flush=True)
            failed += disturbed_and_whole(options, str(path))
    return failed


def disturbed_and_whole(options: argparse.Namespace, study: str) -> int:
    """Run a study once whole and once killed on the way; return 0 when all tables agree."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole" / "out", Path(scratch) / "killed" / "out"
        began = time.monotonic()
        if start(study, whole).wait() != 0:
            print("the undisturbed run failed")
            return 1
        seconds = time.monotonic() - began
        print(f"undisturbed: {seconds:.0f} s, {records(whole)} records")
        disturb(options, study, killed, seconds)
        tables = [tables_of(folder) for folder in (whole, killed)]
    different = [name for name in tables[0] if tables[0][name] != tables[1].get(name)]
    print(
        f"{len(tables[0])} tables compared, {len(different)} differ{': ' + ', '.join(different) if different else ''}"
    )
    return 1 if different or set(tables[0]) != set(tables[1]) else 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", default="digits")
    parser.add_argument("--strategies", action="store_true", help="a small study with every strategy instead")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def disturb(options: argparse.Namespace, study: str, out: Path, seconds: float) -> None:
    """Run a study to its end, killed on the way."""
    moments = random.Random(options.seed)
    for kill in range(options.kills):
        process = start(study, out)
        wait = moments.uniform(0.4, 0.8) * seconds / options.kills  # not before anything is trained
        time.sleep(wait)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        print(f"kill {kill + 1} after {wait:.1f} s: {records(out)} records", flush=True)
    status = start(study, out).wait()
    print(f"last run: status {status}, {records(out)} records")


def start(study: str, out: Path) -> "subprocess.Popen[bytes]":
    """Start a run in a process group of its own, so that it is killed with all its workers."""
    return subprocess.Popen(
        [sys.executable, "-c", "from ceteris.cli import main; main()", "run", study, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def records(out: Path) -> int:
    """Count the finished trainings."""
    return len(list((out.parent / "store" / "records").glob("*/*.safetensors")))


def tables_of(out: Path) -> dict[str, bytes]:
    """Return all tables that must not depend on when and how fast they were made."""
    files = sorted((out / "tables").glob("*.csv"))
    return {file.name: file.read_bytes() for file in files if not file.name.startswith("costs")}


if __name__ == "__main__":
    sys.exit(main())
