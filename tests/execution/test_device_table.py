import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny_trials import CNN, MLP, RESNET

from ceteris import recipe as r
from ceteris.execution.populations import (
    NETWORKS,
    DeviceTable,
    Load,
    Place,
    Speed,
    cache_file,
    keep_table,
    known_tables,
    measure_table,
    network_like,
    place_of,
    table_for,
)
from ceteris.files import CACHE_VARIABLE

PLACE = Place(processor="p", torch="2.0", device="cpu")


def table(place: Place = PLACE, **speeds: float) -> DeviceTable:
    return DeviceTable(
        place=place,
        speeds=tuple(
            Speed(network="narrow mlp", members=int(name[1:]), images_per_second=speed)
            for name, speed in speeds.items()
        ),
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path / "device-table.json"


def test_a_measured_table_takes_the_place_of_the_shipped_one(cache: Path) -> None:
    shipped = table_for("cpu")
    assert shipped.gain("narrow mlp", 5) > 1.15
    assert {shipped.fastest(network, 5) for network in ("narrow cnn", "wide cnn", "wide resnet")} <= {1, 5}
    keep_table(table(place_of("cpu"), n1=1.0))
    assert cache_file() == cache
    assert table_for("cpu").speeds[0].images_per_second == 1.0


def test_tables_of_other_places_stay(cache: Path) -> None:
    places = [PLACE, replace(PLACE, torch="2.1"), replace(PLACE, device="cuda"), replace(PLACE, engine=99)]
    for place in places:
        keep_table(table(place, n1=1.0))
    assert known_tables() == {place: table(place, n1=1.0) for place in places}


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"place": 3}]', "\x00"])
def test_a_damaged_cache_counts_as_empty(cache: Path, content: str) -> None:
    cache.write_text(content)
    assert known_tables() == {}
    keep_table(table(n1=1.0))
    assert json.loads(cache.read_text())[0]["place"]["processor"] == "p"


def test_a_cache_that_cannot_be_written_does_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert keep_table(table(n1=2.0)).speeds[0].images_per_second == 2.0


def test_the_cache_lies_in_the_user_s_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_file() == tmp_path / "ceteris" / "device-table.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_file() == Path.home() / ".cache" / "ceteris" / "device-table.json"


def test_the_gain_is_measured_interpolated_and_never_beyond_the_largest_size() -> None:
    found = table(n1=100.0, n4=200.0, n16=160.0)
    assert [found.gain("narrow mlp", members) for members in (1, 2, 4, 8, 16, 99)] == pytest.approx(
        [1.0, 1.5, 2.0, 1.8, 1.6, 1.6]
    )
    assert found.gain("wide cnn", 5) == 1.0
    assert [found.fastest("narrow mlp", most) for most in (1, 3, 4, 20)] == [1, 3, 4, 4]
    assert found.fastest("wide cnn", 9) == 1


@pytest.mark.parametrize(
    ("model", "network"),
    [
        (MLP.model, "narrow mlp"),
        (r.MLP(hidden=(64, 512)), "wide mlp"),
        (r.MLP(hidden=()), "narrow mlp"),
        (CNN.model, "narrow cnn"),
        (r.CNN(filters=(32, 64, 128), kernels=(3, 3, 3)), "wide cnn"),
        (RESNET.model, "narrow resnet"),
        (r.ResNet(), "wide resnet"),
        (r.CustomModel(path="a:b"), None),
    ],
)
def test_a_model_is_like_the_network_of_its_kind_and_width(model: r.Model, network: str | None) -> None:
    assert network_like(replace(MLP, model=model)) == network


def test_every_network_that_is_measured_is_like_itself() -> None:
    for network, load in NETWORKS.items():
        assert network_like(r.Recipe(model=load.model)) == network  # type: ignore[arg-type]


def test_the_whole_table_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Load(model={"kind": "mlp", "hidden": (4,)}, sizes=(1, 3), steps=1, batch_size=16, side=4)
    monkeypatch.setattr("ceteris.execution.populations.NETWORKS", {"narrow mlp": small, "wide mlp": small})
    told: list[str] = []
    found = measure_table(PLACE, "cpu", report=told.append)
    assert [(speed.network, speed.members) for speed in found.speeds] == [
        (network, members) for network in ("narrow mlp", "wide mlp") for members in (1, 3)
    ]
    assert all(speed.images_per_second > 0 for speed in found.speeds)
    assert len(told) == 2


def test_the_speed_of_a_population_counts_the_images_of_all_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small a network that dispatch is all that it takes: stacked it must be faster per image, but not by the members."""
    small = Load(model={"kind": "mlp", "hidden": (16,)}, sizes=(1, 6), steps=60, batch_size=8, side=4)
    monkeypatch.setattr("ceteris.execution.populations.NETWORKS", {"narrow mlp": small})
    assert 1 < measure_table(PLACE, "cpu").gain("narrow mlp", 6) < 6
