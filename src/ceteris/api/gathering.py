"""From records to findings: everything the report needs, in one value."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, get_args, get_type_hints

import numpy as np
import psutil
import torch

import ceteris
from ceteris.api.explaining import best_finals, explanation_of, residual_of
from ceteris.api.questions import FinalModel, answers_of, open_test
from ceteris.data import DataSet, ImageSet, describe
from ceteris.digests import digest_of
from ceteris.errors import StoreError
from ceteris.execution.progress import Progress
from ceteris.figures import images_to_show
from ceteris.findings import (
    FinalFinding,
    ModelFinding,
    ResidualFinding,
    StudyFindings,
    TestImages,
    Version,
)
from ceteris.records import Failed, Finished, Record
from ceteris.store import Store, TestResult, looks_at, read_findings, write_findings
from ceteris.study import Study
from ceteris.study.model_experiment import ModelResult
from ceteris.training import environment, one_thread
from ceteris.training.build import summary_of
from ceteris.user_code import ImportPolicy

_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "pydantic",
    "safetensors",
    "typst",
    "nbclient",
)
_REASON = "final comparison after all choices were made"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the gathering needs to know of a run besides its outcomes."""

    study: Study
    study_text: str
    data_set: DataSet
    store: Store
    device: str
    workers: int
    wall_seconds: float
    trials: Mapping[str, Record]
    imports: ImportPolicy


def findings_of(run: Run, outcomes: Sequence[ModelResult], progress: Progress) -> StudyFindings:
    """Return the findings of a study; they are kept, so that the same run a second time opens nothing again.

    Findings of another version of ceteris, or ones that cannot be read, are made again. That reads the test images again;
    the ledger has that look already, since the same models were looked at for the same reason.
    """
    path = run.store.root / "findings" / f"{_identity(run, outcomes)}.safetensors"
    with suppress(StoreError):  # absent, damaged, or of other fields than today's
        # What the test set was looked at for since then belongs to the report of today.
        return replace(read_findings(path), looks=looks_at(run.store.root, run.data_set.test.fingerprint))
    findings = _gather(run, outcomes, progress)
    write_findings(findings, path)
    return findings


def _identity(run: Run, outcomes: Sequence[ModelResult]) -> str:
    """Return the digest of all that the findings follow from; the version stands for the code that makes them."""
    finals = [record.digest for outcome in outcomes for records in outcome.finals.values() for record in records]
    failed = sorted(digest for digest, record in run.trials.items() if record.status == "failed")
    made_by = [ceteris.__version__, _fields(StudyFindings)]
    return digest_of([made_by, run.study, sorted(run.trials), finals, failed, run.data_set.test.fingerprint])


def _fields(kind: Any) -> Any:
    """Return the names and types of the fields of a dataclass, those of the dataclasses inside it too."""
    if not is_dataclass(kind):
        return [str(kind), *map(_fields, get_args(kind))]
    return {name: _fields(hint) for name, hint in get_type_hints(kind).items()}


def finished_finals(outcomes: Sequence[ModelResult]) -> list[FinalModel]:
    """Return all final trainings that finished, in the order of the study."""
    return [
        FinalModel(model=outcome.route.model.name, version=version, record=record)
        for outcome in outcomes
        for version, records in outcome.finals.items()
        for record in records
        if isinstance(record, Finished)
    ]


def _gather(run: Run, outcomes: Sequence[ModelResult], progress: Progress) -> StudyFindings:
    finals = finished_finals(outcomes)
    progress.phase("opening the test set")
    test = open_test(run.data_set, run.store, run.study, finals, _REASON)
    progress.phase("asking the final models")
    answers = _answers(run, finals, test)
    final_findings = tuple(_final_findings(outcomes, answers, len(run.data_set.train.classes)))
    progress.phase("explaining the best models")
    with one_thread():
        explanations = tuple(
            explanation_of(final, run.data_set, test, run.store, run.study, imports=run.imports)
            for final in best_finals(finals)
        )
    study, records = run.study, list(run.trials.values())
    return StudyFindings(
        name=study.name,
        title=study.title or study.name,
        question=study.question,
        author=study.author,
        group=study.group,
        date=datetime.now(UTC).date().isoformat(),
        folds=study.exploration.folds,
        seeds=study.exploration.seeds,
        significance=study.significance,
        equivalence_margin=study.equivalence_margin,
        exploration_images=study.exploration.images,
        data=describe(run.data_set, shares=_shares(run), folds=study.exploration.folds),
        models=tuple(_model_finding(outcome, run) for outcome in outcomes),
        finals=final_findings,
        explanations=explanations,
        residual=_residual(outcomes, run),
        test_labels=np.array(test.labels),
        test_images=_test_images(test, final_findings),
        looks=looks_at(run.store.root, run.data_set.test.fingerprint),
        trials_total=len(records),
        trials_failed=sum(isinstance(record, Failed) for record in records),
        training_seconds=sum(record.cost.train_seconds for record in records if isinstance(record, Finished)),
        wall_seconds=run.wall_seconds,
        workers=run.workers,
        packages={"ceteris": ceteris.__version__} | {name: metadata.version(name) for name in _PACKAGES},
        machine=machine(run.device),
        study_text=run.study_text,
    )


