import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import methods, registry, students
from hydrometer.methods.match.gradients import class_gradients, row_cosine
from hydrometer.methods.match.networks import Network, flat
from hydrometer.methods.match.sampler import arrange
from hydrometer.testing.methods import MethodContract
from hydrometer.types import Budget, HydrometerError

QUICK = "iterations=2,outer=2,inner=1,batch=8,checks=0,student=mlp,width=8"


class TestDc(MethodContract):
    @pytest.fixture
    def name(self):
        return f"dc({QUICK})"


class TestDsa(MethodContract):
    @pytest.fixture
    def name(self):
        return f"dsa({QUICK})"


def setting():
    model = students.create(students.spec("convnet(depth=2,width=4)"), (1, 8, 8), 3, 0)
    images = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    groups = [torch.tensor([0, 1, 4]), torch.tensor([2]), torch.tensor([3, 5, 6])]
    return model, images, groups, arrange(groups)


def gradients(model, images, groups, **options):
    """Gradients of each class's mean loss, one class after another."""
    for label, group in enumerate(groups):
        wanted = torch.full((len(group),), label)
        loss = F.cross_entropy(model(images[group]), wanted)
        yield torch.autograd.grad(loss, list(model.parameters()), **options)


def test_class_gradients_are_those_of_each_class_alone():
    model, images, groups, layout = setting()
    found = class_gradients(
        Network(model), flat(model), images[layout.rows], torch.arange(3), layout.share
    )
    for label, one in enumerate(gradients(model, images, groups)):
        for got, wanted in zip(found.values(), one, strict=True):
            torch.testing.assert_close(got[label], wanted, rtol=1e-4, atol=1e-6)


def loops(real, made):
    total = 0.0
    for one, other in zip(real, made, strict=True):
        for a, b in zip(one, other, strict=True):
            if a.dim() > 1:
                for row in range(len(a)):
                    total += 1 - F.cosine_similarity(a[row].flatten(), b[row].flatten(), dim=0)
    return total


def test_distance_and_its_gradient_agree_with_a_loop_in_float64():
    model, images, groups, layout = setting()
    model, images = model.double(), images.double()
    other = images.flip(0).clone().requires_grad_()
    network, weights = Network(model), flat(model)

    def at(x):
        return class_gradients(
            network, weights, x[layout.rows], torch.arange(3), layout.share.double()
        )

    found = row_cosine(at(images), at(other))
    real = list(gradients(model, images, groups))
    wanted = loops(real, list(gradients(model, other, groups, create_graph=True)))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)
    (got,), (true,) = (torch.autograd.grad(loss, other) for loss in (found, wanted))
    assert F.cosine_similarity(got.flatten(), true.flatten(), dim=0) > 0.999


def test_equal_gradients_have_no_distance():
    model, images, _, layout = setting()
    found = class_gradients(
        Network(model.double()), flat(model), images.double()[layout.rows], torch.arange(3),
        layout.share.double(),
    )  # fmt: skip
    opposite = {name: -g for name, g in found.items()}
    rows = sum(3 * len(p) for p in model.parameters() if p.dim() > 1)
    assert row_cosine(found, found) < 0.2 * rows
    assert row_cosine(found, opposite) > 1.8 * rows


def learn(spec, count=1, **options):
    parsed = registry.parse(spec)
    rng = np.random.default_rng(0)
    return registry.build(
        "method", parsed, tiny.source(), Budget(per_class=count), rng=rng, **options
    )


def test_the_distance_falls():
    losses = []
    learn(
        "dc(iterations=15,outer=2,inner=1,checks=0,width=8)",
        watch=lambda glance: losses.append(glance.loss),
    )
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def test_dsa_is_dc_with_augmentation():
    one = learn("dsa(iterations=2,outer=1,checks=0,width=8)")
    other = learn("dc(iterations=2,outer=1,checks=0,width=8,augment=True,start=real)")
    plain = learn("dc(iterations=2,outer=1,checks=0,width=8,start=real)")
    assert one.digest == other.digest != plain.digest


@pytest.mark.parametrize("spec", ["dc(outer=0)", "dsa(inner=-1)"])
def test_loops_out_of_range_are_refused(spec):
    with pytest.raises(HydrometerError, match="1 or more"):
        methods.compress(
            tiny.source(), registry.parse(spec), Budget(per_class=1), rng=np.random.default_rng(0)
        )
