"""The commands of ``ceteris``. What they need is imported inside them, so that ``--help`` answers at once."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ceteris.errors import CeterisError, ConfigError
from ceteris.formats import shortened, visible

if TYPE_CHECKING:
    from ceteris.api import TrainedModel
    from ceteris.findings import Form
    from ceteris.study import Study
    from ceteris.study.trials import RunOptions

app = App(
    name="ceteris",
    help="Controlled experiments on image classifiers: one change at a time, everything else equal.",
    version_flags=["--version"],
    help_format="plaintext",  # markup would swallow <name> and [name]
    suppress_keyboard_interrupt=False,  # main() answers, with a word on how to go on
)
data_app = App(name="data", help="List the known data sets; describe one.")
app.command(data_app)
app.command("ceteris.cli.looking:explain")  # by path: loaded when they are asked for
app.command("ceteris.cli.looking:residual")

RESULTS = Path("ceteris-results")
FORMATS = ("html", "pdf", "ipynb")

Settings = Annotated[
    list[str],
    Parameter(name="--set", negative="", help="Override a key of the study, as cnn.optimizer.lr=0.01; repeatable."),
]
DataDir = Annotated[Path | None, Parameter(help="Folder in which named data sets are looked for (or CETERIS_DATA).")]
StoreDir = Annotated[
    Path | None,
    Parameter(name="--store", help="Folder of finished trainings, shared by all studies (or CETERIS_STORE)."),
]
Out = Annotated[Path | None, Parameter(help="Folder for the result; ceteris-results/<name of the study> without it.")]
Device = Annotated[str, Parameter(help='"auto", "cpu", "cuda", "cuda:1" or "mps".')]
Workers = Annotated[
    int | None, Parameter(help="Training processes; one per core (or GPU) without it, 0 trains in this process.")
]
AllowImports = Annotated[
    bool,
    Parameter(
        negative="", help="Allow a study or model to import your own module or loss by path (it runs that code)."
    ),
]
Offline = Annotated[bool, Parameter(negative="", help="Never use the network (or CETERIS_OFFLINE=1).")]
Formats = Annotated[list[str] | None, Parameter(negative="")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program instead of tables.")]


Parsed = TypeVar("Parsed")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What may be said of a study on the command line: overrides, and where and how it runs."""

    set: Settings | None = None
    quick: Annotated[bool, Parameter(negative="", help="The study as its table [quick] changes it: a quick look.")] = (
        False
    )
    full: Annotated[
        bool, Parameter(negative="", help="The study as its table [full] changes it: all that is asked.")
    ] = False
    out: Out = None
    store: StoreDir = None
    data_dir: DataDir = None
    device: Device = "auto"
    workers: Workers = None
    allow_imports: AllowImports = False
    offline: Offline = False
    skip_unreadable: Annotated[
        bool, Parameter(negative="", help="Leave pictures out that cannot be read, and say so in the report.")
    ] = False

    def study(self, name_or_path: str) -> "tuple[Study, str]":
        """Return a study on one data set with its overrides, and the text of its file as it was written."""
        from ceteris.study import parse_study

        return self._read(name_or_path, parse_study)

    def studies(self, name_or_path: str) -> "tuple[dict[str, Study], str]":
        """Return the study on each of its data sets, see :func:`ceteris.study.files.parse_studies`, and its text."""
        from ceteris.study.files import parse_studies

        return self._read(name_or_path, parse_studies)

    def _read(self, name_or_path: str, parse: Callable[..., Parsed]) -> tuple[Parsed, str]:
        from ceteris.study import study_text

        if self.quick and self.full:
            raise ConfigError("--quick and --full are two forms of a study; give one of them.")
        form: Form = "quick" if self.quick else "full" if self.full else ""
        text = study_text(name_or_path)
        if self.allow_imports:
            look_for_modules(Path(name_or_path).parent, Path())
        settings = [*(self.set or []), *(["reading.skip_unreadable=true"] if self.skip_unreadable else [])]
        return parse(text, settings, origin=name_or_path, form=form), text

    def run_options(self, study: "Study") -> "RunOptions":
        """Return how and where a study runs."""
        from ceteris.study.trials import RunOptions
        from ceteris.user_code import ALL_IMPORTS, NO_IMPORTS

        out = self.out or RESULTS / study.name
        return RunOptions(
            out=out,
            store=store_folder(self.store, beside=out),
            data_dir=self.data_dir,
            device=self.device,
            workers=self.workers,
            imports=ALL_IMPORTS if self.allow_imports else NO_IMPORTS,
            offline=self.offline or None,
        )


