"""Where a run happens, as it is recorded with every row."""

from __future__ import annotations

import ctypes
import platform
from importlib.metadata import version

import torch

from hydrometer.types import Environment, Precision

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of mallopt(3)."""


def environment(device: torch.device) -> Environment:
    """Versions, device and threads of this process."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return Environment(
        hydrometer=version("hydrometer"),
        torch=torch.__version__,
        python=platform.python_version(),
        device=name,
        threads=torch.get_num_threads(),
    )


def native_precision(device: torch.device) -> Precision:
    """bfloat16 where the device computes in it natively, else float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def default_device() -> torch.device:
    """The accelerator if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def exact_arithmetic() -> None:
    """Have accelerators compute float32 as float32, and the same way twice.

    Convolutions take TF32 unless told otherwise, with 10 bits of mantissa where the row says float32,
    and their fastest kernels add in an order that changes from run to run.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def keep_pages() -> None:
    """Tell glibc to keep freed memory: a training step allocates the same tensors again and again.

    Giving pages back and faulting them in again cost 20 to 100 ms of a ConvNet-3 step on a processor
    (docs/performance.md). Without glibc this does nothing.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    except (AttributeError, OSError):
        return


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
