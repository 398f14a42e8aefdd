"""Teachers: networks trained here from a recipe, cached by digest, and checked before they teach."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hydrometer import digest, seeds, students
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Alone, Cohort, Job, hits, train
from hydrometer.engine.program import Solo
from hydrometer.sources.cache import directory, drafted
from hydrometer.types import CompressedSet, HydrometerError, Labels, Recipe, Source, Stored, Trial


class TeacherCard(Stored):
    """What is known of a cached teacher."""

    digest: str
    recipe: str
    source: str
    source_digest: str
    classes: tuple[str, ...]
    seed: int
    val_accuracy: float
    bytes: int
    seconds: float
    """Wall time of its training."""

    @property
    def note(self) -> str:
        """Digest, accuracy and recipe, as they stand on the card of a set made with it."""
        return f"teacher {self.digest}: {self.val_accuracy:.1%} on val; recipe {self.recipe}"


@dataclass(frozen=True)
class Teacher:
    """A trained network in evaluation mode, with its card and its own view of images."""

    card: TeacherCard
    model: nn.Module
    lens: Lens

    def seen_through(self, student: Lens, labels: Labels = "teacher") -> Callable[[Tensor], Tensor]:
        """The teacher as a function of images in a student's whitening.

        For labels "teacher-batch" its batch norms forget, so that they use the batch's statistics.
        """
        model = forgetful(self.model) if labels == "teacher-batch" else self.model
        if student is self.lens:
            return model
        return lambda images: model(self.lens.whitening.whiten(student.whitening.unwhiten(images)))


def forgetful(model: nn.Module) -> nn.Module:
    """A copy whose batch norms remember nothing: they normalise by the batch, in any mode."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = None
    return copied


def folder() -> Path:
    """Where teachers are kept: `teachers` in the cache."""
    return directory() / "teachers"


def known(name: str) -> bool:
    """Whether a teacher of this digest is in the cache."""
    return (folder() / f"{name}.safetensors").is_file()


def obtain(
    trial: Trial,
    data: CompressedSet,
    source: Source,
    lens: Lens,
    on_step: Callable[[int], None] = lambda steps: None,
    alone: Alone = Solo,
) -> Teacher:
    """The teacher of a trial, from the cache or trained now; refused when it is near chance on `val`."""
    name = digest.of_trial(trial)
    path = folder() / f"{name}.safetensors"
    if not path.is_file():
        # Of several processes one trains it and the others wait; the lock of a dead one is void.
        with FileLock(folder().with_name("locks") / f"{name}.lock"):
            if not path.is_file():
                _train(trial, data, source, lens, path, on_step, alone)
    return recall(name, source, lens)


def recall(name: str, source: Source, lens: Lens) -> Teacher:
    """A cached teacher by digest, checked against this source's class order."""
    path = folder() / f"{name}.safetensors"
    try:
        with safe_open(str(path), framework="pt") as file:
            card = TeacherCard.model_validate_json(file.metadata()["card"])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise HydrometerError(f"no teacher {name} under {folder()}; train it again") from None
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise HydrometerError(f"teacher file {path} is damaged ({error}); delete it") from None
    check(card, source)
    recipe = digest.recipe_from(card.recipe)
    model = students.create(
        recipe.student, source.shape, len(card.classes), seeds.key(card.seed, "initialise")
    )
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise HydrometerError(
            f"teacher {name} was trained on {card.source}, whose images are of another shape than "
            f"those of {source.name}; train one on it"
        ) from None
    return Teacher(card, model.to(lens.device).eval().requires_grad_(False), lens)


def check(card: TeacherCard, source: Source) -> None:
    """Refuse a teacher with other classes, or whose accuracy on `val` is near chance."""
    if card.classes != source.classes:
        raise HydrometerError(
            f"teacher {card.digest} knows other classes than {source.name}; train one on it"
        )
    chance = 1 / len(source.classes)
    if card.val_accuracy < min(2 * chance, chance + 0.1 * (1 - chance)):
        raise HydrometerError(
            f"teacher {card.digest} is near chance on val ({card.val_accuracy:.1%}); "
            "train it longer or look at its rate"
        )


def _train(
    trial: Trial,
    data: CompressedSet,
    source: Source,
    lens: Lens,
    path: Path,
    on_step: Callable[[int], None],
    alone: Alone,
) -> None:
    start = time.perf_counter()
    program, losses = train(Cohort([Job(trial, data)], source, lens, (), alone=alone), on_step)
    if not isinstance(program, Solo) or not torch.isfinite(losses).all():
        raise HydrometerError(f"the teacher {trial.recipe.student} diverged; lower its rate")
    found = hits(program, Images(source.val.images, lens), source.val.labels, len(source.classes))
    weights = {k: v.detach().cpu().contiguous() for k, v in program.model.state_dict().items()}
    card = TeacherCard(
        digest=digest.of_trial(trial),
        recipe=digest.canonical(trial.recipe),
        source=source.name,
        source_digest=source.digest,
        classes=source.classes,
        seed=trial.seed,
        val_accuracy=int(found.sum()) / max(1, len(source.val)),
        bytes=sum(v.numel() * v.element_size() for v in weights.values()),
        seconds=time.perf_counter() - start,
    )
    _keep(path, save(weights, metadata={"card": card.model_dump_json()}))


def _keep(path: Path, content: bytes) -> None:
    try:
        with drafted(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise HydrometerError(
            f"the teacher cannot be kept in {path.parent} ({error}); free some space, or set "
            "HYDROMETER_CACHE to another folder"
        ) from error


def packed(name: str) -> bytes:
    """A cached teacher as it travels to another machine."""
    try:
        return (folder() / f"{name}.safetensors").read_bytes()
    except FileNotFoundError:
        raise HydrometerError(f"no teacher {name} under {folder()}; train it again") from None


def unpack(name: str, content: bytes) -> None:
    """Put a teacher that has travelled into the cache of this machine."""
    _keep(folder() / f"{name}.safetensors", content)


def recipe_of(name: str) -> Recipe:
    """The recipe a cached teacher was trained with."""
    path = folder() / f"{name}.safetensors"
    try:
        with safe_open(str(path), framework="pt") as file:
            return digest.recipe_from(
                TeacherCard.model_validate_json(file.metadata()["card"]).recipe
            )
    except FileNotFoundError:
        raise HydrometerError(f"no teacher {name} under {folder()}; train it again") from None
