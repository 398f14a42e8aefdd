"""Small things many tests need: a source of separable images, recipes and jobs."""

import torch

from hydrometer.artifact.rows import from_rows, whole
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Job
from hydrometer.testing.sources import bars as source
from hydrometer.types import Recipe, Spec, Trial

CPU = torch.device("cpu")


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
