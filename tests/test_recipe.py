import dataclasses
import json
import math
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ceteris import recipe as r
from ceteris.digests import canonical_json, digest_of, plain
from ceteris.store import from_tree

# Every union of choices, with the tuple of its members that other code may walk through.
UNIONS: dict[str, tuple[Any, tuple[type, ...]]] = {
    "activation": (r.Activation, r.CHOICES["activation"]),
    "augmentation": (r.Augmentation, r.CHOICES["augmentation"]),
    "averaging": (r.Averaging, r.CHOICES["averaging"]),
    "clipping": (r.Clipping, r.CHOICES["clipping"]),
    "loss": (r.Loss, r.CHOICES["loss"]),
    "model": (r.Model, r.CHOICES["model"]),
    "optimizer": (r.Optimizer, r.CHOICES["optimizer"]),
    "penalty": (r.Penalty, r.CHOICES["penalty"]),
    "schedule": (r.Schedule, r.CHOICES["schedule"]),
}
MEMBERS = [(place, member) for place, (_, members) in UNIONS.items() for member in members]
PLAIN = [(place, member) for place, member in MEMBERS if place != "model" and member is not r.CustomLoss]

MODELS = [
    r.MLP(
        hidden=(3,),
        activation=r.PReLU(initial_slope=-0.5),
        dropout=0.25,
        initialisation=r.Initialisation(kind="orthogonal"),
    ),
    r.MLP(hidden=()),
    r.CNN(filters=(4, 8, 8), kernels=(5, 3, 1), pool_after=(1, 3), pooling="average", order="pooling-first", head=()),
    r.CNN(pool_after=(), global_average_pooling=True, convolutions_per_block=2),
    r.ResNet(blocks=(1, 2), filters=(4, 8), kernel=5, block="pre-activation", residual=False, shortcut="projection"),
    r.CustomModel(path="own.models:Net", arguments={"width": 3, "deep": True, "rates": [0.5, 1e-3], "name": "é"}),
]


def name_of(part: Any) -> str:
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def kind_of(member: type) -> str:
    return str(getattr(member, "kind"))  # noqa: B009 - mypy knows no attribute `kind` of a plain type


def example(member: type) -> Any:
    own = {"path": "own.code:part"} if member in (r.CustomLoss, r.CustomModel, r.Estimator) else {}
    return member(**own)


def values_like(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value that a field's JSON schema allows."""
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "anyOf" in schema:  # a length as a share or in epochs
        return st.one_of(st.floats(0.01, 1), st.integers(1, 99).map(lambda epochs: f"{epochs} epochs"))
    if schema["type"] == "boolean":
        return st.booleans()
    if schema["type"] == "integer":
        return st.integers(schema.get("minimum"), schema.get("maximum"))
    if schema["type"] == "array":
        return st.lists(values_like(schema["items"]), max_size=4)
    low, high = (schema.get(name, schema.get(f"exclusive{name.title()}")) for name in ("minimum", "maximum"))
    return st.floats(
        low,
        high,
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_nan=False,
        allow_infinity=False,
    ).map(lambda value: value + 0.0)  # -0.0 == 0.0, but they are written differently


@st.composite
def choices(draw: st.DrawFn) -> tuple[str, Any]:
    place, member = draw(st.sampled_from(PLAIN))
    fields = TypeAdapter(member).json_schema()["properties"]
    return place, member(**{name: draw(values_like(schema)) for name, schema in fields.items()})


def with_choice(place: str, choice: Any) -> r.Recipe:
    """A recipe that has the choice in its place."""
    if place == "activation":
        return r.Recipe(model=dataclasses.replace(r.CNN(), activation=choice))
    if place == "model":
        return r.Recipe(model=choice)
    other: dict[str, Any] = {place: (choice,) if place == "augmentation" else choice}
    return r.Recipe(model=r.MLP(), **other)


def assert_survives_every_form(recipe: r.Recipe) -> None:
    text = json.dumps(plain(recipe), allow_nan=False)
    assert from_tree(r.Recipe, json.loads(text)) == recipe
    assert TypeAdapter(r.Recipe).validate_json(text) == recipe
    assert json.loads(canonical_json(recipe)) == json.loads(text)


@settings(max_examples=150, deadline=None)
@given(choices())
def test_every_allowed_value_survives_json_and_the_store(drawn: tuple[str, Any]) -> None:
    assert_survives_every_form(with_choice(*drawn))


@pytest.mark.parametrize(("place", "member"), MEMBERS, ids=name_of)
def test_every_choice_survives_json_and_the_store(place: str, member: type) -> None:
    assert_survives_every_form(with_choice(place, example(member)))


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_every_model_survives_json_and_the_store(model: Any) -> None:
    assert_survives_every_form(r.Recipe(model=model))


@settings(max_examples=50, deadline=None)
@given(choices())
def test_every_allowed_value_survives_toml(drawn: tuple[str, Any]) -> None:
    place, choice = drawn
    tree = tomllib.loads(tomli_w.dumps({"choice": plain(choice)}))["choice"]
    assert TypeAdapter(UNIONS[place][0]).validate_json(json.dumps(tree)) == choice


@pytest.mark.parametrize("place", UNIONS)
def test_the_list_of_a_union_s_members_is_complete(place: str) -> None:
    union, members = UNIONS[place]
    assert get_args(get_args(union)[0]) == members
    assert len({kind_of(member) for member in members}) == len(members)


@pytest.mark.parametrize(
    ("place", "member"),
    [pair for pair in MEMBERS if pair[1] not in (r.CustomLoss, r.CustomModel, r.Estimator)],
    ids=name_of,
)
def test_the_name_alone_stands_for_the_choice_with_its_defaults(place: str, member: type) -> None:
    assert TypeAdapter(UNIONS[place][0]).validate_python(kind_of(member)) == member()


@pytest.mark.parametrize(("place", "member"), MEMBERS, ids=name_of)
def test_choices_cannot_be_changed_or_extended(place: str, member: type) -> None:
    choice = example(member)
    with pytest.raises(dataclasses.FrozenInstanceError):
        choice.kind = "other"
    with pytest.raises((TypeError, ValidationError), match="unexpected"):
        member(**dataclasses.asdict(choice), learning_rate=1.0)


NUMBERS = [
    (member, field.name)
    for _, member in MEMBERS
    for field in dataclasses.fields(member)
    if type(field.default) in (int, float)
]


@pytest.mark.parametrize(("member", "field"), NUMBERS, ids=name_of)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "0.5", True, None, [0.5]])
def test_a_number_is_finite_and_really_a_number(member: type, field: str, wrong: object) -> None:
    if field == "dropout" and wrong == [0.5]:
        wrong = [[0.5]]  # a number for each layer is allowed
    with pytest.raises(ValidationError, match=field):
        member(**{field: wrong})


