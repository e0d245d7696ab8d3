"""`ceteris bench`: the benchmark in the terminal and as files."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ceteris import benchmark
from ceteris.cli.printing import rich_table
from ceteris.store import write_bytes


def measure_and_print(
    *, quick: bool, networks: Sequence[str] | None, markdown_file: Path | None, json_file: Path | None
) -> None:
    """Run the benchmark, print its table and write the files that were asked for.

    Raises:
        ConfigError: an unknown network.
    """
    console = Console(stderr=True)
    chosen = {"networks": networks} if networks else {}
    with console.status("starting one process per core") as status, benchmark.open_seats() as seats:
        result = benchmark.run_benchmark(
            benchmark.QUICK if quick else benchmark.THOROUGH,
            seats,
            command=_command(quick=quick, networks=networks or ()),
            progress=status.update,
            **chosen,
        )
    print_benchmark(Console(), result)
    if markdown_file:
        write_bytes(markdown_file, benchmark.markdown(result).encode())
    if json_file:
        write_bytes(json_file, json.dumps(result.as_tree(), indent=2).encode())


def print_benchmark(console: Console, result: benchmark.BenchmarkResult) -> None:
    """Print the machine, the table and what its columns mean."""
    titles, rows = benchmark.columns(result), benchmark.rows(result)
    console.print(rich_table("Training speed", titles, rows, right=range(1, len(titles))))
    console.print(benchmark.NOTE.format(rounds=result.rounds).replace("\n", " "), highlight=False, markup=False)
    if warning := benchmark.warning(result):
        console.print(warning, style="red", highlight=False, markup=False)
    told = ", ".join(f"{name} {value}" for name, value in benchmark.facts(result) if name != "command")
    console.print(told, highlight=False, markup=False)


def _command(*, quick: bool, networks: Sequence[str]) -> str:
    """Return the command that measures the same again."""
    options = ["--quick"] if quick else []
    return shlex.join(["ceteris", "bench", *options, *(part for name in networks for part in ("--network", name))])
