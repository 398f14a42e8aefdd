import io

import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.methods.bytes import after_jpeg, jpeg_bytes, png_bytes
from hydrometer.types import HydrometerError


def noise(count=3, channels=3, side=16):
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, side, side)
    return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)


def pillow(image, **options):
    array = image.permute(1, 2, 0).squeeze(2) if len(image) == 1 else image.permute(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(array.numpy()).save(stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_are_those_of_pillow_files(channels):
    images = noise(channels=channels)
    assert png_bytes(images) == sum(len(pillow(i, format="PNG")) for i in images)
    for quality in (30, 75):
        files = [pillow(i, format="JPEG", quality=quality) for i in images]
        assert jpeg_bytes(images, quality) == sum(map(len, files))


def test_decoded_images_are_what_the_files_hold():
    images = noise()
    file = pillow(images[1], format="JPEG", quality=50)
    wanted = torch.from_numpy(np.array(Image.open(io.BytesIO(file)))).permute(2, 0, 1)
    assert torch.equal(after_jpeg(images, 50)[1], wanted)


def test_better_quality_costs_more_and_loses_less():
    images = noise()
    sizes = [jpeg_bytes(images, quality) for quality in (10, 50, 95)]
    errors = [(after_jpeg(images, q).float() - images.float()).abs().mean() for q in (10, 50, 95)]
    assert sizes == sorted(set(sizes))
    assert errors == sorted(errors, reverse=True)


def test_flat_images_weigh_less_than_noise():
    flat = torch.full_like(noise(), 128)
    assert png_bytes(flat) < png_bytes(noise())
    assert jpeg_bytes(flat) < jpeg_bytes(noise())


def test_no_images_weigh_nothing():
    assert png_bytes(noise(0)) == jpeg_bytes(noise(0)) == 0
    assert len(after_jpeg(noise(0))) == 0


def test_floats_weigh_what_their_8_bits_do():
    assert jpeg_bytes(noise().float() / 255) == jpeg_bytes(noise())


def test_mistakes_are_named():
    with pytest.raises(HydrometerError, match="quality 0"):
        jpeg_bytes(noise(), 0)
    with pytest.raises(HydrometerError, match="2 channels"):
        jpeg_bytes(noise(channels=2))
    with pytest.raises(HydrometerError, match="2 channels"):
        png_bytes(noise(channels=2))
