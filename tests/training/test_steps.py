"""The training loop against the same training written out by hand."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.example_records import assert_same
from tests.tiny_training import record_of, train
from tests.tiny_trials import CNN, MLP, RESNET, tiny_images, tiny_trial
from torch import Tensor, nn

from ceteris import recipe as r
from ceteris.data import SplitImages, split_indices, standardisation
from ceteris.records import FloatArray
from ceteris.training import build
from ceteris.training.batches import ResidentImages, batch_sizes, batches, resident
from ceteris.training.single import single_trainee, streams_of
from ceteris.user_code import NO_IMPORTS

LR = 0.1
Weights = list[Tensor]
Change = Callable[[Weights, Weights], None]  # (weights, gradients), both changed in place


def matrices(weights: Weights) -> Weights:
    return [weight for weight in weights if weight.ndim > 1]


def nothing(weights: Weights, gradients: Weights) -> None:
    pass


def decay(weights: Weights, gradients: Weights) -> None:
    for weight in matrices(weights):
        weight *= 1 - LR * 0.5


def l1(weights: Weights, gradients: Weights) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        gradient += 0.01 * weight.sign() * (weight.ndim > 1)


def l2(weights: Weights, gradients: Weights) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        gradient += 0.01 * 2 * weight * (weight.ndim > 1)


def clip_norm(weights: Weights, gradients: Weights) -> None:
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
    for gradient in gradients:
        gradient *= min(1.0, 0.05 / norm)


def clip_value(weights: Weights, gradients: Weights) -> None:
    for gradient in gradients:
        gradient.clamp_(-0.01, 0.01)


def by_hand(change: Change, epochs: int) -> list[Weights]:
    """Train the MLP with plain SGD and cross-entropy; the weights after every step."""
    trial, images = tiny_trial(), tiny_images()
    streams = streams_of(trial)
    places, _ = split_indices(trial.split, images.labels)
    pixels = torch.tensor(images.images[places], dtype=torch.float64)
    inputs = ((pixels - pixels.mean()) / pixels.std(correction=0)).float()
    labels = torch.tensor(images.labels[places])
    model = build.build_model(MLP.model, input_shape=images.shape, classes=3, generator=streams.initialisation)
    weights: Weights = list(model.parameters())
    states: list[Weights] = []
    for _ in range(epochs):
        order = torch.randperm(len(places), generator=streams.order)
        for batch in torch.split(order, 8):
            loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
            gradients = [gradient.clone() for gradient in torch.autograd.grad(loss, weights)]
            with torch.no_grad():
                change(weights, gradients)
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.sub_(LR * gradient)
            states.append([weight.detach().clone() for weight in weights])
    return states


def trained_weights(recipe: r.Recipe) -> Weights:
    weights = train(tiny_trial(recipe, keep_weights=True)).weights
    assert weights is not None
    return [torch.tensor(array) for array in weights.values()]


@pytest.mark.parametrize(
    ("recipe", "change"),
    [
        (MLP, nothing),
        (replace(MLP, penalty=r.DecoupledWeightDecay(strength=0.5)), decay),
        (replace(MLP, penalty=r.L1(strength=0.01)), l1),
        (replace(MLP, penalty=r.L2(strength=0.01)), l2),
        (replace(MLP, clipping=r.ClipNorm(maximum=0.05)), clip_norm),
        (replace(MLP, clipping=r.ClipValue(maximum=0.01)), clip_value),
    ],
    ids=["plain", "weight decay", "l1", "l2", "clip norm", "clip value"],
)
def test_two_epochs_end_in_the_weights_of_the_training_written_by_hand(recipe: r.Recipe, change: Change) -> None:
    expected = by_hand(change, epochs=2)[-1]
    for weight, wanted in zip(trained_weights(replace(recipe, optimizer=r.SGD(lr=LR))), expected, strict=True):
        torch.testing.assert_close(weight, wanted, rtol=1e-4, atol=1e-6)


def test_averaged_weights_are_the_running_average_of_all_steps() -> None:
    recipe = replace(MLP, optimizer=r.SGD(lr=LR), averaging=r.ExponentialMovingAverage(decay=0.8))
    states = by_hand(nothing, epochs=2)
    average = states[0]
    for state in states[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, state, strict=True)]
    for weight, wanted in zip(trained_weights(recipe), average, strict=True):
        torch.testing.assert_close(weight, wanted, rtol=1e-4, atol=1e-6)


def test_averaging_does_not_change_the_training_itself() -> None:
    averaged = record_of(replace(RESNET, averaging=r.ExponentialMovingAverage(decay=0.5)))
    plain = record_of(RESNET)
    assert_same(averaged.iterations, plain.iterations)
    assert averaged.loss != plain.loss


@pytest.mark.parametrize("model", [r.ResNet(blocks=(1,), filters=(4,), head=(8,), dropout=0.5), r.MLP(batch_norm=True)])
def test_adversarial_noise_touches_neither_running_statistics_nor_dropout(model: r.ResNet | r.MLP) -> None:
    """Noise of size 0 changes no image, so the weights and buffers must be those without it, bit for bit."""
    plain = replace(RESNET, model=model)
    attacked = replace(plain, augmentation=(r.AdversarialNoise(epsilon=0.0, share=0.5),))
    first, second = (train(tiny_trial(recipe, keep_weights=True)) for recipe in (plain, attacked))
    assert_same(dict(first.weights or {}), dict(second.weights or {}))
    assert any("running_mean" in name for name in first.weights or {})


def test_adversarial_noise_raises_the_loss() -> None:
    still = replace(CNN, optimizer=r.SGD(lr=1e-30))
    attacked = replace(still, augmentation=(r.AdversarialNoise(epsilon=0.05, share=1.0),))
    plain, raised = record_of(still).iterations, record_of(attacked).iterations
    assert plain is not None
    assert raised is not None
    assert (raised.loss > plain.loss).all()


def test_a_plateau_lowers_the_learning_rate_after_its_patience() -> None:
    schedule = r.ReduceOnPlateau(factor=0.5, patience=1)
    epochs = record_of(replace(MLP, optimizer=r.SGD(lr=1e-30), schedule=schedule, epochs=6)).epochs
    assert epochs is not None
    np.testing.assert_allclose(epochs.learning_rate / 1e-30, [1, 1, 1, 0.5, 0.5, 0.25])


def test_a_cosine_is_followed_step_by_step_and_scales_every_rate_of_muon() -> None:
    recipe = replace(MLP, model=r.MLP(hidden=(8, 8)), optimizer=r.Muon(lr=0.02), schedule=r.Cosine())
    iterations = record_of(recipe).iterations
    assert iterations is not None
    steps = np.arange(8) / 8
    np.testing.assert_allclose(iterations.learning_rate, 0.02 * (1 + np.cos(np.pi * steps)) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "dropped", "kept"),
    [
        (32, [8] * 4, [8] * 4),
        (33, [8] * 4, [8] * 4),  # one image is no batch
        (39, [8] * 4, [8] * 4 + [7]),
        (5, [5], [5]),
        (8, [8], [8]),
    ],
)
def test_a_pass_shows_every_image_at_most_once_in_batches(count: int, dropped: list[int], kept: list[int]) -> None:
    assert [batch_sizes(count, 8, last) for last in ("drop", "keep")] == [dropped, kept]
    order, labels = torch.randperm(count, generator=torch.Generator().manual_seed(0)), 10 * torch.arange(count)
    passed, steps = list(batches(labels, order, kept, epoch=3, epochs=5)), len(kept)
    assert [len(batch.indices) for batch in passed] == kept
    assert torch.equal(torch.cat([batch.indices for batch in passed]), order[: sum(kept)])
    assert all(torch.equal(batch.labels, 10 * batch.indices) for batch in passed)
    np.testing.assert_allclose([batch.progress for batch in passed], (3 + np.arange(steps) / steps) / 5)


def test_the_batches_of_stacked_models_are_those_of_each_of_them() -> None:
    random = torch.Generator().manual_seed(0)
    orders, labels = [torch.randperm(20, generator=random) for _ in range(3)], torch.arange(20) % 7
    together = batches(labels, torch.stack(orders), [8, 8, 4], epoch=0, epochs=1)
    alone = zip(*(batches(labels, order, [8, 8, 4], epoch=0, epochs=1) for order in orders), strict=True)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours.progress == theirs[0].progress
        assert torch.equal(ours.indices, torch.stack([batch.indices for batch in theirs]))
        assert torch.equal(ours.labels, torch.stack([batch.labels for batch in theirs]))


def test_two_passes_come_in_different_orders() -> None:
    split = SplitImages(fitted=np.arange(32), held_out=np.arange(1))
    trainee = single_trainee(tiny_trial(), tiny_images(), split, NO_IMPORTS)
    first, second = (torch.cat([batch.indices for batch in trainee.batches(epoch)]) for epoch in (0, 1))
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(32))
    assert not torch.equal(first, second)


def on_device(channels: int, *, channels_last: bool) -> tuple[ResidentImages, FloatArray]:
    images = tiny_images(channels=channels)
    places = np.array([7, 3, 30, 4])
    mean, deviation = standardisation(images.images, places)
    expected = (images.images[places] - mean[:, None, None]) / deviation[:, None, None]
    part = resident(
        images.images, images.labels, places, mean=mean, std=deviation, device="cpu", channels_last=channels_last
    )
    return part, expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_images_are_standardised_on_the_way_to_the_model(channels: int, channels_last: bool) -> None:
    part, expected = on_device(channels, channels_last=channels_last)
    torch.testing.assert_close(part.slice(0, 4), torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        part.batch(torch.tensor([2, 0])), torch.tensor(expected[[2, 0]], dtype=torch.float32), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(part.slice(0, 4).mean((0, 2, 3)), torch.zeros(channels), atol=1e-5, rtol=0)
    assert part.labels.tolist() == [1, 0, 0, 1]
    assert len(part) == 4
    if channels_last and channels > 1:
        assert part.batch(torch.tensor([0, 1])).is_contiguous(memory_format=torch.channels_last)


def test_reading_batches_leaves_the_stored_bytes_alone() -> None:
    part, expected = on_device(1, channels_last=False)
    part.slice(0, 4)
    part.slice(0, 4).zero_()
    torch.testing.assert_close(part.slice(0, 4), torch.tensor(expected, dtype=torch.float32), rtol=1e-5, atol=1e-5)


def test_the_background_is_what_a_black_pixel_becomes() -> None:
    part, _ = on_device(3, channels_last=True)
    black = replace(part, pixels=torch.zeros_like(part.pixels)).slice(0, 1)
    torch.testing.assert_close(part.standardised_zero(), black[0, :, 0, 0])
