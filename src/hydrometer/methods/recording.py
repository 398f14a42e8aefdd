"""Training dynamics: one recorded run that every score of the field reads.

A student is trained on the whole train part, and after every epoch sees it once more in a clean
evaluation pass: no augmentation, weights held still. Or, with `passes=augmented`, it is trained on
augmented images and overheard as it learns. What each image got is streamed to memory-mapped
half-precision arrays under `recordings` in the cache, and kept for every later score.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hydrometer import digest, students
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.engine.loop import Cohort, Job, cuts, train
from hydrometer.engine.program import Program, Solo
from hydrometer.execute.lab import Lab
from hydrometer.methods.passes import PASSES, Overheard, augmentation, known, look
from hydrometer.methods.stream import FIELDS, LAST, Recorder, bytes_needed
from hydrometer.sources.cache import directory
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Stored, Trial

Floats = NDArray[np.float64]

LAYOUT = "recording@1"
"""Changes when the same run would be recorded otherwise, so that older records are not read."""
BLOCK = 2**14
"""Images whose records are in memory at once when a score reads them."""
STALE_SECONDS = 7 * 86_400.0
_STATE = "state.safetensors"
"""Of a run in the making: the student after its last complete epoch."""


class TraceCard(Stored):
    """What is known of one recorded run."""

    layout: str = LAYOUT
    source: str
    source_digest: str
    recipe: str
    seed: int
    images: int
    epochs: int
    passes: Literal["clean evaluation passes", "train-mode augmented passes"] = (
        "clean evaluation passes"
    )
    seconds: float
    """Wall time of training and of all evaluation passes, where there are any."""


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
        runs = "1 run" if len(self.traces) == 1 else f"{len(self.traces)} runs"
        return f"{runs} of {student}, {card.epochs} epochs, {card.passes}"

    def score(self, formula: Callable[..., Floats], *fields: str) -> Floats:
        """Mean over the runs of a formula that maps fields (epochs, b) to scores (b,); (n,) float64."""
        n = self.traces[0].card.images
        total = np.zeros(n)
        for trace in self.traces:
            for start in range(0, n, BLOCK):
                images = slice(start, start + BLOCK)
                total[images] += formula(*(trace.read(field, images) for field in fields))
        return total / len(self.traces)


def recipe(source: Source, epochs: int, passes: str = "clean", student: str = "") -> Recipe:
    """How a recorded student is trained: the field's one for the size unless named, augmented if asked.

    SGD with momentum 0.9, batches of 128, rate 0.02 rising over a fifth of the steps and falling to
    zero. EL2N (Paul et al., 2021) and CCS (Zheng et al., 2023) train ResNets at 0.1 with crops and
    flips; scores of networks this small differ from theirs, and are far cheaper.
    """
    return Recipe(
        student=students.asked(student, source.shape),
        optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
        lr=0.02,
        schedule=Spec("triangle", (("warmup", 0.2),)),
        epochs=epochs,
        batch=128 if passes == "clean" else _batch(len(source.train)),
        augment=augmentation(source, passes),
    )


def _batch(images: int) -> int:
    """128, or a little less where that would leave a last image over, which training leaves out."""
    return next((size for size in range(128, 120, -1) if images % size != 1), 128)


def record(
    source: Source, *, runs: int = 1, epochs: int = 10, passes: str = "clean", student: str = ""
) -> Recording:
    """The recorded runs of seeds 0 to `runs` - 1, each from the cache or trained now.

    `passes` is `clean` or `augmented`; the latter cost nothing beyond training, and are noisier.
    `student` names another network than the field's for the size, such as a narrower one.

    Every run is kept for itself, as soon as it is complete; one that was killed goes on after its
    last complete epoch, and gives the same record. Of two processes that ask for a run, one makes it
    and the other waits. More runs, or another number of epochs, never repeat a run that is known.

    Raises:
        HydrometerError: `runs` or `epochs` is below one, there are no such `passes` or student,
            the source has a single class, or a run diverged.
    """
    for name, value in (("runs", runs), ("epochs", epochs)):
        if value < 1:
            raise HydrometerError(f"{name} is {value}; a recording needs at least 1")
    if len(source.classes) < 2:
        raise HydrometerError(f"{source.name} has a single class; there is nothing to learn")
    how = recipe(source, epochs, known(passes), student)
    return Recording(tuple(_obtain(source, how, seed, passes) for seed in range(runs)))


def windows(values: Floats, size: int) -> Floats:
    """All stretches of `size` epochs, or of all where there are fewer: (e, n) to (w, n, size)."""
    return np.lib.stride_tricks.sliding_window_view(values, min(size, len(values)), axis=0)


def folder() -> Path:
    """Where runs are recorded: `recordings` in the cache."""
    return directory() / "recordings"


def _obtain(source: Source, how: Recipe, seed: int, passes: str) -> Trace:
    # Clean passes are not named, so that runs recorded before there were others keep their place.
    told = [] if passes == "clean" else [passes]
    path = folder() / digest.of([LAYOUT, source.digest, digest.of(how), seed, *told])
    return _recall(path) or _make(source, how, seed, passes, path)


def _recall(path: Path) -> Trace | None:
    """A complete run, or nothing where it is missing or damaged."""
    try:
        card = TraceCard.model_validate_json((path / "card.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="r") for name in FIELDS}
    except (OSError, ValueError):
        return None
    whole_shape = (card.epochs, card.images)
    return Trace(card, arrays) if all(a.shape == whole_shape for a in arrays.values()) else None


def _make(source: Source, how: Recipe, seed: int, passes: str, path: Path) -> Trace:
    """Record into a draft folder, or go on with one, that takes its place when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    draft = path.with_name(f"{path.name}.part")
    try:
        # Of several processes one records and the others wait; the lock of a dead one is void.
        with FileLock(folder().with_name("locks") / f"{path.name}.lock"):
            if _recall(path) is None:
                shutil.rmtree(path, ignore_errors=True)
                draft.mkdir(exist_ok=True)
                card = _run(source, how, seed, passes, draft)
                for name in (*LAST, _STATE):
                    (draft / name).unlink(missing_ok=True)
                (draft / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
                draft.rename(path)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise HydrometerError(
            f"the training run of {source.name} cannot be recorded in {path.parent} ({error}); "
            f"it needs {bytes_needed(len(source.train), how.epochs)} bytes"
        ) from error
    except HydrometerError:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    made = _recall(path)
    if made is None:
        raise HydrometerError(f"the recorded run {path} cannot be read back; check the disk")
    return made


@dataclass(frozen=True)
class _Begun:
    """How far a killed run had come: epochs recorded, seconds spent, and the student after them."""

    epochs: int = 0
    seconds: float = 0.0
    state: dict[str, Tensor] | None = None


def _begun(draft: Path) -> _Begun:
    """Where to go on; at the start if there is nothing, or nothing whole."""
    try:
        with safe_open(draft / _STATE, framework="pt") as file:
            told = file.metadata()
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _Begun(int(told["epochs"]), float(told["seconds"]), state)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return _Begun()


def _opened(draft: Path, images: int, epochs: int, classes: int) -> tuple[_Begun, Recorder]:
    """The record to go on with; a new one where its files are not whole."""
    begun = _begun(draft)
    if begun.state is not None:
        try:
            return begun, Recorder(draft, images, epochs, classes, begun=True)
        except (OSError, ValueError):
            begun = _Begun()
    return begun, Recorder(draft, images, epochs, classes)


def _save(draft: Path, epochs: int, seconds: float, program: Solo) -> None:
    """Keep the student where `_begun` finds it, whole or not at all."""
    state = {name: tensor.cpu() for name, tensor in program.state().items()}
    told = {"epochs": str(epochs), "seconds": repr(seconds)}
    save_file(state, draft / f"{_STATE}.part", metadata=told)
    (draft / f"{_STATE}.part").replace(draft / _STATE)


def _run(source: Source, how: Recipe, seed: int, passes: str, draft: Path) -> TraceCard:
    start, data = time.perf_counter(), whole(source)
    begun, recorder = _opened(draft, len(data), how.epochs, len(source.classes))
    lens = Lab(source, default_device()).lens(how.whiten)
    job = Job(Trial(data.digest, source.digest, how, seed), data)
    cohort = Cohort([job], source, lens, ())
    student = _student(cohort, begun)
    taught: Program = student
    if passes == "augmented":
        taught = Overheard(student, cohort, recorder, begun.epochs)

    def spent() -> float:
        return begun.seconds + time.perf_counter() - start

    def watch(epoch: int, program: Program) -> None:
        if passes == "clean":
            look(epoch, program, cohort, recorder)
        recorder.flush()
        _save(draft, epoch + 1, spent(), student)

    with recorder:
        _, losses = train(cohort, on_epoch=watch, program=taught, first=begun.epochs)
    if not torch.isfinite(losses).all():
        raise HydrometerError(f"the recorded run of {source.name} (seed {seed}) diverged")
    return TraceCard(
        source=source.name,
        source_digest=source.digest,
        recipe=digest.canonical(how),
        seed=seed,
        images=len(data),
        epochs=how.epochs,
        passes=PASSES[passes],
        seconds=spent(),
    )


def _student(cohort: Cohort, begun: _Begun) -> Solo:
    """The recorded student, fresh or as it was when the run was killed."""
    student = cohort.program()
    if not isinstance(student, Solo):
        raise TypeError("a recorded run has one student")
    if begun.state is not None:
        steps = len(cuts(cohort.size, cohort.recipe.batch))
        student.resume(begun.state, begun.epochs * steps)
    return student


def _sweep(path: Path) -> None:
    """Remove drafts of other runs that nobody went on with for a week."""
    for draft in path.parent.glob("*.part"):
        if draft.name == f"{path.name}.part":
            continue
        newest = max((f.stat().st_mtime for f in draft.glob("*")), default=draft.stat().st_mtime)
        if time.time() - newest > STALE_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)
