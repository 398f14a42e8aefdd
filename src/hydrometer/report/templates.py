"""Templates of the reports: everything is escaped, nothing may be missing."""

from __future__ import annotations

import re
from importlib.resources import files

from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined
from jinja2 import Environment as Templates
from markupsafe import Markup


def templates(*packages: str) -> Templates:
    """An environment over the templates of these packages and of this one."""
    found = Templates(
        loader=ChoiceLoader([PackageLoader(p, "") for p in (*packages, "hydrometer.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["unbroken"] = unbroken
    return found


def unbroken(sentence: str) -> str:
    """The sentence with every percent sign tied to its number, and every interval in one piece."""
    tied = re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)
    return tied.replace(" %", "\N{NO-BREAK SPACE}%")


def asset(package: str, name: str) -> Markup:
    """A style sheet or script of our own, which is not to be escaped."""
    return Markup(files(package).joinpath(name).read_text("utf-8").strip())
