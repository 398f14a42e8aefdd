import pytest
import torch

from hydrometer.artifact.space import to_pixels
from hydrometer.types import HydrometerError


def test_pixels_stay_as_they_are(floats, bytes_):
    for images in (floats, bytes_):
        pixels, notes = to_pixels(images, "pixel", None)
        assert pixels is images and notes == ()


def test_values_outside_are_kept_and_counted(floats):
    floats[0, 0, 0, :3] = torch.tensor([-0.25, 1.25, 7.0])
    pixels, notes = to_pixels(floats, "pixel", None)
    assert pixels[0, 0, 0, :3].tolist() == [-0.25, 1.25, 7.0]
    assert notes == ("3 of 720 values lie outside [0, 1] (min -0.25, max 7); they are kept",)


@pytest.mark.parametrize("space", ["normalised", "zca"])
def test_unwhitening_inverts_and_never_clips(floats, affine, space):
    floats[0, 0, 0, 0] = 1.5
    pixels, notes = to_pixels(affine.whiten(floats), space, affine)
    assert pixels.dtype == torch.float32
    torch.testing.assert_close(pixels, floats)
    assert notes[0].startswith("1 of 720 values")


@pytest.mark.parametrize("scale", [lambda x: (x - 0.5) * 4, lambda x: x * 255, lambda x: 2 * x - 1])
def test_what_is_no_pixel_is_refused(floats, scale):
    with pytest.raises(HydrometerError, match=r"outside the stated space pixel.*is it normalised"):
        to_pixels(scale(floats), "pixel", None)


def test_what_is_still_no_pixel_after_inversion_is_refused(floats, affine):
    with pytest.raises(HydrometerError, match="stated space zca after its inversion to pixels"):
        to_pixels(floats * 255, "zca", affine)


def test_background_just_below_zero_is_no_reason_to_refuse():
    # Distilled digits: most values hover around a black background.
    images = torch.full((2, 1, 4, 4), -0.01)
    assert torch.equal(to_pixels(images, "pixel", None)[0], images)


def test_pixels_called_normalised_are_refused(floats, affine):
    with pytest.raises(HydrometerError, match=r"stated space normalised.*is it pixel"):
        to_pixels(floats, "normalised", affine)


def test_bytes_are_pixels_only_and_not_fractions(bytes_, affine):
    with pytest.raises(HydrometerError, match="uint8, which cannot be zca"):
        to_pixels(bytes_, "zca", affine)
    with pytest.raises(HydrometerError, match="fractions cast to bytes"):
        to_pixels(bytes_ // 200, "pixel", None)


def test_unknown_space_and_missing_whitening_are_refused(floats):
    with pytest.raises(HydrometerError, match="no space 'lab'; choose from pixel, normalised, zca"):
        to_pixels(floats, "lab", None)
    with pytest.raises(HydrometerError, match="zca needs the whitening"):
        to_pixels(floats - 0.5, "zca", None)


def test_one_value_beyond_all_reason_is_refused(floats):
    floats[0, 0, 0, 0] = 1e30
    with pytest.raises(HydrometerError, match="values outside the stated space pixel"):
        to_pixels(floats, "pixel", None)
