"""One model that learns by itself: its random streams, its objects, and how they make a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from ceteris.data import ImageSet, SplitImages, held_out_share, split_images, stratified_sample
from ceteris.models.dropout import set_dropout_generator
from ceteris.records import CrossValidationSplit, FloatArray, HoldoutSplit, IntArray, Trial
from ceteris.seeds import Role, generator, stream_seed
from ceteris.techniques.augmentation import Augment
from ceteris.techniques.averaging import ExponentialMovingAverage
from ceteris.techniques.regularisation import gradient_norm, shrink_weights_
from ceteris.training import build
from ceteris.training.batches import Batch, PassOrder, ResidentImages, batch_sizes, batches, resident
from ceteris.training.device import autocasting
from ceteris.training.history import Run, RunImages
from ceteris.training.loop import TrainingConfig
from ceteris.user_code import ImportPolicy


@dataclass(frozen=True, kw_only=True)
class Streams:
    """One generator per role; none of them depends on the recipe, so that arms are compared on equal draws."""

    initialisation: torch.Generator
    order: torch.Generator
    augmentation: torch.Generator
    dropout: torch.Generator


def streams_of(trial: Trial) -> Streams:
    """Return the streams of a trial: functions of its seed, its fold and the role alone."""

    def stream(role: Role, device: str) -> torch.Generator:
        return torch.Generator(device).manual_seed(_seed_of(trial, role))

    device = trial.execution.device
    return Streams(
        initialisation=stream("initialisation", "cpu"),
        order=stream("order", "cpu"),
        augmentation=stream("augmentation", device),
        dropout=stream("dropout", device),
    )


@contextmanager
def seeded_global_rng(trial: Trial) -> Iterator[None]:
    """Let code that takes no generator draw from the trial's dropout stream inside the block.

    That is a user's own model with ``torch.nn.Dropout``: without this its masks would depend on what the process trained
    before. The global generators of the CPU and of the trial's CUDA device get their own states back afterwards.
    """
    device = torch.device(trial.execution.device)
    on_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(_seed_of(trial, "dropout"))
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(_seed_of(trial, "dropout"))
        yield


def _seed_of(trial: Trial, role: Role) -> int:
    fold = trial.split.index if isinstance(trial.split, CrossValidationSplit) else 0
    seed = trial.seed if role == "initialisation" or trial.order_seed is None else trial.order_seed
    return stream_seed(seed, fold, role)


@dataclass(frozen=True, kw_only=True)
class TrainingObjects:
    """The objects of one training, as a recipe describes them; None where the recipe asks for nothing.

    ``attacked`` says that the augmentation depends on the model's weights, so that no two models see the same images.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: build.Schedule
    loss: build.Loss
    sampling: PassOrder
    augment: Augment | None
    attacked: bool
    penalty: Callable[[], Tensor] | None
    clip: Callable[[], Tensor] | None
    average: ExponentialMovingAverage | None
    decay: float
    decayed: list[Tensor]
    streams: Streams

    def augmented(self, images: Tensor, labels: Tensor, config: TrainingConfig) -> tuple[Tensor, Tensor]:
        """Return the images, (b, c, h, w), and targets, labels (b,) or class shares (b, classes), that a step learns from."""
        if self.augment is None:
            return images, labels
        return self.augment(
            images,
            labels,
            config.classes,
            self.streams.augmentation,
            loss_of=lambda images, targets: self.eval_loss(images, targets, config),
        )

    def eval_loss(self, images: Tensor, targets: Tensor, config: TrainingConfig) -> Tensor:
        """Return the loss in evaluation mode, so that neither running statistics nor dropout draws are touched."""
        self.model.eval()
        with autocasting(images.device, config.autocast):
            logits = self.model(images)
        self.model.train()
        return self.loss(logits.float(), targets)


