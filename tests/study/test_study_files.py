import copy
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.study.example_study import example_context

from ceteris import recipe as r
from ceteris.errors import ConfigError
from ceteris.findings import Form
from ceteris.recipe import written_out
from ceteris.study import (
    Factor,
    Level,
    Study,
    arm,
    factors_of,
    parse_study,
    read_study,
    shipped_studies,
    shipped_study,
    study_from_tree,
    study_text,
    study_toml,
)
from ceteris.study.arms import arms_of
from ceteris.study.files import parse_studies
from ceteris.study.matching import matched
from ceteris.study.trials import exploration_trials
from ceteris.training.build import parameter_count_of

GOOD = """
name = "try"
data = "digits"
[exploration]
folds = 3
[models.mlp]
title = "A plain one"
model = { kind = "mlp", hidden = [8] }
optimizer = { kind = "sgd", lr = 0.1 }
epochs = 2
[models.cnn]
model = "small-cnn"
optimizer = "adam"
[[factors]]
name = "rate"
field = "optimizer.lr"
levels = [0.1, { label = "slow", value = 0.01 }]
[[factors]]
name = "sizes"
fields = ["model.filters", "model.kernels"]
models = ["cnn"]
levels = [{ "model.filters" = [4, 8], "model.kernels" = [3, 3], label = "two", "model.pool_after" = [1] }]
"""
GOOD = GOOD.replace(', "model.pool_after" = [1]', "").replace("[4, 8]", "[4, 8, 8]").replace("[3, 3]", "[3, 5, 3]")

Edit = Callable[[dict[str, Any]], object]


def tree() -> dict[str, Any]:
    return tomllib.loads(GOOD)


def put(*path: str | int, value: object) -> Edit:
    def change(root: Any) -> None:
        for part in path[:-1]:
            root = root[part]
        root[path[-1]] = value

    return change


def drop(*path: str | int) -> Edit:
    def change(root: Any) -> None:
        for part in path[:-1]:
            root = root[part]
        del root[path[-1]]

    return change


def refusal(edit: Edit) -> str:
    """The message for an edited study file; it must be short and speak to a person."""
    edited = copy.deepcopy(tree())
    edit(edited)
    with pytest.raises(ConfigError) as caught:
        parse_study(tomli_w.dumps(edited), origin="my.toml")
    return short(str(caught.value))


def short(message: str) -> str:
    assert message.startswith("my.toml: ")
    assert len(message.splitlines()) <= 4, message
    for word in ("Traceback", "pydantic", "https://", "ArgsKwargs", "Input should", "validation error", "[type="):
        assert word not in message
    return message


def test_a_study_is_read_as_it_is_written() -> None:
    study = parse_study(GOOD)
    mlp, cnn = study.models
    assert (mlp.name, mlp.title, cnn.title) == ("mlp", "A plain one", "cnn")
    assert mlp.recipe == r.Recipe(model=r.MLP(hidden=(8,)), optimizer=r.SGD(lr=0.1), epochs=2)
    assert cnn.recipe.optimizer == r.Adam()
    rate, sizes = study.factors
    assert rate.fields == ("optimizer.lr",)
    assert [(level.label, level.changes) for level in rate.levels] == [
        ("0.1", {"optimizer.lr": 0.1}),
        ("slow", {"optimizer.lr": 0.01}),
    ]
    assert sizes.levels[0].changes == {"model.filters": [4, 8, 8], "model.kernels": [3, 5, 3]}
    assert factors_of(study, "mlp") == (rate,)
    assert factors_of(study, "cnn") == (rate, sizes)


FORMS = """
[quick.exploration]
images = 500
[quick.models.mlp]
epochs = 1
optimizer = { kind = "adam" }
[quick.factors]
sizes = false
rate = { levels = [0.3] }
[full.factors.dropout]
field = "model.dropout"
levels = [0.0, 0.5]
"""


