from pathlib import Path

import pytest

from hydrometer import registry
from hydrometer.sources import default_root, load, sealed
from hydrometer.types import HydrometerError

BUILT_IN = {"cifar10", "cifar100", "digits", "fashion-mnist", "folder", "parquet", "tiny-imagenet"}
NEEDS_FILES = sorted(BUILT_IN - {"digits"})


def test_all_sources_are_found():
    assert set(registry.names("source")) >= BUILT_IN


def test_a_misspelt_source_offers_the_nearest():
    with pytest.raises(HydrometerError, match="did you mean 'digits'"):
        load("digit")


@pytest.mark.parametrize("name", ["digits+worse", "digits+symetric:0.4"])
def test_an_unknown_modifier_is_named(name):
    wrong = name.split("+")[1].split(":")[0]
    with pytest.raises(HydrometerError, match=f"no noise named '{wrong}'.*known:.*symmetric"):
        load(name)


def test_a_plus_inside_a_path_is_no_modifier(tmp_path):
    with pytest.raises(HydrometerError, match="c\\+\\+/pets"):
        load("folder:c++/pets", tmp_path)


@pytest.mark.parametrize("name", ["digits", "cifar10", "fashion_mnist", "tiny-imagenet"])
def test_a_path_where_none_belongs_is_refused(name, tmp_path):
    with pytest.raises(HydrometerError, match="takes no path"):
        load(f"{name}:somewhere", tmp_path)


@pytest.mark.parametrize("name", ["folder", "parquet:", "folder:"])
def test_a_missing_path_is_asked_for(name, tmp_path):
    with pytest.raises(HydrometerError, match="PATH"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", ["folder:pets", "parquet:pets", "tiny-imagenet"])
def test_missing_data_says_where_it_was_looked_for(name, tmp_path):
    with pytest.raises(HydrometerError, match=f"{tmp_path}.*HYDROMETER_DATA"):
        load(name, tmp_path)


def test_the_root_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("HYDROMETER_DATA", "/somewhere")
    assert default_root() == Path("/somewhere")
    monkeypatch.delenv("HYDROMETER_DATA")
    assert default_root() == Path.home() / ".cache" / "hydrometer" / "data"


def test_a_sealed_source_has_everything_but_the_test_images():
    source = load("digits")
    closed = sealed(source)
    assert len(closed.test) == len(closed.test.images) == len(closed.test.index) == 0
    assert closed.test.images.shape[1:] == source.shape
    assert closed.digest == source.digest
    assert closed.train is source.train
    assert len(source.test) > 0
