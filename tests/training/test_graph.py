"""Steps from a graph: used where a replay does what the step does, refused where it does not; the training is the same.

Graphs need CUDA. Here a stand-in "records" by keeping the step, and replays it on the same tensors; wrong ones make the
mistakes that a graph makes in silence.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.example_records import assert_same
from tests.tiny_training import train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ceteris import recipe as r
from ceteris.data import ImageSet, make_image_set
from ceteris.records import HoldoutSplit, Record, Trial
from ceteris.training import build, graph, loop, one_thread, population_steps, run_population
from ceteris.training.device import full_float32
from ceteris.training.graph import GraphedStep, Graphs, Outputs, Recorder, StepParts
from ceteris.user_code import ALL_IMPORTS

TOLD = frozenset({"seconds", "cost", "environment"})
Step = Callable[[Sequence[Tensor]], Outputs]


class Replaying:
    """A recording that runs the step again; ``before`` and ``after`` are where the wrong ones go wrong."""

    def __init__(self, step: Step, inputs: Sequence[Tensor], generators: Sequence[torch.Generator]) -> None:
        self.step, self.inputs, self.generators = step, inputs, generators
        self.recorded = [tensor.clone() for tensor in inputs]
        self.streams = [generator.get_state() for generator in generators]
        losses, logits, labels = step(inputs)
        self.outputs = losses.clone(), logits.clone(), labels.clone()
        self.replays, self.freed = 0, False

    def replay(self) -> None:
        assert not self.freed
        self.replays += 1
        self.before()
        for output, new in zip(self.outputs, self.step(self.inputs), strict=True):
            output.copy_(new)

    def before(self) -> None:
        pass

    def free(self) -> None:
        self.freed = True


class OldRate(Replaying):
    def before(self) -> None:
        self.inputs[0].copy_(self.recorded[0])


class OldImages(Replaying):
    def before(self) -> None:
        for tensor, old in zip(self.inputs[1:], self.recorded[1:], strict=True):
            tensor.copy_(old)


class OldRandomNumbers(Replaying):
    def before(self) -> None:
        for generator, old in zip(self.generators, self.streams, strict=True):
            generator.set_state(old)


class Twice(Replaying):
    """Outputs that are right and a state that is not: what a step on stale memory may look like."""

    def replay(self) -> None:
        super().replay()
        kept = [output.clone() for output in self.outputs]
        self.step(self.inputs)
        for output, right in zip(self.outputs, kept, strict=True):
            output.copy_(right)


class Keeping:
    """Makes recordings of one kind and keeps them."""

    def __init__(self, kind: type[Replaying] = Replaying) -> None:
        self.kind = kind
        self.made: list[Replaying] = []

    def record(self, step: Step, inputs: Sequence[Tensor], generators: Sequence[torch.Generator]) -> Replaying:
        self.made.append(self.kind(step, inputs, generators))
        return self.made[-1]


class Raising:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def record(self, step: Step, inputs: Sequence[Tensor], generators: Sequence[torch.Generator]) -> Replaying:
        step(inputs)  # a recording that breaks off has changed weights and streams
        raise self.error


REFUSING = Raising(RuntimeError("operation not permitted when stream is capturing\nsecond line"))
REFUSED = "not used: RuntimeError: operation not permitted when stream is capturing"


@pytest.fixture
def graphs_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Recorder], None]:
    """Let trainings on the CPU record with a recorder, where the recipe allows it."""

    def use(recorder: Recorder) -> None:
        monkeypatch.setattr(
            graph,
            "graphs_on",
            lambda device, refusal: Graphs(note=f"not used: {refusal}") if refusal else Graphs(recorder),
        )

    return use


def trained(trials: list[Trial], images: ImageSet | None = None) -> list[Record]:
    if len(trials) == 1:
        return [train(trials[0], images).record]
    with one_thread():
        return [result.record for result in run_population(trials, images or tiny_images())]


def notes(records: list[Record]) -> set[str]:
    assert [record.status for record in records] == ["finished"] * len(records), records[0].error
    return {record.environment["cuda_graph"] for record in records}


def members(recipe: r.Recipe, count: int, **trial: Any) -> list[Trial]:
    return [tiny_trial(recipe, fold=fold, **trial) for fold in range(count)]


def with_model(recipe: r.Recipe, **model: Any) -> r.Recipe:
    return replace(recipe, model=replace(recipe.model, **model))


DROPPED = with_model(MLP, hidden=(64,), dropout=0.3)
RECIPES: dict[str, r.Recipe] = {
    "plain": MLP,
    "momentum, cosine": replace(CNN, optimizer=r.SGD(lr=0.05, momentum=0.9), schedule=r.Cosine(warmup=0.2)),
    "adam, batch norm, clipping": replace(
        with_model(RESNET, batch_norm=True), optimizer=r.Adam(lr=1e-3), clipping=r.ClipNorm(maximum=0.3)
    ),
    "adamw, averaging": replace(CNN, optimizer=r.AdamW(), averaging=r.ExponentialMovingAverage(decay=0.5)),
    "dropout, l2, smoothing": replace(DROPPED, penalty=r.L2(strength=0.01), loss=r.CrossEntropy(label_smoothing=0.1)),
    "l1, clipped values, focal": replace(
        MLP, penalty=r.L1(strength=1e-3), clipping=r.ClipValue(maximum=0.01), loss=r.Focal()
    ),
    "decay, one cycle, averaged batch norm": replace(
        with_model(DROPPED, batch_norm=True),
        penalty=r.DecoupledWeightDecay(strength=0.5),
        schedule=r.OneCycle(),
        averaging=r.ExponentialMovingAverage(decay=0.5),
    ),
    "shifted": replace(CNN, augmentation=(r.Shift(), r.Noise())),
    "mixed": replace(DROPPED, augmentation=(r.Mixup(),), schedule=r.ReduceOnPlateau(patience=0, threshold=0.5)),
    "attacked": replace(with_model(CNN, batch_norm=True), augmentation=(r.AdversarialNoise(),)),
}


@pytest.mark.parametrize("count", [1, 3], ids=["alone", "population"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_training_from_a_graph_is_the_eager_training_bit_for_bit(
    recipe: r.Recipe, count: int, graphs_by: Callable[[Recorder], None]
) -> None:
    trials = members(recipe, count)
    plain = trained(trials)
    graphs_by(REFUSING)
    eager = trained(trials)
    recorder = Keeping()
    graphs_by(recorder)
    graphed = trained(trials)
    assert notes(eager) == {REFUSED}
    assert notes(graphed) == {"used"}
    for ours, theirs, without in zip(graphed, eager, plain, strict=True):
        assert_same(ours, theirs, but=TOLD)
        assert "cuda_graph" not in without.environment
        assert ours.iterations is not None
        assert without.iterations is not None
        np.testing.assert_allclose(ours.iterations.loss, without.iterations.loss, rtol=1e-3)
    assert [made.freed for made in recorder.made] == [True]
    assert recorder.made[0].replays == 2 + 5  # two to prove itself, and the fourth step of eight to the last


@pytest.mark.parametrize("optimizer", r.OPTIMIZERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("count", [1, 2], ids=["alone", "population"])
def test_every_optimizer_is_replayed_or_named(
    optimizer: Any, count: int, graphs_by: Callable[[Recorder], None]
) -> None:
    trials = members(replace(MLP, optimizer=optimizer()), count)
    plain = trained(trials)
    graphs_by(Keeping())
    graphed = trained(trials)
    expected = build.why_not_recorded([trials[0].recipe])
    assert notes(graphed) == {f"not used: {expected}" if expected else "used"}
    assert bool(expected) == (optimizer in (r.Muon, r.Adagrad))
    for ours, theirs in zip(graphed, plain, strict=True):
        assert ours.iterations is not None
        assert theirs.iterations is not None
        np.testing.assert_allclose(ours.iterations.loss, theirs.iterations.loss, rtol=1e-4)


def test_members_of_different_settings_are_replayed_together(graphs_by: Callable[[Recorder], None]) -> None:
    others = [
        replace(DROPPED, optimizer=r.SGD(lr=0.1, momentum=0.5), schedule=r.Linear()),
        with_model(DROPPED, dropout=0.0),
        replace(DROPPED, penalty=r.DecoupledWeightDecay(strength=0.5), clipping=r.ClipNorm(maximum=0.1)),
    ]
    trials = [tiny_trial(recipe) for recipe in [DROPPED, *others]]
    plain = trained(trials)
    graphs_by(REFUSING)
    eager = trained(trials)
    graphs_by(Keeping())
    graphed = trained(trials)
    assert notes(graphed) == {"used"}
    for ours, theirs, without in zip(graphed, eager, plain, strict=True):
        assert_same(ours, theirs, but=TOLD)
        np.testing.assert_allclose(ours.iterations.loss, without.iterations.loss, rtol=1e-4)  # type: ignore[union-attr]


def test_augmentation_that_all_share_is_made_once_and_replayed(graphs_by: Callable[[Recorder], None]) -> None:
    first = replace(CNN, augmentation=(r.Mixup(),))
    trials = [tiny_trial(replace(first, penalty=r.L2(strength=strength))) for strength in (1e-3, 1e-2)]
    graphs_by(REFUSING)
    eager = trained(trials)
    recorder = Keeping()
    graphs_by(recorder)
    graphed = trained(trials)
    assert notes(graphed) == {"used"}
    assert [tuple(tensor.shape) for tensor in recorder.made[0].inputs[1:]] == [(8, 1, 8, 8), (8, 3), (2, 8)]
    for ours, theirs in zip(graphed, eager, strict=True):
        assert_same(ours, theirs, but=TOLD)


# ---------------------------------------------------------------------------------------------------------------------
# What a recording cannot do: read numbers from the device, or bring some there


class Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that would wait for a CUDA device, or whose tensor comes from numbers of Python."""

    WAITING = frozenset(
        {"_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "equal", "is_nonzero", "item"}
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen |= {func.overloadpacket.__name__} & self.WAITING
        return func(*args, **(kwargs or {}))


class Watching:
    """Records like the right stand-in and notes what the step did that a recording cannot do."""

    def __init__(self) -> None:
        self.seen: list[set[str]] = []

    def record(self, step: Step, inputs: Sequence[Tensor], generators: Sequence[torch.Generator]) -> Replaying:
        with Watched() as watched:
            step(inputs)
        self.seen.append(watched.seen)
        return Replaying(step, inputs, generators)


@pytest.fixture
def as_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch step on the CPU with what it steps with in a recording: its own check knows CUDA only."""
    for name in ("adadelta", "adam", "adamax", "asgd", "nadam", "radam", "rmsprop"):
        monkeypatch.setattr(
            importlib.import_module(f"torch.optim.{name}"),
            "_get_capturable_supported_devices",
            lambda supports_xla=True: ["cpu"],
        )

    def recordable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        graph.rates_on_device(optimizer, device)
        for group in optimizer.param_groups:
            group["capturable"] = True
            group["foreach"] = not group.get("fused")

    for module in (loop, population_steps):
        monkeypatch.setattr(module, "rates_on_device", recordable)


RECORDED = [kind() for kind in r.OPTIMIZERS if not build.why_not_recorded([replace(MLP, optimizer=kind())])]
RECORDED += [r.SGD(momentum=0.9, nesterov=True), r.Adam(amsgrad=True), r.RMSprop(momentum=0.5, centered=True)]


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("optimizer", RECORDED, ids=repr)
@pytest.mark.parametrize("count", [1, 2], ids=["alone", "population"])
def test_no_optimizer_waits_for_the_device_in_a_recording(
    optimizer: Any, count: int, graphs_by: Callable[[Recorder], None]
) -> None:
    trials = members(replace(MLP, optimizer=optimizer), count)
    plain = [losses_of(record) for record in eager_on_the_cpu(trials)]
    recorder = Watching()
    graphs_by(recorder)
    graphed = trained(trials)
    assert notes(graphed) == {"used"}
    # torch adds a tensor of 1 to counts of steps that lie on the CPU, and a number to those on CUDA
    assert recorder.seen in ([set()], [{"lift_fresh"}])
    assert recorder.seen == [set()] or not isinstance(optimizer, r.SGD | r.Adam | r.AdamW)
    for record, without in zip(graphed, plain, strict=True):
        np.testing.assert_allclose(losses_of(record), without, rtol=1e-4)


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("count", [1, 3], ids=["alone", "population"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_no_recipe_waits_for_the_device_in_a_recording(
    recipe: r.Recipe, count: int, graphs_by: Callable[[Recorder], None]
) -> None:
    recorder = Watching()
    graphs_by(recorder)
    assert notes(trained(members(recipe, count))) == {"used"}
    assert recorder.seen == [set()]


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("activation", r.ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_no_activation_waits_for_the_device_in_a_recording(
    activation: Any, graphs_by: Callable[[Recorder], None]
) -> None:
    recorder = Watching()
    graphs_by(recorder)
    for model in (with_model(DROPPED, batch_norm=True), CNN):
        recipe = with_model(model, activation=activation())
        different = [tiny_trial(recipe), tiny_trial(with_model(recipe, dropout=0.1), fold=1)]
        assert notes(trained(different)) == {"used"}
    assert recorder.seen == [set()] * 2


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("loss", [r.CrossEntropy(label_smoothing=0.1), r.Focal(), r.MeanSquaredError()], ids=repr)
@pytest.mark.parametrize("augmentation", [(), (r.CutMix(),)], ids=["labels", "shares"])
def test_no_loss_waits_for_the_device_in_a_recording(
    loss: Any, augmentation: Any, graphs_by: Callable[[Recorder], None]
) -> None:
    recorder = Watching()
    graphs_by(recorder)
    recipe = replace(MLP, loss=loss, augmentation=augmentation)
    assert notes(trained(members(recipe, 1)) + trained(members(recipe, 2))) == {"used"}
    # torch looks at the labels that become one-hot rows on the CPU, and leaves that to the kernel on CUDA
    looks = isinstance(loss, r.MeanSquaredError) and not augmentation
    assert recorder.seen == [{"_local_scalar_dense"} if looks else set()] * 2


def losses_of(record: Record) -> Any:
    assert record.iterations is not None, record.error
    return record.iterations.loss


def eager_on_the_cpu(trials: list[Trial]) -> list[Record]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "graphs_on", lambda device, refusal: Graphs())
        return trained(trials)


# ---------------------------------------------------------------------------------------------------------------------
# Wrong graphs

BARELY_DROPPED = with_model(DROPPED, dropout=0.01)
WRONG: dict[str, tuple[r.Recipe, type[Replaying], str]] = {
    "rate": (MLP, OldRate, "changed weights or states in another way"),
    "rate of adam": (replace(CNN, optimizer=r.Adam(lr=1e-3)), OldRate, "changed weights or states in another way"),
    "images": (MLP, OldImages, "gave other losses"),
    "augmented images": (replace(CNN, augmentation=(r.Shift(),)), OldImages, "gave other losses"),
    "masks": (DROPPED, OldRandomNumbers, "gave other losses"),
    "masks of 1 %": (BARELY_DROPPED, OldRandomNumbers, "gave other"),
    "one step more": (replace(MLP, averaging=r.ExponentialMovingAverage()), Twice, "gave other losses"),
}


@pytest.mark.parametrize("count", [1, 3], ids=["alone", "population"])
@pytest.mark.parametrize(("recipe", "kind", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_graph_that_does_something_else_is_refused_and_changes_nothing(
    recipe: r.Recipe, kind: type[Replaying], reason: str, count: int, graphs_by: Callable[[Recorder], None]
) -> None:
    trials = members(recipe, count)
    graphs_by(REFUSING)
    eager = trained(trials)
    recorder = Keeping(kind)
    graphs_by(recorder)
    refused = trained(trials)
    (note,) = notes(refused)
    assert note.startswith(f"not used: a replayed step {reason}"), note
    assert [(made.replays >= 2, made.freed) for made in recorder.made] == [(True, True)]
    for ours, theirs in zip(refused, eager, strict=True):
        assert_same(ours, theirs, but=TOLD)


def test_too_little_memory_for_a_graph_is_told_and_the_training_goes_on(graphs_by: Callable[[Recorder], None]) -> None:
    graphs_by(Raising(torch.OutOfMemoryError("CUDA out of memory.")))
    for count in (1, 2):
        records = trained(members(MLP, count))
        assert notes(records) == {"not used: OutOfMemoryError: CUDA out of memory."}
        assert all("memory" not in record.environment for record in records)


def test_a_training_that_diverges_diverges_with_a_graph(graphs_by: Callable[[Recorder], None]) -> None:
    graphs_by(Keeping())
    record = trained(members(replace(MLP, optimizer=r.SGD(lr=1e30)), 1))[0]
    assert record.status == "diverged"


def test_a_training_shorter_than_the_first_steps_says_so(graphs_by: Callable[[Recorder], None]) -> None:
    graphs_by(Keeping())
    records = trained(members(replace(MLP, epochs=1, batch_size=16), 1))
    assert notes(records) == {"not used: the training ended before its step was recorded"}


def test_code_of_the_user_s_own_is_never_recorded(graphs_by: Callable[[Recorder], None]) -> None:
    recorder = Keeping()
    graphs_by(recorder)
    own = replace(MLP, loss=r.CustomLoss(path="tests.training.own_code:written_out_cross_entropy"))
    record = train(tiny_trial(own), imports=ALL_IMPORTS).record
    assert record.environment["cuda_graph"].startswith("not used: code of the user's own")
    assert recorder.made == []


def puzzle() -> ImageSet:
    """Images whose labels mean nothing, so that the held-out accuracy goes up and down."""
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    return make_image_set(images, np.arange(40) % 2, ("a", "b"))


@pytest.mark.parametrize("optimizer", [r.Adam(lr=3e-3), r.SGD(lr=0.05, momentum=0.9)], ids=["adam", "sgd"])
def test_when_members_leave_another_graph_is_recorded(optimizer: Any, graphs_by: Callable[[Recorder], None]) -> None:
    recipe = replace(
        with_model(CNN, batch_norm=True, dropout=0.2),
        optimizer=optimizer,
        averaging=r.ExponentialMovingAverage(decay=0.5),
        epochs=8,
    )
    trials = [
        tiny_trial(recipe, seed=seed, split=HoldoutSplit(fraction=0.3, seed=seed), patience=patience)
        for seed, patience in enumerate((1, 2, 0, 4))
    ]
    graphs_by(REFUSING)
    eager = trained(trials, puzzle())
    recorder = Keeping()
    graphs_by(recorder)
    graphed = trained(trials, puzzle())
    assert notes(graphed) == {"used"}
    assert notes(eager) == {REFUSED}
    for ours, theirs in zip(graphed, eager, strict=True):
        assert_same(ours, theirs, but=TOLD)
    sizes = [len(made.inputs[1]) for made in recorder.made]
    assert len(sizes) > 1
    assert sizes == sorted(sizes, reverse=True)
    assert all(made.freed for made in recorder.made)


# ---------------------------------------------------------------------------------------------------------------------
# The step by itself


def counting(weight: Tensor) -> StepParts:
    """A step that adds the mean of its inputs times the rate to a weight."""

    def learn(inputs: Sequence[Tensor], multipliers: Any) -> Outputs:
        weight.add_(multipliers[0] * inputs[0].mean())
        return weight.clone(), inputs[0] * 2, inputs[0].long()

    return StepParts(prepare=lambda places: [places], learn=learn, changed=lambda: [weight], generators=list)


class OldRandomNumbersWhileTheStreamGoesOn(Replaying):
    def replay(self) -> None:
        (stream,) = self.generators
        beside = stream.clone_state()
        stream.set_state(self.streams[0])
        super().replay()
        torch.rand(4, generator=beside)
        stream.set_state(beside.get_state())


@pytest.mark.parametrize("kind", [OldRandomNumbers, OldRandomNumbersWhileTheStreamGoesOn])
def test_random_numbers_that_repeat_are_noticed_wherever_the_stream_ends(kind: type[Replaying]) -> None:
    stream, weight = torch.Generator().manual_seed(0), torch.zeros(4)

    def learn(inputs: Sequence[Tensor], multipliers: Any) -> Outputs:
        weight.add_(torch.rand(4, generator=stream) * multipliers[0])
        return inputs[0], inputs[0], inputs[0]

    parts = StepParts(
        prepare=lambda places: [places], learn=learn, changed=lambda: [weight], generators=lambda: [stream]
    )
    step = GraphedStep(parts, Keeping(kind))
    for _ in range(6):
        step(torch.ones(4), [1.0])
    assert step.note == "not used: a replayed step changed weights or states in another way than an eager one"
    expected = sum(torch.rand(4, generator=again) for again in [torch.Generator().manual_seed(0)] for _ in range(6))
    torch.testing.assert_close(weight, expected)


def test_a_stream_that_ends_elsewhere_is_noticed() -> None:
    stream = torch.Generator().manual_seed(0)

    class Drawing(Replaying):
        def before(self) -> None:
            torch.rand(1, generator=stream)

    parts = replace(counting(torch.zeros(())), generators=lambda: [stream])
    step = GraphedStep(parts, Keeping(Drawing))
    for _ in range(6):
        step(torch.ones(4), [1.0])
    assert step.note == "not used: a replayed step drew other random numbers than an eager one"


def test_outputs_of_a_replay_outlive_the_next_one() -> None:
    step = GraphedStep(counting(torch.zeros(())), Keeping())
    outputs = [step(torch.full((4,), float(number)), [1.0]) for number in range(1, 7)]
    assert step.note == "used"
    assert [float(losses) for losses, _, _ in outputs] == [1, 3, 6, 10, 15, 21]
    assert [int(labels[0]) for _, _, labels in outputs] == [1, 2, 3, 4, 5, 6]


def test_a_batch_of_another_size_never_meets_the_graph_of_this_one() -> None:
    recorder = Keeping()
    step = GraphedStep(counting(torch.zeros(())), recorder)
    sizes = [4] * 6 + [3] * 6 + [4]
    losses = [float(step(torch.ones(size), [1.0])[0]) for size in sizes]
    assert losses == list(range(1, len(sizes) + 1))
    assert [len(made.inputs[1]) for made in recorder.made] == [4, 3]
    assert [made.freed for made in recorder.made] == [True, True]


def test_after_a_refusal_nothing_is_recorded_again() -> None:
    recorder = Keeping(OldRate)
    step = GraphedStep(counting(torch.zeros(())), recorder)
    for _ in range(10):
        step(torch.ones(4), [1.0])
    step.forget()
    for _ in range(10):
        step(torch.ones(4), [1.0])
    assert len(recorder.made) == 1
    assert step.note.startswith("not used: a replayed step gave other losses")


def test_other_devices_know_nothing_of_graphs() -> None:
    for device in ("cpu", "mps"):
        assert graph.graphs_on(device, "") == graph.graphs_on(device, "a reason") == Graphs()
    assert graph.graphs_on("cuda:1", "a reason") == Graphs(note="not used: a reason")
    assert isinstance(graph.graphs_on("cuda:1", "").recorder, graph.CudaRecorder)


class FakeGenerator:
    """Tells what is done to it."""

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def clone_state(self) -> str:
        return "clone"

    def graphsafe_set_state(self, state: str) -> None:
        self.told.append(f"stream from {state}")


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for torch's calls to CUDA; returns what was called, in its order."""
    told: list[str] = []

    @contextmanager
    def within(name: str) -> Iterator[None]:
        told.append(f"{name} begins")
        yield
        told.append(f"{name} ends")

    def stream() -> Any:
        return SimpleNamespace(wait_stream=lambda other: told.append("wait"))

    def made() -> Any:
        return SimpleNamespace(
            register_generator_state=lambda generator: told.append("register"),
            replay=lambda: told.append("replay"),
            reset=lambda: told.append("reset"),
        )

    monkeypatch.setattr(torch.cuda, "device", lambda device: within(device))
    monkeypatch.setattr(torch.cuda, "stream", lambda other: within("aside"))
    monkeypatch.setattr(torch.cuda, "graph", lambda made, stream, capture_error_mode: within(capture_error_mode))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", made)
    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda usual: told.append("usual stream"))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "default_generators", (FakeGenerator(told),))
    return told


