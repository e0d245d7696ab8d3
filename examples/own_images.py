"""A folder of pictures, one folder a class: what is in it, and which of two models is better on it."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import ceteris

STUDY = {
    "name": "own-images",
    "title": "Circles, squares and crosses",
    "exploration": {"folds": 3},
    "final": {"epochs": 6, "seeds": 2},
    "models": {
        "mlp": {"model": {"kind": "mlp", "hidden": [32]}, "optimizer": "adam", "epochs": 6, "batch_size": 16},
        "cnn": {
            "model": {"kind": "cnn", "filters": [8, 16], "kernels": [3, 3]},
            "optimizer": "adam",
            "epochs": 6,
            "batch_size": 16,
        },
    },
    "factors": [{"name": "schedule", "field": "schedule", "levels": ["none", "cosine"]}],
}


def draw_pictures(folder: Path, per_class: int = 60, side: int = 16) -> None:
    """Write PNG files of shapes at random places: ``folder/<class>/<number>.png``."""
    random = np.random.default_rng(0)
    for shape in ("circle", "square", "cross"):
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            picture = Image.new("L", (side, side))
            pencil = ImageDraw.Draw(picture)
            x, y = random.integers(1, side - 9, 2).tolist()
            box = (x, y, x + 7, y + 7)
            if shape == "circle":
                pencil.ellipse(box, outline=255)
            elif shape == "square":
                pencil.rectangle(box, outline=255)
            else:
                pencil.line(box, fill=255)
                pencil.line((x, y + 7, x + 7, y), fill=255)
            picture.save(folder / shape / f"{number}.png")


def main(out: Path) -> None:
    pictures = out / "pictures"
    draw_pictures(pictures)
    result = ceteris.run({**STUDY, "data": str(pictures)}, out=out / "result", store=out / "store", formats=["html"])
    data = result.findings.data
    print(f"{data.train_count} training and {data.test_count} test images of {', '.join(data.classes)}")
    for model, version, _, accuracy, low, high, *_ in result.table("test_results").rows:
        print(f"{model}, {version}: {accuracy:.1%} of the test images right ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ceteris-results/own-images"))
