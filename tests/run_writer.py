"""A process that adds runs to a store: run_writer.py STORE NAME COUNT SHARED."""

import sys

from hydrometer.store import Store
from run_rows import run_of


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(path, name, count, shared):
    with Store(path) as store:
        say("ready")
        sys.stdin.readline()
        for i in range(int(count)):
            say(f"{name}{i}", store.add(run_of(f"{name}{i}")))
            if i < int(shared):
                say(f"shared{i}", store.add(run_of(f"shared{i}")))


if __name__ == "__main__":
    main(*sys.argv[1:])