def test_a_form_of_a_study_changes_what_its_table_names() -> None:
    text = f'title = "Tries"\n{GOOD}{FORMS}'
    asked, quick, full = (parse_study(text, ["seed=3"], form=form) for form in ("", "quick", "full"))
    assert asked == parse_study(f'title = "Tries"\n{GOOD}', ["seed=3"])
    assert (quick.name, quick.title, quick.form) == ("try-quick", "Tries (quick look)", "quick")
    assert (quick.exploration.images, quick.exploration.folds) == (500, 3)
    assert quick.models[0].recipe == replace(asked.models[0].recipe, epochs=1, optimizer=r.Adam())
    assert quick.models[1:] == asked.models[1:]
    (rate,) = quick.factors
    assert ([level.label for level in rate.levels], rate.fields) == (["0.3"], ("optimizer.lr",))
    assert [factor.name for factor in full.factors] == ["rate", "sizes", "dropout"]
    assert (full.name, full.title, full.seed) == ("try-full", "Tries (in full)", 3)
    assert parse_study(study_toml(quick)) == quick


def test_a_form_that_the_study_does_not_have_says_how_to_write_one() -> None:
    with pytest.raises(ConfigError, match=r"my.toml: --quick needs a table \[quick\] .*\[quick.exploration\]"):
        parse_study(GOOD, origin="my.toml", form="quick")
    assert "quick: a table is needed" in refusal(put("quick", value=3))


def test_stated_results_are_part_of_a_study_and_are_checked() -> None:
    told: dict[str, Any] = {
        "source": "a paper",
        "results": [{"model": "cnn", "factor": "rate", "level": "slow", "accuracy": 0.9}],
    }
    study = study_from_tree({**tree(), "reference": [told]})
    assert study.reference[0].results[0].accuracy == 0.9
    assert parse_study(study_toml(study)) == study
    for key, value in (("accuracy", 89.7), ("leevel", "slow")):
        edited = copy.deepcopy(told)
        edited["results"][0][key] = value
        assert key in refusal(put("reference", value=[edited]))


BRIEFS = [name for name, text in shipped_studies().items() if "[quick" in text]


@pytest.mark.parametrize("name", BRIEFS)
def test_the_studies_of_the_briefs_have_all_their_forms(name: str) -> None:
    forms: list[Form] = ["", "quick", "full"]
    read = [parse_studies(shipped_study(name), form=form) for form in forms]
    for of_set in read[0]:
        asked, quick, full = (studies[of_set] for studies in read)
        last = f"-{of_set}" if of_set else ""
        assert [study.name for study in (asked, quick, full)] == [
            f"{name}{last}", f"{name}-quick{last}", f"{name}-full{last}",
        ]  # fmt: skip
        assert [model.name for model in quick.models] == [model.name for model in asked.models]
        assert quick.final.images > 0
        assert full.exploration.images == full.final.images == 0
        if asked.factors:
            assert 0 < quick.exploration.images < asked.exploration.images
            assert quick.exploration.repetitions == 1
        assert parse_study(study_toml(asked)) == asked
        for stated in (stated for reference in asked.reference for stated in reference.results):
            assert stated.model in [model.name for model in asked.models]
            factors = {
                factor.name: [level.label for level in factor.levels] for factor in factors_of(asked, stated.model)
            }
            assert not stated.factor or stated.level in factors[stated.factor], stated


