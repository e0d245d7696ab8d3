"""From finished trainings to findings: the test set is opened once, after every choice, and the best models are explained."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from typing import Any, get_args, get_type_hints

import numpy as np
import psutil
import torch

import ceteris
from ceteris.analysis.metrics import log_loss, scores
from ceteris.analysis.test_images import images_to_show
from ceteris.api.answers import open_test
from ceteris.api.dynamics import depth_course, network_dynamics, observed_networks
from ceteris.api.insights import FinalModel, Looked, insights_of, out_of_fold
from ceteris.api.model import ModelCard, TrainedModel, restore_model
from ceteris.data import DataSet, ImageSet, describe
from ceteris.digests import digest_of
from ceteris.errors import StoreError
from ceteris.explain.explanation import explain
from ceteris.explain.features import standardise
from ceteris.explain.residual import residual_finding
from ceteris.findings import (
    Explanation,
    FactorFinding,
    FinalFinding,
    LevelFinding,
    LevelTest,
    ModelFinding,
    ModelSummary,
    ResidualFinding,
    StudyFindings,
    TestImages,
    Version,
)
from ceteris.recipe import Estimator, Recipe
from ceteris.records import Failed, Finished, Float32Array, FloatArray, Record
from ceteris.seeds import generator, stream_seed
from ceteris.store import Store, TestResult, looks_at, read_findings, write_findings
from ceteris.study import ExperimentContext, Study, study_toml, without_residual
from ceteris.study.model_experiment import ModelResult
from ceteris.study.own_words import with_words, without_words
from ceteris.study.trials import RunOptions, own_code
from ceteris.training.build import build_model, constants_of, summary_of
from ceteris.training.device import environment, full_float32, one_thread
from ceteris.training.estimator import fit_estimator
from ceteris.training.single import split_of
from ceteris.training.trial import standardisation_of
from ceteris.user_code import code_files

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "matplotlib", "pydantic", "safetensors", "typst", "nbclient")
_EMBEDDED = 1000
_BEST: Version = "best"
_HEAT_MAPS = 10
_GRADIENT_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class TrainedStudy:
    """A study whose trainings are finished: on which data, how and where it ran, and what came out of each training.

    ``results`` has one entry per model of the study, ``records`` every training by its digest; ``seconds`` is the time on
    the wall.
    """

    context: ExperimentContext
    options: RunOptions
    data_set: DataSet
    results: Sequence[ModelResult]
    records: Mapping[str, Record]
    seconds: float
    # Finals of one seed share one standardisation, for which all training images are read.
    _standardisations: dict[object, tuple[FloatArray, FloatArray]] = field(default_factory=dict, repr=False)

    @property
    def study(self) -> Study:
        """What was asked."""
        return self.context.study

    @property
    def store(self) -> Store:
        """Where the trainings lie."""
        return Store(self.options.store)

    @cached_property
    def final_records(self) -> tuple[tuple[str, Version, Record], ...]:
        """Model, version and record of every final training with its histories, in the order of the study."""
        return tuple(
            (result.found.model.name, version, self.store.find(record.digest) or record)
            for result in self.results
            for version, records in result.finals.items()
            for record in records
        )

    @cached_property
    def finals(self) -> tuple[FinalModel, ...]:
        """The final trainings that finished, in the order of the study."""
        return final_models(self.final_records, self.study, self.data_set, self._standardisations)

    @cached_property
    def level_finals(self) -> dict[str, FinalModel]:
        """The one training of every option that finished, by its digest; empty where the study does not ask for them."""
        records = [(result.found.model.name, record) for result in self.results for _, _, record in result.levels]
        known = [(model, _BEST, self.store.find(record.digest) or record) for model, record in records]
        found = final_models(known, self.study, self.data_set, self._standardisations)
        return {final.card.trial: final for final in found}


def final_models(
    records: Iterable[tuple[str, Version, Record]],
    study: Study,
    data_set: DataSet,
    standardisations: dict[object, tuple[FloatArray, FloatArray]],
) -> tuple[FinalModel, ...]:
    """Return the final trainings that finished, each with its card, in their order.

    Trainings on the same images share one standardisation, for which these are read; it is kept for the next call.
    """
    train, finals = data_set.train, []
    for model, version, record in records:
        if isinstance(record, Failed):
            continue
        recipe = record.trial.recipe
        fitted = (record.trial.split, recipe.images, recipe.standardisation, recipe.schedule)
        if fitted not in standardisations:
            standardisations[fitted] = standardisation_of(record.trial, train)
        mean, deviation = standardisations[fitted]
        card = ModelCard(
            name=model,
            version=version,
            study=study.name,
            data=data_set.title,
            note=data_set.note,
            recipe=record.trial.recipe,
            reading=data_set.reading,
            input_shape=train.shape,
            classes=train.classes,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
            precision=record.trial.execution.precision,
            trial=record.digest,
            seed=record.trial.seed,
            best_epoch=record.best_epoch,
            validation_accuracy=record.accuracy,
            trained_on=record.trial.data,
            appearance=data_set.appearance,
        )
        finals.append(FinalModel(card=card, record=record))
    return tuple(finals)


# ---------------------------------------------------------------------------------------------------------------------
# Findings, and their copy in the store


def findings_of(trained: TrainedStudy, tell: Callable[[str], None]) -> StudyFindings:
    """Return the findings of a study; they are kept, so that the same run a second time opens nothing again.

    Findings of another version of ceteris, or ones that cannot be read, are made again. That opens the test set again, which
    is another look in its ledger.
    """
    digest = digest_of(
        [
            [ceteris.__version__, _fields(StudyFindings)],  # the code that makes them
            without_words(trained.study),
            sorted(trained.records),
            [record.digest for _, _, record in trained.final_records],
            sorted(digest for digest, record in trained.records.items() if record.status == "failed"),
            trained.data_set.test.fingerprint,
        ]
    )
    path = trained.store.root / "findings" / f"{digest}.safetensors"
    with suppress(StoreError):  # absent, damaged, or of other fields than today's
        # What the test set was looked at for since then belongs to the report of today.
        known = replace(read_findings(path), looks=looks_at(trained.store.root, trained.data_set.test.fingerprint))
        return with_words(replace(known, study_text=study_toml(trained.study)), trained.study)
    findings = _collect(trained, tell)
    write_findings(findings, path)
    return with_words(findings, trained.study)


def _fields(kind: Any) -> Any:
    """Return the names and types of the fields of a dataclass, those of the dataclasses inside it too."""
    if not is_dataclass(kind):
        return [str(kind), *map(_fields, get_args(kind))]
    return {name: _fields(hint) for name, hint in get_type_hints(kind).items()}


def _collect(trained: TrainedStudy, tell: Callable[[str], None]) -> StudyFindings:
    study, data_set, records = trained.study, trained.data_set, trained.records.values()
    tell("opening the test set")
    test = open_test(
        data_set.test,
        trained.store.root,
        study=study.name,
        reason="final comparison after all choices were made",
        trials=[*(final.card.trial for final in trained.finals), *trained.level_finals],
    )
    tell("asking the final models")
    answers = _answers(trained, test)
    finals = _final_findings(trained, answers)
    tell("explaining the best models")
    looked = _looked(trained, test)
    with one_thread(), full_float32(trained.context.device):
        best = {final.card.name: final for final in reversed(trained.finals) if final.card.version == "best"}
        networks = [name for name, final in best.items() if not isinstance(final.card.recipe.model, Estimator)]
        explanations = explanations_of(looked)
        insights = insights_of(looked, tell)
    models = tuple(
        replace(
            _model_finding(trained, result),
            level_tests=_level_tests(result, answers, test),
            constants=constants_of(trained_model(trained, best[name]).network) if name in networks else (),
        )
        for result in trained.results
        for name in [result.found.model.name]
    )
    insights = replace(insights, **_courses(trained, models, tell))
    shown = images_to_show(test.labels, finals, data_set.train.shape)
    return StudyFindings(
        name=study.name,
        title=study.title or study.name,
        question=study.words.question,
        author=study.author,
        group=study.group,
        date=datetime.now(UTC).date().isoformat(),
        folds=study.exploration.folds,
        seeds=study.exploration.seeds,
        significance=study.significance,
        equivalence_margin=study.equivalence_margin,
        criterion=study.criterion,
        exploration_images=study.exploration.images,
        final_epochs=study.final.epochs,
        data=describe(data_set, shares=_shares(study, data_set), folds=study.exploration.folds),
        models=models,
        finals=finals,
        explanations=explanations,
        residual=_residual(trained),
        test_labels=np.array(test.labels),
        test_images=TestImages(indices=shown, images=np.ascontiguousarray(test.images[shown])),
        looks=looks_at(trained.store.root, data_set.test.fingerprint),
        trials_total=len(records),
        trials_failed=sum(isinstance(record, Failed) for record in records),
        training_seconds=sum(record.cost.train_seconds for record in records if isinstance(record, Finished)),
        wall_seconds=trained.seconds,
        workers=trained.options.processes,
        packages={"ceteris": ceteris.__version__} | {name: metadata.version(name) for name in _PACKAGES},
        machine=machine(trained.context.device),
        study_text=study_toml(study),
        insights=insights,
        code=_own_code(record.trial.recipe for record in records),
        form=study.form,
        references=study.reference,
    )


def _courses(trained: TrainedStudy, models: Sequence[ModelFinding], tell: Callable[[str], None]) -> dict[str, Any]:
    """Return what is seen of networks while they train, and depth by depth, where the study has such networks."""
    context, train = trained.context, trained.data_set.train
    found: dict[str, Any] = {"depths": depth_course(context, models, train, trained.store)}
    if context.study.explain.dynamics:
        with one_thread(), full_float32(context.device):
            dynamics = []
            for label, recipe in observed_networks(context, models).items():
                tell(f"observing {label}")
                dynamics.append(network_dynamics(context, recipe, label, train, trained.options.imports))
            found["dynamics"] = tuple(dynamics)
    return found


def _looked(trained: TrainedStudy, test: ImageSet) -> Looked:
    """Return what is looked at in a study that has just been trained."""
    explored = [record for record in trained.records.values() if isinstance(record, Finished)]
    best: dict[str, list[FinalModel]] = {model.name: [] for model in trained.study.models}
    for final in trained.finals:
        if final.card.version == "best" and not isinstance(final.card.recipe.model, Estimator):
            best[final.card.name].append(final)
    recipes = {result.found.model.name: (result.found.best, result.found.model.recipe) for result in trained.results}
    return Looked(
        ask=trained.study.explain,
        seed=trained.study.seed,
        finals={name: finals for name, finals in best.items() if finals},
        network=lambda final: trained_model(trained, final).network,
        train=trained.data_set.train,
        test=test,
        embedded={model.name: model.embedding for model in trained.study.models},
        explored={
            name: next(filter(None, (out_of_fold(explored, recipe, trained.store) for recipe in own)), ())
            for name, own in recipes.items()
        },
    )


def _own_code(recipes: Iterable[Recipe]) -> dict[str, str]:
    """Return the files of the user's own code that recipes name, as texts."""
    paths = sorted({path for recipe in recipes for path in own_code(recipe).values()})
    return {name: content.decode("utf-8", "replace") for name, content in code_files(paths).items()}


