import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hydrometer.sources import load, tables


@pytest.fixture(scope="module")
def cifar10(data_root):
    return load("cifar10", data_root)


def test_splits_are_stratified(cifar10):
    for split, count in ((cifar10.train, 4500), (cifar10.val, 500), (cifar10.test, 1000)):
        assert split.labels.bincount().tolist() == [count] * 10


def test_rows_point_into_the_original(cifar10, data_root):
    table = pq.read_table(data_root / "cifar10" / "train.parquet", columns=["img", "label"])
    labels = table["label"].to_numpy()
    for split in (cifar10.train, cifar10.val):
        np.testing.assert_array_equal(split.labels, labels[split.index])
        for i in (0, len(split) // 2, len(split) - 1):
            raw = table["img"][int(split.index[i])].as_py()["bytes"]
            with Image.open(io.BytesIO(raw)) as image:
                np.testing.assert_array_equal(split.images[i].permute(1, 2, 0), np.asarray(image))


def test_pixels_have_the_moments_the_field_knows(cifar10):
    pixels = cifar10.train.images[::9].double() / 255
    np.testing.assert_allclose(pixels.mean((0, 2, 3)), cifar10.mean, atol=5e-3)
    # Of each image, not of the channel: see the comment beside the constants.
    np.testing.assert_allclose(pixels.flatten(2).std(2).mean(0), cifar10.std, atol=5e-3)


def test_the_second_start_decodes_nothing(cifar10, data_root, monkeypatch):
    monkeypatch.setattr(tables, "read", None)
    assert load("cifar10", data_root).digest == cifar10.digest
