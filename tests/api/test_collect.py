"""The way from finished trainings to findings: where final models answer, and what is computed once."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import ceteris
from ceteris.api import collect, runs
from ceteris.api.collect import TrainedStudy
from ceteris.api.insights import FinalModel
from ceteris.api.model import TrainedModel
from ceteris.models.summary import device_of
from ceteris.training import trial
from ceteris.training.batches import ResidentImages
from tests.api.tiny import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedStudy:
    """A study of one model with two epochs, its trainings finished; the images are read for one standardisation."""
    study, kept = copy.deepcopy(TINY), []
    del study["models"]["resnet"]
    reads = []

    def keeping(trained: TrainedStudy, *arguments: Any) -> Any:
        kept.append(trained)
        return collect.findings_of(trained, *arguments)

    def counting(*arguments: Any) -> Any:
        reads.append(arguments)
        return standardisation_of(*arguments)

    standardisation_of = trial.standardisation_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "findings_of", keeping)
        patch.setattr(collect, "standardisation_of", counting)
        ceteris.run(study | {"factors": []}, out=tmp_path_factory.mktemp("once") / "out", workers=0, formats=())
    assert len(kept[0].finals) == 2  # nothing is varied: the model as given, with two seeds
    assert len(reads) == 2  # one for each seed
    return kept[0]


def on_device(final: FinalModel, device: str) -> FinalModel:
    trial = final.record.trial
    execution = replace(trial.execution, device=device)
    return replace(final, record=replace(final.record, trial=replace(trial, execution=execution)))


def test_final_models_answer_on_the_device_that_trained_them(
    trained: TrainedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test set once, and once after every epoch for the curves; the images go to the device once."""
    answered, prepared = [], []
    prepare = TrainedModel.prepare

    def note_preparing(model: TrainedModel, images: Any) -> ResidentImages:
        prepared.append(len(images))
        return prepare(model, images)

    def note_answering(model: TrainedModel, images: ResidentImages) -> Any:
        answered.append((str(device_of(model.network)), str(images.device)))
        return np.full((len(images), 10), 0.1, np.float32)

    monkeypatch.setattr(TrainedModel, "prepare", note_preparing)
    monkeypatch.setattr(TrainedModel, "answer", note_answering)
    final = on_device(trained.finals[0], "meta")
    assert final.record.trial.keep_snapshots
    test = replace(trained.data_set.test.open(record_look=lambda fingerprint: None), digest="never asked about before")
    answer = collect.answer_of(trained, final, test)
    assert answered == [("meta", "meta")] * 3  # two epochs, and the weights that are kept
    assert prepared == [len(test)]
    assert len(answer.curve_loss) == 2


def test_a_model_is_explained_on_the_device_that_trained_it(trained: TrainedStudy) -> None:
    model = collect.trained_model(trained, on_device(trained.finals[0], "meta"))
    assert device_of(model.network) == torch.device("meta")


def test_the_curve_at_the_best_epoch_is_what_the_trained_model_answers(trained: TrainedStudy) -> None:
    """The weights of every epoch answer as the trained model does at its best epoch."""
    test = trained.data_set.test.open(record_look=lambda fingerprint: None)
    final = trained.finals[0]
    answer = collect.answer_of(trained, final, test)
    best = float((answer.probabilities.argmax(1) == test.labels).mean())
    assert answer.curve_accuracy[final.record.best_epoch - 1] == pytest.approx(best)
