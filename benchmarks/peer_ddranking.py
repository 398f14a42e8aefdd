"""ddranking==0.2.0 as a server of measured work, run inside an environment of its own.

Reads one JSON request per line, {"seed", "lr", "epochs", "workers"}, trains one student with the
package's own loop and test cadence, and answers with its seconds, the part spent testing, and every
test accuracy; with "once" it leaves out all tests but the last. Nothing of the package is changed but where CIFAR-10 comes from and where output goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torchvision import datasets


def fake_cifar10(arrays: str) -> type:
    """Torchvision's CIFAR10 over arrays already on disk, so that no download is needed."""
    stored = np.load(arrays)

    class CIFAR10(torch.utils.data.Dataset):
        def __init__(self, root, train, download, transform):
            part = "train" if train else "test"
            self.data, self.targets = stored[f"{part}_images"], stored[f"{part}_labels"].tolist()
            self.transform = transform

        def __len__(self):
            return len(self.targets)

        def __getitem__(self, row):
            return self.transform(self.data[row]), self.targets[row]

    return CIFAR10


def main() -> None:
    """Serve until the input ends."""
    arrays = sys.argv[1]
    datasets.CIFAR10 = fake_cifar10(arrays)
    from ddranking.metrics import hard_label as peer

    spent = {"test": 0.0}
    seen: list[float] = []
    put_off: list[tuple] = []
    ask: dict = {}
    validate = peer.validate

    def timed(*args, **kwargs):
        if ask.get("once"):
            put_off[:] = [(args, kwargs)]
            return 0.0
        start = time.perf_counter()
        seen.append(validate(*args, **kwargs))
        spent["test"] += time.perf_counter() - start
        return seen[-1]

    peer.validate = timed
    given = np.load(arrays)
    images, labels = torch.tensor(given["set_images"]), torch.tensor(given["set_labels"])
    dsa = {
        "flip": 0.5,
        "rotate": 15.0,
        "saturation": 2.0,
        "brightness": 1.0,
        "contrast": 0.5,
        "scale": 1.2,
        "crop": 0.125,
        "cutout": 0.5,
        "siamese": False,
        "latestseed": -1,
    }
    for line in sys.stdin:
        ask.clear()
        ask.update(json.loads(line))
        with (
            Path(os.devnull).open("w") as quiet,
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
        ):
            judge = peer.LabelRobustScoreHard(
                dataset="CIFAR10",
                ipc=10,
                model_name="ConvNet-3",
                data_aug_func="dsa",
                aug_params=dsa,
                optimizer="sgd",
                lr_scheduler="step",
                step_size=max(1, ask["total"] // 2),
                num_epochs=ask["epochs"],
                num_workers=ask["workers"],
                device="cpu",
                save_path=str(Path(arrays).parent / "peer" / "s.csv"),
            )
            torch.manual_seed(ask["seed"])
            model = peer.build_model("ConvNet-3", 10, (32, 32), device="cpu")
            spent["test"], start = 0.0, time.perf_counter()
            seen.clear()
            judge._compute_hard_label_metrics(model, images, None, ask["lr"], labels, "syn")
            if ask.get("once"):
                (args, kwargs), ask["once"] = put_off.pop(), False
                timed(*args, **kwargs)
            seconds = time.perf_counter() - start
        answer = {"seconds": seconds, "test_seconds": spent["test"], "accuracies": seen}
        sys.__stdout__.write(json.dumps(answer) + "\n")
        sys.__stdout__.flush()


if __name__ == "__main__":
    main()
