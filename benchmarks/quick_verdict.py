"""How long a laptop waits for a verdict on CIFAR-10, and how much memory it needs.

    HYDROMETER_DATA=../shared/data .venv/bin/python benchmarks/quick_verdict.py [--ipc 10]

Compresses CIFAR-10 and evaluates the set from the command line with an empty store, as a newcomer
does, and again with the full one, which must train nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydrometer.engine.environment import default_device
from tabulate_results import environment_line

HYDROMETER = Path(sys.executable).with_name("hydrometer")


def main() -> None:
    """Time the two evaluations and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protocol", default="ddranking-hard-quick@1")
    parser.add_argument("--source", default="cifar10")
    parser.add_argument("--ipc", default="10")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made, store = str(Path(folder) / "set.safetensors"), str(Path(folder) / "runs.sqlite")
        spent("compress", "--source", args.source, "--method", "random", "--ipc", args.ipc,
              "--out", made)  # fmt: skip
        evaluate = ("evaluate", made, "--source", args.source, "--protocol", args.protocol,
                    "--store", store, "--json")  # fmt: skip
        for name in ("empty store", "full store"):
            seconds, gibibytes, printed = spent(*evaluate)
            found = json.loads(printed)
            print(f"{name}: {seconds / 60:.1f} min, peak {gibibytes:.2f} GiB resident (n=1)")
    for metric, value in found["estimates"].items():
        print(f"  {metric}: {value}")
    print(environment_line(default_device()))


def spent(*command: str) -> tuple[float, float, bytes]:
    """Seconds, peak resident GiB and standard output of one command."""
    start = time.perf_counter()
    process = subprocess.Popen([HYDROMETER, *command], stdout=subprocess.PIPE)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"hydrometer {' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20, printed


if __name__ == "__main__":
    main()
