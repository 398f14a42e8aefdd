"""What the adapters of other libraries share: plain errors, before anything is trained."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

import torch
from torch import nn

from hydrometer.students import Shape
from hydrometer.types import HydrometerError


def proven(make: Callable[[], nn.Module], name: str, shape: Shape) -> nn.Module:
    """Make a network, and show on one blank image that it takes this shape.

    Raises:
        HydrometerError: It cannot be made, or cannot take the image.
    """
    try:
        model = make().eval()
        with torch.no_grad():
            model(torch.zeros(1, *shape))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        size = "x".join(map(str, shape))
        raise HydrometerError(f"{name} cannot be built for {size} images: {error}") from error
    return model.train()


def require_model(library: str, model: str, models: Sequence[str]) -> None:
    """Raise an error that offers the nearest name, unless the library has this model."""
    if model not in models:
        near = difflib.get_close_matches(model, models, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see its documentation for the names"
        raise HydrometerError(f"{library} has no classification model named {model!r}; {hint}")