@pytest.mark.parametrize("name", [name for name in shipped_studies() if name not in BRIEFS])
def test_the_shipped_studies_are_right(name: str) -> None:
    study = read_study(name)
    assert study.name == name
    assert [model.name for model in study.models] == ["mlp", "cnn", "resnet"]
    fields = {field for factor in study.factors for field in factor.fields}
    assert fields >= {
        "model.activation", "model.batch_norm", "model.dropout", "optimizer", "schedule", "penalty", "augmentation",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (put("sede", value=1), ["sede", 'Did you mean "seed"', "equivalence_margin"]),
        (put("exploration", "fold", value=5), ["exploration.fold", 'Did you mean "folds"', "images"]),
        (put("final", value={"patiense": 5}), ["final.patiense", 'Did you mean "patience"']),
        (put("reading", value={"sise": [8, 8]}), ["reading.sise", 'Did you mean "size"']),
        (put("reading", value={"size": [8]}), ["reading.size", "height and width", "received [8]"]),
        (put("reading", value={"size": [8, 5000]}), ["reading.size", "4096", "5000"]),
        (put("models", "mlp", "model", "initialisation", value="kaiming"), ['Did you mean "kaiming-normal"', "dirac."]),
        (
            put("models", "mlp", "model", "initialisation", value={"gain": 1}),
            ["a choice needs its name", "{'gain': 1}"],
        ),
        (put("models", "mlp", "epoch", value=5), ["models[mlp].epoch", 'Did you mean "epochs"', "batch_size"]),
        (put("models", "mlp", "model", "hiden", value=[5]), ["models[mlp].model.hiden", 'Did you mean "hidden"']),
        (put("models", "mlp", "optimizer", "rate", value=5), ["models[mlp].optimizer.rate", "lr, momentum, nesterov"]),
        (put("models", "mlp", "model", "kind", value="mpl"), ["models[mlp].model", '"mpl"', 'Did you mean "mlp"']),
        (put("models", "mlp", "optimizer", "kind", value="adan"), ['"adan"', 'Did you mean "adam"', "muon"]),
        (put("models", "mlp", "optimizer", value="adan"), ["models[mlp].optimizer", 'Did you mean "adam"']),
        (put("models", "mlp", "schedule", value={"final": 0.1}), ["models[mlp].schedule", "kind"]),
        (put("models", "mlp", "augmentation", value=["shift", "twist"]), ["augmentation[2]", '"twist"', "shift"]),
        (put("models", "mlp", "model", "activation", value="relo"), ["model.activation", 'Did you mean "relu"']),
        (put("factors", 0, "feild", value="x"), ["factors[rate].feild", 'Did you mean "fields"']),
        (put("factors", 0, "field", value="optimizer.rate"), ['"optimizer" (sgd) has no field "rate"', "lr"]),
        (put("factors", 0, "field", value="optimiser.lr"), ["optimiser.lr", "optimizer"]),
        (put("factors", 0, "models", value=["cnm"]), ["factors[rate].models", '"cnm"', 'Did you mean "cnn"', "mlp"]),
        (put("factors", 1, "name", value="rate"), ['two factors have the name "rate"']),
        (put("factors", 0, "levels", value=[0.1, 0.1]), ["factors[rate].levels", 'two levels have the label "0.1"']),
        (put("factors", 0, "levels", value=[]), ["factors[rate].levels", "at least one"]),
        (put("factors", 0, "levels", value=0.1), ["factors[rate].levels", "list", "0.1"]),
        (put("factors", 0, "fields", value=["epochs"]), ["factors[rate]", '"field"', '"fields"', "not both"]),
        (drop("factors", 0, "field"), ["factors[rate]", '"field"', "neither"]),
        (put("factors", 0, "levels", value=["fast"]), ["rate", "fast", "optimizer.lr", "number"]),
        (put("factors", 0, "levels", value=[-0.1]), ["rate", "-0.1", "greater than 0"]),
        (put("factors", 1, "levels", value=[{"model.head": [3]}]), ["factors[sizes].levels", "model.head"]),
        (put("factors", 1, "levels", value=[[3]]), ["factors[sizes].levels", "a table"]),
        (
            put("factors", 1, "levels", value=[{"model.filters": [4]}]),
            ["sizes", "1 filters [4]", "3 kernels [3, 3, 3]"],
        ),
        (put("models", "mlp", "epochs", value=0), ["models[mlp].epochs", "greater than or equal to 1", "0"]),
        (put("models", "mlp", "epochs", value="5"), ["models[mlp].epochs", "whole number", "'5'"]),
        (put("models", "mlp", "epochs", value=2.5), ["models[mlp].epochs", "whole number", "2.5"]),
        (put("models", "mlp", "optimizer", "lr", value=float("nan")), ["models[mlp].optimizer.lr", "finite", "nan"]),
        (put("models", "mlp", "optimizer", "lr", value=float("inf")), ["models[mlp].optimizer.lr", "finite", "inf"]),
        (put("models", "mlp", "optimizer", "lr", value=-1), ["models[mlp].optimizer.lr", "greater than 0", "-1"]),
        (put("models", "mlp", "optimizer", "lr", value="1e-3"), ["models[mlp].optimizer.lr", "number", "1e-3"]),
        (put("models", "mlp", "model", "batch_norm", value="yes"), ["models[mlp].model.batch_norm", "'yes'"]),
        (put("models", "mlp", "precision", value="half"), ["models[mlp].precision", "bfloat16", "half"]),
        (put("models", "cnn", "model", value={"kind": "cnn", "kernels": [3, 4]}), ["models[cnn]", "odd", "4"]),
        (put("models", "cnn", "model", value={"kind": "cnn", "filters": [3]}), ["models[cnn]", "1 filters [3]"]),
        (put("models", "cnn", "model", value=3), ["models[cnn].model", "3"]),
        (put("models", "cnn", value="alexnet"), ["models.cnn", "table", "alexnet"]),
        (put("models", "two words", value={"model": "mlp"}), ["two words"]),
        (drop("models", "mlp", "model"), ["models[mlp].model", "missing"]),
        (drop("models"), ["models", "at least one"]),
        (drop("data"), ["data", "missing"]),
        (put("factors", value={"name": "rate"}), ["factors", "[[factors]]"]),
        (put("factors", 0, "name", value="a/b"), ["factors[a/b].name", "a/b"]),
        (put("seed", value=-1), ["seed", "greater than or equal to 0", "-1"]),
        (put("significance", value=0.7), ["significance", "less than 0.5", "0.7"]),
        (put("equivalence_margin", value=float("nan")), ["equivalence_margin", "finite"]),
        (put("exploration", "folds", value=1), ["exploration.folds", "greater than or equal to 2", "1"]),
        (put("strategy", value="random"), ["strategy", "greedy", "random"]),
    ],
)
def test_a_mistake_is_told_with_its_place_what_is_allowed_and_what_was_received(edit: Edit, told: list[str]) -> None:
    message = refusal(edit)
    assert [part for part in told if part not in message] == [], message


