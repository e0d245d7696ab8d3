"""Run the typical training loop that `ceteris bench` compares itself with, without ceteris: torch and numpy are enough.

    python benchmarks/typical_loop.py --network mlp --workers 0 1 2

The loop itself is src/ceteris/benchmark/typical_loop.py, the same file that `ceteris bench` runs.
"""

import runpy
from pathlib import Path

LOOP = Path(__file__).parents[1] / "src" / "ceteris" / "benchmark" / "typical_loop.py"

if __name__ == "__main__":
    runpy.run_path(str(LOOP), run_name="__main__")
