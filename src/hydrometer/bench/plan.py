"""Plans: which sources, methods, budgets and protocols are crossed, as written in a TOML file.

Reading imports no plug-in and no torch, so that a large plan reports its status at once; `bench.names`
looks the names up before anything is run.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from hydrometer import digest, registry
from hydrometer.types import REVISED, TRUST_LAYOUT, Budget, HydrometerError
from hydrometer.units import read_bytes

AXES = ("sources", "methods", "budgets", "protocols")
OPTIONAL = ("students", "seeds", "trusts")
PLACES = ("name", "out", "store")
NO_TRUST = "none"
"""How a plan writes that every given label is believed."""


@dataclass(frozen=True)
class Cell:
    """One verdict of a plan, in the words of the plan without their spaces.

    `seed` is the method's: the seeds of the students are a setting of the protocol. `student` is the
    one of the plan's `students` that the protocol is changed to. Two spellings of one protocol are two
    cells, of which the second finds every student of the first in the store. `trust` is the estimator
    that chooses which labels the method gets to see, if any.
    """

    source: str
    method: str
    budget: str
    seed: int
    protocol: str
    student: str | None = None
    trust: str | None = field(default=None, metadata={"omitted": True})

    @cached_property
    def digest(self) -> str:
        """The identity of the cell, and the name of its result file."""
        return digest.of([self, *self.trusting[1:]] if self.trust else self)

    @property
    def trusting(self) -> tuple[str | int, ...]:
        """What its set depends on through trust: estimator, layout, and revision if there was one."""
        if not self.trust:
            return ()
        estimator = registry.parse(self.trust).name
        revision = (REVISED[estimator],) if estimator in REVISED else ()
        return self.trust, TRUST_LAYOUT, *revision

    def __str__(self) -> str:
        with_student = f" with {self.student}" if self.student else ""
        trusting = f", trust {self.trust}" if self.trust else ""
        return (
            f"{self.method} ({self.budget}, seed {self.seed}{trusting}) on {self.source}, "
            f"{self.protocol}{with_student}"
        )


@dataclass(frozen=True)
class Plan:
    """A grid of verdicts and where its sets, runs and results lie."""

    name: str
    out: Path
    store: Path
    cells: tuple[Cell, ...]


Check = Callable[[str], object]
"""Raises HydrometerError where a value of an axis names nothing that is known."""


def read(path: Path, checks: Mapping[str, Check] | None = None) -> Plan:
    """Read a plan; its paths are taken from the folder it lies in.

    `checks` are called on every value of the axis they are named after.

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
    trusts = ["none", "tad"]                # optional: whose word on labels the methods take
    ```

    Raises:
        HydrometerError: The file cannot be read, or something in it is wrong: all of it is listed at
            once, with its lines.
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
    return _Reader(path, text, table, checks or {}).plan()


@dataclass(frozen=True)
class _Fault:
    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class _Reader:
    """Reads all of a plan before it complains."""

    def __init__(
        self, path: Path, text: str, table: dict[str, object], checks: Mapping[str, Check]
    ) -> None:
        self.path, self.lines, self.table, self.checks = path, text.splitlines(), table, checks
        self.faults: list[_Fault] = []

    def plan(self) -> Plan:
        self._check_keys()
        axes = [self._axis(name) for name in AXES]
        with_students = self._axis("students") if "students" in self.table else [None]
        trusts = self._axis("trusts") if "trusts" in self.table else [NO_TRUST]
        seeds = self._seeds()
        places = {name: self._place(name) for name in PLACES if name in self.table}
        if self.faults:
            ordered = sorted(self.faults, key=lambda fault: fault.line)
            raise HydrometerError(f"plan {self.path}: {'; '.join(map(str, ordered))}")
        name = places.get("name", self.path.stem)
        out = self.path.parent / places.get("out", name)
        store = self.path.parent / places["store"] if "store" in places else out / "runs.sqlite"
        return Plan(
            name, out, store, tuple(dict.fromkeys(_cross(axes, with_students, seeds, trusts)))
        )

    def _check_keys(self) -> None:
        known = [*PLACES, *AXES, *OPTIONAL]
        for key in self.table:
            if key not in known:
                self._fault(self._line(key), unknown("key", key, known))
        for axis in AXES:
            if axis not in self.table:
                self._fault(self._line(r"[plan]"), f"{axis} is missing")

    def _axis(self, axis: str) -> list[str]:
        """The values of an axis without their spaces; what cannot be read becomes a fault."""
        values = self.table.get(axis, [])
        if not isinstance(values, list) or (axis in self.table and not values):
            self._fault(self._line(axis), f"{axis} must be a list of names")
            return []
        found = []
        for value in values:
            try:
                if not isinstance(value, str):
                    raise HydrometerError(f"{value!r} in {axis} is not text")
                found.append(READERS[axis](value))
                self.checks.get(axis, READERS[axis])(value)
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
        elif name == "name" and not _is_file_name(value):
            self._fault(
                self._line(name), f"name {value!r} is not a plain file name; say where with `out`"
            )
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
    axes: Sequence[list[str]],
    with_students: Sequence[str | None],
    seeds: Sequence[int],
    trusts: Sequence[str],
) -> Iterator[Cell]:
    """Cells in the order that shares most: all protocols of a set together, all sets of a source."""
    sources, methods, budgets, protocols = axes
    for source, method, budget, seed, trust, protocol, student in itertools.product(
        sources, methods, budgets, seeds, trusts, protocols, with_students
    ):
        believed = None if trust == NO_TRUST else trust
        yield Cell(source, method, budget, seed, protocol, student, believed)


def read_budget(text: str) -> Budget:
    """The budget that `ipc=10`, `fraction=0.01` or `bytes=200kB` means."""
    kind, _, value = text.replace(" ", "").partition("=")
    try:
        if kind == "ipc":
            return Budget(per_class=int(value)).some()
        if kind == "fraction":
            return Budget(fraction=float(value)).some()
    except ValueError:
        kind = ""
    if kind == "bytes":
        return Budget(bytes=read_bytes(value)).some()
    raise HydrometerError(
        f"cannot read budget {text!r}; write ipc=10, fraction=0.01 or bytes=200kB"
    )


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """As `registry.unknown`, short enough to stand in a list of such faults."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    return f"no {kind} named {name!r}{hint}"


def _is_file_name(text: str) -> bool:
    """Whether a name stays in the folder it is put into, on every system."""
    parts = PurePosixPath(text).name, PureWindowsPath(text).name
    return parts == (text, text) and text not in (".", "..") and text.isprintable()


def _spaceless(text: str) -> str:
    if not text.strip():
        raise HydrometerError("a name is empty")
    return "".join(text.split())


READERS: dict[str, Callable[[str], str]] = {
    "sources": str.strip,
    "methods": lambda text: str(registry.parse(text)),
    "budgets": lambda text: str(read_budget(text)),
    "protocols": _spaceless,
    "students": _spaceless,
    "trusts": lambda text: str(registry.parse(text)),
}
"""How a value of each axis is written in its one way."""
