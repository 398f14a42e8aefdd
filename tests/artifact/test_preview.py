import io

import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.artifact.container import make
from hydrometer.artifact.preview import sheet
from hydrometer.types import HydrometerError

GIVEN = {"method": "m", "budget": "b", "seed": 0, "seconds": 0.0}


def array(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_rows_are_classes_and_pixels_are_squares(compressed, tmp_path):
    png = sheet(compressed, tmp_path / "sheet.png", per_class=2, scale=3)
    assert (tmp_path / "sheet.png").read_bytes() == png
    drawn = array(png)
    # Cells of 8 x 6 pixels tripled, 4 apart, behind 150 of text.
    assert drawn.shape == (3 * 28 + 4, 150 + 2 * 22, 3)
    for row, column, position in ((0, 0, 1), (0, 1, 3), (1, 0, 2), (2, 0, 0), (2, 1, 4)):
        top, left = 4 + row * 28, 150 + column * 22
        cell = drawn[top : top + 24 : 3, left : left + 18 : 3]
        assert np.array_equal(cell, compressed.images[position].permute(1, 2, 0).numpy())
        assert np.array_equal(drawn[top + 2 : top + 24 : 3, left + 2 : left + 18 : 3], cell)
    assert (drawn[32:56, 172:190] == 255).all()  # class 1 has one image only
    assert (drawn[4:28, :150] < 128).any()  # its name


def test_per_class_limits_a_row(compressed):
    assert array(sheet(compressed, per_class=1, scale=1)).shape[1] == 150 + 10


def test_values_outside_are_clipped_for_display_alone(source, floats, labels):
    floats[1, :, 0, 0] = torch.tensor([-3.0, 0.5, 4.0])
    made = make(floats, labels, source=source, **GIVEN)
    assert array(sheet(made, scale=1))[4, 150].tolist() == [0, 128, 255]
    assert made.images[1, :, 0, 0].tolist() == [-3.0, 0.5, 4.0]


@pytest.mark.parametrize(("channels", "value"), [(1, 90), (4, 90)])
def test_other_channel_counts_are_grey(make_source, channels, value):
    source = make_source(shape=(channels, 8, 6))
    images = torch.full((1, channels, 8, 6), value, dtype=torch.uint8)
    made = make(images, torch.tensor([0]), source=source, **GIVEN)
    assert array(sheet(made, scale=1))[5, 151].tolist() == [90, 90, 90]


def test_many_classes_are_cut(make_source, bytes_, labels):
    source = make_source(classes=tuple(f"class {i} with a very long name" for i in range(70)))
    made = make(bytes_, labels, source=source, **GIVEN)
    assert array(sheet(made, scale=1)).shape[0] == 50 * 12 + 4


def test_sizes_below_one_are_refused(compressed):
    for given in ({"per_class": 0}, {"scale": 0}):
        with pytest.raises(HydrometerError, match="both must be at least 1"):
            sheet(compressed, **given)
