import dataclasses

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from sklearn.metrics import cohen_kappa_score

from hydrometer import registry
from hydrometer.sources import load, sealed
from hydrometer.sources.noise import NoisySource, confusion, parse, text
from hydrometer.sources.noise.asymmetric import CIFAR100, SUPERCLASSES, targets
from hydrometer.sources.noise.column import kappa
from hydrometer.types import HydrometerError, Source

CLEAN = load("digits")


def both(source):
    return torch.cat([source.train.labels, source.val.labels]).numpy()


def shares(name):
    return confusion(both(CLEAN), both(load(name)), 10)


@pytest.mark.parametrize(
    "modifier",
    [
        "symmetric:0.4",
        "asymmetric:0.4,map=cyclic@3",
        "symmetric:0.2,inclusive=True",
        "instance:0.3",
    ],
)
def test_modifiers_read_back_and_are_part_of_the_name(modifier):
    assert text(*parse(modifier)) == modifier
    assert load(f"digits+{modifier}").name == f"digits+{modifier}"


@pytest.mark.parametrize(
    "modifier", ["symmetric", "symmetric:", "symmetric:x", "symmetric:0.2,a=1"]
)
def test_arguments_that_do_not_fit_are_refused(modifier):
    with pytest.raises(HydrometerError, match="noise"):
        load(f"digits+{modifier}")


@pytest.mark.parametrize("name", ["symmetric", "asymmetric", "instance"])
def test_a_rate_that_is_no_share_is_refused(name):
    with pytest.raises(HydrometerError, match=r"1\.5 is out of range"):
        load(f"digits+{name}:1.5")


@pytest.mark.parametrize("name", sorted({"symmetric", "asymmetric", "instance"}))
def test_train_and_val_are_noisy_test_is_clean_and_the_clean_labels_are_kept(name):
    noisy = load(f"digits+{name}:0.4")
    assert isinstance(noisy, NoisySource)
    assert (noisy.train.labels != CLEAN.train.labels).float().mean() > 0.1
    assert (noisy.val.labels != CLEAN.val.labels).float().mean() > 0.1
    assert noisy.test is not None and torch.equal(noisy.test.labels, CLEAN.test.labels)
    assert torch.equal(noisy.clean_train, CLEAN.train.labels)
    assert torch.equal(noisy.clean_val, CLEAN.val.labels)
    assert noisy.digest != CLEAN.digest


@pytest.mark.parametrize("name", ["symmetric", "asymmetric", "instance"])
def test_the_same_name_gives_the_same_labels_and_another_seed_others(name):
    once, again, other = (load(f"digits+{name}:0.3{s}") for s in ("", "", "@1"))
    assert once.digest == again.digest
    assert torch.equal(once.train.labels, again.train.labels)
    assert not torch.equal(once.train.labels, other.train.labels)
    assert once.digest != other.digest


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    load("digits+instance:0.4")
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_exclusive_symmetric_noise_has_its_nominal_rate_and_spreads_evenly():
    found = shares("digits+symmetric:0.4")
    n = len(both(CLEAN))
    assert 1 - np.diag(found).mean() == pytest.approx(0.4, abs=4 * (0.24 / n) ** 0.5)
    others = found[~np.eye(10, dtype=bool)]
    assert others.mean() == pytest.approx(0.4 / 9, abs=0.005)
    assert others.max() < 0.12


def test_inclusive_symmetric_noise_redraws_an_exact_count():
    changed = (both(load("digits+symmetric:1.0,inclusive=True")) != both(CLEAN)).mean()
    n = len(both(CLEAN))
    assert changed == pytest.approx(0.9, abs=4 * (0.09 / n) ** 0.5)
    half = (both(load("digits+symmetric:0.5,inclusive=True")) != both(CLEAN)).sum()
    assert half <= n // 2


def test_asymmetric_noise_flips_only_where_the_map_says():
    found = shares("digits+asymmetric:0.4")
    for origin, target in ((2, 7), (3, 8), (7, 1), (5, 6), (6, 5)):
        assert found[origin, target] == pytest.approx(0.4, abs=0.16)
        assert found[origin, origin] == pytest.approx(1 - found[origin, target])
    for untouched in (0, 1, 4, 8, 9):
        assert found[untouched, untouched] == 1


