"""Any network of timm, without weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from torch import nn

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.external import proven, require_model
from hydrometer.types import HydrometerError


def _architecture(name: str) -> str:
    return name.partition(".")[0]


Model = Annotated[
    str, StringConstraints(to_lower=True, min_length=1), AfterValidator(_architecture)
]


@register("student")
def timm(shape: Shape, classes: int, *, model: Model) -> nn.Module:
    """A network of timm by name, as `timm:vit_tiny_patch16_224`, from scratch.

    What follows a dot names pretrained weights, which are not used: `resnet18.a1_in1k` is
    `resnet18`. Networks with a fixed input size are built for the image size.

    Raises:
        HydrometerError: timm is missing, or has no such model, or it cannot take such images.
    """
    try:
        import timm as library
    except ImportError:
        raise HydrometerError(
            f"the student timm:{model} needs timm; install it with: pip install hydrometer[timm]"
        ) from None
    require_model("timm", model, library.list_models())
    resize = library.get_pretrained_cfg_value(model, "fixed_input_size")
    arguments = {"img_size": shape[1:]} if resize else {}

    def make() -> nn.Module:
        return library.create_model(  # type: ignore[no-any-return]
            model, pretrained=False, num_classes=classes, in_chans=shape[0], **arguments
        )

    return proven(make, f"timm:{model}", shape)
