"""The steps of a training, run one by one or, on CUDA, from a graph that is recorded once and replayed.

A step of a small network takes longer to launch than to compute; a graph launches it in one call. Graphs fail silently: a
number of Python is the same in every replay, and random numbers repeat where their generator was not registered. So a
recorded step has to prove itself before it is used: two eager steps are compared with two replays of them from the same
state, at different learning rates and on different images. Where they differ, or where nothing can be recorded, the
training goes on eagerly from exactly the state that it had.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Outputs = tuple[Tensor, Tensor, Tensor]  # losses, logits, labels
Multipliers = Sequence[float] | Tensor  # of the learning rate, (m,): one, or one per member of a population

_EAGER_STEPS = 3  # before recording: afterwards the optimizer has its states, and averages have begun
_SIDE_STEPS = 2  # on the stream of the recording, where libraries set up what they keep per stream

# How far a replay may end from an eager step, relative to what two steps change. Measured on the CPU with an MLP and two
# CNNs: after all weights were disturbed in their last digit, which is more than sums in another order do, 1e-5 and less for
# most tensors and at most 5e-4; with products in bfloat16, whose roundings flip, up to 7e-3 for most and 0.14 at most.
# Another mask of only 1 % dropout gives 0.1 to 0.6, a learning rate that stays what it was about 0.3.
_TOLERANCE = {"float32": 1e-2, "bfloat16": 5e-2}


class Recording(Protocol):
    """A recorded step: ``outputs`` are overwritten by every replay."""

    outputs: Outputs

    def replay(self) -> None:
        """Do everything once more that was recorded, on the present contents of the same tensors."""
        ...

    def free(self) -> None:
        """Give the recording's memory back."""
        ...


class Recorder(Protocol):
    """Makes recordings."""

    def record(
        self,
        step: Callable[[Sequence[Tensor]], Outputs],
        inputs: Sequence[Tensor],
        generators: Sequence[torch.Generator],
    ) -> Recording:
        """Record a step that reads ``inputs`` and draws from ``generators`` alone.

        The step may run meanwhile: the caller gives the training its state back.
        """
        ...


@dataclass(frozen=True)
class Graphs:
    """What a training may do with graphs: record them, or tell in ``note`` why not; neither on devices that have none."""

    recorder: Recorder | None = None
    note: str = ""


def graphs_on(device: str, refusal: str) -> Graphs:
    """Return what a training on ``device`` does with graphs; ``refusal`` says why its step cannot be recorded, or is ""."""
    if not device.startswith("cuda"):
        return Graphs()
    return Graphs(note=f"not used: {refusal}") if refusal else Graphs(CudaRecorder(device))


@dataclass(frozen=True, kw_only=True)
class StepParts:
    """One step in two halves, and what the second one changes.

    ``prepare`` turns the places of a batch into the tensors that ``learn`` takes; it may wait for the device, so it is
    never recorded. ``learn`` takes these tensors and the multipliers of the learning rate, a tensor when it is recorded.
    ``changed`` returns every tensor that ``learn`` changes, ``generators`` what it draws from; ``precision`` is that of its
    products.
    """

    prepare: Callable[[Tensor], Sequence[Tensor]]
    learn: Callable[[Sequence[Tensor], Multipliers], Outputs]
    changed: Callable[[], list[Tensor]]
    generators: Callable[[], list[torch.Generator]]
    precision: Literal["float32", "bfloat16"] = "float32"


class EagerStep:
    """Runs every step as it comes."""

    def __init__(self, parts: StepParts, note: str) -> None:
        self._prepare, self._learn = parts.prepare, parts.learn
        self.note = note

    def __call__(self, places: Tensor, multipliers: Sequence[float]) -> Outputs:
        """Make one step on the images at ``places``; return losses, logits and labels."""
        return self._learn(self._prepare(places), multipliers)

    def forget(self) -> None:
        """Do nothing: there is no graph."""


