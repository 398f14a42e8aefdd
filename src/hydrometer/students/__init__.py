"""Students: the networks that are trained to measure a set.

A student is a plug-in `(shape, classes, *, ...) -> nn.Module` that maps images (n, c, h, w) to
logits (n, classes). The annotations of its arguments say which values they take, and are checked
when its name is read, before anything is trained.
"""

from __future__ import annotations

import inspect
import re
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor, nn

from hydrometer import registry
from hydrometer.types import HydrometerError, Scalar, Spec

Shape = tuple[int, int, int]
"""Channels, height and width of one image."""

Count = Annotated[int, Field(ge=1)]
"""A whole number from one up."""

_tried: set[tuple[Spec, Shape, int]] = set()
"""Students that have been seen to give one logit for each class."""

_FIELD_NAME = re.compile(r"([a-z][a-z-]*?)[-_]?(\d+)?(?:[-_]?(bn|in|gn|none))?")


def spec(text: str) -> Spec:
    """Read a student's name as the field writes it, or the full text of a spec.

    Names are `family`, `family-depth` or `family-depth-norm` in any case, with or without hyphens:
    `ConvNet-3`, `convnet-3-bn`, `resnet18`, `VGG-11-IN`. Networks of other libraries are
    `torchvision:MODEL` and `timm:MODEL`. All spellings of one student give the same spec, with
    every argument written out, so their digests agree: `ConvNet-3` is
    `convnet(depth=3,norm=instance,width=128)`.

    A name without a norm means the default of its family here: instance norm for ConvNet, batch
    norm for ResNet and VGG. DD-Ranking reads every name without `-BN` as instance norm.

    >>> str(spec("ResNet-18"))
    'resnet(depth=18,norm=batch)'

    Raises:
        HydrometerError: The student or one of its arguments does not exist or has a wrong value.
    """
    zoo, colon, model = text.strip().partition(":")
    asked = Spec(zoo.lower(), (("model", model),)) if colon else registry.parse(text)
    known = registry.names("student")
    if asked.name not in known and not asked.args:
        asked = _field_name(asked.name)
    if asked.name not in known:
        error = registry.unknown("student", text, known)
        raise HydrometerError(f"{error}; other networks: torchvision:MODEL, timm:MODEL")
    return _complete(asked)


def build(spec: Spec, shape: Shape, classes: int) -> nn.Module:
    """The network a spec describes, with weights from torch's global state; see `create`."""
    return registry.build("student", _complete(spec), shape, classes)  # type: ignore[no-any-return]


def create(spec: Spec, shape: Shape, classes: int, seed_key: int) -> nn.Module:
    """The network a spec describes, on the CPU, with initial weights that depend on the key alone.

    `seed_key` is the key of a stream of draws, as `seeds.key` makes it.

    Raises:
        HydrometerError: It is no network, or gives not one logit for each class.
    """
    asked = (spec, shape, classes)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if asked not in _tried:
            _refuse_misfit(build(*asked), *asked)
            _tried.add(asked)
        # torch.manual_seed would also reseed every accelerator, which the fork does not put back.
        torch.default_generator.manual_seed(seed_key)
        return build(*asked)


def _refuse_misfit(made: object, spec: Spec, shape: Shape, classes: int) -> None:
    """Refuse what would train, and be judged on classes that there are not."""
    if not isinstance(made, nn.Module):
        raise HydrometerError(f"student {str(spec)!r} is {type(made).__name__}, not an nn.Module")
    with torch.no_grad():
        logits = made.eval()(torch.zeros(2, *shape))
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise HydrometerError(
            f"student {str(spec)!r} gives {got} for 2 images of {classes} classes; logits must be "
            f"(2, {classes})"
        )


def default_for(shape: Shape) -> Spec:
    """The student the field trains on images of this size.

    ConvNet-2 up to 16 pixels, ConvNet-3 up to 32, ConvNet-4 up to 64, and ResNet-18 above.
    """
    side = min(shape[1:])
    for largest, name in ((16, "convnet-2"), (32, "convnet-3"), (64, "convnet-4")):
        if side <= largest:
            return spec(name)
    return spec("resnet-18")


def asked(name: str, shape: Shape) -> Spec:
    """The student of a name, or where it is empty the field's for images of this size."""
    # A spec's value may have been read as a number, which names no student.
    return default_for(shape) if name in ("", None) else spec(str(name))


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Penultimate features (n, d) and logits (n, k) of images (n, c, h, w), in one forward pass.

    The features are the input of the last `nn.Linear` to run, which is the classifier of every
    student here. Gradients flow through both.

    Raises:
        HydrometerError: The network runs no linear layer, as SqueezeNet does not.
    """
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = inputs[:1]

    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(keep) for layer in linear]
    try:
        logits = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise HydrometerError(
            f"{type(model).__name__} runs no linear layer, so it has no penultimate features; "
            "use a student that ends in one"
        )
    return seen[0], logits


def _field_name(text: str) -> Spec:
    """A spec from `family-depth-norm`; the family may be unknown."""
    match = _FIELD_NAME.fullmatch(text.lower())
    if match is None:
        return Spec(text)
    family, depth, norm = match.groups()
    args = (("depth", depth and int(depth)), ("norm", norm))
    return Spec(family, tuple((key, value) for key, value in args if value is not None))


def _complete(asked: Spec) -> Spec:
    """The same student with every argument written out in its one canonical spelling."""
    signature = inspect.signature(registry.get("student", asked.name), eval_str=True)
    try:
        bound = signature.bind(None, None, **asked.kwargs)
    except TypeError as error:
        known = ", ".join(list(signature.parameters)[2:]) or "no arguments"
        raise HydrometerError(
            f"student {str(asked)!r}: {error}; {asked.name} takes: {known}"
        ) from None
    bound.apply_defaults()
    given = list(bound.arguments.items())[2:]
    args = ((k, _checked(asked, k, v, signature.parameters[k].annotation)) for k, v in given)
    return Spec(asked.name, tuple(sorted(args)))


def _checked(asked: Spec, name: str, value: object, annotation: Any) -> Scalar:
    """The value as its annotation spells it."""
    if annotation is inspect.Parameter.empty:
        annotation = Scalar
    try:
        return TypeAdapter(annotation).validate_python(value)  # type: ignore[no-any-return]
    except ValidationError as error:
        wrong = error.errors()[0]["msg"]
        raise HydrometerError(f"student {str(asked)!r}: {name}={value!r}: {wrong}") from None
