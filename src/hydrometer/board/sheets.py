"""Contact sheets beside the entries, so that a board shows its images without the sets."""

from __future__ import annotations

from pathlib import Path

from hydrometer.artifact.writing import whole
from hydrometer.report import exhibits
from hydrometer.types import CompressedSet, HydrometerError

FOLDER = "sheets"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 8_000_000


def write(judged: CompressedSet, board: Path) -> Path:
    """Draw the contact sheet of a set into the board's folder of sheets."""
    path = board / FOLDER / f"{judged.digest}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HydrometerError(f"cannot make folder {path.parent}: {error.strerror}") from error
    with whole(path) as draft:
        draft.write_bytes(exhibits.sheet(judged))
    return path


def read_all(board: Path) -> dict[str, bytes]:
    """The contact sheets of a board, PNG bytes by digest of their set.

    Raises:
        HydrometerError: A file there is no PNG, or too large for a page.
    """
    return {path.stem: _read(path) for path in sorted((board / FOLDER).glob("*.png"))}


def _read(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise HydrometerError(f"{path} is larger than {_MOST_BYTES:,} bytes; remove or reduce it")
    data = path.read_bytes()
    if not data.startswith(_SIGNATURE):
        raise HydrometerError(f"{path} is not a PNG image; remove it")
    return data
