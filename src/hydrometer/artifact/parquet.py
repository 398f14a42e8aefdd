"""Parquet in the layout of Hugging Face datasets: PNG bytes, labels, and class names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from hydrometer.artifact.checks import resolve
from hydrometer.artifact.formats import Foreign
from hydrometer.artifact.raster import bytes_of, decode, encode, loss_note
from hydrometer.artifact.writing import whole
from hydrometer.registry import register
from hydrometer.types import CompressedSet, HydrometerError, Source

_ROWS = 512
"""Images per row group, so that no more than these are encoded in memory at once."""


@register("format", "parquet")
class Parquet:
    """A table with `image` (struct of bytes and path), `label`, and perhaps `soft` and `weight`.

    The schema carries Hugging Face features, so that `datasets` shows images and class names.
    Reading maps labels by class name where the features have names, else takes them as positions.
    """

    def fits(self, path: Path) -> bool:
        """Whether the path is a `.parquet` file."""
        return path.is_file() and path.suffix == ".parquet"

    def read(self, path: Path, source: Source) -> Foreign:
        """Read and decode all rows of one file."""
        table = _table(path)
        names = _class_names(table.schema.metadata or {})
        raw = _column(table, "label", path)
        if names is not None and any(not 0 <= label < len(names) for label in raw.tolist()):
            raise HydrometerError(f"{path} holds labels beyond its {len(names)} class names")
        mapping = None if names is None else torch.tensor(resolve(names, source))
        labels = raw.long() if mapping is None else mapping[raw.long()]
        soft = _soft(table, mapping, path)
        weights = _column(table, "weight", path).float() if "weight" in table.column_names else None
        note = () if names else ("labels read as positions in the source's class order",)
        return Foreign(_images(table, source, path), labels, soft, weights, notes=note)

    def write(self, compressed: CompressedSet, path: Path) -> tuple[str, ...]:
        """Write one file; index and learned rate have no place here."""
        schema = _schema(compressed)
        with whole(path) as draft, pq.ParquetWriter(draft, schema) as writer:
            for columns in _batches(compressed):
                writer.write_table(pa.table(columns, schema=schema))
        carried = {"index": compressed.index, "student_lr": compressed.card.student_lr}
        lost = [name for name, value in carried.items() if value is not None]
        unkept = (f"not kept by parquet: {', '.join(lost)}",) if lost else ()
        return (*loss_note(compressed), *unkept)


def _schema(compressed: CompressedSet) -> Any:
    classes = compressed.card.classes
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
    }
    fields = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
    ]
    number = {"dtype": "float32", "_type": "Value"}
    if compressed.soft is not None:
        fields.append(("soft", pa.list_(pa.float32(), len(classes))))
        features["soft"] = {"feature": number, "length": len(classes), "_type": "Sequence"}
    if compressed.weights is not None:
        fields.append(("weight", pa.float32()))
        features["weight"] = number
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)


def _batches(compressed: CompressedSet) -> Iterator[dict[str, list[Any]]]:
    for start in range(0, len(compressed), _ROWS):
        part = slice(start, start + _ROWS)
        pictures = [encode(image) for image in bytes_of(compressed.images[part])]
        columns: dict[str, list[Any]] = {
            "image": [
                {"bytes": data, "path": f"{row:06d}.png"}
                for row, data in enumerate(pictures, start)
            ],
            "label": compressed.labels[part].tolist(),
        }
        for name, tensor in (("soft", compressed.soft), ("weight", compressed.weights)):
            if tensor is not None:
                columns[name] = tensor[part].tolist()
        yield columns


def _table(path: Path) -> Any:
    if not path.is_file():
        raise HydrometerError(f"{path} is no file; give a .parquet file")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise HydrometerError(f"{path} is damaged or no parquet file ({error})") from error
    if not {"image", "label"} <= set(table.column_names):
        raise HydrometerError(
            f"{path} has columns {', '.join(table.column_names)}; image and label are needed"
        )
    return table


def _column(table: Any, name: str, path: Path) -> Tensor:
    column = table.column(name)
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if column.null_count or not numeric or (name == "label" and pa.types.is_floating(column.type)):
        raise HydrometerError(
            f"column {name!r} of {path} is {column.type}, or has gaps; give numbers"
        )
    return torch.from_numpy(np.array(column.to_numpy()))


def _soft(table: Any, mapping: Tensor | None, path: Path) -> Tensor | None:
    if "soft" not in table.column_names:
        return None
    try:
        soft = torch.tensor(table.column("soft").to_pylist(), dtype=torch.float32)
    except (ValueError, TypeError) as error:
        raise HydrometerError(
            f"column 'soft' of {path} is no table of numbers ({error})"
        ) from error
    if soft.dim() != 2 or (mapping is not None and soft.shape[1] != len(mapping)):
        raise HydrometerError(f"column 'soft' of {path} has shape {tuple(soft.shape)}; give (n, k)")
    return soft if mapping is None else torch.empty_like(soft).index_copy_(1, mapping, soft)


def _images(table: Any, source: Source, path: Path) -> Tensor:
    images = torch.empty((len(table), *source.shape), dtype=torch.uint8)
    for row, cell in enumerate(table.column("image").to_pylist()):
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise HydrometerError(f"row {row} of {path} has no image bytes; embed the images")
        images[row] = decode(data, source.shape, f"row {row} of {path}")
    return images


def _class_names(metadata: Mapping[bytes, bytes]) -> tuple[str, ...] | None:
    """Class names from the Hugging Face features, where there are any."""
    try:
        info = json.loads(metadata[b"huggingface"])["info"]
        names = info["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None