class GraphedStep:
    """Runs the first steps as they come, records one, has it prove itself, and replays it from then on.

    ``note`` is what the record of the training says about it.
    """

    def __init__(self, parts: StepParts, recorder: Recorder) -> None:
        self._parts = parts
        self._recorder = recorder
        self._graph: _Graph | None = None
        self._refused = False
        self._eager_steps = 0
        self._last_inputs: Sequence[Tensor] = ()
        self.note = "not used: the training ended before its step was recorded"

    def __call__(self, places: Tensor, multipliers: Sequence[float]) -> Outputs:
        """Make one step on the images at ``places``; return losses, logits and labels."""
        inputs = self._parts.prepare(places)
        rates = _on_device(multipliers, places.device)
        if not _alike(inputs, self._last_inputs):
            self.forget()  # a graph is of one size
        if self._eager_steps == _EAGER_STEPS and not (self._graph or self._refused):
            self._record(rates, inputs)
        if self._graph:
            return self._graph.replay(rates, inputs)
        self._eager_steps, self._last_inputs = self._eager_steps + 1, inputs
        return self._parts.learn(inputs, rates)

    def forget(self) -> None:
        """Free the graph; after some more eager steps another one is recorded."""
        if self._graph:
            self._graph.free()
        self._graph, self._eager_steps = None, 0

    def _record(self, multipliers: Tensor, inputs: Sequence[Tensor]) -> None:
        full = torch.ones_like(multipliers)
        rehearsal = [(full, self._last_inputs), (full / 2, inputs)]
        try:
            self._graph = _proven(self._parts, self._recorder, rehearsal)
        except Exception as error:  # whatever it is, the training goes on without a graph
            self._refused, self.note = True, f"not used: {_first_line(error)}"
        else:
            self.note = "used"


Step = EagerStep | GraphedStep


def step_of(parts: StepParts, graphs: Graphs) -> Step:
    """Return what runs the steps of a training."""
    return GraphedStep(parts, graphs.recorder) if graphs.recorder else EagerStep(parts, graphs.note)


