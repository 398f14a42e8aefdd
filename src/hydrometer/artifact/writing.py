"""Files and folders that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hydrometer.types import HydrometerError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or folder to, which becomes `path` once the block has succeeded.

    An existing file is replaced; an existing folder only where it is empty. After any error nothing
    is left behind.

    Raises:
        HydrometerError: The disk is full, or `path` cannot be written for another reason.
    """
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".hydrometer-") as folder:
            draft = Path(folder) / path.name
            yield draft
            draft.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HydrometerError(
            f"cannot write {path}: {reason}; free the path or choose another"
        ) from error
