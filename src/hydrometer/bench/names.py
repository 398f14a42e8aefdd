"""Whether the names in a plan are known; imports the plug-ins, and with them torch."""

from __future__ import annotations

import inspect
from pathlib import Path

from hydrometer import protocols, registry, sources, students
from hydrometer.bench import plan
from hydrometer.bench.plan import Cell, Plan, unknown
from hydrometer.protocols import Protocol
from hydrometer.types import HydrometerError


def read(path: Path) -> Plan:
    """Read a plan, and look up every name in it.

    Raises:
        HydrometerError: As `plan.read`; unknown names are listed with what else is wrong.
    """
    return plan.read(path, CHECKS)


def protocol(cell: Cell) -> Protocol:
    """The protocol of a cell, with the student of the cell where it has one."""
    found = protocols.load(cell.protocol)
    return found if cell.student is None else found.changed({"student": cell.student})


def _source(text: str) -> None:
    """A source whose kind and modifiers are known; whether its files are there shows later."""
    base, *modifiers = sources.dissect(text)
    _known("source", base.partition(":")[0].lower().replace("_", "-"))
    for modifier in modifiers:
        sources.check(modifier)


def _method(text: str) -> None:
    _called("method", text)


def _trust(text: str) -> None:
    if text != plan.NO_TRUST:
        _called("trust", text)


def _called(kind: str, text: str) -> None:
    """A plug-in that is known, and takes the arguments it is given."""
    spec = registry.parse(text)
    _known(kind, spec.name)
    parameters = inspect.signature(registry.get(kind, spec.name)).parameters
    for name in spec.kwargs:
        if name not in parameters:
            raise HydrometerError(f"{kind} {spec.name} has no argument {name!r}")
    if spec.kwargs.get("student") not in ("", None):
        students.spec(str(spec.kwargs["student"]))


def _protocol(text: str) -> None:
    base = text.partition("{")[0].strip()
    if "@" in base:
        _known("protocol", base)
    protocols.load(text)


def _known(kind: str, name: str) -> None:
    """As `registry.get`, with an error short enough to stand in a list of them."""
    try:
        registry.get(kind, name)
    except HydrometerError:
        raise HydrometerError(unknown(kind, name, registry.names(kind))) from None


CHECKS: dict[str, plan.Check] = {
    "sources": _source,
    "methods": _method,
    "protocols": _protocol,
    "students": students.spec,
    "trusts": _trust,
}
"""What is looked up of each axis; budgets need no looking up."""