def test_several_mistakes_are_told_at_once_but_not_too_many() -> None:
    def spoil(root: dict[str, Any]) -> None:
        root |= {f"key{number}": 1 for number in range(12)}

    edited = tree()
    spoil(edited)
    with pytest.raises(ConfigError) as caught:
        study_from_tree(edited)
    lines = str(caught.value).splitlines()
    assert len(lines) == 9
    assert lines[-1] == "… and 4 more problems"


@pytest.mark.parametrize("text", ["name = ", "name = 'a'\nname = 'b'", "[models.mlp\n", "lr = 1e", "a = 5 b = 6"])
def test_what_is_no_toml_is_told_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"my.toml: this is not valid TOML: .*line \d"):
        parse_study(text + "\n", origin="my.toml")


def test_a_study_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r'Did you mean "digits".*Shipped: cifar-100, digits'):
        study_text("digit")


def test_what_is_no_text_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(ConfigError, match="cannot be read as a text file"):
        read_study(str(path))
    with pytest.raises(ConfigError, match="is a folder; name a study file"):
        read_study(str(tmp_path))


def test_a_study_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert read_study(str(path)) == parse_study(GOOD)


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("mlp.optimizer.lr=0.01", lambda study: study.models[0].recipe.optimizer == r.SGD(lr=0.01)),
        ("cnn.optimizer.lr = 0.5", lambda study: study.models[1].recipe.optimizer == r.Adam(lr=0.5)),
        ("mlp.optimizer=adam", lambda study: study.models[0].recipe.optimizer == r.Adam()),
        ('mlp.optimizer={ kind = "adam", lr = 0.2 }', lambda study: study.models[0].recipe.optimizer == r.Adam(lr=0.2)),
        ("mlp.model.hidden=[4, 5]", lambda study: study.models[0].recipe.model == r.MLP(hidden=(4, 5))),
        ("models.mlp.epochs=7", lambda study: study.models[0].recipe.epochs == 7),
        ("mlp.schedule.kind=cosine", lambda study: study.models[0].recipe.schedule == r.Cosine()),
        ("mlp.model.batch_norm=true", lambda study: study.models[0].recipe.model.batch_norm is True),
        ("exploration.folds=4", lambda study: study.exploration.folds == 4),
        ("final.seeds=2", lambda study: study.final.seeds == 2),
        ("title=My study = best", lambda study: study.title == "My study = best"),
    ],
)
def test_a_setting_overrides_one_key(setting: str, read: Callable[[Study], bool]) -> None:
    study = parse_study(GOOD, [setting])
    assert read(study)
    assert study != parse_study(GOOD)