def rates_on_device(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Make the learning rates of an optimizer tensors, which a recorded step overwrites and reads."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


def tensors_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the tensors of an optimizer's state."""
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


class _Graph:
    """A recording with the tensors that it reads its inputs from."""

    def __init__(
        self,
        parts: StepParts,
        recorder: Recorder,
        multipliers: Tensor,
        inputs: Sequence[Tensor],
        generators: Sequence[torch.Generator],
    ) -> None:
        self._inputs = [tensor.clone() for tensor in (multipliers, *inputs)]
        self._recording = recorder.record(lambda own: parts.learn(own[1:], own[0]), self._inputs, generators)

    def replay(self, multipliers: Tensor, inputs: Sequence[Tensor]) -> Outputs:
        """Make one step; the outputs are copies, because the next replay overwrites them."""
        torch._foreach_copy_(self._inputs, [multipliers, *inputs])
        self._recording.replay()
        losses, logits, labels = self._recording.outputs
        return losses.clone(), logits.clone(), labels.clone()

    def free(self) -> None:
        """Give the memory back."""
        self._recording.free()


class _Saved:
    """The state of a training at one moment."""

    def __init__(self, changed: Sequence[Tensor], generators: Sequence[torch.Generator]) -> None:
        self._changed, self._generators = changed, generators
        self.values = [tensor.detach().clone() for tensor in changed]
        self.streams = [generator.get_state() for generator in generators]

    @torch.no_grad()
    def restore(self) -> None:
        for tensor, value in zip(self._changed, self.values, strict=True):
            tensor.copy_(value)
        for generator, state in zip(self._generators, self.streams, strict=True):
            generator.set_state(state)


class _NotProvenError(Exception):
    """A replay did something else than the step that was recorded."""


def _proven(parts: StepParts, recorder: Recorder, rehearsal: Sequence[tuple[Tensor, Sequence[Tensor]]]) -> _Graph:
    """Return the recorded step after it has done what eager steps do; the training has its state back in any case.

    Args:
        parts: the step.
        recorder: records it.
        rehearsal: multipliers and inputs of the steps that are compared.
    """
    changed, generators = parts.changed(), parts.generators()
    graph: _Graph | None = None
    start = _Saved(changed, generators)
    try:
        expected = [parts.learn(inputs, multipliers) for multipliers, inputs in rehearsal]
        eager = _Saved(changed, generators)
        start.restore()
        graph = _Graph(parts, recorder, *rehearsal[0], generators)
        start.restore()
        received = [graph.replay(multipliers, inputs) for multipliers, inputs in rehearsal]
        tolerance = _TOLERANCE[parts.precision]
        _require_equal(expected, received, start.values, eager, _Saved(changed, generators), tolerance)
    except Exception:
        if graph:
            graph.free()
        raise
    finally:
        start.restore()
    return graph


def _require_equal(
    expected: Sequence[Outputs],
    received: Sequence[Outputs],
    start: Sequence[Tensor],
    eager: _Saved,
    replayed: _Saved,
    tolerance: float,
) -> None:
    for ours, theirs in zip(received, expected, strict=True):
        for name, our, their in zip(("losses", "logits", "labels"), ours, theirs, strict=True):
            if not _close([our], [their], [torch.zeros_like(their)], tolerance):
                raise _NotProvenError(f"a replayed step gave other {name} than an eager one")
    if not _close(replayed.values, eager.values, start, tolerance):
        raise _NotProvenError("a replayed step changed weights or states in another way than an eager one")
    if not all(map(torch.equal, replayed.streams, eager.streams)):
        raise _NotProvenError("a replayed step drew other random numbers than an eager one")


def _close(values: Sequence[Tensor], wanted: Sequence[Tensor], start: Sequence[Tensor], tolerance: float) -> bool:
    """Say whether every tensor lies where it is wanted, measured by its way from the start and its own last digit."""
    distances = _norms([value - aim for value, aim in zip(_real(values), _real(wanted), strict=True)])
    ways = _norms([aim - origin for aim, origin in zip(_real(wanted), _real(start), strict=True)])
    digits = torch.finfo(torch.float32).eps * _norms(_real(wanted))
    return bool((distances <= tolerance * ways + digits).all())  # False also where a number is not finite


def _real(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().float() for tensor in tensors]


def _norms(tensors: list[Tensor]) -> Tensor:
    """Return the norm of every tensor on the CPU, (n,), after waiting once for every device."""
    return torch.stack([norm.cpu() for norm in torch._foreach_norm(tensors)]).double()


def _on_device(multipliers: Sequence[float], device: torch.device) -> Tensor:
    """Return (m,) on the device without waiting for it."""
    if len(multipliers) == 1:
        return torch.full((1,), multipliers[0], device=device)
    values = torch.tensor(multipliers, dtype=torch.float32)
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def _alike(inputs: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return [(one.shape, one.dtype) for one in inputs] == [(one.shape, one.dtype) for one in others]


def _first_line(error: Exception) -> str:
    told = next(iter(str(error).strip().splitlines()), "")
    return told[:300] if isinstance(error, _NotProvenError) else f"{type(error).__name__}: {told}"[:300]


# ---------------------------------------------------------------------------------------------------------------------
# CUDA


class CudaRecording:
    """A CUDA graph."""

    def __init__(self, graph: torch.cuda.CUDAGraph, outputs: Outputs) -> None:
        self._graph = graph
        self.outputs = outputs

    def replay(self) -> None:
        """Launch the whole step in one call."""
        self._graph.replay()

    def free(self) -> None:
        """Give the graph's pool of memory back."""
        self._graph.reset()


class CudaRecorder:
    """Records steps on one CUDA device."""

    def __init__(self, device: str) -> None:
        self._device = device

    def record(
        self,
        step: Callable[[Sequence[Tensor]], Outputs],
        inputs: Sequence[Tensor],
        generators: Sequence[torch.Generator],
    ) -> CudaRecording:
        """Run the step on a stream of its own, then record it there; the default generator is registered by torch."""
        with torch.cuda.device(self._device):
            graph = torch.cuda.CUDAGraph()
            for generator in generators:
                graph.register_generator_state(generator)
            usual, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            try:
                aside.wait_stream(usual)
                with torch.cuda.stream(aside):
                    for _ in range(_SIDE_STEPS):
                        step(inputs)
                usual.wait_stream(aside)
                # "thread_local": what other threads allocate meanwhile is no error of this recording
                with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                    outputs = step(inputs)
            except BaseException:
                # where a recording breaks off, torch leaves the stream behind and the generators as if it went on
                torch.cuda.set_stream(usual)
                for generator in (*generators, torch.cuda.default_generators[torch.cuda.current_device()]):
                    generator.graphsafe_set_state(generator.clone_state())
                raise
        return CudaRecording(graph, outputs)
