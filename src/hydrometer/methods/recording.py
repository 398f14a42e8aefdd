"""Training dynamics: one recorded run that every score of the field reads.

A student is trained on the whole train part, and after every epoch sees it once more in a clean
evaluation pass: no augmentation, weights held still. What each image then got is streamed to
memory-mapped half-precision arrays under `recordings` in the cache, and kept for every later score.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor

from hydrometer import digest, students
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job, train
from hydrometer.engine.program import Program
from hydrometer.execute.lab import Lab
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Stored, Trial

Floats = NDArray[np.float64]

LAYOUT = "recording@1"
"""Changes when the same run would be recorded otherwise, so that older records are not read."""
FIELDS = {
    "loss": np.float16,
    "best_other": np.float16,
    "error_norm": np.float16,
    "margin": np.float16,
    "shift": np.float16,
    "correct": np.bool_,
}
FLOOR = 1e-8
"""Added to a probability before its logarithm is compared with the last epoch's, as TDDS does."""
BLOCK = 2**16
"""Images whose records are in memory at once when a score reads them."""
STALE_SECONDS = 86_400.0
_HEADER_BYTES = 128
_LARGEST = float(np.finfo(np.float16).max)


class TraceCard(Stored):
    """What is known of one recorded run."""

    layout: str = LAYOUT
    source: str
    source_digest: str
    recipe: str
    seed: int
    images: int
    epochs: int
    passes: Literal["clean evaluation passes"] = "clean evaluation passes"
    seconds: float
    """Wall time of training and of all evaluation passes."""


@dataclass(frozen=True)
class Trace:
    """One recorded run: per field of `FIELDS` a memory-mapped array (epochs, n), rows of `train`.

    `loss` is -log of the label's probability, which half precision holds better than a probability
    near one; `best_other` the largest probability of another class; `error_norm` is
    ||softmax - onehot||_2; `margin` the label's logit less the largest other; `shift` is
    sum_c |p_t log(p_t / p_{t-1})|, zero in the first epoch; `correct` whether the label was predicted.
    """

    card: TraceCard
    arrays: dict[str, NDArray[Any]]

    def read(self, field: str, images: slice) -> Floats:
        """Some images' values (epochs, b) of a field, or of `label_probability`."""
        if field == "label_probability":
            return np.exp(-self.read("loss", images))
        return self.arrays[field][:, images].astype(np.float64)


@dataclass(frozen=True)
class Recording:
    """Independent recorded runs that differ in their seed alone."""

    traces: tuple[Trace, ...]

    @property
    def seconds(self) -> float:
        """Wall time of all runs when they were made, whether or not they came from the cache now."""
        return sum(trace.card.seconds for trace in self.traces)

    @property
    def note(self) -> str:
        """Where scores come from, for the card of a set."""
        card = self.traces[0].card
        student = digest.recipe_from(card.recipe).student
        return f"{len(self.traces)} runs of {student}, {card.epochs} epochs, {card.passes}"

    def score(self, formula: Callable[..., Floats], *fields: str) -> Floats:
        """Mean over the runs of a formula that maps fields (epochs, b) to scores (b,); (n,) float64."""
        n = self.traces[0].card.images
        total = np.zeros(n)
        for trace in self.traces:
            for start in range(0, n, BLOCK):
                images = slice(start, start + BLOCK)
                total[images] += formula(*(trace.read(field, images) for field in fields))
        return total / len(self.traces)


class Table:
    """A `.npy` file (rows, columns) filled piece by piece; nothing of it stays in memory.

    Plain writes, because a full disk is an error then, where a memory map would kill the process.
    """

    def __init__(self, path: Path, kind: type[np.generic], shape: tuple[int, int]) -> None:
        self.kind, self.columns = np.dtype(kind), shape[1]
        self.offset: int = open_memmap(path, "w+", kind, shape).offset
        self.file = path.open("r+b")

    def write(self, row: int, column: int, values: NDArray[Any]) -> None:
        """Put values, in C order, where a row and column start."""
        self._seek(row, column)
        self.file.write(values.astype(self.kind, copy=False).tobytes())

    def read(self, row: int, column: int, count: int) -> NDArray[Any]:
        """The `count` values from a row and column on, in C order."""
        self._seek(row, column)
        return np.frombuffer(self.file.read(count * self.kind.itemsize), self.kind)

    def _seek(self, row: int, column: int) -> None:
        self.file.seek(self.offset + (row * self.columns + column) * self.kind.itemsize)


