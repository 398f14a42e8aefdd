"""Find plug-ins by name: built-in modules, installed entry points, and files named with `--use`.

A plug-in is a callable marked with `@register(kind)`; its registered name is its function or class
name with `-` for `_` (or the name given). Modules below `hydrometer/<kind's package>` are found by
their file name, so a new plug-in is one new file. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from hydrometer.types import HydrometerError, Scalar, Spec

PACKAGES = {
    "source": "sources",
    "noise": "sources.noise",
    "student": "students",
    "augmentation": "augment",
    "whitening": "augment",
    "loss": "losses",
    "labels": "labels",
    "optimiser": "engine.optimisers",
    "schedule": "engine.schedules",
    "method": "methods",
    "trust": "methods.trust",
    "protocol": "protocols",
    "metric": "metrics",
    "format": "artifact",
    "logger": "loggers",
    "executor": "execute",
}
_found: dict[str, dict[str, Any]] = {kind: {} for kind in PACKAGES}
_used: list[Path] = []
FEW = 12
"""Names that an error may list in full even where it has a guess."""
_NUMBERS: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool}
T = TypeVar("T")


def register(kind: str, name: str | None = None) -> Callable[[T], T]:
    """Mark a thing as a plug-in of a kind, under its own name unless another is given.

    Raises:
        HydrometerError: The name is taken: what a card says would no longer tell what made it.
    """
    if kind not in PACKAGES:
        raise ValueError(f"no plug-in kind {kind!r}; known: {', '.join(PACKAGES)}")

    def mark(thing: T) -> T:
        own = name or _own_name(thing)
        if not _origin(thing)[0].startswith("hydrometer."):
            # Or one that comes later would be the plug-in of some commands and not of others.
            _import_own(kind)
        held = _found[kind].get(own, thing)
        if _origin(held) != _origin(thing):
            raise HydrometerError(
                f"{kind} {own!r} is taken by {_origin(held)[0]}; register it under another name"
            )
        _found[kind][own] = thing
        return thing

    return mark


def _origin(thing: Any) -> tuple[str, str]:
    """Module and name of a thing; the same again where its file is loaded twice."""
    return str(getattr(thing, "__module__", "")), str(getattr(thing, "__qualname__", thing))


def _own_name(thing: Any) -> str:
    return str(thing.__name__).lower().replace("_", "-")


def names(kind: str) -> list[str]:
    """All registered names of a kind, sorted; imports every plug-in of that kind."""
    _import_all(kind)
    return sorted(_found[kind])


def get(kind: str, name: str) -> Any:
    """The plug-in of this kind and name; an unknown name is an error that offers the nearest."""
    if name in _found[kind]:
        return _found[kind][name]
    for module in _modules(kind):
        if module.rsplit(".", 1)[-1] == name.replace("-", "_"):
            importlib.import_module(module)
    if name not in _found[kind]:
        _import_all(kind)
    if name not in _found[kind]:
        raise unknown(kind, name, sorted(_found[kind]))
    return _found[kind][name]


def build(kind: str, spec: Spec, /, *args: object, **extra: object) -> Any:
    """Call the plug-in a spec names with the spec's arguments; wrong arguments are a user's error."""
    plugin = get(kind, spec.name)
    parameters = inspect.signature(plugin).parameters
    try:
        inspect.signature(plugin).bind(*args, **{**spec.kwargs, **extra})
    except TypeError as error:
        known = [p for p in parameters if p not in extra]
        raise HydrometerError(
            f"{kind} {str(spec)!r}: {error}; {spec.name} takes: {', '.join(known) or 'no arguments'}"
        ) from None
    _refuse_mistyped(kind, spec, parameters)
    return plugin(*args, **{**spec.kwargs, **extra})


def _refuse_mistyped(kind: str, spec: Spec, parameters: Mapping[str, inspect.Parameter]) -> None:
    """Refuse text where a number belongs; text itself may look like anything, even a number."""
    for name, value in spec.args:
        annotation = parameters[name].annotation if name in parameters else None
        wanted = str(getattr(annotation, "__name__", annotation)).removesuffix(" | None")
        if value is not None and not isinstance(value, _NUMBERS.get(wanted, object)):
            raise HydrometerError(f"{kind} {str(spec)!r}: {name}={value!r} is not of type {wanted}")


def use(path: Path) -> None:
    """Load plug-ins from a Python file, which registers them with `@register` as it is imported."""
    if not path.is_file():
        raise HydrometerError(f"no plug-in file {path}")
    spec = importlib.util.spec_from_file_location(f"hydrometer_use_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise HydrometerError(f"{path} is not a Python file; --use takes a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise HydrometerError(f"{path} could not be loaded: {error}") from error
    _used.append(path.resolve())


def used() -> tuple[Path, ...]:
    """The Python files loaded by `use`, for the other processes that are to know their plug-ins."""
    return tuple(_used)


def unknown(kind: str, name: str, known: list[str], *, listable: bool = True) -> HydrometerError:
    """The error for a name that does not exist, with the nearest one that does.

    Where none is near all are listed, or the least far, where all would fill the screen.
    """
    count = 3 if len(known) > FEW else 1
    near = difflib.get_close_matches(name, known, n=count)
    if not near and not listable:
        near = difflib.get_close_matches(name, known, n=count, cutoff=0.0)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    if near and len(known) > FEW:
        return HydrometerError(f"no {kind} named {name!r}; {hint}`hydrometer list` shows all")
    return HydrometerError(f"no {kind} named {name!r}; {hint}known: {', '.join(known)}")


_SPEC = re.compile(r"([A-Za-z][\w.@-]*)\s*(?:\((.*)\))?", re.DOTALL)


def parse(text: str) -> Spec:
    """Read a spec such as `sgd(momentum=0.9,nesterov=True)`.

    >>> parse("sgd(momentum=0.9)")
    Spec(name='sgd', args=(('momentum', 0.9),))
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None or not _balanced(match.group(2) or ""):
        raise HydrometerError(f"cannot read {text!r}; write name or name(key=value,...)")
    name, inside = match.group(1), match.group(2) or ""
    args: dict[str, Scalar] = {}
    for part in listed(inside):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key.isidentifier():
            raise HydrometerError(f"cannot read {part!r} in {text!r}; arguments are key=value")
        if key in args:
            raise HydrometerError(f"{text!r} gives {key} twice")
        args[key] = _value(value)
    return Spec(name.lower() if "." not in name else name, tuple(sorted(args.items())))


def _balanced(text: str) -> bool:
    """Whether brackets close what was opened, and nothing else."""
    depth = 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return not depth


def listed(text: str) -> list[str]:
    """The names or arguments of a list with commas; commas inside brackets or braces stay.

    >>> listed("a@1{x=1,y=b(c=1)}, tad(rounds=1,recall=False)")
    ['a@1{x=1,y=b(c=1)}', 'tad(rounds=1,recall=False)']
    """
    depth, pieces = 0, [""]
    for letter in text:
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces if piece.strip()]


def _value(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, str | int | float | bool | None) else text


def _import_all(kind: str) -> None:
    _import_own(kind)
    _load_entry_points()


def _import_own(kind: str) -> None:
    for module in _modules(kind):
        importlib.import_module(module)


@cache
def _modules(kind: str) -> tuple[str, ...]:
    package = f"hydrometer.{PACKAGES[kind]}"
    path = list(importlib.import_module(package).__path__)
    return tuple(m.name for m in pkgutil.walk_packages(path, f"{package}.") if not m.ispkg)


@cache
def _load_entry_points() -> None:
    for point in entry_points(group="hydrometer"):
        point.load()
