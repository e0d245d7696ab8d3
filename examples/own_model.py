"""A network of your own takes part in a study on equal terms: the same folds, the same statistics, the same report."""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

import ceteris


class TwoPaths(nn.Module):
    """Two convolutions of different reach side by side, as in Inception, then the mean over each map."""

    def __init__(self, input_shape: tuple[int, int, int], classes: int, width: int = 8) -> None:
        super().__init__()
        channels = input_shape[0]
        self.near = nn.Conv2d(channels, width, 3, padding=1)
        self.far = nn.Conv2d(channels, width, 5, padding=2)
        self.output = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.cat([self.near(images), self.far(images)], dim=1).relu()
        logits: Tensor = self.output(maps.mean(dim=(2, 3)))
        return logits


STUDY = {
    "name": "own-model",
    "title": "Two paths against an MLP",
    "data": "digits",
    "exploration": {"folds": 3, "images": 600},
    "final": {"epochs": 5, "seeds": 2},
    "models": {
        "mlp": {"model": {"kind": "mlp", "hidden": [32]}, "optimizer": "adam", "epochs": 5, "batch_size": 32},
    },
    "factors": [{"name": "optimizer", "field": "optimizer", "levels": ["adam", {"kind": "sgd", "lr": 0.1}]}],
}


def main(out: Path) -> None:
    result = ceteris.run(STUDY, models={"two-paths": TwoPaths}, out=out, formats=["html"])
    for model, version, _, accuracy, low, high, *_ in result.table("test_results").rows:
        print(f"{model}, {version}: {accuracy:.1%} of the test images right ({low:.1%} to {high:.1%})")
    print(result.report)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ceteris-results/own-model"))
