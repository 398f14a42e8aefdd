"""The normalisation of a student, part of its name because results depend on it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator
from torch import nn

from hydrometer.types import HydrometerError

GROUPS = 4
"""Groups of group norm, as in the code of Dataset Condensation (arXiv 2006.05929)."""

_SHORT = {"bn": "batch", "in": "instance", "gn": "group"}


def _spell_out(value: object) -> object:
    name = str(value).lower()
    return _SHORT.get(name, name)


Norm = Annotated[Literal["instance", "batch", "group", "none"], BeforeValidator(_spell_out)]
"""A norm by name; `in`, `bn` and `gn` are read as their long names, in any case."""


def normalise(norm: Norm, channels: int) -> nn.Module:
    """The layer that normalises (n, channels, h, w), with a learned scale and shift per channel.

    Instance norm is group norm with one group per channel, which keeps no running statistics: it
    computes the same thing in training and in evaluation, as the field's ConvNets do.

    Raises:
        HydrometerError: Group norm of channels that do not divide into groups.
    """
    match norm:
        case "instance":
            return nn.GroupNorm(channels, channels)
        case "batch":
            return nn.BatchNorm2d(channels)
        case "group" if channels % GROUPS:
            raise HydrometerError(
                f"norm=group needs a multiple of {GROUPS} channels, not {channels}"
            )
        case "group":
            return nn.GroupNorm(GROUPS, channels)
        case "none":
            return nn.Identity()