def training_objects(
    trial: Trial, train: ImageSet, split: SplitImages, images: ResidentImages, imports: ImportPolicy
) -> TrainingObjects:
    """Return the objects of a trial on its device; see :mod:`ceteris.training.build`.

    Args:
        trial: whose recipe is built.
        train: tells the shape of the images and the classes.
        split: tells how often every class is fitted on.
        images: that it fits on: their memory order, and what a black pixel is.
        imports: whether the user's own code may be imported.

    Raises:
        ConfigError: when the recipe cannot be built.
    """
    recipe, device, streams = trial.recipe, trial.execution.device, streams_of(trial)
    class_counts = np.bincount(train.labels[split.fitted], minlength=len(train.classes))
    model = build.build_model(
        recipe.model,
        input_shape=train.shape,
        classes=len(train.classes),
        generator=streams.initialisation,
        batch_size=min(recipe.batch_size, len(split.fitted)),
        imports=imports,
    ).to(device)
    if images.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    set_dropout_generator(model, streams.dropout)
    return TrainingObjects(
        model=model,
        optimizer=build.build_optimizer(recipe.optimizer, model),
        schedule=build.build_schedule(recipe.schedule, recipe.epochs),
        sampling=build.build_sampling(recipe.sampling),
        penalty=build.build_penalty(recipe.penalty, model),
        clip=build.build_clipping(recipe.clipping, model),
        average=build.build_averaging(recipe.averaging, model),
        decay=build.decay_of(recipe.penalty),
        decayed=list(build.penalised_weights(model)),
        attacked=build.attacks_the_model(recipe.augmentation),
        augment=build.build_augmentation(recipe.augmentation, fill=images.standardised_zero()),
        loss=build.build_loss(recipe.loss, class_counts, device, imports),
        streams=streams,
    )


class ScheduledOptimizer:
    """An optimizer whose learning rates follow a schedule, which may look at the mean losses of the epochs so far."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: build.Schedule, epoch_losses: list[float]) -> None:
        self.optimizer = optimizer
        self._schedule, self._epoch_losses = schedule, epoch_losses
        self._full_rates = [float(group["lr"]) for group in optimizer.param_groups]

    def set_rates(self, progress: float) -> float:
        """Give every parameter group its rate at this ``progress`` in [0, 1); return the first one's."""
        multiplier = self._schedule(progress, self._epoch_losses)
        for group, rate in zip(self.optimizer.param_groups, self._full_rates, strict=True):
            group["lr"] = rate * multiplier
        return self._full_rates[0] * multiplier


class SingleTrainee:
    """One model; see :class:`ceteris.training.loop.Trainee`."""

    def __init__(self, objects: TrainingObjects, images: ResidentImages, run: Run, config: TrainingConfig) -> None:
        self.config = config
        self.model = objects.model
        self.weights = list(objects.model.parameters())
        self.average = objects.average
        self.runs = [run]
        self._objects = objects
        self._images = images
        self._labels = images.labels.cpu()
        self.scheduled = ScheduledOptimizer(objects.optimizer, objects.schedule, run.steering_losses)

    def batches(self, epoch: int) -> list[Batch]:
        """Return the mini-batches of a shuffled pass."""
        order = self._objects.sampling(self._labels, self._objects.streams.order)
        config = self.config
        sizes = batch_sizes(len(order), config.batch_size, config.last_batch)
        return batches(self._images.labels, order, sizes, epoch=epoch, epochs=config.epochs)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the augmented images (b, c, h, w) of a batch and their targets."""
        return self._objects.augmented(self._images.batch(batch.indices), batch.labels, self.config)

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of the batch, ().

        Raises:
            ValueError: when the model does not return one number per class and image.
        """
        if logits.shape != (len(targets), self.config.classes):
            raise ValueError(
                f"one number per class is needed for every image, {len(targets)} x {self.config.classes}; it returned "
                f"{' x '.join(map(str, logits.shape))}."
            )
        return self._objects.loss(logits, targets)

    def objective(self, losses: Tensor) -> Tensor:
        """Return the loss with the penalty."""
        return losses + self._objects.penalty() if self._objects.penalty else losses

    def update(self, progress: float) -> list[float]:
        """Clip, decay, step; return the learning rate."""
        objects, rate = self._objects, self.scheduled.set_rates(progress)
        if objects.clip:
            objects.clip()
        if objects.decay:
            shrink_weights_(objects.decayed, 1 - rate * objects.decay)
        objects.optimizer.step()
        return [rate]

    def gradient_norms(self) -> list[float]:
        """Return the norm of the last gradient."""
        return [float(gradient_norm([weight.grad for weight in self.weights if weight.grad is not None]))]

    def keep(self, indices: list[int]) -> None:
        """Do nothing: the training of a single model is over when it leaves."""


