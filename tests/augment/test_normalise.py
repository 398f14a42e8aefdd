import pytest
from torch.testing import assert_close
from torchvision.transforms.v2 import functional as vision

from hydrometer.augment.normalise import Normalise
from hydrometer.types import HydrometerError

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


def test_normalise_agrees_with_torchvision(pixels):
    source = pixels()
    fitted = Normalise().fit(source, MEAN, STD)
    assert_close(fitted.whiten(source), vision.normalize(source.float() / 255, MEAN, STD))


def test_normalise_names_what_is_wrong(pixels):
    with pytest.raises(HydrometerError, match="1 means and 3 deviations for 3 channels"):
        Normalise().fit(pixels(), (0.5,), STD)
    with pytest.raises(HydrometerError, match="must be positive"):
        Normalise().fit(pixels(), MEAN, (0.2, 0.0, 0.2))
