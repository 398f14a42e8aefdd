"""Plans: which sources, methods, budgets and protocols are crossed, as written in a TOML file."""

from __future__ import annotations

import difflib
import inspect
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hydrometer import digest, protocols, registry, students
from hydrometer.report.text import read_bytes
from hydrometer.types import Budget, HydrometerError

AXES = ("sources", "methods", "budgets", "protocols")
OPTIONAL = ("students", "seeds")
PLACES = ("name", "out", "store")


@dataclass(frozen=True)
class Cell:
    """One verdict of a plan; every name is written in its one canonical way.

    A student of the plan's `students` is part of `protocol`, in braces. `seed` is the method's: the
    seeds of the students are a setting of the protocol.
    """

    source: str
    method: str
    budget: str
    seed: int
    protocol: str

    @cached_property
    def digest(self) -> str:
        """The identity of the cell, and the name of its result file."""
        return digest.of(self)

    def __str__(self) -> str:
        return f"{self.method} ({self.budget}, seed {self.seed}) on {self.source}, {self.protocol}"


@dataclass(frozen=True)
class Plan:
    """A grid of verdicts and where its sets, runs and results lie."""

    name: str
    out: Path
    store: Path
    cells: tuple[Cell, ...]


def read(path: Path) -> Plan:
    """Read a plan; its paths are taken from the folder it lies in.

    ```toml
    [plan]
    name = "digits"
    out = "digits-bench"                    # by default the name
    sources = ["digits"]
    methods = ["random", "herding(features=pixels)"]
    budgets = ["ipc=10", "fraction=0.01", "bytes=200kB"]
    protocols = ["ddranking-hard-quick@1"]
    students = ["ConvNet-3", "ResNet-18"]   # optional: each protocol with each student
    seeds = [0, 1]                          # optional: seeds of the methods; by default 0
    ```

    Raises:
        HydrometerError: The file cannot be read, or holds unknown names: all of them are listed at
            once, with their lines.
    """
    try:
        text = path.read_text("utf-8")
        table = tomllib.loads(text).get("plan")
    except OSError as error:
        raise HydrometerError(f"cannot read plan {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HydrometerError(f"plan {path} is not TOML: {error}") from error
    if not isinstance(table, dict):
        raise HydrometerError(f"plan {path} has no table [plan]")
    return _Reader(path, text, table).plan()


@dataclass(frozen=True)
class _Fault:
    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class _Reader:
    """Reads all of a plan before it complains."""

    def __init__(self, path: Path, text: str, table: dict[str, object]) -> None:
        self.path, self.lines, self.table = path, text.splitlines(), table
        self.faults: list[_Fault] = []

    def plan(self) -> Plan:
        self._check_keys()
        axes = [self._axis(name, read_one) for name, read_one in READERS.items()]
        with_students = self._axis("students", _student) if "students" in self.table else [None]
        seeds = self._seeds()
        places = {name: self._place(name) for name in PLACES if name in self.table}
        if self.faults:
            ordered = sorted(self.faults, key=lambda fault: fault.line)
            raise HydrometerError(f"plan {self.path}: {'; '.join(map(str, ordered))}")
        name = places.get("name", self.path.stem)
        out = self.path.parent / places.get("out", name)
        store = self.path.parent / places["store"] if "store" in places else out / "runs.sqlite"
        return Plan(name, out, store, tuple(dict.fromkeys(_cross(axes, with_students, seeds))))

    def _check_keys(self) -> None:
        known = [*PLACES, *AXES, *OPTIONAL]
        for key in self.table:
            if key not in known:
                self._fault(self._line(key), _unknown("key", key, known))
        for axis in AXES:
            if axis not in self.table:
                self._fault(self._line(r"[plan]"), f"{axis} is missing")

    def _axis(self, axis: str, read_one: Callable[[str], str]) -> list[str]:
        """The values of an axis in canonical form; what cannot be read becomes a fault."""
        values = self.table.get(axis, [])
        if not isinstance(values, list) or (axis in self.table and not values):
            self._fault(self._line(axis), f"{axis} must be a list of names")
            return []
        found = []
        for value in values:
            try:
                if not isinstance(value, str):
                    raise HydrometerError(f"{value!r} in {axis} is not text")
                found.append(read_one(value))
            except HydrometerError as error:
                self._fault(self._line(axis, value), str(error))
        return found

    def _seeds(self) -> list[int]:
        values = self.table.get("seeds", [0])
        fine = isinstance(values, list) and values and all(type(v) is int for v in values)
        if not isinstance(values, list) or not fine:
            self._fault(self._line("seeds"), "seeds must be a list of whole numbers")
            return []
        return values

    def _place(self, name: str) -> str:
        value = self.table[name]
        if not isinstance(value, str) or not value:
            self._fault(self._line(name), f"{name} must be text")
        return str(value)

    def _fault(self, line: int, reason: str) -> None:
        self.faults.append(_Fault(line, reason))

    def _line(self, key: str, value: object = None) -> int:
        """The line of a key, or of the first such value from there on; 0 if it is not found."""
        keyed = re.compile(rf'\s*["\']?{re.escape(key)}["\']?\s*(=|$)')
        start = next((i for i, line in enumerate(self.lines) if keyed.match(line)), -1)
        if value is None or start < 0:
            return start + 1
        spelled = (json.dumps(value), f"'{value}'") if isinstance(value, str) else (str(value),)
        rest = enumerate(self.lines[start:], start + 1)
        return next((i for i, line in rest if any(s in line for s in spelled)), start + 1)


def _cross(
    axes: Sequence[list[str]], with_students: Sequence[str | None], seeds: Sequence[int]
) -> Iterator[Cell]:
    """Cells in the order that shares most: all protocols of a set together, all sets of a source."""
    sources, methods, budgets, names = axes
    judges = [_with_student(name, student) for name in names for student in with_students]
    for source, method, budget, seed, judge in itertools.product(
        sources, methods, budgets, seeds, judges
    ):
        yield Cell(source, method, budget, seed, judge)


def _with_student(protocol: str, student: str | None) -> str:
    return (
        protocol if student is None else protocols.load(protocol).changed({"student": student}).name
    )


def read_budget(text: str) -> Budget:
    """The budget that `ipc=10`, `fraction=0.01` or `bytes=200kB` means."""
    kind, _, value = text.replace(" ", "").partition("=")
    try:
        if kind == "ipc":
            return Budget(per_class=int(value))
        if kind == "fraction":
            return Budget(fraction=float(value))
    except ValueError:
        kind = ""
    if kind == "bytes":
        return Budget(bytes=read_bytes(value))
    raise HydrometerError(
        f"cannot read budget {text!r}; write ipc=10, fraction=0.01 or bytes=200kB"
    )


def _source(text: str) -> str:
    """A source whose kind is known; whether its files are there shows when it is loaded."""
    kind = re.split(r"[:+]", text.strip())[0].lower().replace("_", "-")
    _known("source", kind)
    return text.strip()


def _method(text: str) -> str:
    spec = registry.parse(text)
    _known("method", spec.name)
    parameters = inspect.signature(registry.get("method", spec.name)).parameters
    for name in spec.kwargs:
        if name not in parameters:
            raise HydrometerError(f"method {spec.name} has no argument {name!r}")
    return str(spec)


def _protocol(text: str) -> str:
    base = text.partition("{")[0].strip()
    if "@" in base:
        _known("protocol", base)
    return protocols.load(text).name


def _student(text: str) -> str:
    return str(students.spec(text))


def _known(kind: str, name: str) -> None:
    if name not in registry.names(kind):
        raise HydrometerError(_unknown(kind, name, registry.names(kind)))


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    return f"no {kind} named {name!r}{hint}"


READERS: dict[str, Callable[[str], str]] = {
    "sources": _source,
    "methods": _method,
    "budgets": lambda text: str(read_budget(text)),
    "protocols": _protocol,
}
"""How a value of each axis is checked and written in its one way."""
