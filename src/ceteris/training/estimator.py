"""The training of an estimator: the same split, images, early stopping and record as a network's."""

import time
from dataclasses import replace

import numpy as np
import torch

from ceteris.data import ImageSet, SplitImages
from ceteris.models.estimator import EstimatorNetwork
from ceteris.recipe import Estimator
from ceteris.records import Trial
from ceteris.training.build import build_model, build_standardisation
from ceteris.training.history import ObservedEpoch, Run
from ceteris.training.loop import OnEpoch, ProgressError
from ceteris.training.single import fitted_sample, images_on_device, run_of, streams_of
from ceteris.user_code import ImportPolicy


def fit_estimator(
    trial: Trial,
    train: ImageSet,
    split: SplitImages,
    imports: ImportPolicy,
    on_epoch: OnEpoch = lambda epoch: None,
) -> Run:
    """Fit a trial's estimator once, or epoch by epoch where its recipe says so, and return its run.

    Training loss and accuracy of an epoch are those of a sample of the fitted images. An estimator that hands out no state
    cannot go back to its best epoch: it runs all of them.
    """
    choice, images = trial.recipe.model, None
    assert isinstance(choice, Estimator)
    network = build_model(
        choice, input_shape=train.shape, classes=len(train.classes), generator=streams_of(trial).initialisation,
        imports=imports,
    )  # fmt: skip
    assert isinstance(network, EstimatorNetwork)
    moments = build_standardisation(trial.recipe.standardisation, train.images, split.fitted)
    epochs = trial.recipe.epochs if choice.by_epochs else 1
    stops = choice.by_epochs and network.keeps_state
    trial = replace(trial, recipe=replace(trial.recipe, epochs=epochs), patience=trial.patience if stops else 0)
    run = run_of(trial, train, network, split, moments)
    images = images_on_device(trial, train, split.fitted, *moments)
    sample = images_on_device(trial, train, fitted_sample(split, train.labels, epochs), *moments)
    pixels, labels = images.slice(0, len(images)), images.labels.numpy()
    while not run.ended:
        began = time.perf_counter()
        network.fit(pixels, labels, epoch=choice.by_epochs)
        seconds = time.perf_counter() - began
        with torch.no_grad():
            logits = network(sample.slice(0, len(sample)))
        loss = float(torch.nn.functional.cross_entropy(logits, sample.labels))
        observed = ObservedEpoch(
            losses=np.array([loss]),
            sizes=np.array([len(sample)]),
            predicted=logits.argmax(1).numpy(),
            labels=sample.labels.numpy(),
            rates=[0.0],
            gradient_norm=0.0,
        )
        run.close_epoch(observed, seconds)
        try:
            on_epoch(len(run.history.train_losses))
        except OSError as error:
            raise ProgressError("nobody takes the progress of this training") from error
    run.finish()
    return run
