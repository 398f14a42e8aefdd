"""ResNet-18, -34 and -50, in their CIFAR and their ImageNet form."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.norm import Norm, normalise
from hydrometer.types import HydrometerError

_WIDTHS = (64, 128, 256, 512)
_LARGEST_SMALL_SIDE = 64
_SMALLEST_FOR_INSTANCE_NORM = 16


class Plan(NamedTuple):
    """Blocks in each of the four stages, and whether a block is a bottleneck."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool


_PLANS = {
    18: Plan((2, 2, 2, 2), False),
    34: Plan((3, 4, 6, 3), False),
    50: Plan((3, 4, 6, 3), True),
}


@register("student")
def resnet(
    shape: Shape, classes: int, *, depth: Literal[18, 34, 50] = 18, norm: Norm = "batch"
) -> nn.Module:
    """A residual network with global average pooling (arXiv 1512.03385).

    Up to 64 pixels the stem is one 3x3 convolution of stride 1 (11,173,962 parameters for depth 18
    and ten classes of colour images); above, it is the 7x7 convolution and max-pooling of ImageNet.
    Bottlenecks stride in their 3x3 convolution, as torchvision's do. Weights start as torch draws
    them; torchvision's start from He's normal distribution, and are `torchvision:resnet18`.

    Raises:
        HydrometerError: Instance norm would see single pixels, and erase them.
    """
    if norm == "instance" and min(shape[1:]) < _SMALLEST_FOR_INSTANCE_NORM:
        raise HydrometerError(
            f"resnet(norm=instance) reduces {shape[1]}x{shape[2]} images to one pixel, which its "
            f"norm sets to zero; use norm=batch or images from {_SMALLEST_FOR_INSTANCE_NORM} pixels"
        )
    return ResNet(shape, classes, _PLANS[depth], norm)


class ResNet(nn.Module):
    """The network of `resnet`."""

    def __init__(self, shape: Shape, classes: int, plan: Plan, norm: Norm) -> None:
        super().__init__()
        small = max(shape[1:]) <= _LARGEST_SMALL_SIDE
        self.stem = _small_stem(shape[0], norm) if small else _large_stem(shape[0], norm)
        blocks: list[nn.Module] = []
        channels = _WIDTHS[0]
        for width, count in zip(_WIDTHS, plan.blocks, strict=True):
            for position in range(count):
                stride = 2 if position == 0 and width > _WIDTHS[0] else 1
                out = width * 4 if plan.bottleneck else width
                blocks.append(Residual(channels, width, out, stride, norm))
                channels = out
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w)."""
        x = self.blocks(self.stem(images))
        return self.classifier(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """Two 3x3 convolutions, or a bottleneck where `out` differs from `width`, beside a shortcut."""

    def __init__(self, channels: int, width: int, out: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.body = (
            _plain(channels, width, stride, norm)
            if out == width
            else _bottleneck(channels, width, out, stride, norm)
        )
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(_convolution(channels, out, 1, stride), normalise(norm, out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """ReLU of the body plus the shortcut."""
        return F.relu(self.body(x) + self.shortcut(x))


def _plain(channels: int, width: int, stride: int, norm: Norm) -> nn.Module:
    return nn.Sequential(
        _convolution(channels, width, 3, stride),
        normalise(norm, width),
        nn.ReLU(),
        _convolution(width, width, 3),
        normalise(norm, width),
    )


def _bottleneck(channels: int, width: int, out: int, stride: int, norm: Norm) -> nn.Module:
    return nn.Sequential(
        _convolution(channels, width, 1),
        normalise(norm, width),
        nn.ReLU(),
        _convolution(width, width, 3, stride),
        normalise(norm, width),
        nn.ReLU(),
        _convolution(width, out, 1),
        normalise(norm, out),
    )


def _small_stem(channels: int, norm: Norm) -> nn.Module:
    return nn.Sequential(
        _convolution(channels, _WIDTHS[0], 3), normalise(norm, _WIDTHS[0]), nn.ReLU()
    )


def _large_stem(channels: int, norm: Norm) -> nn.Module:
    return nn.Sequential(
        _convolution(channels, _WIDTHS[0], 7, stride=2),
        normalise(norm, _WIDTHS[0]),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )


def _convolution(channels: int, out: int, size: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(channels, out, size, stride, padding=size // 2, bias=False)