def machine(device: str) -> dict[str, str]:
    """Return what the machine is and the device that trains, in words."""
    return environment() | {
        "device": device,
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
    }


def _shares(study: Study, data_set: DataSet) -> str:
    count = len(data_set.train)
    used = min(study.final.images or count, count)
    held = round(used * study.final.validation)
    stopping = f"{held:,} held out for early stopping" if held else "none held out: all epochs, the last weights"
    sample = min(study.exploration.images or count, count)
    return (
        f"Exploration: {study.exploration.folds}-fold cross-validation on {sample:,} of the {count:,} training images. "
        f"Final trainings: {used - held:,} images to fit on, {stopping}. "
        f"Test: {data_set.test.count:,} images, sealed until all choices are made."
    )


def _model_finding(trained: TrainedStudy, result: ModelResult) -> ModelFinding:
    found = result.found

    def summary(recipe: Recipe) -> ModelSummary:
        try:
            return summary_of(recipe, trained.data_set.train, imports=trained.options.imports)
        except Exception:  # the user's own code failed, as its trainings did: a row of the report says how
            return ModelSummary(layers=(), parameters=0, flops=0)

    best_summary = summary(found.best)
    estimated = isinstance(found.best.model, Estimator)  # what an estimator learns is known when it is fitted
    finals = [record for record in result.finals["best"] if isinstance(record, Finished)]
    learned = finals[0].cost.parameters if estimated and finals else 0
    return ModelFinding(
        name=found.model.name,
        title=found.model.title,
        baseline=found.model.recipe,
        best=found.best,
        baseline_summary=summary(found.model.recipe),
        best_summary=replace(best_summary, parameters=learned or best_summary.parameters),
        factors=tuple(_with_curves(trained.store, factor) for factor in found.factors),
        strategy=trained.study.strategy.kind,
        search=found.search,
        ablation=found.ablation,
        interactions=found.interactions,
        candidates=found.candidates,
        trainings_saved=found.trainings_saved,
        confirmation=result.confirmation,
        luck=result.luck,
        cross_validated=found.cross_validated,
    )


