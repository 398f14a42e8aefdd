import dataclasses

import numpy as np
import pytest
import torch

from hydrometer.sources.parts import Part, check, in_memory, moments
from hydrometer.types import HydrometerError


def test_in_memory_keeps_every_row_once_and_in_order(make_parts):
    parts = make_parts()
    source = in_memory("toy", parts)
    images = torch.cat(list(parts.train.images))
    rows = torch.cat([source.train.index, source.val.index])
    assert torch.equal(rows.sort().values, torch.arange(90))
    for split in (source.train, source.val):
        assert torch.equal(split.images, images[split.index])
        assert torch.equal(split.labels, split.index % 3)
    assert len(source.val) == 9
    assert torch.equal(source.test.index, torch.arange(20))


def test_digest_sees_pixels_labels_and_class_names(make_parts):
    base = in_memory("toy", make_parts()).digest
    assert in_memory("other", make_parts()).digest == base
    assert in_memory("toy", make_parts(classes=("a", "b", "x"))).digest != base
    parts = make_parts()
    parts.test.images[0][0, 0, 0, 0] ^= 1
    assert in_memory("toy", parts).digest != base


def test_moments_agree_with_numpy():
    images = torch.randint(0, 200, (2500, 2, 3, 3), generator=torch.Generator().manual_seed(1))
    mean, std = moments(images.to(torch.uint8))
    pixels = images.numpy() / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)), atol=5e-5)
    np.testing.assert_allclose(std, pixels.std((0, 2, 3)), atol=5e-5)


def test_a_blank_channel_divides_by_no_zero():
    assert moments(torch.zeros(3, 1, 2, 2, dtype=torch.uint8)) == ((0.0,), (0.0039,))


def test_given_constants_are_kept(make_parts):
    source = in_memory("toy", make_parts(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
    assert (source.mean, source.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 3], "train label 3 is out of range; 3 classes have 0 to 2"),
        ([0, 1, -1], "train label -1 is out of range"),
        ([0, 0, 1], "no train image of class 'c'"),
        ([0, 0], "no train image of class 'b' and 1 more"),
        ([0, 1, 2], "one train image per class"),
        ([], "train has no images"),
    ],
)
def test_bad_train_labels_are_refused(make_parts, labels, message):
    part = Part(torch.tensor(labels, dtype=torch.int64), [])
    with pytest.raises(HydrometerError, match=message):
        check("toy", dataclasses.replace(make_parts(), train=part))


@pytest.mark.parametrize("labels", [[5], []])
def test_bad_test_labels_are_refused(make_parts, labels):
    part = Part(torch.tensor(labels, dtype=torch.int64), [])
    with pytest.raises(HydrometerError, match="test"):
        check("toy", dataclasses.replace(make_parts(), test=part))


@pytest.mark.parametrize(
    ("classes", "message"), [(("a",), "at least 2"), (("a", "b", "a"), "two classes named 'a'")]
)
def test_bad_classes_are_refused(make_parts, classes, message):
    with pytest.raises(HydrometerError, match=message):
        check("toy", make_parts(classes=classes))


def test_images_that_are_not_what_was_promised_are_refused(make_parts):
    parts = make_parts()
    with pytest.raises(HydrometerError, match="not uint8"):
        in_memory("toy", dataclasses.replace(parts, shape=(3, 4, 4)))
    short = Part(parts.test.labels, parts.test.images[:-1])
    with pytest.raises(HydrometerError, match="14 images but 20 labels"):
        in_memory("toy", dataclasses.replace(parts, test=short))
