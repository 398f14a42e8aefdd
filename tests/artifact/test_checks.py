from dataclasses import replace

import pytest
import torch

from hydrometer.artifact import checks
from hydrometer.artifact.checks import check, consistent
from hydrometer.types import HydrometerError


def test_a_good_set_passes(compressed, source):
    check(compressed, source)


NAN = torch.full((5,), float("nan"))
BAD = {
    "images are float64; give uint8 or float32": {"images": torch.zeros(5, 3, 8, 6).double()},
    "images have shape .*; give 4 dimensions": {"images": torch.zeros(5, 8, 6)},
    "there are 5 images but 4 labels": {"labels": torch.zeros(4, dtype=torch.int64)},
    "labels are int32; give int64": {"labels": torch.zeros(5, dtype=torch.int32)},
    "1 labels name no class, such as 3; 3 classes allow 0 to 2": {
        "labels": torch.tensor([0, 1, 2, 3, 0])
    },
    "1 labels name no class, such as -1": {"labels": torch.tensor([0, 1, -1, 2, 0])},
    "soft labels have 4 columns, but there are 3 classes": {"soft": torch.zeros(5, 4)},
    "there are 5 images but 6 soft": {"soft": torch.zeros(6, 3)},
    "images hold 1 values that are NaN or infinite": {
        "images": torch.zeros(5, 3, 8, 6)
        .index_fill_(0, torch.tensor([2]), 0)
        .put_(torch.tensor([7]), torch.tensor([float("nan")]))
    },
    "soft hold 15 values": {"soft": torch.full((5, 3), float("-inf"))},
    "weights hold 5 values": {"weights": NAN},
    "weights go down to -1.0": {"weights": torch.tensor([1.0, -1.0, 0.0, 0.0, 0.0])},
    "index go down to -2": {"index": torch.tensor([1, -2, 0, 0, 0])},
    "there are 5 images but 3 index": {"index": torch.tensor([1, 2, 0])},
}


@pytest.mark.parametrize("message", BAD)
def test_each_contradiction_has_its_sentence(compressed, message):
    with pytest.raises(HydrometerError, match=message):
        consistent(replace(compressed, **BAD[message]))


def test_the_source_must_agree(compressed, make_source):
    with pytest.raises(HydrometerError, match=r"shape \(5, 3, 8, 6\).*needs \(n, 3, 8, 8\)"):
        check(compressed, make_source(shape=(3, 8, 8)))
    with pytest.raises(HydrometerError, match="the set has 3 classes, but source 'tiny' has 4"):
        check(compressed, make_source(classes=("plane", "car", "bird", "cat")))
    with pytest.raises(HydrometerError, match="classes car cannot be matched"):
        check(compressed, make_source(classes=("plane", "automobile", "bird")))
    with pytest.raises(HydrometerError, match=r"orders its classes .* use align"):
        check(compressed, make_source(classes=("car", "plane", "bird")))


def test_a_value_that_is_not_finite_is_found_in_any_piece(monkeypatch):
    monkeypatch.setattr(checks, "_PIECE", 4)
    for place in range(10):
        tensor = torch.zeros(5, 2)
        checks.finite("numbers", tensor)
        tensor.view(-1)[place] = torch.inf
        with pytest.raises(HydrometerError, match="numbers hold 1 values"):
            checks.finite("numbers", tensor)