def _with_curves(store: Store, factor: FactorFinding) -> FactorFinding:
    """Add to every level how the trainings that it was compared by went, epoch by epoch, as far as the store has it."""

    def curves(level: LevelFinding) -> Float32Array | None:
        records = [store.find(digest) if digest else None for digest in level.trials]
        histories = [record.epochs if isinstance(record, Finished) else None for record in records]
        longest = max((len(history.seconds) for history in histories if history), default=0)
        if not longest:
            return None
        rows = np.full((len(histories), longest), np.nan, np.float32)
        for row, history in zip(rows, histories, strict=True):
            if history:
                row[: len(history.seconds)] = history.validation_accuracy
        return rows

    return replace(factor, levels=tuple(replace(level, curves=curves(level)) for level in factor.levels))


def _level_tests(result: ModelResult, answers: Mapping[str, TestResult], test: ImageSet) -> tuple[LevelTest, ...]:
    """Say what the one training of every option answers on the test set."""
    tests = []
    for factor, label, record in result.levels:
        found = LevelTest(factor=factor, label=label, digest=record.digest, status=record.status)
        if isinstance(record, Failed):
            found = replace(found, error=record.error)
        elif record.digest in answers:
            judged = scores(answers[record.digest].probabilities, test.labels)
            found = replace(
                found,
                accuracy=judged.accuracy,
                f1=judged.f1,
                loss=judged.loss,
                epochs=record.epoch_count,
                train_seconds=record.cost.train_seconds,
            )
        tests.append(found)
    return tuple(tests)