def test_a_graph_is_recorded_in_the_order_that_torch_asks_for(fake_cuda: list[str]) -> None:
    outputs = torch.zeros(1), torch.zeros(1), torch.zeros(1)

    def step(inputs: Sequence[Tensor]) -> Outputs:
        fake_cuda.append("step")
        return outputs

    generators: Any = [FakeGenerator(fake_cuda), FakeGenerator(fake_cuda)]
    recording = graph.CudaRecorder("cuda:1").record(step, [], generators)
    recording.replay()
    recording.free()
    assert recording.outputs is outputs
    assert fake_cuda == [
        *("cuda:1 begins", "register", "register", "wait", "aside begins", "step", "step", "aside ends", "wait"),
        *("thread_local begins", "step", "thread_local ends", "cuda:1 ends", "replay", "reset"),
    ]


def test_a_recording_that_breaks_off_leaves_streams_that_go_on(fake_cuda: list[str]) -> None:
    def step(inputs: Sequence[Tensor]) -> Outputs:
        raise RuntimeError("not permitted")

    generators: Any = [FakeGenerator(fake_cuda)]
    with pytest.raises(RuntimeError, match="not permitted"):
        graph.CudaRecorder("cuda").record(step, [], generators)
    assert fake_cuda[-3:] == ["usual stream", "stream from clone", "stream from clone"]  # the default generator, too


def test_settings_of_the_process_are_left_alone_on_the_cpu() -> None:
    with full_float32("cpu"):
        assert torch.backends.cudnn.allow_tf32


def test_float32_on_cuda_has_all_its_digits_and_the_process_its_own_settings_back() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with full_float32("cuda"):
            inside = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        after = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(before)
    assert (inside, after) == ((False, "highest"), (True, "high"))
