import json

import numpy as np
import pytest
from tests.golden.write import FOLDER, RECIPES, trained


@pytest.mark.parametrize("name", RECIPES)
def test_a_known_training_does_what_it_always_did(name: str) -> None:
    golden = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    record = trained(name)
    assert record.iterations is not None
    # Other processors round differently; later losses and single images may therefore differ a little more.
    np.testing.assert_allclose(record.iterations.loss[:5], golden["first_losses"], rtol=1e-5)
    assert record.accuracy == pytest.approx(golden["accuracy"], abs=1.01 / golden["held_out"])
