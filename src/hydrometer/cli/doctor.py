"""`hydrometer doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import os
from pathlib import Path

from hydrometer.cli.options import JsonOption


def command(json: JsonOption = False) -> None:
    """Show versions, device, folders and data, and say what to do about anything missing."""
    import json as encoder
    from importlib.metadata import PackageNotFoundError, version

    from hydrometer.cli.console import write
    from hydrometer.engine.environment import default_device, environment
    from hydrometer.sources.cache import directory as folder
    from hydrometer.sources.place import default_root as data_root

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    found = environment(default_device())
    root = data_root()
    facts: dict[str, str] = {
        "hydrometer": found.hydrometer,
        "python": found.python,
        **{name: installed(name) for name in ("torch", "torchvision", "timm", "cleanlab", "ray")},
        "device": f"{found.device}, {found.threads} threads",
        "data": f"{root} ({'there' if Path(root).is_dir() else 'missing: set HYDROMETER_DATA'})",
        "cache": f"{folder()} ({_access(folder())})",
    }
    if json:
        write(encoder.dumps(facts))
        return
    for name, value in facts.items():
        write(f"{name:12} {value}")


def _access(path: Path) -> str:
    """Whether the folder, or the nearest one above it that exists, can be written."""
    place = next(p for p in (path, *path.parents) if p.exists())
    return "writable" if os.access(place, os.W_OK) else "NOT writable: set HYDROMETER_CACHE"
