"""Where a run happens, as it is recorded with every row."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from hydrometer.types import Environment


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


def default_device() -> torch.device:
    """The accelerator if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
