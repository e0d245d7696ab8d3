"""A benchmark as one table: networks as columns, for the terminal and for Markdown."""

from collections.abc import Sequence
from statistics import median

from fleet.results import BenchmarkResult, NetworkResult

NOTE = """Rates are training images per second: medians of {rounds} rounds or more, in each of which all was measured in turn.
Typical loop: a DataLoader (the best of 0, 1 and 2 loader processes), transforms image by image, float32, torch's default
threads. One core: one process with one thread; with K networks trained as one stacked model. Fleet: one such process per
core, in the best of these modes. Loop: what schedule, history and measures add to the bare steps. Limit: the rate as a
share of what the network's matrix products and convolutions alone would allow. Networks: 28 x 28 pixels, 47 classes; MLP
with batch normalisation and dropout 0.2; CNN 8-16-32 with 3x3 kernels and SGD with momentum; CNN 32-64-128 with kernels
5x5, 5x5, 3x3 and a hidden layer of 128; ResNet with two blocks per stage; both with batch normalisation; Adam."""

_QUIET = 0.3  # share of the cores that may be busy with something else


def columns(result: BenchmarkResult) -> list[str]:
    """Return the titles of the table's columns."""
    return ["", *(network.title for network in result.networks)]


def rows(result: BenchmarkResult) -> list[list[str]]:
    """Return the rows, each a name and one text per network."""
    members = sorted({members for network in result.networks for members in network.stacked})
    return [list(row) for row in zip(_names(members), *(_cells(it, members) for it in result.networks), strict=True)]


def facts(result: BenchmarkResult) -> list[tuple[str, str]]:
    """Return what has to be known about the numbers: when, where and how they were measured."""
    return [
        ("date", result.date),
        *result.machine.items(),
        ("cores", f"{result.cores}, of which other programs kept {result.load_before:.1f} busy before"),
        ("command", f"`{result.command}`"),
        ("rounds", f"{result.rounds}, {result.seconds:.0f} s in all"),
    ]


def warning(result: BenchmarkResult) -> str:
    """Return why the numbers are not to be trusted, '' where nothing was seen that disturbs them."""
    if result.load_before <= _QUIET * result.cores:
        return ""
    return (
        f"Other programs kept {result.load_before:.1f} of {result.cores} cores busy. These numbers say little, and the "
        "ratios flatter ceteris: the threads of the typical loop wait for each other. Measure again on a quiet machine."
    )


def markdown(result: BenchmarkResult) -> str:
    """Return the facts and the table as Markdown."""
    titles = columns(result)
    lines = [f"- {name}: {value}" for name, value in facts(result)]
    lines += ["", _line(titles), _line(["---", *["--:"] * (len(titles) - 1)])]
    lines += [_line(row) for row in rows(result)]
    lines += ["", f"**{warning(result)}**"] if warning(result) else []
    return "\n".join([*lines, "", NOTE.format(rounds=result.rounds), ""])


def _names(members: Sequence[int]) -> list[str]:
    return [
        "training MFLOP/image", "batch size", "typical loop", "loader processes", "one core",
        *(f"one core, K = {count}" for count in members),
        "fleet", "fleet mode", "fleet / typical", "loop", "limit",
    ]  # fmt: skip


def _cells(network: NetworkResult, members: Sequence[int]) -> list[str]:
    return [
        f"{network.training_flops / 1e6:,.1f}",
        str(network.batch_size),
        f"{median(network.typical):,.0f}",
        str(network.loader_workers),
        f"{median(network.single):,.0f}",
        *(f"{median(network.stacked[count]):,.0f}" if count in network.stacked else "–" for count in members),
        f"{median(network.fleet):,.0f}",
        f"K = {network.fleet_members}" if network.fleet_members > 1 else "single",
        f"{network.fleet_ratio:.1f}x",
        f"{100 * median(network.overhead):+.1f} %",
        f"{100 * network.share_of_limit:.0f} %",
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
