"""What every method on features, predictions and gradients promises, with a small real observer."""

import dataclasses

import numpy as np
import pytest
import torch
from numpy.random import default_rng

import tiny
from hydrometer import digest, registry
from hydrometer.methods import features
from hydrometer.methods.features import Observed
from hydrometer.methods.select import deepfool, glister, observer
from hydrometer.types import Budget, HydrometerError, Spec, Split

WEIGHTED = ["craig", "gradmatch"]
GREEDY = [
    *("herding", "k-center", "contextual-diversity", "d2", "glister"),
    *("facility-location", "graph-cut", "log-det", *WEIGHTED),
]
SCORED = ["grand", "least-confidence", "entropy", "margin", "cal", "deepfool", "moderate"]
SOURCE = tiny.source(classes=2, per_class=12)
every = pytest.mark.parametrize("name", GREEDY + SCORED)


@pytest.fixture(autouse=True)
def _small_observer(monkeypatch):
    for module in (features, observer):
        monkeypatch.setattr(module, "observer_recipe", lambda source: tiny.recipe())


def made(name, budget, source=SOURCE, **args):
    spec = Spec(name, tuple(sorted(args.items())))
    return registry.build("method", spec, source, budget, rng=default_rng(0))


def observing(monkeypatch, points, logits):
    """Let every network see the same."""
    monkeypatch.setattr(observer, "observe", lambda *_: Observed(points, logits, 1.0))
    monkeypatch.setattr(observer, "embed", lambda source, features: (points, 1.0))
    for module in (glister, deepfool):
        monkeypatch.setattr(module, "network", lambda source, seed=0: None)
    held_out = points.nan_to_num(1.0)[:12], logits[:12]
    monkeypatch.setattr(glister, "look", lambda teacher, images: held_out)
    monkeypatch.setattr(deepfool, "head", lambda teacher, images: torch.eye(2, 3))


def rows_of_class(compressed, label):
    return compressed.index[compressed.labels == label].tolist()


@every
@pytest.mark.parametrize(
    "budget", [Budget(per_class=0), Budget(per_class=1), Budget(per_class=12), Budget(fraction=0.3)]
)
def test_budgets_are_met_exactly_and_no_image_is_kept_twice(name, budget):
    found = made(name, budget)
    size = budget.per_class * 2 if budget.per_class is not None else round(24 * budget.fraction)
    assert len(found) == size
    assert len(set(found.index.tolist())) == size
    assert (found.images == SOURCE.train.images[found.index]).all()
    assert (found.labels == SOURCE.train.labels[found.index]).all()


@every
def test_sets_are_repeatable_and_leave_the_world_alone(name):
    before = digest.of_tensors(SOURCE.train.images, SOURCE.train.labels)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = made(name, Budget(per_class=3)), made(name, Budget(per_class=3))
    assert first.digest == second.digest
    assert digest.of_tensors(SOURCE.train.images, SOURCE.train.labels) == before
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert (torch.get_rng_state() == torch_state).all()


@every
def test_the_card_can_make_the_set_again(name):
    found = made(name, Budget(per_class=2))
    spec = registry.parse(found.card.method)
    again = registry.build("method", spec, SOURCE, Budget(per_class=2), rng=default_rng(0))
    assert again.digest == found.digest
    assert found.card.seconds > 0


@pytest.mark.parametrize("name", GREEDY)
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(name):
    few, many = made(name, Budget(per_class=3)), made(name, Budget(per_class=7))
    for label in (0, 1):
        assert rows_of_class(few, label) == rows_of_class(many, label)[:3]


@every
def test_features_that_are_not_finite_are_refused(name, monkeypatch):
    points = torch.ones(24, 3)
    points[5, 1] = torch.nan
    observing(monkeypatch, points, torch.ones(24, 2))
    with pytest.raises(HydrometerError, match="features hold 1 values that are NaN"):
        made(name, Budget(per_class=1))


@every
def test_features_that_do_not_vary_still_fill_the_budget(name, monkeypatch):
    observing(monkeypatch, torch.ones(24, 3), torch.ones(24, 2))
    found = made(name, Budget(per_class=5), **({"policy": "easy"} if name in SCORED else {}))
    assert len(set(found.index.tolist())) == 10


