"""`ceteris doctor`: what this machine is, and what is wrong or slow on it."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

import ceteris
from ceteris.cli.printing import rich_table

_NEEDED = (
    "torch", "numpy", "scipy", "scikit-learn", "matplotlib", "safetensors", "pydantic", "typst", "nbclient", "ipykernel",
)  # fmt: skip
_LITTLE_DISK = 2 * 2**30


def diagnose(results: Path) -> tuple[dict[str, str], list[str]]:
    """Return facts about this machine by name, and problems in sentences that say how to mend them."""
    from ceteris.api.collect import machine
    from ceteris.execution.pools import process_count
    from ceteris.training.device import available_devices, has_fast_bfloat16, resolve_device

    place = next(folder for folder in (results.resolve(), *results.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    device = resolve_device("auto")
    versions = {}
    for name in _NEEDED:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    facts = {
        "ceteris": ceteris.__version__,
        **machine(device),
        **versions,
        "devices": ", ".join(available_devices()),
        "workers": f"{process_count(None, device)} processes with one thread each",
        "bfloat16 in hardware": "yes" if has_fast_bfloat16(device) else "no",
        "free disk": f"{free / 2**30:.1f} GiB",
        "results": str(place),
    }
    problems = [f"{name} is not installed: pip install {name}" for name in _NEEDED if name not in versions]
    if free < _LITTLE_DISK:
        problems.append(
            f"Only {free / 2**30:.1f} GiB are free in {place}; a study needs up to 2 GiB. Free some, or use --out."
        )
    if not os.access(place, os.W_OK):
        problems.append(f"{place} cannot be written; use --out to name another folder.")
    return facts, problems


def speeds_here(*, measure: bool, tell: Callable[[str], None]) -> Any:
    """Return the device table of this machine's fastest device: measured when asked, else as known, else the shipped one."""
    from ceteris.execution.populations import keep_table, measure_table, place_of, table_for
    from ceteris.training.device import resolve_device

    device = resolve_device("auto")
    return keep_table(measure_table(place_of(device), device, report=tell)) if measure else table_for(device)


def speed_rows(table: Any) -> list[dict[str, Any]]:
    """Return a device table as plain values."""
    return [
        {
            "network": speed.network,
            "members": speed.members,
            "images_per_second": round(speed.images_per_second),
            "gain": round(table.gain(speed.network, speed.members), 3),
        }
        for speed in table.speeds
    ]


def print_diagnosis(console: Console, facts: dict[str, str], problems: list[str], table: Any) -> None:
    """Print facts, problems, and a device table with where it is from."""
    from ceteris.execution.populations import cache_file, known_tables

    console.print(rich_table("This machine", ("what", "value"), list(facts.items())))
    for problem in problems:
        console.print(f"problem: {problem}", style="red", highlight=False, markup=False)
    if not problems:
        console.print("No problems found.", style="green")
    rows = [
        (row["network"], str(row["members"]), f"{row['images_per_second']:,}", f"{row['gain']:.2f}")
        for row in speed_rows(table)
    ]
    titles = ("network", "stacked", "images/s", "gain")
    console.print(rich_table(f"Training speed on {table.place.device}, one process", titles, rows, right=(1, 2, 3)))
    told = "Shipped; ceteris doctor --measure measures this machine"
    if table.place in known_tables():
        told = f"Measured here, kept in {cache_file()}"
    console.print(told, highlight=False, soft_wrap=True, markup=False)
