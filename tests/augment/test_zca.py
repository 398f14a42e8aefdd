import numpy as np
import pytest
from kornia.enhance import ZCAWhitening
from torch.testing import assert_close

from hydrometer.augment.pixels import as_float
from hydrometer.augment.zca import ZCA
from hydrometer.types import HydrometerError


@pytest.mark.parametrize("eps", [0.1, 0.01])
@pytest.mark.parametrize("channels", [1, 3])
def test_zca_agrees_with_kornia(channels, eps, pixels):
    images = as_float(pixels(c=channels)).double()
    theirs = ZCAWhitening(eps=eps, compute_inv=True).fit(images)
    ours = ZCA(eps).fit(images)
    assert_close(ours.whiten(images), theirs(images), rtol=0, atol=1e-9)
    single = ZCA(eps).fit(images.float())
    assert_close(single.whiten(images.float()).double(), theirs(images), rtol=0, atol=2e-4)


def test_zca_shrinks_each_direction_by_its_own_deviation(pixels):
    images = as_float(pixels(n=900)).double()
    before = np.cov(images.flatten(1).numpy().T)
    after = np.cov(ZCA(0.1).fit(images).whiten(images).flatten(1).numpy().T)
    values, vectors = np.linalg.eigh(before)
    assert_close(after, vectors @ np.diag(values / (values + 0.1)) @ vectors.T, atol=1e-9, rtol=0)


def test_zca_reads_large_sources_in_chunks(monkeypatch, pixels):
    source = pixels()
    whole = ZCA().fit(source).whiten(source)
    monkeypatch.setattr("hydrometer.augment.zca._CHUNK", 7)
    assert_close(ZCA().fit(source).whiten(source), whole, rtol=0, atol=1e-5)


def test_zca_names_what_is_wrong(pixels):
    with pytest.raises(HydrometerError, match="eps=0"):
        ZCA(eps=0.0)
    with pytest.raises(HydrometerError, match="1 images have no covariance"):
        ZCA().fit(pixels(n=1))
    with pytest.raises(HydrometerError, match="fitted to images of 108 values, not of 12"):
        ZCA().fit(pixels()).whiten(pixels(size=2))