@pytest.mark.parametrize(
    ("member", "wrong", "told"),
    [
        (r.SGD, {"lr": 0.0}, "greater than 0"),
        (r.SGD, {"momentum": 1.0}, "less than 1"),
        (r.SGD, {"nesterov": "yes"}, "boolean"),
        (r.Adam, {"beta2": -0.1}, "greater than or equal to 0"),
        (r.Step, {"every": 0.0}, "greater than 0"),
        (r.Step, {"every": "ten epochs"}, 'from 0 to 1, or epochs as in "10 epochs"'),
        (r.MultiStep, {"milestones": (0.5, 1.5)}, "share of the training, from 0 to 1"),
        (r.Cosine, {"warmup": "0 epochs"}, "epochs as in"),
        (r.CosineRestarts, {"cycles": 0}, "greater than or equal to 1"),
        (r.CosineRestarts, {"cycles": 1.5}, "integer"),
        (r.ReduceOnPlateau, {"patience": -1}, "greater than or equal to 0"),
        (r.ReduceOnPlateau, {"factor": 1.0}, "less than 1"),
        (r.Rotate, {"degrees": 181.0}, "less than or equal to 180"),
        (r.Flip, {"axis": "diagonal"}, "'horizontal' or 'vertical'"),
        (r.L2, {"strength": -1e-4}, "greater than or equal to 0"),
        (r.MLP, {"hidden": (0,)}, "greater than or equal to 1"),
        (r.MLP, {"hidden": (32.5,)}, "integer"),
        (r.MLP, {"hidden": "32"}, "tuple"),
        (r.MLP, {"dropout": 1.0}, "less than 1"),
        (r.CNN, {"kernels": (3, 4)}, "odd size .* received 4"),
        (r.CNN, {"kernels": (3, 33)}, "less than or equal to 31"),
        (r.CNN, {"filters": (8, 16, 32)}, r"2 kernels \[3, 3\] and 3 filters \[8, 16, 32\]"),
        (r.CNN, {"filters": (), "kernels": ()}, "must be one at least"),
        (r.CNN, {"kernels": ()}, "0 kernels"),
        (r.CNN, {"dropout": (0.5,)}, "one number, or 2: one for each linear layer"),
        (r.CNN, {"dropout": True}, "less than 1 is needed, or a list"),
        (r.MLP, {"dropout": (0.25, 0.25)}, "3: one for each of 3 hidden layers"),
        (r.MLP, {"hidden": (32, 16), "depth": 2}, r"hidden says \[32, 16\]"),
        (r.MLP, {"hidden": (), "depth": 2}, "needs a width"),
        (r.CNN, {"pool_after": (1, 3)}, r"blocks from 1 to 2, received \[1, 3\]"),
        (r.CNN, {"pooling": "median"}, "'max', 'average' or 'none'"),
        (r.ResNet, {"kernel": 2}, "odd size"),
        (r.ResNet, {"blocks": (2, 2)}, "received 2 blocks .* and 3 filters"),
        (r.ResNet, {"convolutions_per_block": 4}, "less than or equal to 3"),
        (r.CustomModel, {"path": "own.models"}, "pattern"),
        (r.CustomLoss, {"path": "own.code:f; rm"}, "pattern"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(member: type, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        member(**wrong)


@pytest.mark.parametrize(
    ("field", "wrong"), [("epochs", 0), ("epochs", 2.5), ("batch_size", -1), ("precision", "float16"), ("model", "svm")]
)
def test_a_recipe_refuses_wrong_values(field: str, wrong: object) -> None:
    with pytest.raises(ValidationError, match=field):
        TypeAdapter(r.Recipe).validate_python({"model": "mlp", field: wrong})


def test_the_alexnet_preset_is_a_network_whose_parts_can_be_changed() -> None:
    model = TypeAdapter(r.Model).validate_python({"kind": "alexnet", "dropout": 0.1})
    assert isinstance(model, r.CNN)
    assert (len(model.filters), len(model.head), model.dropout) == (5, 2, 0.1)  # five convolutions, two wide layers


def test_the_small_preset_is_the_three_convolutions_of_brief_e() -> None:
    model = TypeAdapter(r.Model).validate_python("small-cnn")
    assert model == r.CNN(filters=(8, 16, 32), kernels=(3, 3, 3), pool_after=(1, 2), head=())


KNOWN = r.Recipe(
    model=r.MLP(hidden=(32, 16)), optimizer=r.Adam(lr=3e-3), augmentation=(r.Shift(fraction=0.125),), epochs=3
)


def test_a_recipe_keeps_its_address_in_the_store() -> None:
    """A change here means that no finished training of anybody is found again; a new field needs a new schema number."""
    assert digest_of(KNOWN) == "ca846325147ee1ff4b90f0b769213db8c802a62e5b5f1db99c21d8e474e8aecb"


# Recipes as they stand in study files, every choice by name at least once, with the digests of the first version.
FIRST_VERSION = json.loads(Path(__file__).with_name("recipe_digests.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("tree", "digest"), FIRST_VERSION)
def test_recipes_keep_the_addresses_of_the_first_version(tree: dict[str, Any], digest: str) -> None:
    assert digest_of(TypeAdapter(r.Recipe).validate_json(json.dumps(tree))) == digest


def test_every_choice_has_an_address_of_the_first_version() -> None:
    named = json.dumps([tree for tree, _ in FIRST_VERSION])
    kinds = {kind_of(member) for _, member in MEMBERS} | set(r.INITIALISATIONS)
    assert [kind for kind in kinds if f'"{kind}"' not in named] == []
    assert len(FIRST_VERSION) >= 50


@pytest.mark.parametrize("kind", r.INITIALISATIONS)
def test_an_initialisation_is_known_by_its_name_alone_or_as_a_table(kind: Any) -> None:
    made = r.MLP(initialisation=r.Initialisation(kind=kind))
    for written in (kind, {"kind": kind}):
        assert TypeAdapter(r.Model).validate_python({"kind": "mlp", "initialisation": written}) == made
    assert_survives_every_form(r.Recipe(model=made))


@pytest.mark.parametrize("wrong", ["he", {"kind": "he"}, {}, {"kind": "dirac", "gain": 1}])
def test_an_initialisation_that_is_not_known_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="initialisation"):
        TypeAdapter(r.Model).validate_python({"kind": "mlp", "initialisation": wrong})


def test_the_address_depends_on_values_not_on_how_they_are_written() -> None:
    written = '{"epochs": 3, "optimizer": {"lr": 3e-3, "kind": "adam"}, "model": {"hidden": [32, 16], "kind": "mlp"}, '
    written += '"augmentation": [{"kind": "shift", "fraction": 1.25e-1}]}'
    assert digest_of(TypeAdapter(r.Recipe).validate_json(written)) == digest_of(KNOWN)
    assert digest_of(r.SGD(lr=1)) == digest_of(r.SGD(lr=1.0))


@settings(max_examples=60, deadline=None)
@given(choices(), choices())
def test_two_recipes_share_an_address_only_when_they_are_equal(first: tuple[str, Any], second: tuple[str, Any]) -> None:
    one, other = with_choice(*first), with_choice(*second)
    assert (digest_of(one) == digest_of(other)) == (one == other)