_AS_IT_IS = StudyOptions()


def store_folder(given: Path | None, *, beside: Path = RESULTS / "any") -> Path:
    """Return the store: as given, as CETERIS_STORE says, else "store" beside the folder of a result."""
    named = os.environ.get("CETERIS_STORE")
    return given or (Path(named) if named else beside.parent / "store")


def look_for_modules(*folders: Path) -> None:
    """Let own modules be found in folders (beside a study, or here); training processes inherit the path."""
    for folder in (str(folder.resolve()) for folder in folders):
        if folder not in sys.path:
            sys.path.insert(0, folder)


class Terminal(Console):
    """A terminal to which texts of anybody may be printed: nothing in them is markup, and nothing moves its cursor."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is written, with control characters as escapes."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit status: 0, or 1 for the user's mistakes."""
    try:
        app(arguments, result_action="return_value", console=Terminal(), print_error=False, exit_on_error=False)
    except (CeterisError, CycloptsError) as error:
        told = str(error)
        if isinstance(error, CycloptsError):
            error.verbose = False
            told = str(error)
            if isinstance(error, UnknownCommandError):  # which lists a few of them
                known = [name for name in error.app or app if not name.startswith("-")]
                told = f"{told.partition(' Available commands')[0]} Commands: {', '.join(sorted(known))}."
        lines = "\n".join(shortened(line, 1000) for line in told.splitlines())
        Terminal(stderr=True, soft_wrap=True).print(f"error: {lines}", style="red", highlight=False)
        return 1
    except BrokenPipeError:
        return 1
    return 0


