"""Before the rounds: how much to train in a measurement, which loader and which populations to measure, and warm processes."""

from dataclasses import dataclass

from fleet import measuring
from fleet.networks import Load, load_of
from fleet.processes import Processes

_BATCH_SIZES = (128, 64, 32, 16)
_LOADER_WORKERS = (0, 1, 2)
_STACKED_MEMBERS = (5, 8)
# A round takes about as long as so many measurements of one core, or, where a step is long, as so many steps.
_MEASUREMENTS_PER_ROUND = 5.5
_STEPS_PER_ROUND = 11
_UNITS_TO_PREPARE = 12
_LEAST_STEPS = 3  # so that there is something between two steps
_LONGEST_STEP = 4.0  # a population is tried when one of its steps takes at most so many measurements


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure: seconds in all, rounds, and seconds of a single measurement (a step takes what it takes)."""

    seconds: float
    rounds: int
    window: float


THOROUGH = Effort(seconds=280.0, rounds=5, window=0.8)
QUICK = Effort(seconds=52.0, rounds=3, window=0.2)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What the measurements of one network train, about equally long each, and what is measured.

    ``alone`` is one turn of the loop on one core, which takes ``turns`` turns with its bare steps; ``stacked`` is what every
    member of a population trains. ``passes`` are those through the bare products.
    """

    typical: Load
    alone: Load
    stacked: Load
    together: Load
    turns: int
    passes: int
    loader_workers: int
    members: tuple[int, ...]


def prepare(network: str, effort: Effort, seconds: float, processes: Processes) -> Prepared:
    """Run everything at least once, so that the rounds meet warm processes, and choose loads that end in ``seconds``."""
    per_image = _seconds_per_image(network, processes, effort.window)
    batch_size = _batch_size(per_image, effort, seconds)
    alone, rate = _alone(network, per_image, batch_size, effort.window, processes)
    typical, loader_workers = _typical(network, rate, batch_size, effort.window, processes)
    product = processes.on_one_core(measuring.product_seconds, network, alone, 1)
    processes.on_one_core(measuring.loop_times, network, alone, 1)
    stacked = load_of(effort.window / 4, seconds_per_image=1 / rate, batch_size=batch_size)
    together = load_of(effort.window, seconds_per_image=1 / rate, batch_size=batch_size)
    processes.on_every_core(measuring.single_rate, network, together)
    return Prepared(
        typical=typical,
        alone=alone,
        stacked=stacked,
        together=together,
        turns=max(1, round(effort.window * rate / alone.images / 2)),
        passes=max(1, round(effort.window / 2 / (product * batch_size))),
        loader_workers=loader_workers,
        members=_members_that_pay(network, stacked, rate, effort.window, processes),
    )


def _alone(network: str, per_image: float, batch_size: int, window: float, processes: Processes) -> tuple[Load, float]:
    """Return the load of one turn, and the images per second of one core with this batch size."""
    load = load_of(window / 4, seconds_per_image=per_image, batch_size=batch_size)
    processes.on_one_core(measuring.single_rate, network, load)
    rate = processes.on_one_core(measuring.single_rate, network, load)
    load = load_of(window / 4, seconds_per_image=1 / rate, batch_size=batch_size)
    return Load(batch_size=batch_size, steps=max(_LEAST_STEPS, load.steps), epochs=load.epochs), rate


def _typical(network: str, rate: float, batch_size: int, window: float, processes: Processes) -> tuple[Load, int]:
    """Return the load of the typical loop and the number of loader processes with which it was fastest."""
    first = Load(batch_size=batch_size, steps=max(1, round(0.1 * window * rate / batch_size)))
    seconds_per_image = 1 / processes.on_whole_machine(measuring.typical_rate, network, first, 0)
    steps = load_of(window / 2, seconds_per_image=seconds_per_image, batch_size=batch_size).steps
    load = Load(batch_size=batch_size, steps=max(2, steps))  # a single step would not show what loaders do meanwhile
    rates = {
        workers: processes.on_whole_machine(measuring.typical_rate, network, load, workers)
        for workers in _LOADER_WORKERS
    }
    return load, max(rates, key=lambda workers: rates[workers])


def _seconds_per_image(network: str, processes: Processes, window: float) -> float:
    """Return about how long one core trains on an image; the second of two measurements counts."""
    load, rate = Load(batch_size=_BATCH_SIZES[-1], steps=1), 0.0
    for share in (0.25, 0.5):
        processes.on_one_core(measuring.single_rate, network, load)
        rate = processes.on_one_core(measuring.single_rate, network, load)
        load = load_of(share * window, seconds_per_image=1 / rate, batch_size=_BATCH_SIZES[-1])
    return 1 / rate


def _batch_size(seconds_per_image: float, effort: Effort, seconds: float) -> int:
    """Return the largest batch with which all rounds end in ``seconds``."""

    def needed(size: int) -> float:
        step = size * seconds_per_image
        a_round = max(_MEASUREMENTS_PER_ROUND * effort.window, _STEPS_PER_ROUND * step)
        return effort.rounds * a_round + _UNITS_TO_PREPARE * max(effort.window, step)

    fitting = [size for size in _BATCH_SIZES if needed(size) <= seconds]
    return max(fitting, default=_BATCH_SIZES[-1])


def _members_that_pay(network: str, load: Load, rate: float, window: float, processes: Processes) -> tuple[int, ...]:
    """Return the sizes of the populations to measure: the smallest where it can be tried, larger ones where they pay."""
    if not processes.on_one_core(measuring.can_be_stacked, network):
        return ()
    rates: dict[int, float] = {}
    for members in _STACKED_MEMBERS:
        if members * load.batch_size / rate > _LONGEST_STEP * window:
            break
        processes.on_one_core(measuring.population_rate, network, load, members)
        rates[members] = processes.on_one_core(measuring.population_rate, network, load, members)
    smallest = min(rates, default=0)
    return tuple(members for members, rate in rates.items() if members == smallest or rate > rates[smallest])
