"""A part of a source for quick trials: `cifar10+share:0.2@1` is a fifth of `train` and of `val`.

A modifier like those of noise, in the order they are written: `cifar10+share:0.2+symmetric:0.4` or
`cifar10+column:label_worse+share:0.2`. `test` stays whole, as do classes and the constants of
normalisation.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TypeVar

import torch
from torch import Tensor

from hydrometer import digest, seeds
from hydrometer.sources.noise import NoisySource
from hydrometer.types import HydrometerError, Source, Split

PURPOSE = "share@1"
_SHARE = re.compile(r"share:(?P<share>[\d.eE+-]+)(?:@(?P<seed>\d+))?", re.ASCII)
_Kept = TypeVar("_Kept", bound=Source)


def asked(modifier: str) -> bool:
    """Whether a modifier asks for a share, well or badly written."""
    return re.split("[:@]", modifier.strip(), maxsplit=1)[0].lower() == "share"


def parse(modifier: str) -> tuple[float, int]:
    """The share and seed of a modifier.

    Raises:
        HydrometerError: It reads otherwise than `share:0.2` or `share:0.2@1`, or is no share.
    """
    match = _SHARE.fullmatch(modifier.strip().lower())
    try:
        share = float(match["share"]) if match else 0.0
    except ValueError:
        share = 0.0
    if match is None or not 0 < share <= 1:
        raise HydrometerError(
            f"cannot take {modifier!r}; write share:X with X above 0 and at most 1, such as share:0.2 "
            "or, with a seed, share:0.2@1"
        )
    return share, int(match["seed"] or 0)


def taken(source: _Kept, modifier: str) -> _Kept:
    """The source with a share of each class of `train` and `val`, named `SOURCE+share:X`.

    Classes are those of the given labels; each keeps its share, rounded half up, and at least one
    image where it has any. Images are ranked by a draw for their original row, so a smaller share of
    the same seed is part of a larger one.

    Raises:
        HydrometerError: As `parse`.
    """
    share, seed = parse(modifier)
    train, val = (chosen(split, share, seed) for split in (source.train, source.val))
    name = f"{source.name}+share:{_text(share)}" + (f"@{seed}" if seed else "")
    changes = {
        "name": name,
        "train": _rows(source.train, train),
        "val": _rows(source.val, val),
        "digest": digest.of_tensors(train, val, salt=f"{PURPOSE}/{source.digest}"),
    }
    if isinstance(source, NoisySource):
        changes |= {"clean_train": source.clean_train[train], "clean_val": source.clean_val[val]}
    # Not dataclasses.replace: the checker knows no field of a bound type.
    return type(source)(**{**vars(source), **changes})


def chosen(split: Split, share: float, seed: int) -> Tensor:
    """Rows of a split, ascending, shape (m,)."""
    if not len(split):
        return torch.empty(0, dtype=torch.int64)
    most = int(split.index.max()) + 1
    draws = seeds.uniform([seeds.key(seed, PURPOSE)], 0, 1, most)[0, 0][split.index]
    kept = []
    for label in split.labels.bincount().nonzero().flatten():
        rows = (split.labels == label).nonzero().flatten()
        # In decimals, as 0.29 of 50 is a little less than 14.5 in binary.
        count = max(1, int(Decimal(_text(share)) * len(rows) + Decimal("0.5")))
        kept.append(rows[torch.argsort(draws[rows], stable=True)][:count])
    return torch.cat(kept).sort().values


def _text(share: float) -> str:
    """The shortest decimal that reads back."""
    return repr(share).removesuffix(".0")


def _rows(split: Split, rows: Tensor) -> Split:
    return Split(split.images[rows], split.labels[rows], split.index[rows])
