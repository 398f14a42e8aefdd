"""`res_*.pt` with a dictionary of experiments: how DC, DSA and DM publish sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hydrometer.artifact import torch_file
from hydrometer.artifact.formats import Foreign
from hydrometer.artifact.pt_pair import pixels, supervision
from hydrometer.registry import register
from hydrometer.types import HydrometerError, Source

_FLOAT64 = np.float64(0)
_SCALAR = _FLOAT64.__reduce__()[0]
_ALLOWED = (
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    type(_FLOAT64.dtype),
)
"""What numpy needs to rebuild a float64, under its old and new address: plain numbers, no code.

The authors' scripts keep their accuracies beside the images as numpy floats, so that hardly any of
their files would load without these.
"""


@register("format", "pt-dict")
class PtDict:
    """A dictionary whose `data` is a list of `[images, labels]`, one pair per repeated experiment.

    `which` picks the experiment, the last one by default; accuracies in the file are not read.
    """

    def __init__(self, which: int = -1) -> None:
        self._which = which

    def fits(self, path: Path) -> bool:
        """Whether the path is a `.pt` file that is not named like a tensor of images."""
        return path.is_file() and path.suffix in {".pt", ".pth"} and "images" not in path.stem

    def read(self, path: Path, source: Source) -> Foreign:
        """Read the images and labels of one experiment."""
        experiments = _experiments(path)
        count = len(experiments)
        if not -count <= self._which < count:
            raise HydrometerError(
                f"which={self._which}, but {path} holds {count} experiments, 0 first"
            )
        images, labels = _pair(experiments[self._which], path)
        hard, soft, notes = supervision(torch_file.dense(labels, path), path)
        note = f"experiment {self._which % count + 1} of {count} in the file"
        return Foreign(
            pixels(torch_file.dense(images, path), path), hard, soft, notes=(note, *notes)
        )


def _experiments(path: Path) -> Sequence[object]:
    contents = torch_file.contents(path, _ALLOWED)
    data = contents.get("data") if isinstance(contents, dict) else None
    if not isinstance(data, list | tuple) or not data:
        raise HydrometerError(
            f"{path} is no dictionary with a list of experiments under 'data'; "
            f"a tensor of images is read as pt-pair"
        )
    return data


def _pair(experiment: object, path: Path) -> tuple[object, object]:
    if not isinstance(experiment, list | tuple) or len(experiment) != 2:
        raise HydrometerError(f"{path} holds an experiment that is no [images, labels] pair")
    return experiment[0], experiment[1]
