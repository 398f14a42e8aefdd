import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from hydrometer.artifact.composites import combined, rows_of, tile
from hydrometer.artifact.rows import from_rows
from hydrometer.types import HydrometerError

SHAPES = [(2, 8, 8), (2, 9, 7), (3, 10, 11), (3, 9, 9), (4, 9, 9)]


def images(count, h, w, channels=3):
    generator = torch.Generator().manual_seed(h * w)
    shape = (count, channels, h, w)
    return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)


def naive(stack, factor, shrink):
    """Composites by pasting one shrunk image after the other, with numpy alone."""
    stack = stack.numpy()
    n, c, h, w = stack.shape
    out = np.zeros((n // factor**2, c, h, w), np.uint8)
    tall = [h // factor + (1 if i < h % factor else 0) for i in range(factor)]
    wide = [w // factor + (1 if i < w % factor else 0) for i in range(factor)]
    for number in range(n):
        whole, place = divmod(number, factor**2)
        i, j = divmod(place, factor)
        top, left = sum(tall[:i]), sum(wide[:j])
        cell = shrink(stack[number], tall[i], wide[j])
        out[whole, :, top : top + tall[i], left : left + wide[j]] = cell
    return torch.from_numpy(out)


def decimated(image, h, w):
    rows = [int(np.floor(i * image.shape[1] / h)) for i in range(h)]
    columns = [int(np.floor(j * image.shape[2] / w)) for j in range(w)]
    return image[:, rows][:, :, columns]


def averaged(image, h, w):
    """Exact area means: repeat each pixel until both sizes divide, then average blocks."""
    fine = image.astype(np.float64).repeat(h, axis=1).repeat(w, axis=2)
    blocks = fine.reshape(len(image), h, image.shape[1], w, image.shape[2])
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def pillow(image, h, w):
    # Float planes, because Pillow rounds 8-bit ones between rows and columns.
    planes = [Image.fromarray(p.astype(np.float32)) for p in image]
    planes = [np.asarray(p.resize((w, h), Image.Resampling.BICUBIC)) for p in planes]
    return np.stack(planes).round().clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("factor", "h", "w"), SHAPES)
@pytest.mark.parametrize(
    ("filter", "shrink", "tolerance"),
    [("nearest", decimated, 0), ("area", averaged, 1), ("bicubic", pillow, 1)],
)
def test_tiles_are_the_shrunk_images_row_by_row(factor, h, w, filter, shrink, tolerance):
    stack = images(2 * factor**2, h, w)
    made, wanted = tile(stack, factor, filter=filter), naive(stack, factor, shrink)
    assert made.dtype == torch.uint8
    assert (made.int() - wanted.int()).abs().max() <= tolerance
    assert (made != wanted).float().mean() < 0.02


def test_nearest_is_a_true_decimation_for_two():
    stack = images(4, 8, 8)
    assert torch.equal(tile(stack, 2)[0, :, :4, 4:], stack[1, :, ::2, ::2])


def test_area_averages_two_by_two_exactly():
    stack = images(4, 8, 8)
    means = stack[2].float().unfold(1, 2, 2).unfold(2, 2, 2).mean((-1, -2)).round()
    assert torch.equal(tile(stack, 2, filter="area")[0, :, 4:, :4].float(), means)


@pytest.mark.parametrize("filter", ["nearest", "area", "bicubic"])
def test_one_tile_is_the_image_and_no_image_makes_none(filter):
    stack = images(3, 5, 7)
    assert torch.equal(tile(stack, 1, filter=filter), stack)
    assert tile(stack[:0], 2, filter=filter).shape == (0, 3, 5, 7)


def test_chunks_leave_no_seam():
    stack = images(4 * 300, 4, 4, channels=1)
    assert torch.equal(tile(stack, 2)[280], tile(stack[1120:1124], 2)[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filter": "lanczos"}, "'lanczos' is unknown; known: nearest, area, bicubic"),
        ({"factor": 0}, "choose 1 to 5"),
        ({"factor": 6}, "choose 1 to 5"),
        ({"factor": 2}, "multiple of 4"),
    ],
)
def test_mistakes_are_named(changes, said):
    with pytest.raises(HydrometerError, match=said):
        tile(images(3, 5, 7), **({"factor": 1} | changes))


def test_float_images_are_refused():
    with pytest.raises(HydrometerError, match="uint8"):
        tile(images(4, 5, 7).float(), 2)


def test_a_composite_knows_its_sources_and_averages_their_weights():
    source = tiny.source()
    rows, weights = torch.tensor([0, 4, 9, 2, 20, 21, 22, 30]), torch.arange(8.0)
    chosen = from_rows(source, rows, method="some", budget="some", weights=weights)
    groups = torch.tensor([[3, 0, 1, 2], [7, 6, 5, 4]])
    made = combined(source, chosen, groups, filter="area", method="some", budget="some")
    assert torch.equal(rows_of(made.card), rows[groups])
    assert made.index is None
    assert made.labels.tolist() == [0, 1]
    assert made.weights.tolist() == [1.5, 5.5]
    assert torch.equal(
        made.images, tile(source.train.images[rows[groups.flatten()]], 2, filter="area")
    )


def test_single_tiles_keep_their_index_and_need_no_note():
    source = tiny.source()
    chosen = from_rows(source, torch.tensor([7, 3]), method="some", budget="some")
    made = combined(source, chosen, torch.tensor([[1], [0]]), method="some", budget="some")
    assert made.index.tolist() == [3, 7]
    assert rows_of(made.card) is None
