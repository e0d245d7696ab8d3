import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from ceteris.techniques import schedules

STEPS = 60


def rates_of_torch(
    make: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], steps: int = STEPS
) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def rates_of_ours(curve: Callable[[float], float], steps: int = STEPS) -> list[float]:
    return [curve(step / STEPS) for step in range(steps)]


ORACLES: dict[str, tuple[Callable[[float], float], Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]]] = {
    "step": (
        lambda p: schedules.step(p, every=1 / 3, factor=0.1),
        lambda o: lr_scheduler.StepLR(o, step_size=20, gamma=0.1),
    ),
    "multi-step": (
        lambda p: schedules.multi_step(p, milestones=(0.35, 0.7), factor=0.3),
        lambda o: lr_scheduler.MultiStepLR(o, milestones=[21, 42], gamma=0.3),
    ),
    "exponential": (
        lambda p: schedules.exponential(p, final=0.01),
        lambda o: lr_scheduler.ExponentialLR(o, gamma=0.01 ** (1 / STEPS)),
    ),
    "cosine": (
        lambda p: schedules.cosine(p, final=0.05),
        lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.05),
    ),
    "cosine-restarts": (
        lambda p: schedules.cosine_restarts(p, cycles=2, growth=2.0, final=0.1),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=20, T_mult=2, eta_min=0.1),
    ),
    "equal-restarts": (
        lambda p: schedules.cosine_restarts(p, cycles=4, growth=1.0),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=15, T_mult=1),
    ),
    "linear": (
        lambda p: schedules.linear(p, final=0.2),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=STEPS),
    ),
    "warm-up": (
        lambda p: schedules.constant(p, warmup=0.25),
        lambda o: lr_scheduler.LinearLR(o, start_factor=schedules.WARMUP_START, total_iters=15),
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_schedule_has_torchs_rates_at_every_step(name: str) -> None:
    ours, torchs = ORACLES[name]

    assert rates_of_ours(ours) == pytest.approx(rates_of_torch(torchs), rel=1e-6, abs=1e-9)


def test_one_cycle_has_torchs_rates() -> None:
    # Torch's last step is at the end of the cycle and its top one step before the share that it is given.
    steps, top = STEPS + 1, 18
    torchs = rates_of_torch(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            max_lr=1.0,
            total_steps=steps,
            pct_start=(top + 1) / steps,
            div_factor=20,
            final_div_factor=1000,
            cycle_momentum=False,
        ),
        STEPS,
    )

    ours = rates_of_ours(lambda p: schedules.one_cycle(p, rise=top / STEPS, start_divisor=20, final_divisor=1000))

    assert ours == pytest.approx(torchs, rel=1e-6)


@given(
    losses=st.lists(st.floats(0.01, 3.0), max_size=40),
    patience=st.integers(0, 4),
    threshold=st.sampled_from([0.0, 1e-2, 0.3]),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_plateau_reduces_where_torch_reduces(losses: list[float], patience: int, threshold: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.2, patience=patience, threshold=threshold, min_lr=0.01, eps=0
    )
    for loss in losses:
        scheduler.step(loss)

    ours = schedules.plateau_multiplier(losses, factor=0.2, patience=patience, threshold=threshold, minimum=0.01)

    assert ours == pytest.approx(optimizer.param_groups[0]["lr"])


def test_plateau_waits_patience_epochs_and_then_reduces_once() -> None:
    def multiplier(losses: list[float]) -> float:
        return schedules.plateau_multiplier(losses, factor=0.5, patience=1, threshold=0.01, minimum=0.0)

    assert [multiplier([1.0] * epochs) for epochs in range(7)] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("parts", [3, 10])
@pytest.mark.parametrize("steps", [30, 300, 990])
def test_equal_parts_of_a_training_have_equally_many_steps(steps: int, parts: int) -> None:
    rates = [schedules.step(step / steps, every=1 / parts, factor=0.5) for step in range(steps)]

    assert [len(list(group)) for _, group in itertools.groupby(rates)] == [steps // parts] * parts


def test_warmed_cosine_is_the_cosine_on_the_rest_of_the_training() -> None:
    warmed = [schedules.cosine(0.2 + 0.8 * share, warmup=0.2, final=0.1) for share in (0, 0.25, 0.9)]

    assert warmed == pytest.approx([schedules.cosine(share, final=0.1) for share in (0, 0.25, 0.9)])
    assert schedules.cosine(0.1, warmup=0.2) == pytest.approx((schedules.WARMUP_START + 1) / 2)


@given(
    progress=st.floats(0, 1, exclude_max=True),
    warmup=st.floats(0, 1, exclude_max=True),
    final=st.floats(0, 1),
    cycles=st.integers(1, 10**6),
    growth=st.floats(1, 5),
)
@hypothesis_settings(max_examples=200, deadline=None)
def test_falling_schedules_stay_between_zero_and_the_full_rate(
    progress: float, warmup: float, final: float, cycles: int, growth: float
) -> None:
    rates = [
        schedules.constant(progress, warmup=warmup),
        schedules.linear(progress, warmup=warmup, final=final),
        schedules.cosine(progress, warmup=warmup, final=final),
        schedules.cosine_restarts(progress, cycles=cycles, growth=growth, warmup=warmup, final=final),
    ]

    assert all(0 <= rate <= 1 + 1e-12 for rate in rates)


def test_each_restart_begins_at_the_full_rate() -> None:
    starts = [0, 1 / 7, 3 / 7]

    rates = [schedules.cosine_restarts(start, cycles=3, growth=2.0, final=0.2) for start in starts]

    assert rates == pytest.approx([1, 1, 1])
    assert schedules.cosine_restarts(math.nextafter(1, 0), cycles=3, growth=2.0, final=0.2) == pytest.approx(0.2)
