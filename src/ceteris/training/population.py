"""A population: trials of one shape that are trained in lockstep as one stacked model.

The members may differ in fold, seed and all numbers of their recipes. Each has its own random streams, statistics and
learning rate, so that it goes the way that it would go alone, up to the rounding of sums in another order; a member that
diverges or stops early leaves and the others go on.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ceteris.data import ImageSet, split_indices
from ceteris.errors import DataError, DivergedError
from ceteris.records import Trial
from ceteris.training import build, graph
from ceteris.training.device import full_float32, wait_for
from ceteris.training.graph import Graphs, Multipliers, Outputs, Step, StepParts, step_of
from ceteris.training.history import ObservedEpoch
from ceteris.training.loop import Fitted, Plan, State, augmented, autocasting, predict, state_of
from ceteris.training.memory import is_out_of_memory, reset_peak
from ceteris.training.population_images import steps_of
from ceteris.training.population_members import Member, Population, population_of
from ceteris.training.population_steps import gradient_norms, losses_of, shrink_
from ceteris.training.trial import TrialResult, diverged_record, observed, run_trial
from ceteris.user_code import NO_IMPORTS, ImportPolicy

OnEpoch = Callable[[int], None]


def shape_key(trial: Trial) -> str | None:
    """Return what trials must have in common to be stacked; None for a trial that is always trained alone.

    Trials with equal keys may differ in fold, seed, optimizer settings, schedule, penalty, clipping, augmentation,
    dropout, initialisation and the numbers of their loss.
    """
    shape = build.shape_of(trial.recipe)
    machine = replace(trial.execution, members=1, population="")
    return None if shape is None else repr((shape, trial.data, machine, trial.code, trial.schema))


def run_population(
    trials: Sequence[Trial],
    train: ImageSet,
    *,
    on_epoch: OnEpoch = lambda epoch: None,
    imports: ImportPolicy = NO_IMPORTS,
) -> list[TrialResult]:
    """Train trials of equal :func:`shape_key` together; return one result per trial, in their order.

    A single trial is trained by :func:`ceteris.training.run_trial`. Where the memory does not suffice, the population is
    halved; where anything else fails, every member is trained alone, so that only the faulty one gets a failed record.

    Args:
        trials: the members.
        train: the training images of the study.
        on_epoch: called with the number of every epoch, from 1, that the population has finished; a population that has
            to be halved, or whose members fit on different numbers of batches, counts again for each part.
        imports: whether the user's own code may be imported by path.

    Raises:
        DataError: when the images cannot be split as a trial says.
    """
    assert len({shape_key(trial) for trial in trials}) <= 1, "only trials of one shape form a population"
    together = [] if trials and shape_key(trials[0]) is None else list(_of_equal_length(trials, train).values())
    results: dict[int, TrialResult] = {}
    for places in together or [[place] for place in range(len(trials))]:
        members = [trials[place] for place in places]
        results |= zip(places, _within_memory(members, train, on_epoch, imports, note=""), strict=True)
    return [results[place] for place in range(len(trials))]


def _of_equal_length(trials: Sequence[Trial], train: ImageSet) -> dict[tuple[int, int], list[int]]:
    """Return the places of trials whose epochs have equally many batches of equal size."""
    places: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, trial in enumerate(trials):
        fitted = len(split_indices(trial.split, train.labels, train.groups)[0])
        size = trial.recipe.batch_size
        places[steps_of(fitted, size), min(fitted, size)].append(place)
    return places


def _within_memory(
    trials: Sequence[Trial], train: ImageSet, on_epoch: OnEpoch, imports: ImportPolicy, *, note: str
) -> list[TrialResult]:
    if len(trials) == 1:
        return [_noted(run_trial(trials[0], train, on_epoch=on_epoch, imports=imports), note)]
    try:
        with full_float32(trials[0].execution.device):
            return [_noted(result, note) for result in _train_together(trials, train, on_epoch, imports)]
    except DataError:
        raise
    except Exception as error:
        short = is_out_of_memory(error)
    # outside the handler, whose error still holds the tensors that did not fit
    half = len(trials) // 2 if short else 1
    note = f"population halved to {half}" if short else note
    parts = [trials[start : start + half] for start in range(0, len(trials), half)]
    return [result for part in parts for result in _within_memory(part, train, on_epoch, imports, note=note)]


def _noted(result: TrialResult, note: str) -> TrialResult:
    if not note:
        return result
    known = result.record.environment
    memory = "; ".join(part for part in (note, known.get("memory", "")) if part)
    return replace(result, record=replace(result.record, environment=known | {"memory": memory}))


def _train_together(
    trials: Sequence[Trial], train: ImageSet, on_epoch: OnEpoch, imports: ImportPolicy
) -> list[TrialResult]:
    reset_peak(trials[0].execution.device)
    results: dict[int, TrialResult] = {}
    population = population_of(trials, train, imports)
    refusal = build.why_not_recorded(population.recipes)
    graphs = graph.graphs_on(trials[0].execution.device, refusal)
    step = step_of(_step_parts(population, graphs), graphs)
    for epoch in range(population.plan.epochs):
        seconds, epochs_seen = _train_epoch(population, epoch, step)
        leaving, staying = _Leaving(), list[int]()
        with population.averaged_weights():
            for place, (member, seen) in enumerate(zip(population.members, epochs_seen, strict=True)):
                try:
                    stop = _close_epoch(member, population.plan, epoch, seen, seconds / len(epochs_seen))
                except DivergedError as error:
                    leaving.diverged.append((member, error))
                else:
                    leaving.finished += [(member, state_of(member.parts.model))] if stop else []
                    staying += [] if stop else [place]
        on_epoch(epoch + 1)
        if len(staying) < len(population.members):
            step.forget()  # it was recorded with all of them
        if staying and len(staying) < len(population.members):
            population.keep(staying)
        results |= {member.place: _diverged(member, error) for member, error in leaving.diverged}
        results |= {member.place: _finished(member, state, train, step.note) for member, state in leaving.finished}
        if not staying:
            break
    return [results[place] for place in range(len(trials))]


class _Leaving:
    """The members that train no further, with why or with the weights that they leave with."""

    def __init__(self) -> None:
        self.diverged: list[tuple[Member, DivergedError]] = []
        self.finished: list[tuple[Member, State]] = []


def _train_epoch(population: Population, epoch: int, step: Step) -> tuple[float, list[ObservedEpoch]]:
    """Train one epoch; return its seconds and what every member saw."""
    started, plan, members = time.perf_counter(), population.plan, population.members
    steps = steps_of(len(population.images.places[0]), plan.batch_size)
    # Room for the whole epoch at once: thousands of small tensors that outlive their step would tear the heap apart.
    all_losses = torch.empty((steps, len(members)), device=population.images.device)
    predicted, truth = _room_for_labels(population, steps), _room_for_labels(population, steps)
    rates: list[list[float]] = []
    population.stacked.train()
    orders = [member.streams.order for member in members]
    for number, rows in enumerate(population.images.epoch(orders, plan.batch_size)):
        multipliers = population.multipliers((epoch + number / steps) / plan.epochs)
        rates.append(population.rates(multipliers))
        all_losses[number], logits, truth[number] = step(rows, multipliers)
        torch.argmax(logits, 2, out=predicted[number])
    wait_for(population.images.device)
    seconds = time.perf_counter() - started
    of_members = all_losses.T.double().cpu().numpy()
    norms = gradient_norms(population.stacked).tolist()
    return seconds, [
        ObservedEpoch(
            losses=of_members[place],
            predicted=predicted[:, place].cpu().numpy(),
            labels=truth[:, place].cpu().numpy(),
            rates=[of_step[place] for of_step in rates],
            gradient_norm=norms[place],
        )
        for place in range(len(members))
    ]


def _room_for_labels(population: Population, steps: int) -> Tensor:
    """Return an empty tensor for one label per member and image of an epoch, (steps, K, b)."""
    images = population.images
    batch = min(population.plan.batch_size, len(images.places[0]))
    return torch.empty((steps, len(population.members), batch), dtype=torch.int64, device=images.device)


def _step_parts(population: Population, graphs: Graphs) -> StepParts:
    """Return one step of all members: what has to be done by itself, and what can be recorded; see ``loop.step_parts``."""
    if graphs.recorder:
        population.optimizer.rates_on_device(population.images.device)

    def prepare(rows: Tensor) -> Sequence[Tensor]:
        if all(member.parts.augment is None for member in population.members):
            return (rows,)
        images, labels = population.images.batch(rows)
        return (*_augmented(population, images, labels), labels)

    def learn(inputs: Sequence[Tensor], multipliers: Multipliers) -> Outputs:
        if len(inputs) == 1:
            images, labels = population.images.batch(inputs[0])
            losses, logits = _descend(population, images, labels.unbind(), multipliers)
        else:
            *changed, labels = inputs
            losses, logits = _descend(population, *_of_members(population, changed), multipliers)
        return losses.detach(), logits.detach(), labels

    return StepParts(
        prepare=prepare,
        learn=learn,
        changed=population.changed_by_a_step,
        generators=lambda: [member.streams.dropout for member in population.members],
        precision="bfloat16" if population.plan.autocast else "float32",
    )


def _descend(
    population: Population,
    images: Tensor | list[Tensor],
    targets: Sequence[Tensor],
    multipliers: Multipliers,
) -> tuple[Tensor, Tensor]:
    """Let all members learn; return their losses without penalties, (K,), and their logits, (K, b, classes)."""
    members, plan = population.members, population.plan
    with autocasting(population.images.device.type, plan.autocast):
        logits = population.stacked(images)
    losses = losses_of(logits.float(), targets, population.recipes, [member.parts.loss for member in members])
    population.stacked.zero_grad(set_to_none=True)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    population.steps.apply(population.stacked)
    if population.decays:
        shrink_(population.stacked, population.shrinking(multipliers))
    population.optimizer.step(multipliers)
    if population.average:
        population.average.update()
    return losses, logits


def _augmented(population: Population, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Return images and targets as :func:`_of_members` takes them: K of each, or one of each where all share them."""
    if population.images.shared:
        return [*_augmented_by(population.augmenting, population.plan, images, labels[0])]
    pairs = [
        _augmented_by(member, population.plan, own, of_member)
        for member, own, of_member in zip(population.members, images, labels, strict=True)
    ]
    return [own for own, _ in pairs] + [targets for _, targets in pairs]


