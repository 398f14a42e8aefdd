"""What there is to say of a plug-in, from its own docstring, and of a set, from its card."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from hydrometer import registry
from hydrometer.protocols import Protocol
from hydrometer.types import CompressedSet

UNSET = {
    "student": "the field's choice for the image size",
    "whiten": "channel mean and deviation of the source",
}
"""What a setting that is not set means, where it is not "none"."""


def about(kind: str, name: str) -> str:
    """The first sentence of a plug-in."""
    plugin = registry.get(kind, name)
    if isinstance(plugin, Protocol):
        return plugin.about
    return (_doc(plugin) or "no description").split("\n")[0]


def story(kind: str, name: str) -> str:
    """Everything a plug-in says of itself: arguments, defaults, paper, deviations, settings."""
    plugin = registry.get(kind, name)
    if isinstance(plugin, Protocol):
        return protocol_story(plugin)
    head = f"{kind} {name}{_signature(plugin)}"
    module = inspect.getdoc(inspect.getmodule(plugin)) or ""
    return f"{head}\n\n{_doc(plugin)}\n\n{module}".strip()


def protocol_story(protocol: Protocol) -> str:
    """A protocol's settings, metrics and sources."""
    settings = protocol.settings
    lines = [f"protocol {protocol.name}: {protocol.about}", ""]
    for field, value in vars(settings).items():
        lines.append(f"  {field:10} {UNSET.get(field, 'none') if value is None else _value(value)}")
    lines += ["", f"  metrics    {', '.join(protocol.metrics)}", ""]
    lines.append(inspect.getdoc(inspect.getmodule(protocol.build)) or "")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " | ".join(str(v) for v in value) or "none"
    if hasattr(value, "__dataclass_fields__") and not hasattr(value, "kwargs"):
        return ", ".join(f"{k}={_value(v)}" for k, v in vars(value).items())
    return str(value)


def _doc(plugin: Any) -> str:
    found = getattr(plugin, "about", None) or inspect.getdoc(plugin)
    return str(found or "")


def _signature(plugin: Any) -> str:
    try:
        return str(inspect.signature(plugin))
    except (TypeError, ValueError):
        return ""


def set_json(path: Path, compressed: CompressedSet) -> str:
    """A set's file, digest, size and card as one JSON object."""
    told = {
        "set": str(path),
        "digest": compressed.digest,
        "images": len(compressed),
        "shape": list(compressed.images.shape[1:]),
        "card": compressed.card.model_dump(mode="json"),
    }
    return json.dumps(told)
