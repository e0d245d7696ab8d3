"""How fast this machine trains, beside the loop that most tutorials teach: the measurements behind ``ceteris bench``."""

from ceteris.benchmark.preparation import QUICK, THOROUGH, Effort
from ceteris.benchmark.results import BenchmarkResult, NetworkResult
from ceteris.benchmark.rounds import run_benchmark
from ceteris.benchmark.seats import Seats, open_seats
from ceteris.benchmark.tables import NOTE, columns, facts, markdown, rows, warning

__all__ = [
    "NOTE",
    "QUICK",
    "THOROUGH",
    "BenchmarkResult",
    "Effort",
    "NetworkResult",
    "Seats",
    "columns",
    "facts",
    "markdown",
    "open_seats",
    "rows",
    "run_benchmark",
    "warning",
]
