"""Measure how fast this machine trains four networks, beside the loop that most tutorials teach, and print the table.

    python benchmarks/training_speed.py                       # at most about five minutes
    python benchmarks/training_speed.py --quick               # about one minute
    python benchmarks/training_speed.py --markdown speed.md --json speed.json

Do it while nothing else runs; docs/performance.md says what the columns mean and what was measured elsewhere.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import fleet
from ceteris.cli.printing import rich_table
from ceteris.errors import CeterisError
from ceteris.store import write_bytes


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark, print its table and write the files that were asked for; 1 for a mistake of the user."""
    parser = argparse.ArgumentParser(description="Training speed of four networks, beside the typical loop.")
    parser.add_argument("--quick", action="store_true", help="one minute instead of five: fewer and shorter rounds")
    parser.add_argument(
        "--network", action="append", help="only this network (mlp, small-cnn, cnn, resnet); repeatable"
    )
    parser.add_argument("--markdown", type=Path, help="also write the table as Markdown to this file")
    parser.add_argument("--json", type=Path, help="also write every round's numbers as JSON to this file")
    options = parser.parse_args(arguments)
    try:
        measure_and_print(
            quick=options.quick, networks=options.network, markdown_file=options.markdown, json_file=options.json
        )
    except CeterisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measure_and_print(
    *, quick: bool, networks: Sequence[str] | None, markdown_file: Path | None, json_file: Path | None
) -> None:
    """Run the benchmark, print its table and write the files that were asked for.

    Raises:
        ConfigError: an unknown network.
    """
    chosen = {"networks": networks} if networks else {}
    with Console(stderr=True).status("starting one process per core") as status, fleet.start_processes() as processes:
        result = fleet.run_benchmark(
            fleet.QUICK if quick else fleet.THOROUGH,
            processes,
            command=_command(quick=quick, networks=networks or ()),
            progress=status.update,
            **chosen,
        )
    print_benchmark(Console(), result)
    if markdown_file:
        write_bytes(markdown_file, fleet.markdown(result).encode())
    if json_file:
        write_bytes(json_file, json.dumps(result.as_tree(), indent=2).encode())


def print_benchmark(console: Console, result: fleet.BenchmarkResult) -> None:
    """Print the machine, the table and what its columns mean."""
    titles, rows = fleet.columns(result), fleet.rows(result)
    console.print(rich_table("Training speed", titles, rows, right=range(1, len(titles))))
    console.print(fleet.NOTE.format(rounds=result.rounds).replace("\n", " "), highlight=False, markup=False)
    if warning := fleet.warning(result):
        console.print(warning, style="red", highlight=False, markup=False)
    facts = ", ".join(f"{name} {value}" for name, value in fleet.facts(result) if name != "command")
    console.print(facts, highlight=False, markup=False)


def _command(*, quick: bool, networks: Sequence[str]) -> str:
    """Return the command that measures the same again."""
    options = ["--quick"] if quick else []
    script = ["python", "benchmarks/training_speed.py"]
    return shlex.join([*script, *options, *(part for name in networks for part in ("--network", name))])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
