"""The sealed test set is opened here, once, after every choice is made; what the models answered is kept."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ceteris.api.bundle import ModelCard, TrainedModel, restore_network
from ceteris.data import DataSet, ImageSet
from ceteris.errors import StoreError
from ceteris.evaluation import accuracy, log_loss
from ceteris.findings import Look
from ceteris.records import FloatArray, Record
from ceteris.store import Store, TestResult, record_look
from ceteris.study import Study
from ceteris.training import standardisation_of
from ceteris.user_code import ImportPolicy


@dataclass(frozen=True, kw_only=True)
class FinalModel:
    """A final training that finished: which model, in which version, and its record."""

    model: str
    version: str
    record: Record


def open_test(data_set: DataSet, store: Store, study: Study, finals: Sequence[FinalModel], reason: str) -> ImageSet:
    """Open the test set for these models; the look is in the ledger before the first image is read.

    Raises:
        StoreError: when the ledger cannot be written; the test set stays shut.
    """
    look = Look(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        study=study.name,
        reason=reason,
        models=tuple(sorted({final.record.digest[:16] for final in finals})),
    )
    return data_set.test.open(record_look=lambda fingerprint: record_look(store.root, fingerprint, look))


def answers_of(
    final: FinalModel, data_set: DataSet, test: ImageSet, store: Store, study: Study, *, imports: ImportPolicy
) -> TestResult:
    """Return what a final model answers on the test set, from the store when it was asked before."""
    with suppress(StoreError):  # a damaged answer, or one of another version, is asked for again
        known = store.test_result(final.record.digest, test.digest)
        if known:
            return known
    card = card_of(final, data_set, study)
    probabilities = trained(card, store.weights(final.record.digest), imports).probabilities(test.images)
    curve = _test_curve(final, card, test, store, imports)
    result = TestResult(probabilities=probabilities, curve_loss=curve[0], curve_accuracy=curve[1])
    store.put_test_result(final.record.digest, test.digest, result)
    return result


def trained(card: ModelCard, weights: Mapping[str, NDArray[Any]], imports: ImportPolicy) -> TrainedModel:
    """Return a network with its weights and card."""
    return TrainedModel(card=card, network=restore_network(card, weights, card.trial, imports=imports))


def card_of(final: FinalModel, data_set: DataSet, study: Study) -> ModelCard:
    """Return the card that belongs to the weights of a final training."""
    record = final.record
    mean, deviation = standardisation_of(record.trial, data_set.train)
    return ModelCard(
        name=final.model,
        version=final.version,
        study=study.name,
        data=data_set.title,
        note=data_set.note,
        recipe=record.trial.recipe,
        reading=study.reading,
        input_shape=data_set.train.shape,
        classes=data_set.train.classes,
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        precision=record.trial.execution.precision,
        trial=record.digest,
        seed=record.trial.seed,
        best_epoch=record.best_epoch,
        validation_accuracy=record.accuracy,
    )


def _test_curve(
    final: FinalModel, card: ModelCard, test: ImageSet, store: Store, imports: ImportPolicy
) -> tuple[FloatArray, FloatArray]:
    """Loss and accuracy on the test set after every epoch: recorded now, when it can no longer change a choice."""
    if not final.record.trial.keep_snapshots:
        return np.zeros(0), np.zeros(0)
    snapshots = store.snapshots(final.record.digest)
    epochs = len(final.record.epochs.seconds) if final.record.epochs else 0
    losses, accuracies = [], []
    for epoch in range(1, epochs + 1):
        prefix = f"{epoch}/"
        weights = {name.removeprefix(prefix): part for name, part in snapshots.items() if name.startswith(prefix)}
        answers = trained(card, weights, imports).probabilities(test.images)
        losses.append(log_loss(answers, test.labels))
        accuracies.append(accuracy(test.labels, answers.argmax(1)))
    return np.array(losses), np.array(accuracies)
