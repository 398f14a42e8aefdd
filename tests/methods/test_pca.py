import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, registry
from hydrometer.artifact.composites import rows_of, tile
from hydrometer.artifact.rows import from_rows
from hydrometer.methods.budget import bytes_per_image, per_class
from hydrometer.types import Budget, HydrometerError

SOURCE = tiny.source()


@pytest.fixture(autouse=True)
def brightness(monkeypatch):
    """A cheap scored method: dark images are easy."""

    def made(source, budget, *, policy="easy", rng):
        sums = source.train.images.flatten(1).sum(1)
        order = sums.argsort(stable=True, descending=policy == "hard")
        rows = [
            order[source.train.labels[order] == label][:count]
            for label, count in enumerate(per_class(source, budget))
        ]
        return from_rows(source, torch.cat(rows), method="brightness", budget="", seconds=5.0)

    monkeypatch.setitem(registry._found["method"], "brightness", made)


def make(spec, budget=None, source=SOURCE, seed=0):
    rng = np.random.default_rng(seed)
    return methods.compress(source, registry.parse(spec), budget or Budget(per_class=2), rng=rng)


def dark_first(label, source=SOURCE):
    rows = (source.train.labels == label).nonzero().flatten()
    return rows[source.train.images[rows].flatten(1).sum(1).argsort(stable=True)]


def test_composites_tile_the_easiest_of_each_class_in_order():
    made = make("pca(prune=brightness,factor=2,filter=area)")
    for label in range(3):
        easiest = dark_first(label)[:8]
        assert torch.equal(rows_of(made.card)[2 * label : 2 * label + 2].flatten(), easiest)
        wanted = tile(SOURCE.train.images[easiest], 2, filter="area")
        assert torch.equal(made.images[2 * label : 2 * label + 2], wanted)
    assert made.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_the_switches_are_on_the_card_and_read_back():
    made = make("pca(prune=brightness,factor=2,grouping=diverse,policy=hard)")
    spec = registry.parse(made.card.method)
    assert spec.kwargs == {
        "factor": 2,
        "features": "pixels",
        "filter": "nearest",
        "grouping": "diverse",
        "policy": "hard",
        "prune": "brightness",
    }
    assert make(made.card.method).digest == made.digest
    assert made.card.seconds >= 5


def test_easy_is_the_default_and_hard_is_another_set():
    easy, hard = make("pca(prune=brightness)"), make("pca(prune=brightness,policy=hard)")
    assert registry.parse(easy.card.method).kwargs["policy"] == "easy"
    assert easy.index.tolist()[:2] == dark_first(0)[:2].tolist()
    assert set(hard.index.tolist()[:2]) == set(dark_first(0)[-2:].tolist())


def test_one_tile_is_the_pruning_method_itself():
    assert make("pca(prune=brightness)").digest == make("brightness").digest


@pytest.mark.parametrize("prune", ["random", "herding(features=pixels)"])
def test_any_selection_prunes(prune):
    made = make(f"pca(prune={prune},factor=2)")
    rows = rows_of(made.card)
    assert rows.shape == (6, 4)
    assert rows.unique().numel() == 24
    assert "policy" not in registry.parse(made.card.method).kwargs


@pytest.mark.parametrize("grouping", ["strided", "diverse"])
def test_groupings_share_the_sources_out_differently(grouping):
    plain = make("pca(prune=brightness,factor=2)")
    other = make(f"pca(prune=brightness,factor=2,grouping={grouping})")
    assert sorted(rows_of(plain.card).flatten()) == sorted(rows_of(other.card).flatten())
    assert not torch.equal(rows_of(plain.card), rows_of(other.card))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_budgets_are_met_exactly_in_images(count):
    made = make("pca(prune=random,factor=2)", Budget(per_class=count))
    assert made.labels.bincount(minlength=3).tolist() == [count] * 3


@pytest.mark.parametrize("prune", ["random", "brightness"])
def test_uneven_budgets_are_met_exactly(prune):
    afford = Budget(bytes=4 * bytes_per_image(SOURCE))
    made = make(f"pca(prune={prune},factor=2)", afford)
    assert made.labels.bincount(minlength=3).tolist() == [2, 1, 1]
    assert made.card.bytes.total <= 4 * bytes_per_image(SOURCE)
    if prune == "brightness":
        assert rows_of(made.card)[2].tolist() == dark_first(1)[:4].tolist()


def test_a_composite_may_need_the_whole_class():
    made = make("pca(prune=random,factor=2)", Budget(per_class=5))
    assert sorted(rows_of(made.card).flatten().tolist()) == list(range(60))


@pytest.mark.parametrize(
    ("spec", "count", "said"),
    [
        ("pca(prune=never,factor=2)", 6, "need 24 images of class 'bar 0', but train holds 20"),
        ("pca(prune=brightness,filter=lanczos)", 1, "known: nearest, area, bicubic"),
        ("pca(prune=brightness,grouping=alike)", 1, "known: consecutive, strided, diverse"),
        ("pca(prune=brightness,factor=-2)", 1, "factor=-2"),
        ("pca(prune=random,policy=hard)", 1, "'random' takes no policy"),
        ("pca(prune=never)", 1, "no method named 'never'"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(spec, count, said):
    with pytest.raises(HydrometerError, match=said):
        make(spec, Budget(per_class=count))


def test_composites_of_composites_are_refused():
    with pytest.raises(HydrometerError, match="give a selection method"):
        make("pca(prune=pca(factor=2),factor=2,policy=easy)", Budget(per_class=1))


def test_a_pruning_method_that_falls_short_is_an_error(monkeypatch):
    def short(source, budget, *, rng):
        return from_rows(source, torch.arange(3), method="short", budget="")

    monkeypatch.setitem(registry._found["method"], "short", short)
    with pytest.raises(HydrometerError, match="short left 3 images of class 'bar 0' where 8"):
        make("pca(prune=short,factor=2)")


def test_the_source_stays_as_it_was():
    before = SOURCE.train.images.clone()
    make("pca(prune=brightness,factor=2)")
    assert torch.equal(before, SOURCE.train.images)
