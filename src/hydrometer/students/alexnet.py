"""The small AlexNet of the distillation papers."""

from __future__ import annotations

from torch import nn

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.margin import margin, padded
from hydrometer.types import HydrometerError

_POOLINGS = 3


@register("student")
def alexnet(shape: Shape, classes: int) -> nn.Module:
    """Five convolutions, three max-poolings and one linear layer, without norm or dropout.

    The AlexNet of Dataset Condensation's code (arXiv 2006.05929): 1,872,202 parameters for ten
    classes of 3x32x32 images. Images of 28x28 pixels are padded to 32x32, where the code pads every
    greyscale image.

    Raises:
        HydrometerError: The images have fewer than 8 pixels a side.
    """
    height, width = (side >> _POOLINGS for side in padded(shape))
    if not height or not width:
        raise HydrometerError(
            f"alexnet halves its images {_POOLINGS} times and cannot take {shape[1]}x{shape[2]} "
            f"pixels; it needs at least {2**_POOLINGS}"
        )
    return nn.Sequential(
        nn.Conv2d(shape[0], 128, kernel_size=5, padding=2 + margin(shape)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(128, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(192, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 192, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(192, 192, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(192 * height * width, classes),
    )
