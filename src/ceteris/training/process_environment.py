"""What a training process inherits: settings of the libraries under torch and numpy, which read them once when they start."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ENVIRONMENT = {
    # Feature maps of many megabytes come and go with every step; with pages of 4 KiB the processor spends 5 to 10 % of the
    # time of a CNN or a ResNet on finding them. Other C libraries than glibc ignore this.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # Each worker has one core. numpy's threads would wait for those of the other workers, six times as long as they compute.
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@contextmanager
def environment_of_workers() -> Iterator[None]:
    """Let a process that is started inside inherit what libraries read once when they start; the user's own choices stay."""
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
