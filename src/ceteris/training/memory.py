"""The peak memory of one training inside a process that does many."""

from pathlib import Path

import psutil
import torch

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def reset_peak(device: str) -> None:
    """Begin a new measurement of peak memory."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")  # Linux: sets the peak resident size back to the present one
    except OSError:
        return


def peak_bytes(device: str) -> int:
    """Return the largest memory in use since :func:`reset_peak`, in bytes.

    On CUDA the memory of the device; elsewhere the resident memory of the process (its peak on Linux, where that can be
    read; the present size on other systems).
    """
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(psutil.Process().memory_info().rss)
