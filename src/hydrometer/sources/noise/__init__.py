"""Label noise as part of a source's name, such as `cifar10+asymmetric:0.4,map=cyclic@1`.

A modifier is `+NAME:VALUE[,KEY=VALUE...][@SEED]`: the value is the first argument of the noise, the
seed is 0 unless given. Noise is drawn for the whole original train part, so `val` gets it as well and
no choice on it sees a clean label; `test` stays clean. Which rows are `val` was decided before, a
tenth of each clean class, so that they are the same under every noise. Modifiers apply in order. A
noise is one file with a function `(part: Part, ..., *, rng) -> labels` marked `@register("noise")`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hydrometer import digest, registry, seeds
from hydrometer.types import HydrometerError, Source, Spec, Split

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

BLOCK = 4096
_MODIFIER = re.compile(r"(?P<name>[A-Za-z][\w-]*)(?::(?P<inside>[^@]*))?(?:@(?P<seed>\d+))?")
_UNIDENTIFIABLE = 0.5


@dataclass(frozen=True)
class NoisySource(Source):
    """A source whose `train` and `val` labels were changed, and what they were before.

    `clean_train` and `clean_val` are (n,) int64, in the order of the splits; `digest` covers the
    noisy labels. The clean ones are for the oracle, tests and reports: `sources.sealed` turns this
    into a plain `Source`, so no method and no other trust estimator can reach them.
    """

    clean_train: Tensor
    clean_val: Tensor
    notes: tuple[str, ...] = ()
    """What a reader must know: classes whose majority has another label."""


@dataclass(frozen=True)
class Part:
    """The original train part a noise is drawn for: `train` and `val` in original order.

    `labels` (n,) are those given so far; `source` is the dataset's name before any modifier, and
    `root` the folder of all datasets.
    """

    labels: Labels
    classes: tuple[str, ...]
    source: str
    root: Path
    original: Source
    order: Labels

    def images(self) -> Iterator[tuple[slice, Floats]]:
        """Blocks of rows with their pixels (b, c * h * w), each channel normalised."""
        mean, std = (np.array(v)[:, None] for v in (self.original.mean, self.original.std))
        splits = (self.original.train, self.original.val)
        cut = len(splits[0])
        for start in range(0, len(self.order), BLOCK):
            rows = self.order[start : start + BLOCK]
            block = np.empty((len(rows), *self.original.shape))
            for split, chosen, shifted in ((0, rows < cut, 0), (1, rows >= cut, cut)):
                block[chosen] = splits[split].images[torch.from_numpy(rows[chosen] - shifted)]
            pixels = (block.reshape(*block.shape[:2], -1) / 255 - mean) / std
            yield slice(start, start + len(rows)), pixels.reshape(len(rows), -1)


def corrupted(source: Source, modifier: str, root: Path, base: str = "") -> NoisySource:
    """The source with the labels a modifier gives, named `SOURCE+MODIFIER`.

    `root` is the folder of all datasets; `base` the name before any modifier, if there was one.

    Raises:
        HydrometerError: No such noise, an argument is out of range, or it does not fit the source.
    """
    spec, seed = parse(modifier)
    original = np.concatenate([source.train.index.numpy(), source.val.index.numpy()])
    order = np.argsort(original, kind="stable")
    given = torch.cat([source.train.labels, source.val.labels]).numpy()
    part = Part(given[order], source.classes, base or source.name, root, source, order)
    rng = seeds.numpy_rng(seed, f"noise/{spec}")
    drawn = np.empty_like(given)
    drawn[order] = registry.build("noise", spec, part, rng=rng)
    return _relabelled(source, f"{source.name}+{text(spec, seed)}", torch.from_numpy(drawn))


def parse(modifier: str) -> tuple[Spec, int]:
    """The noise and seed of a modifier; the value before the first comma is its first argument."""
    match = _MODIFIER.fullmatch(modifier.strip())
    if match is None:
        raise HydrometerError(
            f"cannot read noise {modifier!r}; write NAME:VALUE, such as symmetric:0.4 or "
            "asymmetric:0.4,map=cyclic@1"
        )
    name = match["name"].lower().replace("_", "-")
    first, _, rest = (match["inside"] or "").partition(",")
    inside = ",".join(filter(None, (f"{first_argument(name)}={first}" if first else "", rest)))
    return registry.parse(f"{name}({inside})"), int(match["seed"] or 0)


def text(spec: Spec, seed: int) -> str:
    """The modifier of a noise and seed, which `parse` reads back; a seed of 0 goes unsaid.

    >>> text(Spec("symmetric", (("inclusive", True), ("rate", 0.4))), 2)
    'symmetric:0.4,inclusive=True@2'
    """
    first = first_argument(spec.name)
    others = [f"{key}={value}" for key, value in sorted(spec.args) if key != first]
    value = ",".join([str(spec.kwargs.get(first, "")), *others])
    return f"{spec.name}:{value}" + (f"@{seed}" if seed else "")


def first_argument(name: str) -> str:
    """What the value of a modifier of this name is called, such as `rate`."""
    return list(inspect.signature(registry.get("noise", name)).parameters)[1]


def in_range(name: str, rate: float) -> None:
    """Refuse a rate of noise that is no share."""
    if not 0 <= rate <= 1:
        raise HydrometerError(f"{name} noise: rate {rate} is out of range; give a share in [0, 1]")


def flipped(labels: Labels, transition: Floats, rng: np.random.Generator) -> Labels:
    """Labels drawn one by one from rows P(given | clean) of a transition matrix (k, k)."""
    edges = np.cumsum(transition, axis=1)
    draws = rng.random(len(labels))
    found = (draws[:, None] >= edges[labels]).sum(1)
    # Rounding can leave the last edge just below one, and a draw above it.
    return np.asarray(np.minimum(found, len(transition) - 1), dtype=np.int64)


def confusion(clean: Labels, given: Labels, classes: int) -> Floats:
    """P(given | clean), rows are clean classes; a class without images keeps its label."""
    counts = np.bincount(clean * classes + given, minlength=classes**2).reshape(classes, classes)
    sizes = counts.sum(1, keepdims=True)
    return np.where(sizes > 0, counts / np.maximum(sizes, 1), np.eye(classes))


def _relabelled(source: Source, name: str, labels: Tensor) -> NoisySource:
    cut = len(source.train)
    known: dict[str, Any] = {f.name: getattr(source, f.name) for f in dataclasses.fields(Source)}
    clean_train, clean_val = source.train.labels, source.val.labels
    if isinstance(source, NoisySource):
        clean_train, clean_val = source.clean_train, source.clean_val
    known |= {
        "name": name,
        "train": Split(source.train.images, labels[:cut], source.train.index),
        "val": Split(source.val.images, labels[cut:], source.val.index),
        "digest": digest.of_tensors(labels, salt=f"noise@1/{source.digest}"),
    }
    notes = _notes(torch.cat([clean_train, clean_val]), labels, source.classes)
    return NoisySource(**known, clean_train=clean_train, clean_val=clean_val, notes=notes)


def _notes(clean: Tensor, given: Tensor, classes: tuple[str, ...]) -> tuple[str, ...]:
    shares = confusion(clean.numpy(), given.numpy(), len(classes))
    np.fill_diagonal(shares, 0.0)
    return tuple(
        f"{shares[c].max():.0%} of class {classes[c]!r} is labelled {classes[shares[c].argmax()]!r}: "
        "no estimator can tell which label is right"
        for c in np.flatnonzero(shares.max(1) >= _UNIDENTIFIABLE)
    )