def test_the_last_setting_counts() -> None:
    assert parse_study(GOOD, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("mlp.optimizer.lr", "path=value"),
        ("=3", "path=value"),
        ("mlp.epochs.x=3", '"epochs" is 2, not a table'),
        ("mlp.optimizer.lrr=3", 'Did you mean "lr"'),
        ("mpl.epochs=3", "mpl"),
        ("mlp.epochs=many", "'many'"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(setting: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_study(GOOD, [setting], origin="my.toml")
    assert told in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# One thing at a time

MLP = r.Recipe(model=r.MLP(hidden=(8,)), optimizer=r.SGD(lr=0.1))


def factor(*fields: str, changes: dict[str, Any]) -> tuple[Factor, Level]:
    level = Level(label="l", changes=changes)
    return Factor(name="f", fields=fields, levels=(level,)), level


def test_an_arm_changes_what_its_factor_declares() -> None:
    changed = arm(MLP, *factor("optimizer", changes={"optimizer": "adam"}))
    assert changed == replace(MLP, optimizer=r.Adam())
    assert arm(MLP, *factor("optimizer", changes={"optimizer.lr": 0.3})) == replace(MLP, optimizer=r.SGD(lr=0.3))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.lr": 0.3, "epochs": 3},
        {"epochs": 3},
        {"optimizer": "adam"},
        {"optimizer.lr": 0.3, "model.dropout": 0.5},
    ],
)
def test_a_level_that_changes_an_undeclared_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"does not declare \(fields: optimizer.lr\).*changes one thing"):
        arm(MLP, *factor("optimizer.lr", changes=changes))


def test_a_declared_field_covers_its_own_parts_only() -> None:
    with pytest.raises(ConfigError, match=r'"model\.dropout"'):
        arm(MLP, *factor("model.drop", "epochs", changes={"model.dropout": 0.5}))


def test_the_recipe_that_is_changed_stays_as_it_is() -> None:
    before = replace(MLP)
    arm(MLP, *factor("model", changes={"model.hidden": [1]}))
    assert before == MLP


