"""What a finished study holds: tables, figures, the claims, and a trained model at work."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import ceteris

STUDY = {
    "name": "reading",
    "data": "digits",
    "exploration": {"folds": 3, "images": 600},
    "final": {"epochs": 5, "seeds": 2},
    "models": {"mlp": {"model": {"kind": "mlp", "hidden": [32]}, "optimizer": "adam", "epochs": 5, "batch_size": 32}},
    "factors": [{"name": "optimizer", "field": "optimizer", "levels": ["adam", {"kind": "sgd", "lr": 0.001}]}],
}


def main(folder: Path) -> None:
    if not (folder / "findings.safetensors").exists():
        ceteris.run(STUDY, out=folder, formats=["html"])
    result = ceteris.open_result(folder)
    print("tables:", ", ".join(result.tables))

    # Everything that was found, as numbers and types; every figure and sentence of the report is made from these.
    for model in result.findings.models:
        for factor in model.factors:
            for level in factor.levels:
                if level.comparison:
                    low, high = 100 * level.comparison.low, 100 * level.comparison.high
                    print(f"{model.name}: {level.label} is {level.comparison.verdict} ({low:.2f} to {high:.2f} points)")

    result.figure("confusion-mlp").savefig(folder / "confusion.png")

    trained = ceteris.read_model(folder / "models" / "mlp-best")
    scans = load_digits().images[:3]
    images = np.round(scans * 255 / 16).astype(np.uint8)[:, None]  # (n, channels, height, width), 0..255
    print("predicted:", *(trained.card.classes[best] for best in trained.probabilities(images).argmax(axis=1)))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "ceteris-results/reading"))
