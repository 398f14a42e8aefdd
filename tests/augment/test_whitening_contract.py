import pytest
import torch
from torch.testing import assert_close

from hydrometer import registry
from hydrometer.augment.pixels import as_float
from hydrometer.types import Spec

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
EVERY = pytest.mark.parametrize("name", registry.names("whitening"))


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_every_whitening_is_invertible_beyond_white_and_black(name, channels, pixels):
    source = pixels(c=channels)
    fitted = registry.build("whitening", Spec(name)).fit(source, MEAN[:channels], STD[:channels])
    images = as_float(source[:20]) * 3 - 1
    assert not torch.allclose(fitted.whiten(images), images, atol=0.1)
    assert_close(fitted.unwhiten(fitted.whiten(images)), images, rtol=0, atol=1e-4)


@EVERY
def test_bytes_and_floats_and_leading_axes_are_the_same_images(name, pixels):
    source = pixels()
    fitted = registry.build("whitening", Spec(name)).fit(source, MEAN, STD)
    refitted = registry.build("whitening", Spec(name)).fit(as_float(source), MEAN, STD)
    seen = fitted.whiten(source[:12])
    assert seen.dtype == torch.float32
    assert_close(seen, fitted.whiten(source[:12].float() / 255))
    assert_close(seen, refitted.whiten(source[:12]))
    assert_close(seen.view(3, 4, 3, 6, 6), fitted.whiten(source[:12].view(3, 4, 3, 6, 6)))


@EVERY
def test_gradients_pass_through_whitening(name, pixels):
    source = pixels(c=1, size=3)
    fitted = registry.build("whitening", Spec(name)).fit(as_float(source).double(), (0.5,), (0.2,))
    images = as_float(source[:2]).double().requires_grad_()
    assert torch.autograd.gradcheck(fitted.whiten, images)