def test_a_shipped_study_is_found_by_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped_study("digits") == shipped_studies()["digits"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digit").write_text("a file of that name does not change the message", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        shipped_study("digit")
    told = f'study: there is no shipped study "digit". Did you mean "digits"? Shipped: {", ".join(shipped_studies())}.'
    assert str(caught.value) == told


SINGLE = {name: text for name, text in shipped_studies().items() if name not in BRIEFS}


@pytest.mark.parametrize("text", [GOOD, *SINGLE.values()], ids=["good", *SINGLE])
def test_a_written_study_is_read_back_as_it_was(text: str) -> None:
    study = parse_study(text)
    assert parse_study(study_toml(study)) == study


@pytest.mark.parametrize(
    "change",
    [
        {"strategy": {"kind": "joint", "ranges": [{"field": "batch_size", "low": 16, "high": 256, "log": True}]}},
        {"strategy": {"kind": "halving", "candidates": 4}},
        {"strategy": {"kind": "race", "along": "one-at-a-time"}},
        {"reading": {"size": [8, 9], "channels": 3, "label_column": "kind"}},
        {"title": 'a "quoted" \n title \\', "seed": 10**9},
    ],
    ids=["joint", "halving", "race", "reading", "text"],
)
def test_every_part_of_a_study_is_written(change: dict[str, Any]) -> None:
    study = study_from_tree(tree() | change)
    assert parse_study(study_toml(study)) == study


@pytest.mark.parametrize("tune", [True, False, ["optimizer.lr"], [{"field": "optimizer.lr", "trials": 3}]])
def test_what_a_factor_tunes_is_written(tune: Any) -> None:
    study = study_from_tree(tree() | {"factors": [tree()["factors"][0] | {"tune": tune}]})
    assert parse_study(study_toml(study)) == study


def test_a_level_that_no_file_can_say_is_refused() -> None:
    factor = Factor(
        name="pooling", fields=("model.pool_after",), levels=(Level(label="all", changes={"model.pool_after": None}),)
    )
    with pytest.raises(ConfigError, match=r'factors\[pooling\].levels: level "all" sets model.pool_after to None'):
        study_toml(replace(parse_study(GOOD), factors=(factor,)))


# ---------------------------------------------------------------------------------------------------------------------
# Sizes apart

APART = """
name = "sizes"
data = "digits"
[models.cnn]
model = { kind = "cnn", filters = [32, 64], kernels = 3 }
[[factors]]
name = "filters"
field = "model.filters"
levels = [[32, 64], [32, 64, 128]]
[[factors]]
name = "kernels"
field = "model.kernels"
levels = [3, [5, 5, 3], [5, 3, 3]]
"""


def test_filters_are_explored_before_kernels_that_only_fit_more_filters() -> None:
    study = parse_study(APART)
    filters, kernels = study.factors
    (baseline,) = (model.recipe for model in study.models)
    more = arms_of(filters, baseline).recipes["32-64-128"]
    assert written_out(more).model == r.CNN(filters=(32, 64, 128), kernels=(3, 3, 3))
    assert [list(arms_of(kernels, recipe).recipes) for recipe in (baseline, more)] == [["3"], ["3", "5-5-3", "5-3-3"]]
    reasons = [left_out.reason for left_out in arms_of(kernels, baseline).incompatible]
    assert len(reasons) == 2
    assert all(
        "3 kernels [5, " in reason and "2 filters [32, 64]" in reason and "{" not in reason for reason in reasons
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("[32, 64, 128]", "[32]"),  # nothing that three kernels fit
        lambda text: text.replace('name = "sizes"', 'name = "sizes"\nstrategy = "one-at-a-time"'),  # no level is kept
    ],
)
def test_a_level_that_never_fits_is_refused_in_words(change: Callable[[str], str]) -> None:
    with pytest.raises(
        ConfigError, match=r'factor "kernels", level "5-5-3".*3 kernels \[5, 5, 3\] and 2 filters'
    ) as told:
        parse_study(change(APART))
    assert "{" not in str(told.value)


def test_depth_and_width_are_factors_of_their_own_that_meet() -> None:
    study = parse_study("""
        name = "sizes"
        data = "digits"
        [models.mlp]
        model = { kind = "mlp", hidden = [64, 64, 64], dropout = 0.25 }
        [[factors]]
        name = "depth"
        field = "model.depth"
        levels = [3, 4, 5]
        [[factors]]
        name = "width"
        field = "model.width"
        levels = [32, 64, 128]
    """)
    depth, width = study.factors
    arms = arms_of(depth, study.models[0].recipe)
    assert arms.incumbent == "3"  # the baseline under another name, not a fourth arm
    assert arms.recipes["3"] == study.models[0].recipe
    wide = arms_of(width, arms.recipes["5"]).recipes["128"]
    assert written_out(wide).model == r.MLP(hidden=(128,) * 5, dropout=0.25)


