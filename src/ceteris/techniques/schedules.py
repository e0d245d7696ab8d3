"""Learning-rate schedules as pure functions that return the multiplier of the optimizer's learning rate.

``progress`` is the share of the training that is done, in [0, 1): step / steps. No schedule has a state, so a training
can be continued anywhere and a curve can be drawn without training.

Warm restarts, cosine: Loshchilov & Hutter 2017 (arXiv:1608.03983). One cycle: Smith & Topin 2018 (arXiv:1708.07120).
Linear warm-up: Goyal et al. 2017 (arXiv:1706.02677). Plateau: the rule of torch.optim.lr_scheduler.ReduceLROnPlateau.
"""

import bisect
import math
from collections.abc import Sequence

WARMUP_START = 0.01  # not 0: the first step would be lost

# Shares such as 1/3 are not exact in binary; a boundary counts as reached this much before it.
_TOLERANCE = 1e-9


def constant(progress: float, *, warmup: float = 0.0) -> float:
    """Return 1, after a linear rise over the share ``warmup`` of the training."""
    return _risen(progress, warmup)


def step(progress: float, *, every: float, factor: float) -> float:
    """Return ``factor`` to the power of how many shares ``every`` of the training are done."""
    return math.pow(factor, math.floor(progress / every + _TOLERANCE))


def multi_step(progress: float, *, milestones: Sequence[float], factor: float) -> float:
    """Return ``factor`` to the power of how many ``milestones`` (shares of the training) are reached."""
    return math.pow(factor, sum(progress + _TOLERANCE >= milestone for milestone in milestones))


def exponential(progress: float, *, final: float) -> float:
    """Return ``final`` to the power of progress: 1 at the start, ``final`` at the end."""
    return math.pow(final, progress)


def linear(progress: float, *, warmup: float = 0.0, final: float = 0.0) -> float:
    """Return a straight fall from 1 to ``final`` after a linear ``warmup``."""
    return _risen(progress, warmup) * (1 + (final - 1) * _after(progress, warmup))


def cosine(progress: float, *, warmup: float = 0.0, final: float = 0.0) -> float:
    """Return half a cosine from 1 to ``final`` after a linear ``warmup``."""
    return _risen(progress, warmup) * _half_cosine(_after(progress, warmup), 1.0, final)


def cosine_restarts(progress: float, *, cycles: int, growth: float, warmup: float = 0.0, final: float = 0.0) -> float:
    """Return ``cycles`` cosines from 1 to ``final``, each ``growth`` times as long as the one before, after ``warmup``."""
    done = _after(progress, warmup)
    ended = bisect.bisect_right(
        range(1, cycles), done + _TOLERANCE, key=lambda cycle: _cycle_end(cycle, cycles, growth)
    )
    start, end = (_cycle_end(cycle, cycles, growth) for cycle in (ended, ended + 1))
    within = min(max((done - start) / (end - start), 0.0), 1.0)
    return _risen(progress, warmup) * _half_cosine(within, 1.0, final)


def one_cycle(progress: float, *, rise: float, start_divisor: float, final_divisor: float) -> float:
    """Return a cosine rise from 1/``start_divisor`` to 1 over the share ``rise``, then a cosine fall.

    The fall ends at 1/(``start_divisor`` * ``final_divisor``).
    """
    start = 1 / start_divisor
    if progress < rise or rise >= 1:
        return _half_cosine(progress / rise, start, 1.0)
    return _half_cosine((progress - rise) / (1 - rise), 1.0, start / final_divisor)


def plateau_multiplier(
    epoch_losses: Sequence[float], *, factor: float, patience: int, threshold: float, minimum: float
) -> float:
    """Return the multiplier after the given losses, one per finished epoch.

    A loss counts as better when it is below the best one by more than the share ``threshold``; after more than
    ``patience`` epochs in a row without a better one the multiplier falls by ``factor``, never below ``minimum``.
    """
    multiplier, best, waited = 1.0, math.inf, 0
    for loss in epoch_losses:
        better = loss < best * (1 - threshold)
        best, waited = (loss, 0) if better else (best, waited + 1)
        if waited > patience:
            multiplier, waited = max(multiplier * factor, minimum), 0
    return multiplier


def _risen(progress: float, warmup: float) -> float:
    return WARMUP_START + (1 - WARMUP_START) * progress / warmup if progress < warmup else 1.0


def _after(progress: float, warmup: float) -> float:
    return max(progress - warmup, 0.0) / (1 - warmup) if warmup < 1 else 0.0


def _half_cosine(share: float, start: float, end: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _cycle_end(cycle: int, cycles: int, growth: float) -> float:
    """Return the share of the training at which ``cycle`` (from 1) ends; written so that no power overflows."""
    if growth == 1:
        return cycle / cycles
    return growth ** (cycle - cycles) * (1 - growth**-cycle) / (1 - growth**-cycles)
