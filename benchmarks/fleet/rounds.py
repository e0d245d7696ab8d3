"""The course of a benchmark: network by network, prepare everything once, then measure all of it in turn, round by round."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import psutil
import torch

from ceteris.errors import ConfigError, did_you_mean
from ceteris.training.device import environment, has_fast_bfloat16
from fleet import measuring
from fleet.networks import NETWORKS, TITLES, training_flops
from fleet.preparation import Effort, Prepared, prepare
from fleet.processes import Processes
from fleet.results import BenchmarkResult, NetworkResult

_LEAST_ROUNDS = 3  # where the machine is too slow for all of them


@dataclass(frozen=True, kw_only=True)
class _Rounds:
    """What the rounds have measured so far."""

    typical: list[float] = field(default_factory=list)
    single: list[float] = field(default_factory=list)
    stacked: dict[int, list[float]] = field(default_factory=dict)
    fleet: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    product_seconds: list[float] = field(default_factory=list)


def run_benchmark(
    effort: Effort,
    processes: Processes,
    *,
    command: str,
    networks: Sequence[str] = tuple(NETWORKS),
    progress: Callable[[str], None] = lambda text: None,
) -> BenchmarkResult:
    """Measure the networks and return every round's numbers.

    Raises:
        ConfigError: an unknown network.
    """
    _check_names(networks)
    began, load_before, results = time.monotonic(), psutil.getloadavg()[0], []
    processes.everywhere(measuring.forget)  # waits until all processes have started
    for place, network in enumerate(networks):
        left = effort.seconds - (time.monotonic() - began)
        results.append(_measured(network, effort, left / (len(networks) - place), processes, progress))
        processes.everywhere(measuring.forget)
    return BenchmarkResult(
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        command=command,
        machine=_machine(),
        cores=os.cpu_count() or 1,
        load_before=load_before,
        rounds=min(len(result.typical) for result in results),
        seconds=time.monotonic() - began,
        networks=tuple(results),
    )


def _check_names(networks: Sequence[str]) -> None:
    unknown = [name for name in networks if name not in NETWORKS]
    if unknown:
        raise ConfigError(
            f'network: allowed are {", ".join(NETWORKS)}; received "{unknown[0]}".{did_you_mean(unknown[0], NETWORKS)}'
        )


def _machine() -> dict[str, str]:
    return environment() | {
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "threads of the typical loop": str(torch.get_num_threads()),
        "bfloat16 in hardware": "yes" if has_fast_bfloat16("cpu") else "no",
    }


def _measured(
    network: str, effort: Effort, seconds: float, processes: Processes, progress: Callable[[str], None]
) -> NetworkResult:
    progress(f"{TITLES[network]}: preparing")
    end = time.monotonic() + seconds
    prepared = prepare(network, effort, seconds, processes)
    rounds = _Rounds(stacked={members: [] for members in prepared.members})
    fleet_members = 1
    for number in range(effort.rounds):
        progress(f"{TITLES[network]}: round {number + 1} of {effort.rounds}")
        _measure_one_by_one(rounds, network, prepared, processes)
        fleet_members = fleet_members if number else _best_members(rounds)
        rounds.fleet.append(_fleet_rate(network, prepared, fleet_members, processes))
        if number + 1 >= _LEAST_ROUNDS and time.monotonic() > end:
            break
    return NetworkResult(
        network=network,
        title=TITLES[network],
        batch_size=prepared.alone.batch_size,
        training_flops=training_flops(network),
        loader_workers=prepared.loader_workers,
        typical=tuple(rounds.typical),
        single=tuple(rounds.single),
        stacked={members: tuple(rates) for members, rates in rounds.stacked.items()},
        fleet=tuple(rounds.fleet),
        fleet_members=fleet_members,
        overhead=tuple(rounds.overhead),
        product_seconds=tuple(rounds.product_seconds),
    )


def _measure_one_by_one(rounds: _Rounds, network: str, prepared: Prepared, processes: Processes) -> None:
    """Measure once all that runs while the other processes wait."""
    alone = prepared.alone
    rounds.typical.append(
        processes.on_whole_machine(measuring.typical_rate, network, prepared.typical, prepared.loader_workers)
    )
    times = processes.on_one_core(measuring.loop_times, network, alone, prepared.turns)
    rounds.single.append(times.images_per_second)
    rounds.overhead.append(times.overhead)
    for members, rates in rounds.stacked.items():
        rates.append(processes.on_one_core(measuring.population_rate, network, prepared.stacked, members))
    rounds.product_seconds.append(processes.on_one_core(measuring.product_seconds, network, alone, prepared.passes))


def _best_members(rounds: _Rounds) -> int:
    rates = {1: median(rounds.single)} | {members: median(found) for members, found in rounds.stacked.items()}
    return max(rates, key=lambda members: rates[members])


def _fleet_rate(network: str, prepared: Prepared, members: int, processes: Processes) -> float:
    if members == 1:
        return sum(processes.on_every_core(measuring.single_rate, network, prepared.together))
    return sum(processes.on_every_core(measuring.population_rate, network, prepared.stacked, members))
