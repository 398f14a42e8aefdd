"""A share of a source: stratified, nested, seeded, and in step with noise."""

import pytest
import torch

from hydrometer import sources
from hydrometer.sources import share
from hydrometer.sources.noise import NoisySource
from hydrometer.types import HydrometerError, Split


def test_every_class_keeps_its_share_and_test_stays_whole():
    whole, part = sources.load("digits"), sources.load("digits+share:0.25")
    for split in ("train", "val"):
        before = getattr(whole, split).labels.bincount(minlength=10).double()
        kept = getattr(part, split).labels.bincount(minlength=10)
        assert torch.equal(kept, (before * 0.25 + 0.5).floor().long().clamp(min=1))
    assert torch.equal(part.test.images, whole.test.images)
    assert (part.classes, part.mean, part.std) == (whole.classes, whole.mean, whole.std)


def test_images_and_labels_stay_together():
    whole, part = sources.load("digits"), sources.load("digits+share:0.3")
    at = {int(row): i for i, row in enumerate(whole.train.index)}
    rows = torch.tensor([at[int(row)] for row in part.train.index])
    assert torch.equal(part.train.images, whole.train.images[rows])
    assert torch.equal(part.train.labels, whole.train.labels[rows])


def test_smaller_shares_are_nested_and_seeds_differ():
    def rows(name: str) -> set[int]:
        return set(sources.load(name).train.index.tolist())

    assert rows("digits+share:0.1") < rows("digits+share:0.2") < rows("digits+share:1")
    assert rows("digits+share:1") == rows("digits")
    assert rows("digits+share:0.2@1") != rows("digits+share:0.2")


def test_digests_and_names_tell_shares_apart():
    names = ("digits", "digits+share:0.2", "digits+share:0.2@1", "digits+share:0.4")
    found = [sources.load(name) for name in names]
    assert len({source.digest for source in found}) == 4
    assert tuple(source.name for source in found) == names


def test_images_are_ranked_by_their_original_row_wherever_they_stand():
    images, labels = torch.zeros(50, 1, 2, 2), torch.zeros(50, dtype=torch.int64)
    forward = Split(images, labels, torch.arange(50))
    backward = Split(images, labels, torch.arange(50).flip(0))
    kept, again = (split.index[share.chosen(split, 0.2, 0)] for split in (forward, backward))
    assert set(kept.tolist()) == set(again.tolist())


@pytest.mark.parametrize(
    "name", ["digits+share:0.3+symmetric:0.4@2", "digits+symmetric:0.4@2+share:0.3"]
)
def test_noise_before_or_behind_knows_the_clean_labels(name):
    whole, part = sources.load("digits"), sources.load(name)
    assert isinstance(part, NoisySource) and part.name == name
    clean = dict(zip(whole.train.index.tolist(), whole.train.labels.tolist(), strict=True))
    assert part.clean_train.tolist() == [clean[row] for row in part.train.index.tolist()]
    wrong = (part.train.labels != part.clean_train).double().mean()
    assert 0.3 < wrong < 0.5


def test_a_share_of_noisy_labels_is_stratified_by_them():
    noisy = sources.load("digits+symmetric:0.4")
    part = sources.load("digits+symmetric:0.4+share:0.5")
    before = noisy.train.labels.bincount(minlength=10).double()
    assert torch.equal(part.train.labels.bincount(minlength=10), (before / 2 + 0.5).floor().long())


def test_shares_are_rounded_half_up_in_decimals_and_named_in_full():
    split = Split(torch.zeros(50, 1, 2, 2), torch.zeros(50, dtype=torch.int64), torch.arange(50))
    assert [len(share.chosen(split, x, 0)) for x in (0.29, 0.3, 0.31, 1e-9)] == [15, 15, 16, 1]
    assert sources.load("digits+share:0.1234567").name == "digits+share:0.1234567"


@pytest.mark.parametrize(
    "value", ["0", "-0.1", "1.5", "nan", "x", "", "1e", "0.2,map=cyclic", "0.2@x"]
)
def test_what_is_no_share_is_refused_with_an_example(value):
    with pytest.raises(HydrometerError, match=r"share:0\.2@1"):
        sources.load(f"digits+share:{value}")


def test_human_labels_come_before_a_share(tmp_path):
    with pytest.raises(HydrometerError, match=r"first modifier|none at"):
        sources.load("digits+share:0.5+column:label_worse", tmp_path)
