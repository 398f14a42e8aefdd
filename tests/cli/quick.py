"""A protocol that takes seconds, and files that are wrong in one way each."""

import struct
import zlib

import numpy as np
import torch
from PIL import Image

PROTOCOL = (
    "ddranking-hard-quick@1{augment=none,epochs=2,full.epochs=1,full.least_steps=0,full.seeds=2,"
    "precision=float32,rates=0.01|0.03,seeds=2,student=convnet(depth=2,norm=instance,width=8)}"
)
STUDENTS = 2 * 2 * 2 + 2


def evaluate(path, *more):
    """The words that score a set of digits with ten quick students."""
    return ("evaluate", path, "-s", "digits", "-p", PROTOCOL, *more)


def pair(folder, images=None, labels=None):
    """A foreign pair of files, right unless told otherwise."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(10, 1, 8, 8, generator=generator) if images is None else images
    torch.save(images, folder / "images.pt")
    torch.save(torch.arange(10) if labels is None else labels, folder / "labels.pt")
    return folder


def pictures(folder, sizes):
    """A grey PNG file of each size, in the folder of a digit."""
    for label, size in enumerate(sizes):
        (folder / str(label)).mkdir(parents=True)
        Image.fromarray(np.full((size, size), 99, np.uint8)).save(folder / str(label) / "a.png")
    return folder


def bomb(path, side=50_000):
    """A PNG file of a few bytes that claims to be enormous."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
