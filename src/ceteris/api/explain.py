"""Looking into the models of a result that is finished: nothing is trained, the test set is opened once more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ceteris.api.answers import open_test
from ceteris.api.collect import explanations_of, final_models
from ceteris.api.insights import FinalModel, Looked, insights_of, out_of_fold
from ceteris.api.model import restore_model
from ceteris.api.result import Result, add_to_manifest, open_result
from ceteris.errors import ConfigError, DataError, StoreError, did_you_mean
from ceteris.findings import StudyFindings
from ceteris.report import FORMATS, check_formats, write_report
from ceteris.store import Store, looks_at, mark_own, write_findings
from ceteris.study import parse_study
from ceteris.study.study import Explain
from ceteris.study.trials import RunOptions, open_data
from ceteris.training.device import full_float32, one_thread, resolve_device
from ceteris.user_code import NO_IMPORTS, ImportPolicy


def explain_result(
    folder: str | Path,
    ask: Explain,
    *,
    store: Path,
    data_dir: Path | None = None,
    device: str = "auto",
    imports: ImportPolicy = NO_IMPORTS,
    offline: bool | None = None,
    formats: Sequence[str] = FORMATS,
    tell: Callable[[str], None] = lambda text: None,
) -> Result:
    """Look into the best models of a finished result, keep what is found in its findings, and write its report again.

    The look at the test set is written into its ledger first.

    Args:
        folder: that a study wrote.
        ask: what is looked at.
        store: the folder of finished trainings, where the weights of all seeds and the out-of-fold predictions lie.
        data_dir: where named data sets are looked for.
        device: "auto", "cpu", "cuda", ...
        imports: whether models may import code of the user's own.
        offline: never use the network; None asks the environment.
        formats: which reports to write.
        tell: is given a few words on what is being done.

    Raises:
        ConfigError: a layer or a class that no model has.
        DataError: when the data are others than those of the result.
        StoreError: when there is no result, its trainings are not in the store, or something cannot be written.
    """
    check_formats(formats)
    result = open_result(folder)
    findings, place = result.findings, Store(store)
    study = replace(parse_study(findings.study_text), explain=ask)
    options = RunOptions(
        out=result.folder, store=store, data_dir=data_dir, device=device, imports=imports, offline=offline
    )
    tell(f"preparing the data: {study.data}")
    data_set = open_data(study, options, tell)
    kept = [final for final in findings.finals if (final.status, final.version) == ("finished", "best")]
    records = [(final.model, final.version, place.find(final.digest)) for final in kept]
    if missing := sum(record is None for _, _, record in records):
        raise StoreError(
            f"store: {missing} of the {len(records)} final trainings of {folder} are not in {store}. Name the store "
            "of that run with "
            "--store, or run the study again."
        )
    finals = final_models(
        [(model, version, record) for model, version, record in records if record], study, data_set, {}
    )
    test = open_test(
        data_set.test,
        store,
        study=study.name,
        reason="explaining the finished models",
        trials=[f.card.trial for f in finals],
    )
    if not np.array_equal(test.labels, findings.test_labels):
        raise DataError(
            f"data: the test images of {study.data} are not those of {folder}. Name their folder with --data-dir."
        )
    run_on = resolve_device(device)
    explored = list(place.finished(data_set.train.digest))

    def network(final: FinalModel) -> object:
        model = restore_model(final.card, place.weights(final.card.trial), imports=imports)
        return model.network.to(run_on)

    looked = Looked(
        ask=ask,
        seed=study.seed,
        finals={
            name: own
            for name in dict.fromkeys(f.card.name for f in finals)
            if (own := [f for f in finals if f.card.name == name])
        },
        network=network,  # type: ignore[arg-type]  # torch stays out of this file
        train=data_set.train,
        test=test,
        embedded={model.name: model.embedding for model in study.models},
        explored={
            model.name: next(
                filter(None, (out_of_fold(explored, recipe, place) for recipe in (model.best, model.baseline))), ()
            )
            for model in findings.models
        },
    )
    check_layer(looked)
    with one_thread(), full_float32(run_on):
        tell("explaining the best models")
        explanations = explanations_of(looked)
        insights = insights_of(looked, tell)
    seen = replace(
        findings,
        explanations=explanations,
        insights=replace(
            insights, depths=findings.insights.depths, dynamics=insights.dynamics or findings.insights.dynamics
        ),
        looks=looks_at(store, data_set.test.fingerprint),
    )
    return _rewritten(result, seen, formats, tell)


def check_layer(looked: Looked) -> None:
    """Refuse a layer that no model has.

    Raises:
        ConfigError: naming the layers that there are.
    """
    asked = looked.ask.layer
    names = [
        name
        for finals in looked.finals.values()
        for name, _ in looked.subject(finals[0]).network.named_modules()
        if name
    ]
    if asked and asked not in names:
        known = list(dict.fromkeys(names))
        raise ConfigError(
            f'layer: no model has a layer "{asked}".{did_you_mean(asked, known)} Layers: {", ".join(known)}.'
        )


def _rewritten(result: Result, findings: StudyFindings, formats: Sequence[str], tell: Callable[[str], None]) -> Result:
    """Write findings and report of a result again; its models stay."""
    tell("writing the report")
    write_findings(findings, result.folder / "findings.safetensors")
    mark_own(result.folder / "findings.safetensors")
    written = write_report(findings, result.folder, formats=formats, progress=tell)
    add_to_manifest(result.folder, written)
    return Result(findings=findings, folder=result.folder)