def test_maps_are_the_published_ones():
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    assert targets(tuple(names), "semantic") == {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    pairs = targets(tuple(names), "pairs")
    assert all(pairs[pairs[c]] == c for c in range(10)) and len(pairs) == 10
    assert targets(("a", "b", "c"), "cyclic") == {0: 1, 1: 2, 2: 0}


def test_every_class_of_cifar100_turns_into_the_next_of_its_superclass():
    from hydrometer.sources.cifar100 import CLASSES

    assert sorted(CIFAR100) == sorted(CLASSES.split())
    assert [len(group) for group in SUPERCLASSES] == [5] * 20
    assert CIFAR100["hamster"] == "mouse" and CIFAR100["squirrel"] == "hamster"


@pytest.mark.parametrize(
    ("classes", "map", "said"),
    [
        (("a", "b"), "pairs", "10 classes"),
        (("a", "b"), "semantic", "cyclic"),
        (("a",), "x", "known"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(classes, map, said):
    with pytest.raises(HydrometerError, match=said):
        targets(classes, map)


def test_instance_noise_depends_on_the_image():
    noisy = load("digits+instance:0.4")
    wrong = both(noisy) != both(CLEAN)
    assert wrong.mean() == pytest.approx(0.4, abs=0.06)
    # Images of one class point to few targets, where symmetric noise spreads over nine.
    assert np.sort(shares("digits+instance:0.4") - np.eye(10))[:, -1].mean() > 0.1


def test_a_class_whose_majority_is_flipped_is_noted():
    assert load("digits+asymmetric:0.3").notes == ()
    notes = load("digits+asymmetric:0.7,map=cyclic").notes
    assert len(notes) == 10 and "labelled '1'" in notes[0]


def test_modifiers_add_up_and_the_first_clean_labels_stay():
    noisy = load("digits+symmetric:0.2+asymmetric:0.2")
    assert noisy.name == "digits+symmetric:0.2+asymmetric:0.2"
    assert torch.equal(noisy.clean_train, CLEAN.train.labels)


def test_sealing_leaves_the_clean_labels_behind():
    noisy = load("digits+symmetric:0.4")
    closed = sealed(noisy)
    assert type(closed) is Source and closed.digest == noisy.digest
    assert torch.equal(closed.train.labels, noisy.train.labels) and not len(closed.test)
    assert {f.name for f in dataclasses.fields(closed)}.isdisjoint({"clean_train", "clean_val"})


def png(value):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    labels = [0, 1] * 20
    columns = {
        "image": [png(v) for v in range(40)],
        "label": labels,
        "human": [1 - x if i < 6 else x for i, x in enumerate(labels)],
        "shuffled": sorted(labels),
        "wild": [7] * 40,
    }
    (tmp_path / "p").mkdir()
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "p" / "train.parquet")
    pyarrow.parquet.write_table(
        pyarrow.table({k: columns[k] for k in ("image", "label")}), tmp_path / "p" / "test.parquet"
    )
    return tmp_path


def test_a_column_of_human_labels_is_laid_over_the_rows_it_is_of(tables):
    noisy = load("parquet:p+column:human", tables)
    given = dict(
        zip(torch.cat([noisy.train.index, noisy.val.index]).tolist(), both(noisy), strict=True)
    )
    assert [given[i] for i in range(8)] == [1, 0, 1, 0, 1, 0, 0, 1]
    assert noisy.name == "parquet:p+column:human"


@pytest.mark.parametrize(
    ("modifiers", "said"),
    [
        ("column:none", "no column none"),
        ("column:shuffled", "another order"),
        ("column:wild", "labels from 7 to 7"),
        ("symmetric:0.3+column:human", "first modifier"),
    ],
)
def test_a_column_that_does_not_fit_is_refused(tables, modifiers, said):
    with pytest.raises(HydrometerError, match=said):
        load(f"parquet:p+{modifiers}", tables)


def test_a_source_without_parquet_has_no_columns():
    with pytest.raises(HydrometerError, match=r"train\*\.parquet"):
        load("digits+column:human")


def test_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, 90), rng.integers(0, 4, 90)
    assert kappa(first, second, 4) == pytest.approx(cohen_kappa_score(first, second))


def test_cifar10n_has_its_published_rates(data_root):
    for column, rate in (
        ("label_aggre", 0.0901),
        ("label_random1", 0.1723),
        ("label_worse", 0.4021),
    ):
        noisy = load(f"cifar10+column:{column}", data_root)
        clean = torch.cat([noisy.clean_train, noisy.clean_val]).numpy()
        assert (both(noisy) != clean).mean() == pytest.approx(rate, abs=5e-5)


def test_all_noises_are_found():
    assert set(registry.names("noise")) >= {"symmetric", "asymmetric", "instance", "column"}