def _final_findings(trained: TrainedStudy, answers: Mapping[str, TestResult]) -> tuple[FinalFinding, ...]:
    nothing = TestResult(
        probabilities=np.zeros((0, len(trained.data_set.train.classes)), np.float32),
        curve_loss=np.zeros(0),
        curve_accuracy=np.zeros(0),
    )
    findings = []
    for model, version, record in trained.final_records:
        answer = answers.get(record.digest, nothing)
        done = record if isinstance(record, Finished) else None
        finding = FinalFinding(
            model=model,
            version=version,
            seed=record.trial.seed,
            digest=record.digest,
            status=record.status,
            error=record.error if isinstance(record, Failed) else "",
            best_epoch=done.best_epoch if done else 0,
            epochs=done.epochs if done else None,
            iterations=done.iterations if done else None,
            cost=done.cost if done else None,
            validation_accuracy=done.accuracy if done else 0.0,
            validation_f1=done.f1 if done else 0.0,
            probabilities=answer.probabilities,
            test_curve_loss=answer.curve_loss,
            test_curve_accuracy=answer.curve_accuracy,
            validation_loss=done.loss if done else None,
            clean_train_accuracy=done.clean_train_accuracy if done else None,
            clean_train_loss=done.clean_train_loss if done else None,
            trial=record.trial,
            fitted=trained.context.fitted_count(record.trial),
        )
        findings.append(finding)
    return tuple(findings)


# ---------------------------------------------------------------------------------------------------------------------
# The test set, and what the final models answer on it


def _answers(trained: TrainedStudy, test: ImageSet) -> dict[str, TestResult]:
    """Ask every model once, several at a time, each with one thread so that the digits do not depend on the machine."""
    finals = trained.level_finals | {final.card.trial: final for final in trained.finals}
    several = max(1, trained.options.processes)
    with (
        one_thread(),
        full_float32(trained.context.device),
        ThreadPoolExecutor(several, initializer=torch.set_num_threads, initargs=(1,)) as threads,
    ):
        answers = threads.map(lambda final: answer_of(trained, final, test), finals.values())
        return dict(zip(finals, answers, strict=True))


