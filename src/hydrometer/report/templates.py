"""Templates of the reports: everything is escaped, nothing may be missing."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files

from jinja2 import ChoiceLoader, PackageLoader, StrictUndefined
from jinja2 import Environment as Templates
from markupsafe import Markup, escape


def templates(*packages: str) -> Templates:
    """An environment over the templates of these packages and of this one."""
    found = Templates(
        loader=ChoiceLoader([PackageLoader(p, "") for p in (*packages, "hydrometer.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"unbroken": unbroken, "wrapped": wrapped, "file": file_of}
    return found


def unbroken(sentence: str) -> str:
    """The sentence with every percent sign tied to its number, and every interval in one piece."""
    tied = re.sub(r"\[[^\]]*\]", lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}"), sentence)
    return tied.replace(" %", "\N{NO-BREAK SPACE}%")


def wrapped(sentence: str) -> Markup:
    """The sentence, escaped, whose long specs may go on in a new line after a comma or bracket.

    >>> wrapped("dm(lr=1.0,width=32), 1,000 <")
    Markup('dm(<wbr>lr=1.0,<wbr>width=32), 1,000 &lt;')
    """
    return Markup(re.sub(r"([(,])(?=[a-z_])", r"\1<wbr>", str(escape(sentence))))


def file_of(digest: str) -> str:
    """A digest as the name of a file; what is none of ours is made one.

    >>> file_of("98083dc1802e3a66a2ea"), file_of("../../x")
    ('98083dc1802e3a66a2ea', '9cdf6a50100a862e1428')
    """
    return (
        digest
        if digest.isalnum() and digest.isascii()
        else sha256(digest.encode()).hexdigest()[:20]
    )


def asset(package: str, name: str) -> Markup:
    """A style sheet or script of our own, which is not to be escaped."""
    return Markup(files(package).joinpath(name).read_text("utf-8").strip())