@every
def test_duplicates_and_features_of_zero_do_no_harm(name, monkeypatch):
    points = torch.arange(24.0).div(4, rounding_mode="floor").unsqueeze(1) * torch.ones(3)
    observing(monkeypatch, points, torch.stack([points[:, 0], -points[:, 1]], 1))
    assert len(set(made(name, Budget(per_class=12)).index.tolist())) == 24


@every
def test_a_class_of_one_gives_its_one_image(name, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    shapes = ((13, 3), (13, 2))
    observing(monkeypatch, *(torch.randn(shape, generator=generator) for shape in shapes))
    train = SOURCE.train
    rows = torch.arange(13)
    split = Split(train.images[rows], train.labels[rows], train.index[rows])
    lone = dataclasses.replace(SOURCE, train=split)
    assert rows_of_class(made(name, Budget(per_class=1), lone), 1) == [12]
    with pytest.raises(HydrometerError, match="train holds 1"):
        made(name, Budget(per_class=2), lone)


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_are_kept_and_paid_for(name):
    found = made(name, Budget(per_class=4))
    assert found.weights.shape == (8,)
    assert (found.weights > 0).all()
    each = 64 + 1 + 4
    for size in (0, each - 1, 5 * each + 3):
        bought = made(name, Budget(bytes=size))
        assert len(bought) == size // each
        assert bought.card.bytes.total <= size
    with pytest.raises(HydrometerError, match="budget bytes=100000 asks for"):
        made(name, Budget(bytes=100_000))


def test_craig_speaks_for_every_image():
    assert made("craig", Budget(per_class=4)).weights.view(2, 4).sum(1).tolist() == [12, 12]


@pytest.mark.parametrize("name", SCORED)
def test_scores_are_averaged_over_networks(name, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    looks = [
        Observed(*(torch.randn(24, width, generator=generator) for width in (3, 2)), 1.0)
        for _ in range(2)
    ]
    observing(monkeypatch, looks[0].features, looks[0].logits)

    def scores(*seen, runs):
        monkeypatch.setattr(observer, "observe", lambda _, seed, epochs: seen[seed])
        found = made(name, Budget(fraction=1.0), runs=runs)
        return found.scores[found.index.argsort()]

    alone = [scores(look, runs=1) for look in looks]
    torch.testing.assert_close(scores(*looks, runs=2), sum(alone) / 2)
    assert not torch.equal(*alone)
    with pytest.raises(HydrometerError, match="runs=0"):
        made(name, Budget(per_class=2), runs=0)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("k-center", {"features": "sound"}),
        ("d2", {"prefer": "blue"}),
        ("d2", {"neighbours": 0}),
        ("glister", {"rate": 0.0}),
        ("gradmatch", {"penalty": 0.0}),
        ("gradmatch", {"epochs": 0}),
        ("graph-cut", {"representation": -1.0}),
        ("log-det", {"ridge": 0.0}),
        ("cal", {"neighbours": 0}),
    ],
)
def test_arguments_out_of_range_are_refused(name, argument):
    with pytest.raises(HydrometerError):
        made(name, Budget(per_class=1), **argument)


@pytest.mark.parametrize(
    "name", ["herding", "k-center", "facility-location", "graph-cut", "log-det"]
)
def test_pixels_will_do_as_features(name):
    assert len(made(name, Budget(per_class=2), features="pixels")) == 4


def test_easy_and_hard_keep_opposite_ends(monkeypatch):
    logits = torch.stack([torch.linspace(-3, 3, 24), torch.zeros(24)], 1)
    observing(monkeypatch, torch.ones(24, 3), logits)
    for name, easy, hard in (("entropy", 0, 11), ("margin", 0, 11), ("grand", 11, 0)):
        assert rows_of_class(made(name, Budget(per_class=1)), 0) == [easy], name
        assert rows_of_class(made(name, Budget(per_class=1), policy="hard"), 0) == [hard], name