def _of_members(population: Population, changed: list[Tensor]) -> tuple[Tensor | list[Tensor], list[Tensor]]:
    """Return the augmented images, K times (b, c, h, w) or shared (b, c, h, w), and every member's targets."""
    members = len(population.members)
    if population.images.shared:
        images, targets = changed
        return images, [targets] * members
    return changed[:members], changed[members:]


def _augmented_by(member: Member, plan: Plan, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return augmented(member.parts, images, labels, plan, member.streams)


def _close_epoch(member: Member, plan: Plan, epoch: int, seen: ObservedEpoch, seconds: float) -> bool:
    """Note what a member saw in an epoch and measure it; say whether its training ends here.

    Raises:
        DivergedError: when a loss or a weight is no longer a finite number.
    """
    model, held_out = member.parts.model, member.facts.held_out
    member.history.note_epoch(seen, seconds)
    member.history.measure(predict(model, held_out, autocast=plan.autocast, batch=member.batch), held_out.labels)
    if member.trial.keep_snapshots:
        member.snapshots.append(state_of(model))
    stopped = member.best.should_stop(epoch, member.history, lambda: state_of(model))
    return stopped or epoch + 1 == plan.epochs


def _diverged(member: Member, error: DivergedError) -> TrialResult:
    return TrialResult(record=diverged_record(member.trial, error))


def _finished(member: Member, state: State, train: ImageSet, cuda_graph: str) -> TrialResult:
    model = member.parts.model
    model.load_state_dict(state)
    fitted = Fitted(
        history=member.history,
        best_epoch=member.best.restore(model, member.history),
        snapshots=member.snapshots,
        evaluation_batch=member.batch,
        cuda_graph=cuda_graph,
    )
    return observed(member.trial, train, member.parts, fitted, member.facts)
