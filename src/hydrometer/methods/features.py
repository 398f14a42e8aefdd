"""Features in which selection methods measure distance: pixels, or a network trained on the source."""

from __future__ import annotations

import torch
from torch import Tensor

from hydrometer import students
from hydrometer.artifact.rows import whole
from hydrometer.engine.environment import default_device
from hydrometer.execute.lab import Lab
from hydrometer.types import HydrometerError, Recipe, Source, Spec, Trial


def observer_recipe(source: Source) -> Recipe:
    """How the network behind `network` features is trained: the field's student, four short epochs."""
    return Recipe(
        student=students.default_for(source.shape),
        optimiser=Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4))),
        lr=0.03,
        schedule=Spec("triangle", (("warmup", 0.2),)),
        epochs=4,
        batch=64,
    )


def embed(source: Source, features: str) -> tuple[Tensor, float]:
    """Features (n, d) float32 of `train`, and the seconds of training the network behind them.

    The network is cached; its training time is charged to every method that uses it all the same.
    """
    lab = Lab(source, default_device())
    if features == "pixels":
        lens = lab.lens(None)
        return torch.cat(
            [lens(x).flatten(1) for x in torch.split(source.train.images, 1024)]
        ).cpu(), 0.0
    if features != "network":
        raise HydrometerError(f"features {features!r} are unknown; known: network, pixels")
    data = whole(source)
    teacher = lab.teach(Trial(data.digest, source.digest, observer_recipe(source), 0), data)
    size = max(16, 2**18 // (source.shape[1] * source.shape[2]))
    found = [
        students.features(teacher.model, teacher.lens(part))[0].flatten(1).cpu()
        for part in torch.split(source.train.images, size)
    ]
    return torch.cat(found), teacher.card.seconds
