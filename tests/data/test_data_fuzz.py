import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_readers.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer limits memory and time by Linux' means")
def test_damaged_files_of_every_format_end_in_an_image_set_or_an_error_for_people(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    command = [sys.executable, str(FUZZER), "--inputs", "2100", "--seed", "3", "--keep", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.splitlines()[-1] == "inputs 2100, crashes 0"
    readers = [line.split()[-5:] for line in finished.stdout.splitlines()[1:-1]]
    assert len(readers) == 21
    assert (
        sum(int(columns[0]) for columns in readers) > 70
    )  # enough of them were readable for the test to mean something


def test_no_tree_of_folders_is_silently_wrong() -> None:
    command = [sys.executable, str(FUZZER.with_name("fuzz_folders.py")), "--trees", "400", "--seed", "7"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout
    counts = dict(outcome.rsplit(" ", 1) for outcome in finished.stdout.splitlines()[-1].split(", "))
    assert int(counts["right"]) > 200  # enough of them are read for the test to mean something
