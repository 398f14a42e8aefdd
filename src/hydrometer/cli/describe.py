"""What there is to say of a plug-in, from its own docstring, and of a set, from its card."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from hydrometer import registry
from hydrometer.labels.shards import LabelBank, class_type
from hydrometer.protocols import Protocol
from hydrometer.report import text
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


FKD_VIEW = 29
"""Bytes of crop box, flip, partner, share and box that a released FKD file stores for each view."""


def bank_rows(bank: LabelBank) -> list[tuple[str, str]]:
    """Names and values of a bank: what it belongs to, and its bytes piece by piece."""
    card, size = bank.card, text.bytes
    views = card.epochs * card.views
    values = 2 * views * (card.top or len(card.classes))
    numbers = class_type(len(card.classes)).itemsize * views * card.top if card.top else 0
    pieces = [
        ("logits", values),
        ("class numbers", numbers),
        ("headers", bank.bytes - values - numbers),
    ]
    listed = " + ".join(f"{name} {size(n)}" for name, n in pieces if n)
    return [
        ("digest", bank.contents.digest),
        ("set", card.set_digest),
        ("source", f"{card.source} ({card.source_digest})"),
        ("protocol", card.protocol or "none"),
        ("teacher", f"{', '.join(card.teachers)} ({card.labels})"),
        ("views", f"{views} = {card.epochs} epochs x {card.views}, of seed {card.seed}"),
        ("fixed by", card.view),
        ("bytes", f"{size(bank.bytes)} = {listed}; views 0 B, drawn again from the seed"
         f" (FKD files would store {size(FKD_VIEW * views)})"),
        ("shards", str(len(bank.contents.shards))),
        ("time", text.duration(bank.contents.seconds)),
    ]  # fmt: skip