def test_normalisation_inputs_and_numbers_of_images_are_factors() -> None:
    study = parse_study("""
        name = "inputs"
        data = "digits"
        [models.resnet]
        model = { kind = "resnet", blocks = 1, filters = [8, 16] }
        [[factors]]
        name = "normalisation"
        field = "model.normalisation"
        levels = ["none", "batch", "layer", "group"]
        [[factors]]
        name = "standardisation"
        field = "standardisation"
        levels = ["per-channel", "0-1", "none"]
        [[factors]]
        name = "size"
        field = "model.image_size"
        levels = [8, 6, 4]
        [[factors]]
        name = "images"
        field = "images"
        levels = [100, 300, 1000, 0]
        [[factors]]
        name = "last"
        field = "last_batch"
        levels = ["drop", "keep"]
    """)
    counts = [len(arms_of(factor, study.models[0].recipe).recipes) for factor in study.factors]
    assert counts == [4, 3, 4, 4, 2]  # of the sizes, none has the baseline's "as it is"
    assert arms_of(study.factors[0], study.models[0].recipe).incumbent == "batch"


def test_what_is_said_in_two_ways_is_trained_once() -> None:
    place = example_context()
    written: list[tuple[r.Model, r.Model]] = [
        (r.CNN(filters=(4, 8), kernels=(3,)), r.CNN(filters=(4, 8), kernels=(3, 3))),
        (r.MLP(width=8, depth=2), r.MLP(hidden=(8, 8))),
        (r.ResNet(blocks=(2,)), r.ResNet(blocks=(2, 2, 2))),
        (r.ResNet(normalisation="none"), r.ResNet(batch_norm=False)),
    ]
    for short, long in written:
        trials = [exploration_trials(place, replace(MLP, model=model))[0] for model in (short, long)]
        assert trials[0].digest == trials[1].digest


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (put("models", "mlp", "model", "dropout", value="much"), "less than 1 is needed, or a list"),
        (put("models", "mlp", "optimizer", "lr", value="fast"), "allowed is a number; received 'fast'"),
        (put("models", "mlp", "model", "batch_norm", value=1), "allowed is true or false; received 1"),
        (put("models", "mlp", "model", "hidden", value=8), "allowed is a list; received 8"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_a_study_and_once(edit: Edit, told: str) -> None:
    message = refusal(edit)
    assert told in message
    assert len(message.splitlines()) == 1
    assert "Tuple" not in message


def test_models_are_made_as_large_as_the_first() -> None:
    text = """
        name = "equal"
        data = "digits"
        match = "parameters"
        [models.small]
        model = "small-cnn"
        [models.mlp]
        model = { kind = "mlp", depth = 3, width = 128 }
        [models.resnet]
        model = { kind = "resnet", blocks = 2, filters = [16, 32], normalisation = "group" }
    """
    shape = (1, 28, 28)
    study = matched(parse_study(text), shape, 10)
    counts = [parameter_count_of(model.recipe.model, shape, 10) for model in study.models]
    assert counts[0] == 21_578
    assert counts == pytest.approx([21_578] * 3, rel=0.04)
    assert matched(study, shape, 10) == study  # as the result's own study file has it
    assert matched(parse_study(text.replace('match = "parameters"', "")), shape, 10).models != study.models
    own = parse_study(text.replace('{ kind = "mlp", depth = 3, width = 128 }', '{ kind = "custom", path = "a:b" }'))
    with pytest.raises(ConfigError, match=r"model mlp \(custom\) cannot be set\. Name it first"):
        matched(own, shape, 10)