def _answers(run: Run, finals: Sequence[FinalModel], test: ImageSet) -> dict[str, TestResult]:
    """Ask every model once, several at a time, each with one thread so that the digits do not depend on the machine."""

    def ask(final: FinalModel) -> TestResult:
        return answers_of(final, run.data_set, test, run.store, run.study, imports=run.imports)

    with (
        one_thread(),
        ThreadPoolExecutor(max(1, run.workers), initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        asked = {final.record.digest: final for final in finals}
        return dict(zip(asked, pool.map(ask, asked.values()), strict=True))


def machine(device: str) -> dict[str, str]:
    """Return what the machine is and the device that trains, in words."""
    return environment() | {
        "device": device,
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
    }


def _shares(run: Run) -> str:
    study, count = run.study, len(run.data_set.train)
    held = round(count * study.final.validation)
    sample = min(study.exploration.images or count, count)
    return (
        f"Exploration: {study.exploration.folds}-fold cross-validation on {sample:,} of the {count:,} training images. "
        f"Final trainings: {count - held:,} images to fit on, {held:,} held out for early stopping. "
        f"Test: {run.data_set.test.count:,} images, sealed until all choices are made."
    )


def _model_finding(outcome: ModelResult, run: Run) -> ModelFinding:
    model = outcome.route.model
    return ModelFinding(
        name=model.name,
        title=model.title,
        baseline=model.recipe,
        best=outcome.route.best,
        baseline_summary=summary_of(model.recipe, run.data_set.train, imports=run.imports),
        best_summary=summary_of(outcome.route.best, run.data_set.train, imports=run.imports),
        factors=outcome.route.factors,
        strategy=run.study.strategy.kind,
        summary=outcome.route.summary,
        worth=outcome.route.worth,
        interactions=outcome.route.interactions,
        candidates=outcome.route.candidates,
        trainings_saved=outcome.route.trainings_saved,
        confirmation=outcome.confirmation,
    )


def _final_findings(
    outcomes: Sequence[ModelResult], answers: Mapping[str, TestResult], classes: int
) -> list[FinalFinding]:
    return [
        _final_finding(outcome.route.model.name, version, record, answers.get(record.digest), classes)
        for outcome in outcomes
        for version, records in outcome.finals.items()
        for record in records
    ]


def _final_finding(
    model: str, version: Version, record: Record, answer: TestResult | None, classes: int
) -> FinalFinding:
    return FinalFinding(
        model=model,
        version=version,
        seed=record.trial.seed,
        digest=record.digest,
        status=record.status,
        error=record.error,
        best_epoch=record.best_epoch,
        epochs=record.epochs,
        iterations=record.iterations,
        cost=record.cost,
        validation_accuracy=record.accuracy,
        validation_f1=record.f1,
        probabilities=answer.probabilities if answer else np.zeros((0, classes), np.float32),
        test_curve_loss=answer.curve_loss if answer else np.zeros(0),
        test_curve_accuracy=answer.curve_accuracy if answer else np.zeros(0),
    )


def _residual(outcomes: Sequence[ModelResult], run: Run) -> ResidualFinding | None:
    for outcome in outcomes:
        finding = residual_of(outcome.route.best, run.data_set, run.study)
        if finding:
            return finding
    return None


def _test_images(test: ImageSet, finals: Sequence[FinalFinding]) -> TestImages:
    places = images_to_show(test.labels, finals)
    return TestImages(indices=places, images=np.ascontiguousarray(test.images[places]))
