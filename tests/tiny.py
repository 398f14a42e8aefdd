"""Small things many tests need: a source of separable images, recipes and jobs."""

import torch

from hydrometer import digest
from hydrometer.artifact.rows import from_rows, whole
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Job
from hydrometer.types import Recipe, Source, Spec, Split, Trial

CPU = torch.device("cpu")


def source(classes=3, per_class=20, size=8, channels=1, seed=0) -> Source:
    """Each class is a bright bar in its own place, under noise."""
    generator = torch.Generator().manual_seed(seed)

    def split(count, first):
        labels = torch.arange(classes).repeat_interleave(count)
        images = torch.randint(0, 90, (len(labels), channels, size, size), generator=generator)
        for row, label in enumerate(labels.tolist()):
            images[row, :, label * size // classes : label * size // classes + 2] += 120
        return Split(images.to(torch.uint8), labels, torch.arange(first, first + len(labels)))

    train, val, test = split(per_class, 0), split(6, 10_000), split(10, 0)
    parts = [x for s in (train, val, test) for x in (s.images, s.labels)]
    return Source(
        "tiny",
        train,
        val,
        test,
        tuple(f"bar {c}" for c in range(classes)),
        (0.3,) * channels,
        (0.2,) * channels,
        digest.of_tensors(*parts),
        "made up",
    )


def recipe(**changes) -> Recipe:
    settings = {
        "student": Spec("convnet", (("depth", 2), ("norm", "instance"), ("width", 8))),
        "optimiser": Spec("sgd"),
        "lr": 0.05,
        "schedule": Spec("step"),
        "epochs": 6,
        "batch": 8,
    }
    return Recipe(**(settings | changes))


def job(src, how=None, seed=0, rows=range(0, 60, 4), **changes) -> Job:
    data = from_rows(src, torch.tensor(list(rows)), method="some", budget="some")
    return Job(Trial(data.digest, src.digest, how or recipe(**changes), seed), data)


def lens_and_exams(src, whiten=None):
    lens = Lens(src, whiten, CPU)
    return lens, (Images(src.val.images, lens), Images(src.test.images, lens))


__all__ = ["CPU", "job", "lens_and_exams", "recipe", "source", "whole"]
