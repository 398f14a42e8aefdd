"""Greyscale digits and clothes are 28 pixels wide; the field's networks want 32."""

from __future__ import annotations

from hydrometer.students import Shape


def margin(shape: Shape) -> int:
    """Zeros to add on each side by the first convolution: 2 for 28x28 pixels, otherwise none."""
    return 2 if shape[1:] == (28, 28) else 0


def padded(shape: Shape) -> tuple[int, int]:
    """Height and width of an image with its margin."""
    return shape[1] + 2 * margin(shape), shape[2] + 2 * margin(shape)
