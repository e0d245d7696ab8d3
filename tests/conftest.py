"""What all tests share: one thread for torch, a device table of their own, and the result of a tiny study."""

from collections.abc import Iterator

import pytest
import torch

from ceteris.execution.populations import DeviceTable, keep_table, place_of
from ceteris.files import CACHE_VARIABLE
from tests.api.tiny import finished
from tests.example_findings import findings, results

__all__ = ["findings", "finished", "results"]

# Small networks on few cores: more threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests from writing into the user's cache, and from measuring: by this table nothing is worth stacking."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        keep_table(DeviceTable(place=place_of("cpu"), speeds=()))
        yield


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out of the reports of a test, unless it asks for ``drawn``: they take most of a tiny run's time."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("ceteris.report.sections.figures", lambda results, failed: ())


@pytest.fixture
def drawn() -> None:
    """Let a test's reports have their figures."""
