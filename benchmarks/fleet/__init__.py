"""How fast this machine trains, beside the loop that most tutorials teach: the measurements of ``training_speed.py``."""

from fleet.preparation import QUICK, THOROUGH, Effort
from fleet.processes import Processes, start_processes
from fleet.results import BenchmarkResult, NetworkResult
from fleet.rounds import run_benchmark
from fleet.tables import NOTE, columns, facts, markdown, rows, warning

__all__ = [
    "NOTE",
    "QUICK",
    "THOROUGH",
    "BenchmarkResult",
    "Effort",
    "NetworkResult",
    "Processes",
    "columns",
    "facts",
    "markdown",
    "rows",
    "run_benchmark",
    "start_processes",
    "warning",
]
