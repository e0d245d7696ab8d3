from dataclasses import replace
from typing import Any

import pytest

from ceteris import recipe as r
from ceteris.digests import plain
from ceteris.errors import ConfigError
from ceteris.fields import (
    ABSENT,
    describe_changes,
    describe_fields,
    describe_value,
    difference,
    merged,
    number_at,
    number_fields,
    put,
    recipe_of,
    tree_of,
    value_at,
)

MLP = r.Recipe(model=r.MLP(hidden=(8,)), optimizer=r.SGD(lr=0.1))


def test_a_tree_is_what_the_store_writes_and_gives_the_recipe_back() -> None:
    recipe = replace(MLP, model=r.CustomModel(path="a:B", arguments={"rates": (0.5, 1)}), augmentation=(r.Shift(),))
    assert tree_of(recipe) == plain(recipe, whole=True)
    assert recipe_of(plain(recipe)) == recipe_of(tree_of(recipe))
    assert recipe_of(tree_of(MLP)) == MLP


def test_a_field_is_read_by_its_dotted_place() -> None:
    assert value_at(MLP, "optimizer.lr") == number_at(MLP, "optimizer.lr") == 0.1
    assert value_at(MLP, "model.hidden") == [8]
    assert [value_at(MLP, field) for field in ("optimizer.rate", "epochs.x", "optimiser.lr")] == [ABSENT] * 3
    assert [number_at(MLP, field) for field in ("optimizer.nesterov", "optimizer.kind", "optimizer.rate")] == [None] * 3
    assert "optimizer.lr" in set(number_fields(tree_of(MLP)))
    assert "optimizer.nesterov" not in set(number_fields(tree_of(MLP)))


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("optimizer.rate", '"optimizer" (sgd) has no field "rate". Allowed: dampening, lr, momentum, nesterov. List'),
        ("rate", '"the recipe" (recipe) has no field "rate". Allowed: augmentation, averaging, batch_size'),
        ("optimiser.lr", 'the recipe has no field "optimiser.lr". Allowed here: augmentation, averaging, batch_size'),
        ("epochs.lr", 'the recipe has no field "epochs.lr". Allowed here: augmentation'),
    ],
)
def test_a_field_that_is_not_there_is_refused_with_those_that_are(field: str, told: str) -> None:
    tree = tree_of(MLP)
    with pytest.raises(ConfigError) as caught:
        put(tree, field, 1)
    assert str(caught.value).startswith(told)
    assert tree == tree_of(MLP)


def test_equal_recipes_differ_in_nothing() -> None:
    assert difference(MLP, replace(MLP)) == {}


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        (replace(MLP, optimizer=r.SGD(lr=0.2)), {"optimizer.lr": (0.1, 0.2)}),
        (replace(MLP, epochs=3, batch_size=4), {"epochs": (10, 3), "batch_size": (128, 4)}),
        (replace(MLP, model=r.MLP(hidden=(8, 8))), {"model.hidden": ([8], [8, 8])}),
        (replace(MLP, model=r.MLP(hidden=(8,), activation=r.LeakyReLU(slope=0.3))), {"model.activation": ...}),
        (replace(MLP, augmentation=(r.Shift(),)), {"augmentation": ([], [{"kind": "shift", "fraction": 0.1}])}),
        (replace(MLP, optimizer=r.Adam(lr=0.1)), {"optimizer": ...}),
    ],
)
def test_the_differing_fields_are_named_with_both_values(other: r.Recipe, fields: dict[str, Any]) -> None:
    found = difference(MLP, other)
    assert found.keys() == fields.keys()
    assert all(found[name] == values for name, values in fields.items() if values is not ...)
    assert {name: (after, before) for name, (before, after) in difference(other, MLP).items()} == found


def test_changes_of_several_recipes_are_put_together_and_a_rate_for_another_optimizer_is_not() -> None:
    schedule = replace(MLP, schedule=r.Cosine(), optimizer=r.SGD(lr=0.3))
    adam = replace(MLP, optimizer=r.Adam(lr=0.002))
    both = merged(MLP, [schedule, adam])
    assert both == replace(MLP, schedule=r.Cosine(), optimizer=r.Adam(lr=0.002))
    assert merged(MLP, []) == merged(MLP, [MLP]) == MLP
    assert merged(adam, [MLP], only={"schedule"}) == adam
    assert merged(adam, [MLP], only={"optimizer"}) == MLP


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (True, "on"), (False, "off"), (0.05, "0.05"), (1e-5, "1e-05"), (3, "3"), ("cosine", "cosine"), ([], "none"),
        ([32, 64], "32-64"), ([{"kind": "shift"}, {"kind": "flip"}], "shift + flip"), (None, "None"),
        ({"kind": "sgd", "lr": 0.1}, "sgd (lr 0.1)"), ({"kind": "relu"}, "relu"),
    ],
)  # fmt: skip
def test_values_have_short_labels(value: Any, label: str) -> None:
    assert describe_value(value) == label


def test_a_long_choice_is_cut_to_its_name_unless_it_is_asked_for_in_full() -> None:
    muon = {"kind": "muon", **{f"parameter{number}": number for number in range(5)}}
    assert describe_value(muon) == "muon"
    assert describe_value(muon, detailed=True).startswith("muon (parameter0 0, ")


def test_changes_are_told_one_a_line() -> None:
    changed = replace(MLP, epochs=3, optimizer=r.SGD(lr=0.2))
    assert describe_changes(MLP, changed) == ("epochs: 10 → 3", "optimizer.lr: 0.1 → 0.2")


def test_what_a_recipe_has_in_some_fields_is_told_without_those_that_it_lacks() -> None:
    assert describe_fields(MLP, ("optimizer.lr", "optimizer.beta1", "model.hidden")) == "0.1, 8"
    assert describe_fields(MLP, ("optimizer.beta1",)) == ""


def test_a_field_that_came_later_can_be_named_and_is_told_only_where_it_is_used() -> None:
    used = replace(MLP, sampling="balanced", loss=r.CrossEntropy(class_weights="inverse"))
    assert value_at(MLP, "sampling") == "shuffled"
    assert value_at(MLP, "loss.class_weights") == "none"
    assert difference(MLP, used) == {"sampling": ("shuffled", "balanced"), "loss.class_weights": ("none", "inverse")}
    assert describe_changes(MLP, replace(MLP, loss=r.Focal())) == (
        "loss: cross-entropy (label_smoothing 0) → focal (gamma 2)",
    )
