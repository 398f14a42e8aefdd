"""The layering rule: a module imports only from layers below it, at its top, and never in a circle.

Inside a layer, the order given here holds too, so that packages of one layer cannot form a circle.
Only `cli` and `registry` may import Hydrometer's own modules inside functions.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

LAYERS = [
    ["types"],
    ["digest", "seeds", "registry", "transfer", "units"],
    ["sources", "students", "augment", "labels", "losses", "stats"],
    ["artifact", "store", "engine", "execute", "loggers"],
    ["methods", "protocols", "metrics"],
    ["verdict", "bench", "board", "report", "attribute", "testing", "site"],
    ["cli"],
    ["__main__"],
]
ORDERED = {
    "engine": 0,
    "artifact": 0,
    "store": 0,
    "execute": 1,
    "verdict": 0,
    "report": 0,
    "bench": 1,
    "board": 1,
    "attribute": 1,
    "site": 2,
    "types": 0,
    "registry": 0,
    "digest": 1,
}
LAZY = {"cli", "registry"}
ROOT = Path(__file__).parent.parent / "src" / "hydrometer"


def package(module: str) -> str:
    """The first name below hydrometer."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def layer(name: str) -> int:
    """Height of a package; unknown ones are an error in this file, not in the code."""
    for height, names in enumerate(LAYERS):
        if name in names:
            return height
    raise SystemExit(f"tools/layers.py does not know {name!r}; give it a layer")


def imports(path: Path) -> list[tuple[int, str, bool]]:
    """Line, module and whether it stands inside a function, of every own import."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("hydrometer")
        ):
            names = [node.module]
            if node.module == "hydrometer":
                names = [f"hydrometer.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("hydrometer")]
        else:
            continue
        found += [(node.lineno, name, id(node) in inside) for name in names]
    return found


def faults() -> list[str]:
    """Every import that breaks the rule, as file:line and reason."""
    said = []
    for path in sorted(ROOT.rglob("*.py")):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for line, module, lazy in imports(path):
            other = package(module)
            where = f"{path.relative_to(ROOT.parent.parent)}:{line}"
            if lazy and own not in LAZY:
                said.append(f"{where}: imports {module} inside a function; a layer is missing")
            if other in ("", own):
                continue
            above = layer(other) - layer(own)
            level = above == 0 and ORDERED.get(other, 0) >= ORDERED.get(own, 0)
            if above > 0 or level:
                said.append(f"{where}: {own} may not import {other}")
    return said


if __name__ == "__main__":
    problems = faults()
    print("\n".join(problems) or "layers: every import points down")
    sys.exit(bool(problems))
