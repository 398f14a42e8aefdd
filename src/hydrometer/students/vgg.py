"""VGG with a single linear layer, as small images have it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.margin import margin, padded
from hydrometer.students.norm import Norm, normalise
from hydrometer.types import HydrometerError

_WIDTHS = (64, 128, 256, 512, 512)
_CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_SMALLEST_SIDE = 2 ** len(_WIDTHS)


@register("student")
def vgg(
    shape: Shape, classes: int, *, depth: Literal[11, 13, 16, 19] = 11, norm: Norm = "batch"
) -> nn.Module:
    """The convolutions of VGG (arXiv 1409.1556) with norms, average pooling and one linear layer.

    The two hidden linear layers of the paper are left out, as in Dataset Condensation's code
    (9,231,114 parameters for depth 11 and ten classes); images of 28x28 pixels are padded to 32x32.

    Raises:
        HydrometerError: The images have fewer than 32 pixels a side.
    """
    if min(padded(shape)) < _SMALLEST_SIDE:
        raise HydrometerError(
            f"vgg halves its images {len(_WIDTHS)} times and cannot take {shape[1]}x{shape[2]} "
            f"pixels; it needs at least {_SMALLEST_SIDE}, or 28x28"
        )
    return VGG(shape, classes, _CONVOLUTIONS[depth], norm)


class VGG(nn.Module):
    """The network of `vgg`."""

    def __init__(self, shape: Shape, classes: int, counts: tuple[int, ...], norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, padding = shape[0], 1 + margin(shape)
        for width, count in zip(_WIDTHS, counts, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=padding), normalise(norm, width)]
                layers += [nn.ReLU()]
                channels, padding = width, 1
            layers += [nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w)."""
        x = self.convolutions(images)
        return self.classifier(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]
