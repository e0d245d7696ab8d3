"""The commands that look into networks: ``explain`` a finished result, ``residual`` connections at growing depth."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ceteris.cli.app import (
    FORMATS,
    AllowImports,
    DataDir,
    Device,
    Formats,
    Offline,
    Out,
    StoreDir,
    Terminal,
    Workers,
    look_for_modules,
    store_folder,
)


def explain(
    result: Path,
    *,
    images: int | None = None,
    layer: str = "",
    embedding: Literal["t-sne", "pca"] = "t-sne",
    robustness: int | None = None,
    store: StoreDir = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    offline: Offline = False,
    allow_imports: AllowImports = False,
    formats: Formats = None,
) -> None:
    """Look into the models of a finished result: mistakes, labels, robustness, confidence, layers; write its report again.

    Nothing is trained; the look at the test set is noted in its ledger.

    Parameters
    ----------
    result:
        The folder that a study wrote.
    images:
        How many misclassified test images are shown with what every model looks at.
    layer:
        Layer of Grad-CAM and of the embedding, as `ceteris summary` names it; the last convolution, and what the last linear
        layer sees, without it.
    embedding:
        How that layer is brought to two dimensions.
    robustness:
        How many test images are corrupted and attacked; 0 for none.
    formats:
        Any of html, pdf, ipynb; all of them without it.
    """
    from ceteris.api.explain import explain_result
    from ceteris.study.study import ALL_PARTS
    from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS

    ask = replace(ALL_PARTS, layer=layer, embedding=embedding)
    if images is not None:
        ask = replace(ask, mistakes=images)
    if robustness is not None:
        ask = replace(ask, robustness=robustness)
    if allow_imports:
        look_for_modules(Path())
    with Terminal(stderr=True).status("looking") as status:
        made = explain_result(
            result,
            ask,
            store=store_folder(store, beside=result),
            data_dir=data_dir,
            device=device,
            imports=ALL_IMPORTS if allow_imports else NO_IMPORTS,
            offline=offline or None,
            formats=formats or FORMATS,
            tell=status.update,
        )
    Terminal().print(f"Report: {made.report}", highlight=False)


def residual(
    *,
    data: str,
    depths: list[int] | None = None,
    convolutions: int = 2,
    images: int = 2400,
    epochs: int = 12,
    seeds: int = 2,
    plan: Annotated[
        bool, Parameter(negative="", help="Only say what it would train, and how long that takes.")
    ] = False,
    out: Out = None,
    store: StoreDir = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    workers: Workers = None,
    offline: Offline = False,
    formats: Formats = None,
) -> None:
    """Train equal networks of growing depth with and without residual connections and batch normalisation, and report.

    Parameters
    ----------
    data:
        A known name or the path of a data set.
    depths:
        Layers with weights, repeatable; 8, 14, 20 and 32 without it.
    convolutions:
        Convolutions under one shortcut, 2 or 3.
    images:
        Training images of the comparison, 0 for all.
    epochs:
        Of every training.
    seeds:
        Repetitions of the cross-validation, each with initial weights of its own.
    formats:
        Any of html, pdf, ipynb; all of them without it.
    """
    from ceteris.api import run_study
    from ceteris.cli.display import Display
    from ceteris.cli.plan_text import print_plan, tell_planning
    from ceteris.cli.printing import print_result
    from ceteris.execution.pools import process_count
    from ceteris.planning.estimate import plan_study
    from ceteris.study.residual import DEPTHS, residual_study
    from ceteris.study.trials import RunOptions, open_data

    study = residual_study(
        data, depths=depths or DEPTHS, convolutions=convolutions, images=images, epochs=epochs, seeds=seeds
    )
    folder = out or Path("ceteris-results") / study.name
    options = RunOptions(
        out=folder,
        store=store_folder(store, beside=folder),
        data_dir=data_dir,
        device=device,
        workers=workers,
        offline=offline or None,
        formats=formats or FORMATS,
    )
    if plan:
        with tell_planning(Terminal(stderr=True)) as progress:
            estimate = plan_study(study, open_data(study, options, progress), options, progress=progress)
        print_plan(Terminal(), estimate)
        return
    with Display(Terminal(stderr=True), process_count(workers, device)) as display:
        made = run_study(study, options, display)
    print_result(Terminal(), made)
