"""Small things many tests need: a source of separable images, recipes and jobs."""

import torch

from hydrometer.artifact.rows import from_rows, whole
from hydrometer.engine.data import Images, Lens
from hydrometer.engine.loop import Job
from hydrometer.execute import Silent
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


class Watching(Silent):
    """An observer that keeps what it is told."""

    def __init__(self):
        self.runs, self.said, self.steps, self.total = [], [], 0, 0

    def begin(self, steps, students):
        self.total += steps

    def stepped(self, steps):
        self.steps += steps

    def finished(self, run):
        self.runs.append(run)

    def say(self, text):
        self.said.append(text)


__all__ = ["CPU", "Watching", "job", "lens_and_exams", "recipe", "source", "whole"]
