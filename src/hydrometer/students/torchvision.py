"""Any classification network of torchvision, without weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints
from torch import Tensor, nn

from hydrometer.registry import register
from hydrometer.students import Shape
from hydrometer.students.external import proven, require_model
from hydrometer.types import HydrometerError

Model = Annotated[str, StringConstraints(to_lower=True, min_length=1)]


@register("student")
def torchvision(shape: Shape, classes: int, *, model: Model) -> nn.Module:
    """A network of `torchvision.models` by name, as `torchvision:mobilenet_v2`, from scratch.

    Greyscale images are repeated to three channels. Vision transformers are built for the image
    size; auxiliary classifiers are left out.

    Raises:
        HydrometerError: Unknown model, not 1 or 3 channels, or a size that the network cannot take.
    """
    # Takes seconds to import, which naming or building any other student need not pay.
    from torchvision import models

    require_model("torchvision", model, models.list_models(module=models))
    if shape[0] not in (1, 3):
        raise HydrometerError(f"torchvision networks take 1 or 3 channels, not {shape[0]}")
    arguments = _arguments(models.get_model_builder(model), model, shape)

    def make() -> nn.Module:
        network = models.get_model(model, weights=None, num_classes=classes, **arguments)
        return network if shape[0] == 3 else Grey(network)

    return proven(make, f"torchvision:{model}", shape)


class Grey(nn.Module):
    """A colour network that sees greyscale images in all three channels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, 1, h, w)."""
        return self.network(images.expand(-1, 3, -1, -1))  # type: ignore[no-any-return]


def _arguments(builder: object, model: str, shape: Shape) -> dict[str, object]:
    if model.startswith("vit_"):
        return {"image_size": shape[1]}
    if model.startswith("maxvit"):
        return {"input_size": shape[1:]}
    if model in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    return {}
