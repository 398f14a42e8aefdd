"""ConvNet, the student of nearly every distillation paper."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hydrometer.registry import register
from hydrometer.students import Count, Shape
from hydrometer.students.margin import margin, padded
from hydrometer.students.norm import Norm, normalise
from hydrometer.students.pool import halve
from hydrometer.types import HydrometerError


@register("student")
def convnet(
    shape: Shape, classes: int, *, depth: Count = 3, width: Count = 128, norm: Norm = "instance"
) -> nn.Module:
    """`depth` blocks of 3x3 convolution, norm, ReLU and 2x2 average pooling, then a linear layer.

    The network of Gidaris and Komodakis (CVPR 2018) as Dataset Condensation (arXiv 2006.05929) uses
    it: 320,010 parameters for ten classes of 3x32x32 images. Images of 28x28 pixels are padded to
    32x32 by the first convolution, as there, but of any number of channels. An odd side loses its
    last pixel at each pooling.

    Raises:
        HydrometerError: The pooling leaves no pixel.
    """
    deepest = min(padded(shape)).bit_length() - 1
    if depth > deepest:
        raise HydrometerError(
            f"convnet of depth={depth} pools {shape[1]}x{shape[2]} pixels away; "
            f"its depth can be at most {deepest}"
        )
    return ConvNet(shape, classes, depth, width, norm)


class ConvNet(nn.Module):
    """The network of `convnet`."""

    def __init__(self, shape: Shape, classes: int, depth: int, width: int, norm: Norm) -> None:
        super().__init__()
        height, breadth = (side >> depth for side in padded(shape))
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(shape[0], width, kernel_size=3, padding=1 + margin(shape))]
            + [nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in range(depth - 1)]
        )
        self.norms = nn.ModuleList(normalise(norm, width) for _ in range(depth))
        self.classifier = nn.Linear(width * height * breadth, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w)."""
        x = images
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = halve(F.relu(norm(convolve(x)), inplace=True))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]
