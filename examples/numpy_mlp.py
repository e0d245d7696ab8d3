"""The network written by hand in NumPy (src/ceteris/studies/numpy_mlp.py), trained without a study."""

from sklearn.datasets import load_digits

from ceteris.studies.numpy_mlp import NumpyMLP


def main() -> None:
    """Train on scikit-learn's digits and say what it reaches on those that it has not seen."""
    digits = load_digits()
    pixels, labels = digits.data / 16.0, digits.target  # 8 x 8 pixels in 0..1
    network = NumpyMLP(hidden=[64], epochs=30, batch_size=32).fit(pixels[:1400], labels[:1400])
    right = float((network.predict_proba(pixels[1400:]).argmax(axis=1) == labels[1400:]).mean())
    print(f"by hand: {right:.1%} of {len(labels) - 1400} digits right")


if __name__ == "__main__":
    main()