class Recorder:
    """Takes the logits of every epoch batch by batch and streams what they say of each image."""

    def __init__(self, folder: Path, images: int, epochs: int, classes: int) -> None:
        self.last = folder / "last.npy"
        self.before = Table(self.last, np.float16, (images, classes))
        self.tables = {
            name: Table(folder / f"{name}.npy", kind, (epochs, images))
            for name, kind in FIELDS.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for table in (self.before, *self.tables.values()):
            table.file.close()
        self.last.unlink()

    def feed(self, epoch: int, first: int, logits: Tensor, labels: Tensor) -> None:
        """Write what the images from row `first` of `train` on got; logits (b, k), labels (b,)."""
        for name, values in measures(logits, labels).items():
            self.tables[name].write(epoch, first, _half(values))
        floored = (logits.softmax(-1) + FLOOR).log()
        if epoch:
            old = self.before.read(first, 0, floored.numel()).reshape(floored.shape)
            moved = shift(floored, torch.from_numpy(old.astype(np.float32)).to(floored.device))
            self.tables["shift"].write(epoch, first, _half(moved))
        self.before.write(first, 0, _half(floored))


def measures(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Fields of `Trace` that one epoch decides, (b,) each, from logits (b, k) and labels (b,)."""
    own = labels[:, None]
    log_p = logits.log_softmax(-1)
    others = log_p.exp().scatter(1, own, 0.0)
    # 1 - p of the label as the sum of the others, which keeps its digits where p rounds to one.
    errors = others.scatter(1, own, -others.sum(1, keepdim=True))
    return {
        "loss": -log_p.gather(1, own)[:, 0],
        "best_other": others.amax(1),
        "error_norm": errors.norm(dim=1),
        "margin": logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).amax(1),
        "correct": logits.argmax(-1) == labels,
    }


def shift(log_p: Tensor, log_before: Tensor) -> Tensor:
    """sum_c |p log(p / before)|, (b,), from log-probabilities (b, k): how far a prediction moved."""
    return (log_p.exp() * (log_p - log_before)).abs().sum(1)


def bytes_needed(n: int, epochs: int) -> int:
    """Bytes on disk of one recorded run: eleven per image and epoch; ImageNet-1K, 60 epochs: 0.85 GB.

    While it is made, one more file holds the last epoch's log-probabilities, 2 n k bytes. In memory
    is one batch of logits, on top of what training itself takes.
    """
    per_image = sum(np.dtype(kind).itemsize for kind in FIELDS.values())
    return n * epochs * per_image + _HEADER_BYTES * len(FIELDS)


def recipe(source: Source, epochs: int) -> Recipe:
    """How a recorded student is trained: the field's student for the size, no augmentation.

    SGD with momentum 0.9, batches of 128, rate 0.02 rising over a fifth of the steps and falling to
    zero. EL2N (Paul et al., 2021) and CCS (Zheng et al., 2023) train ResNets at 0.1 with crops and
    flips; scores of networks this small differ from theirs, and are far cheaper.
    """
    return Recipe(
        student=students.default_for(source.shape),
        optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
        lr=0.02,
        schedule=Spec("triangle", (("warmup", 0.2),)),
        epochs=epochs,
        batch=128,
    )


def record(source: Source, *, runs: int = 1, epochs: int = 10) -> Recording:
    """The recorded runs of seeds 0 to `runs` - 1, each from the cache or trained now.

    Every run is kept for itself, as soon as it is complete: after a kill the complete ones are there,
    and the one that was cut off starts from scratch. More runs, or another number of epochs, never
    repeat a run that is known.

    Raises:
        HydrometerError: `runs` or `epochs` is below one, the source has a single class, or a run
            diverged.
    """
    for name, value in (("runs", runs), ("epochs", epochs)):
        if value < 1:
            raise HydrometerError(f"{name} is {value}; a recording needs at least 1")
    if len(source.classes) < 2:
        raise HydrometerError(f"{source.name} has a single class; there is nothing to learn")
    how = recipe(source, epochs)
    return Recording(tuple(_obtain(source, how, seed) for seed in range(runs)))


def windows(values: Floats, size: int) -> Floats:
    """All stretches of `size` epochs, or of all where there are fewer: (e, n) to (w, n, size)."""
    return np.lib.stride_tricks.sliding_window_view(values, min(size, len(values)), axis=0)


def folder() -> Path:
    """Where runs are recorded: `recordings` under $HYDROMETER_CACHE or ~/.cache/hydrometer."""
    home = os.environ.get("HYDROMETER_CACHE") or "~/.cache/hydrometer"
    return Path(home).expanduser() / "recordings"


def _obtain(source: Source, how: Recipe, seed: int) -> Trace:
    path = folder() / digest.of([LAYOUT, source.digest, digest.of(how), seed])
    known = _recall(path)
    if known is not None:
        return known
    # Of several processes one records and the others wait; the lock of a dead one is void.
    with FileLock(folder().with_name("locks") / f"{path.name}.lock"):
        return _recall(path) or _make(source, how, seed, path)


def _recall(path: Path) -> Trace | None:
    """A complete run, or nothing where it is missing or damaged."""
    try:
        card = TraceCard.model_validate_json((path / "card.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in FIELDS}
    except (OSError, ValueError):
        return None
    whole_shape = (card.epochs, card.images)
    return Trace(card, arrays) if all(a.shape == whole_shape for a in arrays.values()) else None


def _make(source: Source, how: Recipe, seed: int, path: Path) -> Trace:
    """Record into a draft folder that takes its place only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part"))
    try:
        card = _run(source, how, seed, draft)
        (draft / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
        if _recall(path) is None:
            shutil.rmtree(path, ignore_errors=True)
            draft.rename(path)
    except OSError as error:
        raise HydrometerError(
            f"the training run of {source.name} cannot be recorded in {path.parent} ({error}); "
            f"it needs {bytes_needed(len(source.train), how.epochs)} bytes"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    made = _recall(path)
    if made is None:
        raise HydrometerError(f"the recorded run {path} cannot be read back; check the disk")
    return made


def _run(source: Source, how: Recipe, seed: int, draft: Path) -> TraceCard:
    start = time.perf_counter()
    data = whole(source)
    lens = Lab(source, default_device()).lens(how.whiten)
    job = Job(Trial(data.digest, source.digest, how, seed), data)
    cohort = Cohort([job], source, lens, ())
    images, size = cohort.images[0], max(16, 2**18 // (source.shape[1] * source.shape[2]))
    with Recorder(draft, len(data), how.epochs, len(source.classes)) as recorder:

        def watch(epoch: int, program: Program) -> None:
            for rows, batch in images.batches(size):
                recorder.feed(epoch, rows.start, program.logits(batch)[0], cohort.labels[0, rows])

        _, losses = train(cohort, on_epoch=watch)
    if not torch.isfinite(losses).all():
        raise HydrometerError(f"the recorded run of {source.name} (seed {seed}) diverged")
    return TraceCard(
        source=source.name,
        source_digest=source.digest,
        recipe=digest.canonical(how),
        seed=seed,
        images=len(data),
        epochs=how.epochs,
        seconds=time.perf_counter() - start,
    )


def _sweep(path: Path) -> None:
    """Remove drafts that a kill left behind; a day without a write is long after any epoch's end."""
    for draft in path.parent.glob("*.part"):
        newest = max((f.stat().st_mtime for f in draft.glob("*")), default=draft.stat().st_mtime)
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _half(values: Tensor) -> NDArray[Any]:
    if values.dtype == torch.bool:
        return values.cpu().numpy()
    return values.float().clamp(-_LARGEST, _LARGEST).half().cpu().numpy()
