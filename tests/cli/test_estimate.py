from dataclasses import replace

from ceteris.execution.progress import Estimate, Work


def works(stage: str, count: int) -> list[Work]:
    return [Work(model="mlp", stage=stage, label="", epochs=1, units=2.0) for _ in range(count)]


def planned() -> Estimate:
    estimate = Estimate(workers=2)
    estimate.planned([works("tuning", 5), works("rate", 10), works("confirmation", 4), works("final", 2)])
    return estimate


def finish(estimate: Estimate, stage: str, count: int) -> None:
    for work in works(stage, count):
        estimate.finished(work, seconds=1.0, reused=False, failed=False)


def test_a_stage_that_asks_in_several_rounds_keeps_its_planned_number_until_it_is_over() -> None:
    estimate = planned()
    estimate.requested(works("tuning", 3))
    assert estimate.total == 21
    finish(estimate, "tuning", 3)
    assert estimate.seconds_left() == 18 / 2  # half a second for a unit of 2, two workers
    estimate.requested(works("rate", 10))
    assert estimate.total == 3 + 10 + 4 + 2  # the search needed 3 of its 5


def test_a_stage_that_is_never_asked_for_is_not_waited_for() -> None:
    estimate = planned()
    for stage, count in (("tuning", 5), ("rate", 10), ("final", 2)):  # the baseline stayed the best
        estimate.requested(works(stage, count))
        finish(estimate, stage, count)
    assert estimate.done == estimate.total == 17
    assert estimate.seconds_left() == 0


def test_more_repetitions_than_planned_are_counted() -> None:
    estimate = planned()
    estimate.requested(works("rate", 10))
    estimate.requested(works("rate", 10))
    assert estimate.total == 20 + 4 + 2


def test_a_factor_called_final_is_not_the_final_stage() -> None:
    estimate = Estimate(workers=1)
    factor = [replace(work, kind="comparison") for work in works("final", 6)]
    finals = [replace(work, kind="final") for work in works("final", 2)]
    estimate.planned([factor, finals])
    estimate.requested(factor[:3])
    assert (len(estimate.stages), estimate.total) == (2, 8)
    estimate.requested(finals)
    assert estimate.total == 3 + 2
