import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from hydrometer.sources import decode
from hydrometer.sources.decode import Blob
from hydrometer.types import HydrometerError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


def decoded(*images: bytes, **options) -> torch.Tensor:
    blobs = [Blob(data, f"row {i}") for i, data in enumerate(images)]
    shape = decode.survey(blobs, options.get("size"))
    return torch.cat(list(decode.batches(blobs, shape, resize="size" in options)))


def test_pixels_are_those_of_the_file(monkeypatch):
    monkeypatch.setattr(decode, "BATCH", 2)
    images = [noise(6, 4), noise(6, 4).rotate(180), noise(6, 4, "L").convert("RGB")]
    expected = np.stack([np.asarray(image) for image in images])
    found = decoded(*map(encoded, images))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1), expected)


def test_threads_keep_the_order(monkeypatch):
    images = [Image.new("L", (8, 8), level) for level in range(100)]
    monkeypatch.setattr(decode, "THREADED_PIXELS", 0)
    assert decoded(*map(encoded, images))[:, 0, 0, 0].tolist() == list(range(100))


def test_one_channel_only_if_all_are_grey():
    grey, colour = encoded(noise(5, 5, "L")), encoded(noise(5, 5))
    assert decoded(grey, grey).shape == (2, 1, 5, 5)
    mixed = decoded(grey, colour)
    assert mixed.shape == (2, 3, 5, 5)
    assert torch.equal(mixed[0, 0], mixed[0, 2])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "1"])
def test_other_modes_become_rgb_or_grey(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    image = noise(5, 4, mode)
    expected = np.asarray(image.convert("L" if mode == "1" else "RGB")).reshape(4, 5, -1)
    np.testing.assert_array_equal(decoded(encoded(image, kind))[0].permute(1, 2, 0), expected)


def test_a_transparent_palette_is_no_warning():
    image = noise(5, 4, "P")
    found = decoded(encoded(image, transparency=bytes(range(256))))
    np.testing.assert_array_equal(found[0].permute(1, 2, 0), np.asarray(image.convert("RGB")))


def test_resizing_agrees_with_torchvision():
    image = noise(128, 96)
    oracle = v2.Compose([v2.Resize(48, antialias=True), v2.CenterCrop(48)])(image)
    found = decoded(encoded(image), size=48)[0].permute(1, 2, 0).numpy().astype(int)
    # The crop comes first here, so a margin as wide as the filter differs.
    inside = np.s_[:, 2:-2]
    assert np.abs(found[inside] - np.asarray(oracle).astype(int)[inside]).max() <= 1


def test_two_sizes_are_refused_by_name():
    with pytest.raises(HydrometerError, match=r"row 0 is 6×4, but row 1 is 4×6"):
        decoded(encoded(noise(6, 4)), encoded(noise(4, 6)))
    with pytest.raises(HydrometerError, match=r"row 0 is 4×6"):
        list(decode.batches([Blob(encoded(noise(4, 6)), "row 0")], (3, 4, 6)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_image_is_refused_by_name(kind):
    whole = encoded(noise(40, 40), kind)
    with pytest.raises(HydrometerError, match="row 1 cannot be decoded"):
        decoded(whole, whole[: len(whole) // 2])


def test_what_is_no_image_is_refused_by_name(tmp_path):
    with pytest.raises(HydrometerError, match="row 0 cannot be decoded"):
        decoded(b"hello")
    with pytest.raises(HydrometerError, match=r"gone\.png cannot be decoded"):
        decode.survey([Blob(tmp_path / "gone.png", "gone.png")])


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_an_absurd_pixel_count_is_refused_before_decoding(side):
    with pytest.raises(HydrometerError, match=f"row 0.*{side * side} pixels.*64000000"):
        decoded(f"P6 {side} {side} 255\n".encode())  # a header without pixels


def test_sixteen_bits_are_refused():
    deep = Image.fromarray(np.full((4, 4), 1000, np.uint16))
    with pytest.raises(HydrometerError, match="more than 8 bits"):
        decoded(encoded(deep))


def test_nothing_is_refused():
    with pytest.raises(HydrometerError, match="no images"):
        decoded()
