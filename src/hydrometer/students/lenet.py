"""LeNet-5 with ReLU."""

from __future__ import annotations

from torch import nn

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.margin import margin, padded
from hydrometer.types import HydrometerError

_SMALLEST_SIDE = 16


@register("student")
def lenet(shape: Shape, classes: int) -> nn.Module:
    """Two 5x5 convolutions with max-pooling and three linear layers (LeCun et al., 1998).

    With ReLU and max-pooling, as the field uses it: 62,006 parameters for ten classes of 3x32x32
    images. Images of 28x28 pixels are padded to the 32x32 of the paper.

    Raises:
        HydrometerError: The images have fewer than 16 pixels a side.
    """
    if min(padded(shape)) < _SMALLEST_SIDE:
        raise HydrometerError(
            f"lenet cannot take {shape[1]}x{shape[2]} pixels; it needs at least {_SMALLEST_SIDE}"
        )
    height, width = (((side - 4) // 2 - 4) // 2 for side in padded(shape))
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, kernel_size=5, padding=margin(shape)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )
