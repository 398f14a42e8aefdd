"""Where a source looks for its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hydrometer.types import HydrometerError


def default_root() -> Path:
    """The folder of all datasets: $HYDROMETER_DATA, else `~/.cache/hydrometer/data`."""
    return Path(os.environ.get("HYDROMETER_DATA") or "~/.cache/hydrometer/data").expanduser()


@dataclass(frozen=True)
class Place:
    """What a source is given: the folder of all datasets, and the PATH of `folder:PATH`."""

    root: Path
    path: Path | None = None

    def no_path(self, source: str) -> None:
        """Refuse a path, for the sources that know where their files are."""
        if self.path is not None:
            raise HydrometerError(
                f"source {source!r} takes no path, got {str(self.path)!r}; write {source!r} alone, "
                f"or folder:PATH for your own images"
            )

    def accepts_downloads(self) -> None:
        """Refuse to download into a folder that $HYDROMETER_DATA names, but that is not there."""
        if os.environ.get("HYDROMETER_DATA") and not self.root.is_dir():
            raise HydrometerError(
                f"HYDROMETER_DATA is {str(self.root)!r}, which is no folder; correct it, or make the "
                f"folder, and datasets will be downloaded to it"
            )

    def folder(self, source: str) -> Path:
        """The folder that the path names, looked up from here and then from the root."""
        if self.path is None:
            raise HydrometerError(f"source {source!r} needs a path; write {source}:PATH")
        looked = [self.path.expanduser(), self.root / self.path]
        for candidate in looked:
            if candidate.is_dir():
                return candidate
        raise missing(f"{source}:{self.path}", looked)


def missing(source: str, looked: list[Path], reason: str = "") -> HydrometerError:
    """The error for data that is not there: where it was looked for, and what to do."""
    places = " or ".join(dict.fromkeys(map(str, looked)))
    return HydrometerError(
        f"source {source!r}: nothing usable at {places}{reason}; put the files there, "
        f"or set HYDROMETER_DATA to the folder that holds them"
    )
