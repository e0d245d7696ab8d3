"""Writes the golden losses: what three known trainings do on known images, which a change of the code must not change.

Run it from the project's folder after a change that is meant to change trainings, look at the difference in the files,
and raise the schema number of ``ceteris.records.Trial`` so that no store mixes old and new results:

    python -m tests.golden.write
"""

import json
from pathlib import Path

from tests.tiny_trials import tiny_images, tiny_trial

from ceteris import recipe as r
from ceteris.records import Finished, finished
from ceteris.training.device import one_thread
from ceteris.training.trial import run_trial

FOLDER = Path(__file__).parent
RECIPES = {
    "mlp": r.Recipe(
        model=r.MLP(
            hidden=(24, 16),
            activation=r.LeakyReLU(),
            dropout=0.2,
            initialisation=r.Initialisation(kind="kaiming-normal"),
        ),
        optimizer=r.Adam(lr=0.01),
        penalty=r.L2(strength=1e-3),
        epochs=6,
        batch_size=16,
    ),
    "cnn": r.Recipe(
        model=r.CNN(filters=(4, 8), kernels=(3, 3), head=(16,)),
        optimizer=r.SGD(lr=0.1, momentum=0.9, nesterov=True),
        schedule=r.Cosine(warmup=0.1),
        augmentation=(r.Shift(fraction=0.1), r.Noise(deviation=0.1)),
        epochs=6,
        batch_size=16,
    ),
    "resnet": r.Recipe(
        model=r.ResNet(blocks=(1, 1), filters=(4, 8), kernel=3),
        optimizer=r.SGD(lr=0.1),
        loss=r.CrossEntropy(label_smoothing=0.1),
        clipping=r.ClipNorm(maximum=1.0),
        averaging=r.ExponentialMovingAverage(decay=0.8),
        epochs=6,
        batch_size=16,
    ),
}


def trained(name: str) -> Finished:
    """Train one of the recipes as a worker would."""
    with one_thread():
        return finished(run_trial(tiny_trial(RECIPES[name]), tiny_images(96)).record)


def write(name: str) -> None:
    """Write the first five losses, the held-out accuracy and the number of held-out images of one training."""
    record = trained(name)
    assert record.iterations is not None
    assert record.predictions is not None
    golden = {
        "first_losses": [float(loss) for loss in record.iterations.loss[:5]],
        "accuracy": record.accuracy,
        "held_out": len(record.predictions.labels),
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for recipe in RECIPES:
        write(recipe)
