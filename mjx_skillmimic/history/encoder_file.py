"""A trained encoder as one file without pickle, with what it was trained on."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from mjx_skillmimic import npz
from mjx_skillmimic.history.encoder import EncoderParams
from mjx_skillmimic.history.frames import FRAME_SIZE, FrameOptions

_FORMAT = "mjx_skillmimic history encoder"
_VERSION = 1
_HEADER = "header"
_TAPS = 3
TRAVELLING = "history_encoder/"  # begins the names of an encoder's arrays among those of a policy
_IN_POLICY = f"extra/{TRAVELLING}"


class EncoderFormatError(ValueError):
    """An encoder file that is not what `save_encoder` writes."""

    def __init__(self, path: Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")
        self.path, self.found, self.expected = path, found, expected


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """Weights, how the frames are made that they expect, and anything that JSON holds about where they come from.

    metadata of `run.pretrain_encoder`: motion_hash, clips, options, seed, epochs, results, versions.
    """

    params: EncoderParams
    frames: FrameOptions
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_encoder(path: str | Path, encoder: Encoder) -> Path:
    """Writes one .npz, replacing an existing file only once the new one is complete; returns its path.

    Raises ValueError for weights that are not finite.
    """
    path = Path(path)
    arrays: dict[str, Any] = dict(to_arrays(encoder))
    for name, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name} holds values that are not finite; {path} was not written")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return partial.replace(path)


def to_arrays(encoder: Encoder, prefix: str = "") -> dict[str, np.ndarray]:
    """What a file holds, by name; prefix: before each name, `TRAVELLING` where it is part of a policy."""
    params = encoder.params
    arrays: dict[str, Any] = {"code/kernel": params.code_kernel, "code/bias": params.code_bias}
    for i, (kernel, bias) in enumerate(zip(params.kernels, params.biases, strict=True)):
        arrays |= {f"convolution_{i}/kernel": kernel, f"convolution_{i}/bias": bias}
    arrays = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    header = {"format": _FORMAT, "version": _VERSION, "metadata": dict(encoder.metadata)}
    header |= {"convolutions": len(params.kernels), "frames": dataclasses.asdict(encoder.frames)}
    arrays[_HEADER] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    return {f"{prefix}{name}": value for name, value in arrays.items()}


def load_encoder(path: str | Path) -> Encoder:
    """Reads what `save_encoder` wrote, or the encoder that travels in a policy's file.

    Raises FileNotFoundError, or EncoderFormatError naming found and expected.
    """
    path = Path(path)
    try:
        arrays = npz.read_arrays(path)
    except npz.UnreadableError as error:
        raise EncoderFormatError(path, str(error), "an .npz history encoder") from error
    if inside := {name: value for name, value in arrays.items() if name.startswith(_IN_POLICY)}:
        arrays = {name.removeprefix(_IN_POLICY): value for name, value in inside.items()}
    header = _header(path, arrays)
    names = [f"convolution_{i}" for i in range(header["convolutions"])]
    kernels = [_array(path, arrays, f"{name}/kernel", 3) for name in names]
    biases = [_array(path, arrays, f"{name}/bias", 1) for name in names]
    code_kernel, code_bias = _array(path, arrays, "code/kernel", 3), _array(path, arrays, "code/bias", 1)
    widths = [FRAME_SIZE, *(kernel.shape[2] for kernel in kernels)]
    wanted: list[tuple[int, ...]] = [(_TAPS, inputs, outputs) for inputs, outputs in itertools.pairwise(widths)]
    wanted += [(outputs,) for outputs in widths[1:]]
    wanted += [(widths[-1], code_kernel.shape[1], code_kernel.shape[2]), (code_kernel.shape[2],)]
    found = [value.shape for value in (*kernels, *biases, code_kernel, code_bias)]
    for shape, expected in zip(found, wanted, strict=True):
        if shape != expected:
            raise EncoderFormatError(path, f"weights of shapes {found}", f"{wanted}")
    convert = lambda values: tuple(jnp.asarray(value, jnp.float32) for value in values)  # noqa: E731
    params = EncoderParams(convert(kernels), convert(biases), *convert([code_kernel, code_bias]))
    return Encoder(params, _frames(path, header["frames"]), header["metadata"])


def _header(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        header = npz.description(arrays, _HEADER, _FORMAT, _VERSION)
    except npz.DescriptionError as error:
        raise EncoderFormatError(path, error.found, error.expected) from error
    number = header.get("convolutions")
    if type(number) is not int or not 1 <= number <= len(arrays):
        raise EncoderFormatError(path, f"{number!r} convolutions", "a positive number of them, each with its arrays")
    if not isinstance(header.get("metadata"), dict):
        raise EncoderFormatError(path, f"metadata of type {type(header.get('metadata')).__name__}", "an object")
    return header


def _array(path: Path, arrays: Mapping[str, np.ndarray], name: str, axes: int) -> np.ndarray:
    """The named array, after checking that it is there, finite and has so many axes."""
    if name not in arrays:
        raise EncoderFormatError(path, f"no array {name!r}", f"one with {axes} axes")
    value = arrays[name]
    if value.ndim != axes or not value.size:
        raise EncoderFormatError(path, f"{name} of shape {value.shape}", f"{axes} axes, none of them empty")
    if value.dtype.kind != "f" or not np.isfinite(value).all():
        raise EncoderFormatError(path, f"{name} with values that are no finite numbers", "finite numbers")
    return value


def _frames(path: Path, stored: Any) -> FrameOptions:
    try:
        return FrameOptions(**stored)
    except (TypeError, ValueError) as error:
        raise EncoderFormatError(path, f"frames {stored!r}", "the fields of FrameOptions") from error
