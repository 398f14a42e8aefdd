"""What each process of a group does in the tests of shared training; run by `start`."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

import tiny
from hydrometer.engine import loop
from hydrometer.engine.loop import Cohort
from hydrometer.engine.shared import Shared
from hydrometer.execute import Silent, executor
from hydrometer.execute.lab import Lab
from hydrometer.registry import register
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Spec

PATIENCE = 1200
"""Seconds; a few on a quiet machine, most of them imports."""
SOURCE = tiny.source()
LENS, (VAL, _) = tiny.lens_and_exams(SOURCE)
BATCH_NORM = Spec("convnet", (("depth", 2), ("norm", "batch"), ("width", 8)))
MIX = (Spec("flip"), Spec("mixup"))


def dropping(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes))


# 15 images: batches of 6, 6, 3; of 7, 7 (the last one is left out); of 15; and of one image alone.
CASES = {
    "batch norm": {"student": BATCH_NORM, "batch": 6},
    "batch norm, odd": {"student": BATCH_NORM, "batch": 7},
    "batch norm, whole": {"student": BATCH_NORM, "batch": 15, "augment": MIX},
    "instance norm": {"batch": 6, "augment": MIX, "average": 0.9},
    "instance norm, odd": {"batch": 7},
    "one image, one process idle": {"student": BATCH_NORM, "batch": 6, "rows": (0,)},
}


def job(name, seed=0):
    return tiny.job(SOURCE, seed=seed, **({"rows": range(0, 60, 4)} | CASES[name]))


def trained(name, alone):
    """Losses, weights, buffers and logits of a case."""
    program, losses = loop.train(Cohort([job(name)], SOURCE, LENS, (), alone=alone))
    found = {f"state/{k}": v.clone() for k, v in program.model.state_dict().items()}
    return found | {"losses": losses, "logits": program.logits(VAL[torch.arange(len(VAL))])}


def start(script, folder, count):
    """Start the processes of a group, as torchrun would, and wait for them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = []
    for rank in range(count):
        own = settings | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": 1}
        env = os.environ | {key: str(value) for key, value in own.items()}
        words = [sys.executable, "-W", "error", script, str(folder)]
        running.append(subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True))
    try:
        said = [process.communicate(timeout=PATIENCE)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * count, said


def train_cases(folder):
    dist.init_process_group("gloo")
    for number, name in enumerate(CASES):
        save_file(trained(name, Shared), folder / f"{number}-{dist.get_rank()}.safetensors")
    dist.destroy_process_group()


def run_jobs(folder):
    """An executor's run, with a student among the jobs that cannot be shared."""
    # Registered here and not above, as the tests import this module and must not know of it.
    register("student")(dropping)
    os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + 1)
    lab = Lab(SOURCE, tiny.CPU)
    with executor("torchrun") as execute, Store(folder / "runs.sqlite") as store:
        try:
            execute([tiny.job(SOURCE, student=Spec("dropping"))], lab, store, Silent())
        except HydrometerError as error:
            (folder / "refused").write_text(str(error))
        whole = tiny.job(SOURCE, rows=range(60), epochs=1)
        execute([job("instance norm, odd"), whole], lab, store, Silent())
    (folder / f"leader-{os.environ['RANK']}").touch()


if __name__ == "__main__":
    train_cases(Path(sys.argv[1]))
    run_jobs(Path(sys.argv[1]))