def single_trainee(trial: Trial, train: ImageSet, split: SplitImages, imports: ImportPolicy) -> SingleTrainee:
    """Return a trial that is ready to be trained on some images and evaluated on others.

    Raises:
        ConfigError: when its recipe cannot be built.
    """
    moments = build.build_standardisation(trial.recipe.standardisation, train.images, split.fitted)
    images = images_on_device(trial, train, split.fitted, *moments)
    objects, config = training_objects(trial, train, split, images, imports), config_of(trial, train)
    return SingleTrainee(objects, images, run_of(trial, train, objects.model, split, moments), config)


def split_of(trial: Trial, labels: IntArray, groups: IntArray | None = None) -> SplitImages:
    """Return what every image is for in a trial: by its split, and as many to fit on as its recipe says.

    A schedule that looks at a validation loss gets images of its own where no others are there to stop by.

    Raises:
        DataError: when the images cannot be split as the trial says.
    """
    recipe, split = trial.recipe, split_images(trial.split, labels, groups)
    fold = trial.split.index if isinstance(trial.split, CrossValidationSplit) else 0
    judged = not isinstance(trial.split, HoldoutSplit) or not trial.split.fraction  # by images that steer nothing
    if (share := build.watched_share(recipe.schedule)) and judged and split.watched is None:
        own_groups = None if groups is None else groups[split.fitted]
        random = generator(trial.split.seed, fold, "validation")
        watched = held_out_share(labels[split.fitted], own_groups, share, random)
        split = replace(split, fitted=np.delete(split.fitted, watched), watched=split.fitted[watched])
    if recipe.images:
        random = generator(trial.split.seed, fold, "sample")
        chosen = stratified_sample(labels[split.fitted], recipe.images, random)
        split = replace(split, fitted=split.fitted[chosen])
    return split


def run_of(
    trial: Trial, train: ImageSet, model: nn.Module, split: SplitImages, moments: tuple[FloatArray, FloatArray]
) -> Run:
    """Return the run of a trial's model before its first epoch; ``moments`` are mean and deviation of what it fits on."""
    held_out = images_on_device(trial, train, split.held_out, *moments)
    watched = held_out if split.watched is None else images_on_device(trial, train, split.watched, *moments)
    sample = fitted_sample(split, train.labels, trial.recipe.epochs)
    images = RunImages(held_out, watched, lambda: images_on_device(trial, train, sample, *moments))
    return Run(trial, model, images, len(train.classes))


def fitted_sample(split: SplitImages, labels: IntArray, epochs: int) -> IntArray:
    """Return some of the images that are fitted on, with the classes' shares of all: indices (m,), the same at every call.

    They are at most as many as the held-out ones, and so few that to evaluate them once costs about 3 % of the training's
    steps, each of which takes three times as long as an evaluation.
    """
    by_class = split.fitted[np.argsort(labels[split.fitted], kind="stable")]
    count = min(len(by_class), len(split.held_out) or len(by_class), max(epochs * len(by_class) // 10, 1))
    chosen: IntArray = by_class[np.linspace(0, len(by_class) - 1, count).round().astype(int)]
    return chosen


def images_on_device(
    trial: Trial, train: ImageSet, indices: IntArray, mean: FloatArray, std: FloatArray
) -> ResidentImages:
    """Return some training images as a trial's model takes them."""
    return resident(
        train.images,
        train.labels,
        indices,
        mean=mean,
        std=std,
        device=trial.execution.device,
        channels_last=trial.recipe.model.kind != "mlp",
    )


def config_of(trial: Trial, train: ImageSet) -> TrainingConfig:
    """Return how long and how a trial trains."""
    return TrainingConfig(
        epochs=trial.recipe.epochs,
        batch_size=trial.recipe.batch_size,
        last_batch=trial.recipe.last_batch,
        classes=len(train.classes),
        autocast=trial.execution.precision == "bfloat16",
        device=torch.device(trial.execution.device),
    )
