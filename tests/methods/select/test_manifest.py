import dataclasses

import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods
from hydrometer.artifact.composites import combined
from hydrometer.artifact.rows import from_rows
from hydrometer.methods import codec
from hydrometer.methods.select import manifest
from hydrometer.methods.select.random import random
from hydrometer.registry import parse
from hydrometer.types import Budget, HydrometerError, Split

SOURCE = tiny.source(classes=3, per_class=10)
MOVED = dataclasses.replace(
    SOURCE,
    train=Split(SOURCE.train.images, SOURCE.train.labels, SOURCE.train.index.flip(0) * 2 + 5),
)


def made(source=SOURCE, budget=None, spec="el2n(epochs=2)"):
    rng = np.random.default_rng(0)
    return methods.compress(source, parse(spec), budget or Budget(per_class=3), rng=rng, seed=7)


@pytest.mark.parametrize("source", [SOURCE, MOVED], ids=["in order", "renumbered"])
@pytest.mark.parametrize("budget", [Budget(per_class=3), Budget(per_class=0)], ids=str)
def test_a_set_is_rebuilt_exactly_from_its_file(tmp_path, source, budget):
    subject = made(source, budget)
    manifest.write(manifest.describe(subject), tmp_path / "kept.json")
    again = manifest.rebuild(manifest.read(tmp_path / "kept.json"), source)
    assert again.digest == subject.digest
    assert again.card == subject.card
    assert again.index.tolist() == subject.index.tolist()
    assert torch.equal(again.images, subject.images)


def test_it_says_what_was_kept_and_why():
    subject = made()
    found = manifest.describe(subject)
    assert found.source_digest == SOURCE.digest
    assert found.seed == 7
    assert found.method == subject.card.method
    assert found.rank == (0, 1, 2) * 3
    assert list(found.index) == subject.index.tolist()
    assert list(found.score) == subject.scores.tolist()
    assert list(found.score[:3]) == sorted(found.score[:3])


def test_weights_survive():
    rows, weights = torch.tensor([4, 2, 25]), torch.tensor([0.1, 2.5, 1 / 3])
    subject = from_rows(SOURCE, rows, method="m", budget="b", weights=weights)
    again = manifest.rebuild(manifest.describe(subject), SOURCE)
    assert again.digest == subject.digest
    assert torch.equal(again.weights, weights)


def test_a_method_without_scores_has_a_manifest_without_them():
    subject = random(SOURCE, Budget(per_class=1), rng=np.random.default_rng(0))
    found = manifest.describe(subject)
    assert found.score is None
    assert manifest.rebuild(found, SOURCE).digest == subject.digest


@pytest.mark.parametrize("text", ["raw", "png", "jpeg(quality=50)"])
@pytest.mark.parametrize(
    "spec",
    [
        "random",
        "pca(prune=random,factor=2)",
        "pca(prune=random,factor=3,filter=area,grouping=strided)",
        "pca(prune=random,factor=2,filter=bicubic)",
    ],
)
def test_composites_and_files_are_rebuilt_too(tmp_path, spec, text):
    how = {"stored_as": codec.read(text), "rng": np.random.default_rng(0), "seed": 3}
    subject = methods.compress(SOURCE, parse(spec), Budget(per_class=1), **how)
    manifest.write(manifest.describe(subject), tmp_path / "kept.json")
    found = manifest.read(tmp_path / "kept.json")
    again = manifest.rebuild(found, SOURCE)
    assert again.digest == subject.digest
    assert again.card == subject.card
    assert torch.equal(again.images, subject.images)
    assert (again.index is None) == (subject.index is None)
    factor = parse(spec).kwargs.get("factor", 1)
    assert found.tiles == factor**2
    assert found.rank == tuple(range(factor**2)) * 3


def test_weighted_composites_are_rebuilt_too():
    chosen = from_rows(
        SOURCE, torch.arange(8), method="m", budget="b", weights=torch.arange(8.0) + 1
    )
    groups, name = torch.arange(8).view(2, 4), "pca(factor=2,filter=area)"
    subject = combined(SOURCE, chosen, groups, filter="area", method=name, budget="b")
    again = manifest.rebuild(manifest.describe(subject), SOURCE)
    assert again.digest == subject.digest
    assert torch.equal(again.weights, subject.weights)


def test_no_composites_are_rebuilt_too():
    subject = made(budget=Budget(per_class=0), spec="pca(prune=random,factor=2)")
    assert manifest.rebuild(manifest.describe(subject), SOURCE).digest == subject.digest


@pytest.mark.parametrize("text", ['{"indices": [1]}', "[1, 2]", "no json", "1"])
def test_other_lists_are_no_manifests(tmp_path, text):
    (tmp_path / "list.json").write_text(text)
    assert not manifest.is_manifest(tmp_path / "list.json")
    assert not manifest.is_manifest(tmp_path / "none.json")
    manifest.write(manifest.describe(made()), tmp_path / "kept.json")
    assert manifest.is_manifest(tmp_path / "kept.json")


def test_what_cannot_be_rebuilt_is_refused(tmp_path):
    subject = made()
    found = manifest.describe(subject)
    with pytest.raises(HydrometerError, match="has no manifest"):
        manifest.describe(dataclasses.replace(subject, index=None))
    with pytest.raises(HydrometerError, match="load the source it was made from"):
        manifest.rebuild(found, tiny.source(seed=1))
    altered = found.model_copy(update={"index": found.index[::-1]})
    with pytest.raises(HydrometerError, match="was altered"):
        manifest.rebuild(altered, SOURCE)
    foreign = found.model_copy(update={"index": (999, *found.index[1:])})
    with pytest.raises(HydrometerError, match="row 999 of the manifest"):
        manifest.rebuild(foreign, SOURCE)


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2}', "\xff"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "kept.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(HydrometerError, match="is no manifest"):
        manifest.read(path)
    with pytest.raises(HydrometerError, match="no manifest at"):
        manifest.read(tmp_path / "none.json")


def test_uneven_columns_are_refused(tmp_path):
    found = manifest.describe(made())
    path = tmp_path / "kept.json"
    manifest.write(found.model_copy(update={"rank": found.rank[1:]}), path)
    with pytest.raises(HydrometerError, match="different lengths"):
        manifest.read(path)
