"""How fast this machine trains networks one by one and stacked: a small table, measured when its user wants it.

Whether trials are stacked changes the last digits of their results. So nothing is measured unasked: a table that was measured
is used until its user measures again, and where there is none a shipped one, the same on every machine.
"""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, Literal, cast

import torch

from ceteris.digests import plain
from ceteris.errors import CeterisError
from ceteris.files import json_tree, open_regular, user_cache
from ceteris.recipe import Recipe
from ceteris.store import from_tree, write_bytes
from ceteris.training.device import environment

Network = Literal["narrow mlp", "wide mlp", "narrow cnn", "wide cnn", "narrow resnet", "wide resnet"]

# Raise it when stacked training gets faster or slower for some network: every machine then measures again.
_ENGINE = 1
# The largest widest layer that still counts as narrow: the geometric mean of the two networks measured.
_NARROW = {"mlp": 256, "cnn": 64, "resnet": 90}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Images per second of training on one core (or device), all members of a population together."""

    network: Network
    members: int
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a table holds for: the processor, torch's minor version, the device and the version of the stacked training."""

    processor: str
    torch: str
    device: str
    engine: int = _ENGINE


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """The measured speeds at one place."""

    place: Place
    speeds: tuple[Speed, ...]

    def gain(self, network: Network, members: int) -> float:
        """Return how much faster a population trains than its members one by one; 1.0 where nothing was measured.

        Between measured sizes it is interpolated over the logarithm of the size; beyond the largest it stays.
        """
        curve = sorted((speed.members, speed.images_per_second) for speed in self.speeds if speed.network == network)
        if not curve or curve[0][0] != 1 or not curve[0][1] or members == 1:
            return 1.0
        below = max(point for point in curve if point[0] <= members)
        above = min((point for point in curve if point[0] >= members), default=below)
        share = log(members / below[0]) / log(above[0] / below[0]) if above != below else 0.0
        return (below[1] + share * (above[1] - below[1])) / curve[0][1]

    def fastest(self, network: Network, most: int) -> int:
        """Return the size of population, at most ``most``, that trains fastest; the smallest of equals."""
        return max(range(1, most + 1), key=lambda members: (self.gain(network, members), -members))


def network_like(recipe: Recipe) -> Network | None:
    """Return the measured network that a recipe's model resembles by its kind and widest layer; None for own models."""
    match recipe.model.kind:
        case "custom" | "estimator":
            return None
        case "mlp":
            widths: Sequence[int] = recipe.model.hidden
        case "cnn" | "resnet":
            widths = recipe.model.filters
    narrow = max(widths, default=0) <= _NARROW[recipe.model.kind]
    return cast(Network, f"{'narrow' if narrow else 'wide'} {recipe.model.kind}")


def place_of(device: str) -> Place:
    """Return what the table of a device holds for on this machine."""
    facts = environment()
    accelerator = "" if device == "cpu" else f", {platform.machine()}"
    if device.startswith("cuda"):
        accelerator = f", {torch.cuda.get_device_name(device)}"
    return Place(
        processor=facts["processor"] + accelerator,
        torch=".".join(facts["torch"].split(".")[:2]),
        device=device.partition(":")[0],
    )


# Measured on two cores of an AMD EPYC 7003 without bfloat16: stacking pays for MLPs and for nothing else.
_SHIPPED: Mapping[Network, Mapping[int, float]] = {
    "narrow mlp": {1: 27_800, 5: 45_300, 8: 45_600},
    "wide mlp": {1: 7_800, 5: 9_500},
    "narrow cnn": {1: 9_000, 5: 9_400, 8: 9_500},
    "wide cnn": {1: 5_100, 5: 4_700},
    "narrow resnet": {1: 3_020, 5: 2_830},
    "wide resnet": {1: 586, 5: 580},
}


def table_for(device: str) -> DeviceTable:
    """Return the table of a device from the user's cache; where there is none, the shipped one."""
    place = place_of(device)
    shipped = tuple(
        Speed(network=network, members=members, images_per_second=speed)
        for network, curve in _SHIPPED.items()
        for members, speed in curve.items()
    )
    return known_tables().get(place) or DeviceTable(place=place, speeds=shipped)


def keep_table(table: DeviceTable) -> DeviceTable:
    """Write a table into the user's cache over an older one, and return it; where that cannot be written it is only used."""
    tables = known_tables() | {table.place: table}
    with suppress(CeterisError):
        write_bytes(cache_file(), json.dumps(plain(list(tables.values())), indent=1).encode())
    return table


def known_tables() -> dict[Place, DeviceTable]:
    """Return the tables in the user's cache; none where the file is missing or damaged."""
    try:
        with open_regular(cache_file(), 1 << 24) as file:
            tree: Iterable[Any] = json_tree(file.read())
        tables: list[DeviceTable] = [from_tree(DeviceTable, part) for part in tree]
        return {table.place: table for table in tables}
    except (OSError, ValueError, TypeError):
        return {}


def cache_file() -> Path:
    """Return where the tables are kept, in the user's cache folder."""
    return user_cache() / "device-table.json"