@app.command
def run(
    study: str,
    *,
    where: StudyOptions = _AS_IT_IS,
    until_decided: Annotated[bool, Parameter(negative="")] = False,
    budget: str | None = None,
    variance: Annotated[bool, Parameter(negative="")] = False,
    formats: Formats = None,
    notebook_train: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study (a shipped one by name, or your own TOML file) and write its report.

    Parameters
    ----------
    study:
        Name of a shipped study (digits, mnist, ...) or path of a study file.
    until_decided:
        Train more repetitions where the design leaves something undecided.
    budget:
        With --until-decided: the time that the whole run may take, such as 30m, 2h or 1h30m.
    variance:
        Say where the noise comes from: train every best recipe again with one source of luck varied at a time.
    formats:
        Any of html, pdf, ipynb; all of them without it.
    notebook_train:
        Write the notebook that trains everything again instead of reading what was stored.
    overwrite:
        Replace the result of another study that lies in the folder for the result.
    verbose:
        Also print every epoch of every final training, on training, validation and test images, as log.txt has them.
    """
    from ceteris.api import budget_of, run_study
    from ceteris.api.several import common_name, report_all
    from ceteris.cli.display import Display
    from ceteris.cli.printing import print_result, print_side_by_side, result_json
    from ceteris.execution.pools import process_count

    budget_seconds = budget_of(until_decided, budget)
    studies, text = where.studies(study)
    if variance:
        studies = {name: replace(asked, variance=asked.variance or 5) for name, asked in studies.items()}
    first = next(iter(studies.values()))
    options = replace(
        where.run_options(replace(first, name=common_name(studies))),
        until_decided=until_decided,
        budget_seconds=budget_seconds,
        formats=formats or FORMATS,
        notebook_train=notebook_train,
        overwrite=overwrite,
    )
    console = Terminal(stderr=True)
    results = {}
    for name, asked in studies.items():
        with Display(console, process_count(where.workers, where.device)) as display:
            results[name] = run_study(asked, replace(options, out=options.out / name), display, original=text)
    report_all(results, options.out)
    if as_json:
        shown = {name: result_json(result) for name, result in results.items()}
        _print_json(shown if len(shown) > 1 else shown[""])
        return
    for result in results.values():
        if verbose:
            Terminal(soft_wrap=True).print((result.folder / "log.txt").read_text(encoding="utf-8"), highlight=False)
        print_result(Terminal(), result)
    if len(results) > 1:
        print_side_by_side(Terminal(), results, options.out)


@app.command
def plan(study: str, *, where: StudyOptions = _AS_IT_IS, budget: str | None = None, as_json: AsJson = False) -> None:
    """Show what a study would train, what that takes, and which differences it can find.

    Parameters
    ----------
    study:
        Name of a shipped study or path of a study file.
    budget:
        A time such as 30m, 2h or 1h30m: say which design of the exploration fits into it.
    """
    from ceteris.cli.plan_text import fitted_json, plan_json, print_fitted, print_plan, tell_planning
    from ceteris.planning.estimate import fit_to_budget, plan_study
    from ceteris.study.trials import open_data

    seconds = None
    if budget:
        from ceteris.api import seconds_of  # with all that reports need, which a plan does not

        seconds = seconds_of(budget)
    for asked in where.studies(study)[0].values():
        options = where.run_options(asked)
        with tell_planning(Terminal(stderr=True)) as progress:
            progress(f"reading the data: {asked.data} (prepared the first time, which may take a minute)")
            data_set = open_data(asked, options, progress)
            if seconds:
                fitted = fit_to_budget(asked, data_set, options, seconds, progress=progress)
            else:
                estimate = plan_study(asked, data_set, options, progress=progress)
        if seconds:
            _print_json(fitted_json(fitted)) if as_json else print_fitted(Terminal(), study, fitted)
        else:
            _print_json(plan_json(estimate)) if as_json else print_plan(Terminal(), estimate)


@app.command
def init(study: str = "digits", path: Path | None = None) -> None:
    """Write a commented copy of a shipped study, to be edited and run.

    Parameters
    ----------
    study:
        Name of the shipped study.
    path:
        The file to write; <name>.toml in this folder without it.
    """
    from ceteris.store import write_bytes
    from ceteris.study import shipped_study

    text = shipped_study(study)
    target = path or Path(f"{study}.toml")
    if target.exists():
        raise ConfigError(f"path: {target} exists already and is not overwritten. Give another path.")
    write_bytes(target, text.encode())
    Terminal().print(f"Wrote {target}. Edit it, then: ceteris run {target}", highlight=False)


@app.command
def studies() -> None:
    """List the shipped studies, which ``run``, ``plan`` and ``init`` know by name."""
    import tomllib

    from ceteris.cli.printing import rich_table
    from ceteris.study import shipped_studies

    trees = {name: tomllib.loads(text) for name, text in shipped_studies().items()}
    sets = {name: tree["data"] if isinstance(tree["data"], list) else [tree["data"]] for name, tree in trees.items()}
    rows = [(name, ", ".join(sets[name]), ", ".join(tree["models"]), tree["question"]) for name, tree in trees.items()]
    Console().print(rich_table("Shipped studies", ("name", "data", "models", "question"), rows, whole=(0,)))


@data_app.command(name="list")
def data_list(*, data_dir: DataDir = None, store: StoreDir = None, as_json: AsJson = False) -> None:
    """List the data sets that are known by name."""
    from ceteris.cli.printing import print_sets
    from ceteris.data import list_sets

    rows = list_sets(data_dir, cache_dir=store_folder(store) / "data")
    if as_json:
        from ceteris.digests import plain

        _print_json(plain(rows))
    else:
        print_sets(Terminal(), rows)


@data_app.command(name="describe")
def data_describe(
    name_or_path: str,
    *,
    data_dir: DataDir = None,
    store: StoreDir = None,
    offline: Offline = False,
    html: Annotated[Path | None, Parameter(help="Also write a page with figures to this file.")] = None,
    size: Annotated[tuple[int, int] | None, Parameter(help="Height and width that pictures are brought to.")] = None,
    fit: Annotated[Literal["pad", "crop", "stretch"], Parameter(help="How they are brought to it.")] = "pad",
    channels: Annotated[Literal[1, 3] | None, Parameter(help="1 for grey, 3 for RGB.")] = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    skip_unreadable: Annotated[bool, Parameter(negative="")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in a data set and what is wrong with it: counts, classes, values, duplicates, leaks, drift.

    Parameters
    ----------
    name_or_path:
        A known name (see ``ceteris data list``) or the path of a folder or file.
    path_column:
        Column of a table that names the pictures.
    label_column:
        Column of a table that holds the label; "last" or "first" where it has no header line.
    skip_unreadable:
        Leave pictures out that cannot be read, instead of refusing them.
    group_column:
        Column of a table that names what a split must not tear apart (a writer, a patient).
    """
    from ceteris.cli.printing import rich_table
    from ceteris.data import ReadOptions, audit, describe, load, text_tables, write_page
    from ceteris.data import as_json as json_text

    options = ReadOptions(
        size=size,
        fit=fit,
        channels=channels,
        path_column=path_column,
        label_column=label_column,
        group_column=group_column,
        skip_unreadable=skip_unreadable,
    )
    console = Terminal(stderr=True)
    with console.status("reading") as status:
        data_set = load(
            name_or_path,
            data_dir=data_dir,
            cache_dir=store_folder(store) / "data",
            options=options,
            offline=offline or None,
            progress=lambda transfer: status.update(transfer_text(transfer)),
        )
        status.update("searching for duplicates and drift")
        description, found = describe(data_set), audit(data_set)
    if html:
        write_page(html, description, found)
    if as_json:
        sys.stdout.write(json_text(description, found) + "\n")
    else:
        for table in text_tables(description, found):
            Terminal().print(rich_table(table.title, table.columns, table.rows))
        if html:
            Terminal().print(f"Page: {html}", highlight=False)


@app.command
def evaluate(
    model: Path,
    *,
    data: str,
    part: Literal["train", "test", "all"] | None = None,
    data_dir: DataDir = None,
    store: StoreDir = None,
    offline: Offline = False,
    reason: str = "evaluate a trained model",
    allow_imports: AllowImports = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a trained model on labelled images; the look is noted in the ledger of that test set.

    Parameters
    ----------
    model:
        A model.safetensors that a study wrote, or its folder.
    data:
        A known name or the path of a folder, table or archive. Classes are matched by their names.
    part:
        Which part; without it the test part, or all images of data that have no parts.
    reason:
        Why the images are looked at; it is written into the ledger.
    """
    from ceteris.api import evaluate_model
    from ceteris.cli.printing import evaluation_json, print_evaluation

    trained, root = trained_model(model, allow_imports), store_folder(store)
    evaluation = evaluate_model(
        trained, data, root, part=part, reason=reason, data_dir=data_dir, offline=offline or None
    )
    if as_json:
        _print_json(evaluation_json(evaluation))
    else:
        print_evaluation(Terminal(), trained.card, evaluation)


@app.command
def predict(
    model: Path,
    pictures: list[Path],
    *,
    top: int = 3,
    invert: Annotated[
        bool, Parameter(negative="", help="Turn dark on light into light on dark, as MNIST has it.")
    ] = False,
    csv: Annotated[Path | None, Parameter(help="Also write all probabilities to this CSV file.")] = None,
    allow_imports: AllowImports = False,
    as_json: AsJson = False,
) -> None:
    """Name the class of pictures, with probabilities.

    Parameters
    ----------
    model:
        A model.safetensors that a study wrote, or its folder.
    pictures:
        Picture files, or folders of them.
    top:
        How many classes to show for each picture.
    """
    from ceteris.api import picture_files, predict_pictures
    from ceteris.cli.printing import prediction_csv, prediction_rows, print_predictions

    trained, files = trained_model(model, allow_imports), picture_files(pictures)
    console = Terminal(stderr=True, soft_wrap=True)
    warn = partial(console.print, "warning:", style="yellow", markup=False, highlight=False)
    probabilities = predict_pictures(trained, files, invert=invert, warn=warn)
    if csv:
        from ceteris.store import write_bytes

        write_bytes(csv, prediction_csv(trained.card.classes, files, probabilities))
    rows = prediction_rows(trained.card.classes, files, probabilities, top)
    if as_json:
        _print_json(rows)
    else:
        print_predictions(Terminal(), rows)


def trained_model(path: Path, allow_imports: bool) -> "TrainedModel":
    """Read a trained model; own code comes from beside its weights, else from this folder, as for a study."""
    from ceteris.api import read_model

    if allow_imports:
        look_for_modules(Path())
    return read_model(path, allow_imports=allow_imports)


@app.command
def summary(
    study_or_model: str,
    *,
    set: Settings | None = None,  # noqa: A002 - the option is called --set
    store: StoreDir = None,
    data_dir: DataDir = None,
    allow_imports: AllowImports = False,
) -> None:
    """Show the layers, output shapes, parameters and FLOPs of a study's models, or of a trained model.

    Parameters
    ----------
    study_or_model:
        Name or path of a study, or a model.safetensors.
    """
    from ceteris.api import model_summaries, study_summaries

    path = Path(study_or_model)
    if path.suffix == ".safetensors" or (path / "model.safetensors").exists():
        tables = model_summaries(trained_model(path, allow_imports))
    else:
        where = StudyOptions(set=set, store=store, data_dir=data_dir, allow_imports=allow_imports)
        asked, _ = where.study(study_or_model)
        tables = study_summaries(asked, where.run_options(asked))
    for title, text in tables:
        Terminal(soft_wrap=True).print(f"\n{title}\n{text}", highlight=False, markup=False)


@app.command
def report(
    folder: Path,
    *,
    formats: Formats = None,
    execute: Annotated[bool, Parameter(negative="")] = False,
    notebook_train: Annotated[bool, Parameter(negative="")] = False,
    pages: int = 5,
) -> None:
    """Write the report again from the findings in a result folder, without training anything.

    Parameters
    ----------
    folder:
        The folder that a study wrote.
    formats:
        Any of html, pdf, ipynb; all of them without it.
    execute:
        Execute the notebook although this machine did not write the folder.
    notebook_train:
        Write the notebook that trains everything again instead of reading what was stored.
    pages:
        At most so many pages of content has report.pdf; what finds no room goes into supplement.pdf.
    """
    from ceteris.report import write_report
    from ceteris.store import is_own, read_findings

    execute, chosen = execute or is_own(folder / "findings.safetensors"), formats or FORMATS
    console = Terminal(stderr=True)
    with console.status("writing the report") as status:
        write_report(
            read_findings(folder),
            folder,
            formats=chosen,
            execute=execute,
            train=notebook_train,
            pages=pages,
            progress=status.update,
        )
    Terminal().print(f"Report: {folder / 'report.html'}", highlight=False)
    if "ipynb" in chosen and not execute:
        Terminal().print(
            "The notebook was not executed, since this machine did not write the folder: --execute does it."
        )


@app.command
def bundle(
    result: Path,
    *,
    name: str,
    code: list[Path] | None = None,
    appendix: Annotated[bool, Parameter(negative="")] = False,
    brief: Literal["A", "B", "C", "D", "E"] | None = None,
    out: Path | None = None,
) -> None:
    """Write what is handed in: NAME.pdf, NAME.ipynb and NAME.zip with code, weights, logs and study; say what is missing.

    Parameters
    ----------
    result:
        The folder that a study wrote.
    name:
        Of the files, after a group or a person, such as Group_07.
    code:
        Files or folders of code to hand in; what the study used of your own is there without it.
    appendix:
        Show the code in the PDF, behind the report.
    brief:
        Check what this brief wants: A, B (EMNIST), C (grid of rates), D (two sets), E (exercises).
    out:
        Folder for the files; hand-in in the result without it.
    """
    from ceteris.api import bundle_result
    from ceteris.cli.printing import missing_lines

    made = bundle_result(result, name, code=code or (), appendix=appendix, brief=brief, out=out)
    for file in made.files:
        Terminal(soft_wrap=True).print(f"{file} ({file.stat().st_size / 1e6:.1f} MB)", highlight=False)
    for line in missing_lines(made.missing, brief):
        Terminal(soft_wrap=True).print(line, highlight=False, style="yellow")


@app.command
def doctor(
    *,
    measure: Annotated[
        bool, Parameter(negative="", help="Measure again how fast this machine trains networks stacked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show versions, devices, threads and training speeds, and say what is wrong or slow on this machine."""
    from ceteris.cli.checks import diagnose, print_diagnosis, speed_rows, speeds_here

    facts, problems = diagnose(RESULTS)
    with Terminal(stderr=True).status("looking at this machine") as status:
        table = speeds_here(measure=measure, tell=status.update)
    if as_json:
        _print_json({"facts": facts, "problems": problems, "speeds": speed_rows(table)})
    else:
        print_diagnosis(Terminal(), facts, problems, table)


def transfer_text(transfer: Any) -> str:
    """Return how far a download is, with its speed."""
    total = f" of {transfer.total / 2**20:.1f}" if transfer.total else ""
    return f"fetching {transfer.name}: {transfer.done / 2**20:.1f}{total} MiB, {transfer.speed / 2**20:.1f} MiB/s"


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
