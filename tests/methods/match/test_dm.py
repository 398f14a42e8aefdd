import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, registry, students
from hydrometer.methods.match.dm import mean_features
from hydrometer.methods.match.sampler import arrange
from hydrometer.testing.methods import MethodContract
from hydrometer.types import Budget, HydrometerError


class TestDm(MethodContract):
    @pytest.fixture
    def name(self):
        return "dm(iterations=2,batch=8,checks=0,student=mlp)"


def compress(spec, budget=None, source=None, seed=0):
    rng = np.random.default_rng(seed)
    return methods.compress(
        source or tiny.source(), registry.parse(spec), budget or Budget(per_class=2), rng=rng
    )


def test_mean_features_are_the_means_of_each_class_alone():
    model = students.create(students.spec("convnet(depth=1,width=4)"), (1, 8, 8), 3, 0)
    images = torch.randn(5, 1, 8, 8)
    groups = [torch.tensor([0, 1, 4]), torch.tensor([2, 3])]
    layout = arrange(groups)
    found = mean_features(model, images[layout.rows], layout)
    for row, group in zip(found, groups, strict=True):
        torch.testing.assert_close(row, students.features(model, images[group])[0].mean(0))


def test_the_distance_falls():
    losses = []
    rng = np.random.default_rng(0)
    registry.get("method", "dm")(
        tiny.source(), Budget(per_class=1), iterations=60, checks=0, start="noise",
        watch=lambda glance: losses.append(glance.loss), rng=rng,
    )  # fmt: skip
    assert len(losses) == 60
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_images_are_float_pixels_that_moved():
    still = compress("dm(iterations=1,lr=0.0,checks=0)")
    moved = compress("dm(iterations=1,lr=1.0,checks=0)")
    assert still.images.dtype == torch.float32
    assert (still.images * 255 - (still.images * 255).round()).abs().max() < 1e-3
    assert not torch.equal(still.images, moved.images)


def test_the_iterate_that_is_best_on_val_is_returned():
    glances = []
    rng = np.random.default_rng(0)
    made = registry.get("method", "dm")(
        tiny.source(), Budget(per_class=1), iterations=3, checks=3, watch=glances.append, rng=rng
    )
    best = max(glances, key=lambda g: (g.val, g.iteration))
    assert torch.equal(made.images, best.state.images)
    assert [n for n in made.card.notes if n.startswith("val accuracy by iteration: 1:")]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("dm(start=zeros)", "start='zeros'"),
        ("dm(student=convnet-2-bn,iterations=1)", "keeps running statistics"),
        ("dm(iterations=-1)", "iterations is -1"),
        ("dm(lr=1e30,iterations=9,checks=0)", "diverged"),
    ],
)
def test_mistakes_are_named(spec, said):
    with pytest.raises(HydrometerError, match=said):
        compress(spec)
