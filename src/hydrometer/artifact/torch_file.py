"""Tensors out of foreign `.pt` files, without ever running what is inside them."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from hydrometer.types import HydrometerError

_CODE = re.compile(r"GLOBAL ([\w.]+)|(TorchScript)")


def contents(path: Path, allowed: Sequence[Any] = ()) -> Any:
    """The plain data of a `.pt` file; classes and functions are refused unless in `allowed`.

    Raises:
        HydrometerError: The file is missing, damaged, or contains code.
    """
    if not path.is_file():
        raise HydrometerError(f"no file {path}")
    try:
        with safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged pickle can raise nearly anything: KeyError, EOFError, RuntimeError, OSError.
        raise _refusal(path, error) from error


def tensor(path: Path) -> Tensor:
    """The one dense tensor a `.pt` file holds.

    Raises:
        HydrometerError: As `contents`, or the file holds something else.
    """
    return dense(contents(path), path)


def dense(thing: object, path: Path) -> Tensor:
    """The thing as an ordinary tensor, refused where it is none or only pretends to its size."""
    if not isinstance(thing, Tensor):
        raise HydrometerError(f"{path} holds a {type(thing).__name__} where a tensor is needed")
    if thing.layout != torch.strided or thing.is_quantized or thing.is_meta:
        raise HydrometerError(
            f"{path} holds a sparse, quantised or empty-storage tensor; make it dense"
        )
    if thing.numel() * thing.element_size() > thing.untyped_storage().nbytes():
        raise HydrometerError(f"{path} holds a tensor that claims more values than it stores")
    return thing.detach()


def _refusal(path: Path, error: Exception) -> HydrometerError:
    code = _CODE.search(str(error))
    if code:
        name = code.group(1) or code.group(2)
        return HydrometerError(
            f"{path} contains code; refused ({name}); save its tensors alone with torch.save"
        )
    return HydrometerError(
        f"{path} is damaged or no .pt file of tensors ({type(error).__name__}); fetch it again"
    )


def write(thing: Tensor, path: Path) -> None:
    """Store one tensor, and only its own values, in a `.pt` file."""
    try:
        torch.save(thing.clone(), path)
    except RuntimeError as error:
        # torch reports a full disk as a RuntimeError of its archive writer.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
