"""`hydrometer serve`: a report in the browser of this machine alone."""

from __future__ import annotations

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from hydrometer.cli.options import JsonOption
from hydrometer.types import HydrometerError

HOST = "127.0.0.1"


class Handler(SimpleHTTPRequestHandler):
    """Hands out the files of one folder, in silence, to who asked for this very host."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Refuse names of other sites that were made to point here, and folders without a page."""
        asked = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if asked not in (HOST, "localhost"):
            self.send_error(403, "this report is for this machine alone")
            return None
        return super().send_head()

    def list_directory(self, path: str | PathLike[str]) -> BytesIO | None:
        """List nothing."""
        self.send_error(404)
        return None

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def command(
    folder: Annotated[
        Path, typer.Argument(help="Folder that `hydrometer report` wrote.", metavar="REPORT")
    ] = Path("report"),
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    json: JsonOption = False,
) -> None:
    """Open a report at an address that only this machine can reach, until Ctrl-C."""
    import json as encoder

    from hydrometer.cli.console import talk, write

    with server(folder, port) as running:
        address = f"http://{HOST}:{running.server_address[1]}/"
        write(encoder.dumps({"address": address}) if json else f"{address} (Ctrl-C ends)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            talk.print("stopped")


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a folder on this machine's own address."""
    from functools import partial

    if not (folder / "index.html").is_file():
        raise HydrometerError(
            f"no report in {folder}; write one with `hydrometer report --out DIR`"
        )
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, directory=str(folder)))
    except OSError as error:
        raise HydrometerError(
            f"cannot use port {port}: {error.strerror}; choose another with --port, 0 for a free one"
        ) from error
