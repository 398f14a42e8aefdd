"""Read images and labels from parquet files in the layout of Hugging Face datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hydrometer.sources import decode
from hydrometer.sources.decode import Blob
from hydrometer.sources.parts import Part, Parts, Shape
from hydrometer.types import HydrometerError

# pyarrow is imported where a file is read: a start from the cache does without it.

IMAGE_COLUMNS = ("img", "image")


def find(folder: Path) -> tuple[list[Path], list[Path]]:
    """The train and test files of a folder or its `data/`; validation files stand in for test."""
    for place in (folder, folder / "data"):
        train, test, validation = (
            sorted(place.glob(f"{part}*.parquet")) for part in ("train", "test", "validation")
        )
        if train and (test or validation):
            return train, test or validation
    return [], []


def read(
    train: Sequence[Path],
    test: Sequence[Path],
    label_columns: Sequence[str],
    *,
    shape: Shape | None = None,
    classes: tuple[str, ...] | None = None,
) -> Parts:
    """The parts in parquet files, whose images are decoded as they are asked for.

    Args:
        train: Files of the train part, in order.
        test: Files of the test part, in order.
        label_columns: The first one present holds the labels.
        shape: Of every image; looked up in all image headers when not given.
        classes: Names; taken from the schema when not given, else "0", "1", …

    Raises:
        HydrometerError: A file is not parquet, or a column is missing or of the wrong type.
    """
    label = _column(train[0], label_columns)
    parts = {"train": _labels(train, label), "test": _labels(test, label)}
    shape = shape or decode.survey(_blobs([*train, *test]))
    return Parts(
        Part(parts["train"], decode.batches(_blobs(train), shape)),
        Part(parts["test"], decode.batches(_blobs(test), shape)),
        classes or _class_names(train[0], label) or _numbers(parts["train"]),
        shape,
    )


def column(paths: Sequence[Path], choices: Sequence[str]) -> NDArray[np.int64]:
    """The labels (n,) of all files in order, from the first of some columns that is present.

    Raises:
        HydrometerError: None of the columns is there, or it does not hold whole numbers.
    """
    labels: NDArray[np.int64] = _labels(paths, _column(paths[0], choices)).numpy()
    return labels


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise HydrometerError(f"{path} cannot be read as parquet: {error}") from None


def _column(path: Path, choices: Sequence[str]) -> str:
    with _opened(path) as file:
        names = file.schema_arrow.names
    for choice in choices:
        if choice in names:
            return choice
    raise HydrometerError(f"{path} has no column {' or '.join(choices)}; it has {', '.join(names)}")


def _labels(paths: Sequence[Path], column: str) -> Tensor:
    return torch.cat([_labels_of(path, _column(path, [column])) for path in paths])


def _labels_of(path: Path, column: str) -> Tensor:
    import pyarrow.types

    with _opened(path) as file:
        values = file.read(columns=[column]).column(column)
    if not pyarrow.types.is_integer(values.type) or values.null_count:
        raise HydrometerError(
            f"{path} column {column!r} must hold a whole number in every row, "
            f"not {values.type} with {values.null_count} empty"
        )
    return torch.from_numpy(values.to_numpy().astype("int64"))


def _class_names(path: Path, column: str) -> tuple[str, ...] | None:
    """The names a Hugging Face ClassLabel keeps in the schema."""
    with _opened(path) as file:
        text = (file.schema_arrow.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    feature = json.loads(text).get("info", {}).get("features", {}).get(column, {})
    names = feature.get("names")
    return None if names is None else tuple(map(str, names))


def _numbers(labels: Tensor) -> tuple[str, ...]:
    return tuple(str(i) for i in range(int(labels.max()) + 1))


def _blobs(paths: Sequence[Path]) -> Iterator[Blob]:
    for path in paths:
        column = _column(path, IMAGE_COLUMNS)
        row = 0
        with _opened(path) as file:
            for batch in file.iter_batches(decode.BATCH, columns=[column]):
                for data in _encoded(path, batch.column(0)):
                    yield Blob(data, f"{path} row {row}")
                    row += 1


def _encoded(path: Path, column: Any) -> list[bytes]:
    """The bytes of a column that holds them, bare or in a struct beside a path."""
    import pyarrow.types

    if pyarrow.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.flatten()[column.type.get_field_index("bytes")]
    binary = pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)
    if not binary or column.null_count:
        raise HydrometerError(
            f"{path}: every image must be there as encoded bytes, "
            f"not as {column.type} with {column.null_count} empty"
        )
    return list(column.to_pylist())
