"""`ceteris doctor`: what this machine is, and what is wrong or slow on it."""

import os
import shutil
from importlib import metadata
from pathlib import Path

from rich.console import Console

from ceteris.cli.printing import rich_table

_NEEDED = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "safetensors",
    "pydantic",
    "typst",
    "nbclient",
    "ipykernel",
)
_LITTLE_DISK = 2 * 2**30


def diagnose(results: Path) -> tuple[dict[str, str], list[str]]:
    """Return facts about this machine by name, and problems in sentences that say how to mend them."""
    from ceteris.api import worker_count
    from ceteris.api.gathering import machine
    from ceteris.training import available_devices, has_fast_bfloat16, resolve_device

    place = next(folder for folder in (results.resolve(), *results.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    device = resolve_device("auto")
    facts = {
        "ceteris": metadata.version("ceteris"),
        **machine(device),
        **{name: version for name in _NEEDED if (version := _version(name))},
        "devices": ", ".join(available_devices()),
        "workers": f"{worker_count(None)} processes with one thread each",
        "bfloat16 in hardware": "yes" if has_fast_bfloat16(device) else "no",
        "free disk": f"{free / 2**30:.1f} GiB",
        "results": str(place),
    }
    return facts, _problems(place, free)


def _problems(place: Path, free: int) -> list[str]:
    problems = [f"{name} is not installed: pip install {name}" for name in _NEEDED if not _version(name)]
    if free < _LITTLE_DISK:
        problems.append(
            f"Only {free / 2**30:.1f} GiB are free in {place}; a study needs up to 2 GiB. Free some, or use --out."
        )
    if not os.access(place, os.W_OK):
        problems.append(f"{place} cannot be written; use --out to name another folder.")
    return problems


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def print_diagnosis(console: Console, facts: dict[str, str], problems: list[str]) -> None:
    """Print facts and problems."""
    console.print(rich_table("This machine", ("what", "value"), list(facts.items())))
    for problem in problems:
        console.print(f"problem: {problem}", style="red", highlight=False, markup=False)
    if not problems:
        console.print("No problems found.", style="green")
