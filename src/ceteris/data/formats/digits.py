"""scikit-learn's digits: 1,797 images of 8 x 8 pixels from the UCI set of Alpaydin & Kaynak (1998), nothing to download."""

from typing import cast

import numpy as np

from ceteris.data.source import Source, array_part
from ceteris.records import ByteArray

GREY_LEVELS = 16


def digits_source() -> Source:
    """Return the digits, their 17 grey levels spread over 0..255; without a test part of its own."""
    from sklearn.datasets import load_digits  # takes a second to import, and only the first preparation needs it

    bunch = load_digits()
    images = cast(ByteArray, np.round(bunch.images * (255 / GREY_LEVELS)).astype(np.uint8))[:, None]  # (n, 1, 8, 8)
    return Source(
        name="digits",
        title="scikit-learn digits",
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998",
        licence="CC BY 4.0",
        classes=tuple("0123456789"),
        train=array_part(images, bunch.target.astype(np.int64)),
        test=None,
        label_meaning="the digit that was written",
        preprocessing=("grey levels 0..16 spread over 0..255",),
    )
