"""Time the typical loop written with Lightning: images per second of training, for the networks of training_speed.py.

    pip install lightning
    python benchmarks/lightning_loop.py --network mlp

Networks, data set and transforms are those of benchmarks/typical_loop.py; the trainer logs the loss and shows no progress
bar, so that nothing but the training is timed. The first epoch is not counted.
"""

import argparse
import logging
import runpy
import statistics
import sys
import time
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

LOOP = Path(__file__).with_name("typical_loop.py")


def main() -> int:
    """Print the median over the epochs for every number of loader processes."""
    parser = argparse.ArgumentParser(description="The typical training loop with Lightning: images per second.")
    parser.add_argument("--network", choices=("mlp", "small-cnn", "cnn", "resnet"), default="mlp")
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="DataLoader processes to try")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    if find_spec("lightning") is None:
        print("Lightning is not installed: pip install lightning")
        return 1
    warnings.simplefilter("ignore")  # advice on the number of loader processes
    for workers in options.workers:
        rate = images_per_second(options.network, options.images, workers, options.epochs)
        print(f"Lightning, {options.network}, num_workers={workers}: {rate:,.0f} images/s (median of {options.epochs})")
    return 0


def images_per_second(network: str, count: int, workers: int, epochs: int) -> float:
    lightning: Any = import_module("lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # advice and praise
    loop: dict[str, Any] = runpy.run_path(str(LOOP))
    make_model, make_optimizer = loop["NETWORKS"][network]

    class Classifier(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = make_model()
            self.ends: list[float] = []

        def training_step(self, batch: Any, number: int) -> Any:
            images, labels = batch
            loss = cross_entropy(self.model(images), labels)
            self.log("loss", loss, on_step=False, on_epoch=True)
            return loss

        def configure_optimizers(self) -> Any:
            return make_optimizer(self.model)

        def on_train_epoch_end(self) -> None:
            self.ends.append(time.perf_counter())

    characters = loop["Characters"](*loop["made_up_characters"](count))
    loader = DataLoader(
        characters, 128, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    classifier = Classifier()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs + 1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, loader)
    seconds = [later - earlier for earlier, later in zip(classifier.ends, classifier.ends[1:], strict=False)]
    return len(loader) * 128 / statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