def answer_of(trained: TrainedStudy, final: FinalModel, test: ImageSet) -> TestResult:
    """Return what a final model answers on the test set, on the device that trained it, and its curves over the epochs.

    What was asked before comes from the store. The curves are recorded now, when they can no longer change a choice.
    """
    store, digest = trained.store, final.card.trial
    with suppress(StoreError):  # a damaged answer, or one of another version, is asked for again
        known = store.test_result(digest, test.digest)
        if known:
            return known
    model = trained_model(trained, final)
    images = model.prepare(test.images)
    losses, accuracies = [], []
    snapshots = store.weights(digest, every_epoch=True) if final.record.trial.keep_snapshots else {}
    if snapshots:
        for epoch in range(1, final.record.epoch_count + 1):
            prefix = f"{epoch}/"
            weights = {name.removeprefix(prefix): part for name, part in snapshots.items() if name.startswith(prefix)}
            probabilities = restore_model(
                final.card, weights, imports=trained.options.imports, device=images.device
            ).answer(images)
            losses.append(log_loss(probabilities, test.labels))
            accuracies.append(float((probabilities.argmax(1) == test.labels).mean()))
    result = TestResult(
        probabilities=model.answer(images), curve_loss=np.array(losses), curve_accuracy=np.array(accuracies)
    )
    store.put_test_result(digest, test.digest, result)
    return result


def trained_model(trained: TrainedStudy, final: FinalModel) -> TrainedModel:
    """Return a final model with its weights, on the device that trained it; an estimator without any is fitted again."""
    weights, trial = trained.store.weights(final.card.trial), final.record.trial
    if isinstance(final.card.recipe.model, Estimator) and not weights:
        train, imports = trained.data_set.train, trained.options.imports
        images = split_of(trial, train.labels, train.groups)
        return TrainedModel(card=final.card, network=fit_estimator(trial, train, images, imports).model.eval())
    return restore_model(
        final.card,
        weights,
        imports=trained.options.imports,
        device=torch.device(trial.execution.device),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Explanations


def explanations_of(looked: Looked) -> tuple[Explanation, ...]:
    """Return heat maps, first features and the picture of one layer of the first final of every model, on test images.

    The heat maps are those of the first image of every class; of ten classes, evenly spread, when there are more.
    """
    test, found = looked.test, []
    present, first = np.unique(test.labels, return_index=True)
    classes = np.linspace(0, len(present) - 1, min(_HEAT_MAPS, len(present))).round().astype(np.int64)
    for name, finals in looked.finals.items():
        one = looked.subject(finals[0])
        layer = looked.ask.layer if looked.ask.layer in dict(one.network.named_modules()) else ""
        explained = explain(
            one.network,
            name=name,
            images=test.images,
            labels=test.labels,
            mean=one.mean,
            std=one.std,
            shown=first[classes].astype(np.int64),
            embedded=looked.sample(_EMBEDDED),
            seed=stream_seed(looked.seed, 0, "explanation") % 2**31,
            layer=layer,
            embedded_layer=looked.embedded.get(name) or layer,
            method=looked.ask.embedding,
        )
        found.append(explained)
    return tuple(found)


def _residual(trained: TrainedStudy) -> ResidualFinding | None:
    """Compare the gradients of the first ResNet and of its plain twin at equal initial weights, on training images."""
    train, study = trained.data_set.train, trained.study
    pairs = [(result.found.best, without_residual(result.found.best)) for result in trained.results]
    recipe, plain = next(((best, plain) for best, plain in pairs if plain), (None, None))
    if recipe is None or plain is None:
        return None

    def initial(recipe: Recipe) -> torch.nn.Module:
        weights = torch.Generator().manual_seed(stream_seed(study.seed, 0, "initialisation"))
        network = build_model(recipe.model, input_shape=train.shape, classes=len(train.classes), generator=weights)
        return network.to(trained.context.device)

    networks = initial(recipe), initial(plain)
    places = np.sort(generator(study.seed, 0, "explanation").permutation(len(train))[:_GRADIENT_BATCH])
    pixels = train.images[places]
    mean, std = pixels.mean(axis=(0, 2, 3)), np.maximum(pixels.std(axis=(0, 2, 3)), 1.0)
    images = standardise(pixels, mean=mean, std=std, model=networks[0])
    return residual_finding(*networks, images, torch.from_numpy(train.labels[places]))
