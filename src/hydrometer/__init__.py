"""Make compressed image datasets, and measure them so that the number belongs to the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["__version__", "load_runs"]


def load_runs(path: Path | str = "runs.sqlite") -> Any:
    """All runs of a store, one row per student: see `hydrometer.store.frames.load_runs`."""
    from hydrometer.store import frames

    return frames.load_runs(path)


def __getattr__(name: str) -> str:
    """The version, which is read off the installed package when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hydrometer")
    raise AttributeError(f"module 'hydrometer' has no attribute {name!r}")
