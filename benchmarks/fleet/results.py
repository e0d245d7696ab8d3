"""What a benchmark found: every round's numbers, and the medians that are told."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """One network, one entry per round in every tuple; rates are images per second of training.

    ``typical`` is the typical loop with ``loader_workers`` loader processes, ``single`` one training on one core,
    ``stacked`` a population on one core by its number of members, ``fleet`` all cores at once, each training
    ``fleet_members`` networks. ``overhead`` is the share that the loop adds to its bare steps, ``product_seconds`` the
    time per image of the products alone.
    """

    network: str
    title: str
    batch_size: int
    training_flops: int
    loader_workers: int
    typical: tuple[float, ...]
    single: tuple[float, ...]
    stacked: Mapping[int, tuple[float, ...]]
    fleet: tuple[float, ...]
    fleet_members: int
    overhead: tuple[float, ...]
    product_seconds: tuple[float, ...]

    @property
    def fleet_ratio(self) -> float:
        """How many times the typical loop's rate the fleet reaches: the median over the rounds."""
        return median(fleet / typical for fleet, typical in zip(self.fleet, self.typical, strict=True))

    @property
    def share_of_limit(self) -> float:
        """The best rate on one core as a share of what the products alone allow: the median over the rounds."""
        best = max((self.single, *self.stacked.values()), key=median)
        return median(rate * seconds for rate, seconds in zip(best, self.product_seconds, strict=True))

    def medians(self) -> dict[str, float]:
        """Return what is told of this network, by name."""
        return {
            "training_mflop_per_image": self.training_flops / 1e6,
            "typical": median(self.typical),
            "single": median(self.single),
            **{f"stacked_{members}": median(rates) for members, rates in self.stacked.items()},
            "fleet": median(self.fleet),
            "fleet_ratio": self.fleet_ratio,
            "overhead": median(self.overhead),
            "share_of_limit": self.share_of_limit,
        }


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """All networks, with the machine in words, when it was measured and by which command.

    ``load_before`` is how many cores other programs kept busy in the minute before, of ``cores``.
    """

    date: str
    command: str
    machine: Mapping[str, str]
    cores: int
    load_before: float
    rounds: int
    seconds: float
    networks: tuple[NetworkResult, ...]

    def as_tree(self) -> dict[str, Any]:
        """Return everything as plain values for JSON, the medians beside the rounds."""
        tree = asdict(self)
        for entry, result in zip(tree["networks"], self.networks, strict=True):
            entry["medians"] = result.medians()
        return tree
