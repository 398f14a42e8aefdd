import numpy as np
from sklearn.datasets import load_digits

from hydrometer.sources import load


def test_digest_never_moves():
    assert load("digits").digest == "356593cee80451d7ed52"


def test_nothing_is_lost():
    source, bunch = load("digits"), load_digits()
    sizes = [len(split) for split in (source.train, source.val, source.test)]
    assert sizes == [1163, 130, 504]
    assert sum(sizes) == len(bunch.target)
    pixels = [s.images.numpy().reshape(-1, 64) for s in (source.train, source.val, source.test)]
    ours = np.unique(np.concatenate(pixels), axis=0)
    theirs = np.unique(np.floor(bunch.data * 255 / 16 + 0.5).astype(np.uint8), axis=0)
    np.testing.assert_array_equal(ours, theirs)


def test_every_split_has_every_class():
    source = load("digits")
    for split, low, high in ((source.train, 110, 120), (source.val, 12, 14), (source.test, 48, 52)):
        counts = split.labels.bincount()
        assert len(counts) == 10
        assert low <= counts.min() <= counts.max() <= high
