"""`hydrometer doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import os

from hydrometer.cli.options import JsonOption


def command(json: JsonOption = False) -> None:
    """Show versions, device, folders and data, and say what to do about anything missing."""
    import json as encoder
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

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
        "cache": f"{folder()} ({'writable' if _writable(folder()) else 'NOT writable: set HYDROMETER_CACHE'})",
    }
    if json:
        write(encoder.dumps(facts))
        return
    for name, value in facts.items():
        write(f"{name:12} {value}")


def _writable(path: object) -> bool:
    from pathlib import Path

    place = Path(str(path))
    while not place.exists():
        place = place.parent
    return os.access(place, os.W_OK)
