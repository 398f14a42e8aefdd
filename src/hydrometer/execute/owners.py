"""Who holds a claim: one process of one machine, written as `host:pid`."""

from __future__ import annotations

import os
import socket


def this() -> str:
    """The owner that this process is."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_gone(owner: str) -> bool:
    """Whether an owner was a process of this machine and is no more; of another machine nobody knows."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
