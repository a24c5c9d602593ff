"""Where tensors lie in a model directory's safetensors files, so that single ones can be read and written
without loading the model."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

TYPES: Final = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


class Place(NamedTuple):
    """One tensor in a file."""

    file: str
    """Name of the file in its directory."""
    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    """First byte in the file."""
    num_bytes: int

    def read(self, directory: Path) -> Tensor:
        """The tensor, in memory of its own."""
        with (directory / self.file).open("rb") as file:
            file.seek(self.offset)
            content = torch.empty(self.num_bytes, dtype=torch.uint8)
            file.readinto(content.numpy().data)
        return content.view(self.dtype).view(self.shape)

    def write(self, directory: Path, tensor: Tensor) -> None:
        """Replaces the tensor; shape and type stay."""
        assert (tensor.shape, tensor.dtype) == (self.shape, self.dtype)
        with (directory / self.file).open("r+b") as file:
            file.seek(self.offset)
            file.write(tensor.contiguous().view(torch.uint8).numpy().tobytes())


def places(directory: Path) -> Mapping[str, Place]:
    """The tensors of all safetensors files by name; those of types without a fraction are left out."""
    found: dict[str, Place] = {}
    for path in sorted(directory.glob("*.safetensors")):
        found |= _of_file(path)
    return found


def place_of(there: Mapping[str, Place], name: str) -> Place | None:
    """Where a model's parameter lies; files may leave out the decoder's name inside of the whole model."""
    return there.get(name) or there.get(name.partition(".")[2])


def _of_file(path: Path) -> dict[str, Place]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if entry["dtype"] in TYPES:
            start, end = entry["data_offsets"]
            place = Place(
                path.name, TYPES[entry["dtype"]], tuple(entry["shape"]), 8 + length + start, end - start
            )
            found[name] = place
    return found
