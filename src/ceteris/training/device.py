"""Which device trains, in which precision and memory, and what that means for the digits of a result."""

import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import psutil
import torch

from ceteris.errors import ConfigError
from ceteris.recipe import Recipe
from ceteris.records import Execution

Precision = Literal["float32", "bfloat16"]

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def resolve_device(name: str) -> str:
    """Return the device to use: "cpu", "cuda", "cuda:1", "mps"; "auto" takes the fastest that is there.

    Raises:
        ConfigError: when the named device is not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    present = available_devices()
    if name not in present:
        raise ConfigError(
            f'device: allowed on this machine are "auto", {", ".join(map(repr, present))}; received "{name}".'
        )
    return name


def available_devices() -> list[str]:
    """Return the names of all devices on this machine."""
    cuda = (
        ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))] if torch.cuda.is_available() else []
    )
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def has_fast_bfloat16(device: str) -> bool:
    """Say whether bfloat16 is computed by the hardware (AVX512-BF16 or AMX on a CPU, Ampere or newer on CUDA)."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or platform.system() != "Linux":
        return False
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


def precision_of(recipe: Recipe, device: str) -> Precision:
    """Return the precision that "auto" stands for: bfloat16 for convolutions where the hardware computes it."""
    if recipe.precision != "auto":
        return recipe.precision
    convolutional = recipe.model.kind in ("cnn", "resnet")
    return "bfloat16" if convolutional and has_fast_bfloat16(device) else "float32"


def execution_of(recipe: Recipe, device: str) -> Execution:
    """Return what of this machine can change the digits of a training with this recipe (workers use one thread each)."""
    return Execution(
        device="cpu" if recipe.model.kind == "estimator" else device,
        precision=precision_of(recipe, device),
        threads=1,
        torch=".".join(torch.__version__.split(".")[:2]),
    )


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that it was told to, so that a clock can be read; a CPU does it at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def autocasting(device: torch.device, enabled: bool) -> AbstractContextManager[object]:
    """Return a context in which products are computed in bfloat16, where ``enabled``."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if enabled else nullcontext()


@contextmanager
def full_float32(device: str) -> Iterator[None]:
    """Let CUDA multiply float32 numbers with all their digits inside the block, as a recipe in "float32" says.

    By torch's defaults convolutions on CUDA round their inputs to TF32. The process gets its own settings back afterwards.
    """
    if not device.startswith("cuda"):
        yield
        return
    cudnn, products = torch.backends.cudnn, torch.get_float32_matmul_precision()
    present = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "benchmark_limit", "deterministic")}
    with cudnn.flags(**present, allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(products)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread inside the block, as in every training: the digits depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def environment() -> dict[str, str]:
    """Return versions and machine, as they belong into a record."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # a text of its own type otherwise, which only torch can unpickle
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor_name(),
    }


def processor_name() -> str:
    """Return the name of the processor as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# ---------------------------------------------------------------------------------------------------------------------
# Memory


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


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that the device or the machine has no more memory to give."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in message or "DefaultCPUAllocator" in message)
