"""Files of `torch.save` with dictionaries of tensors and numbers, read without torch and without unpickling."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mjx_skillmimic.motion.archive import Archive, Limits
from mjx_skillmimic.motion.errors import MotionFormatError
from mjx_skillmimic.motion.pt_reader import pickle_prefix, read_tensor
from mjx_skillmimic.motion.torch_pickle import (
    ONE_TENSOR,
    ORDERED_DICT,
    REBUILD,
    Global,
    Machine,
    Tensor,
    TensorPickleError,
)

MAX_BYTES = 1 << 29  # a published checkpoint with Adam's moments has 42 MB
MAX_PICKLE_BYTES = 1 << 22  # that of such a checkpoint has 8 kB
_LIMITS = Limits(MAX_BYTES, 4096, "a torch checkpoint", f"a torch checkpoint of at most {MAX_BYTES >> 20} MiB")
_BEFORE_ZIP = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # how torch.save began a file before version 1.6

_PARAMETER = Global("torch._utils _rebuild_parameter")
# Numbers that NumPy pickles, such as a mean reward; nothing here needs them.
_NUMPY = (
    *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy dtype", "numpy ndarray", "_codecs encode"),
)


class CheckpointError(ValueError):
    """A checkpoint that is not what it must be: the file `path`, what was `found` in it and what was `expected`."""

    def __init__(self, path: str | os.PathLike[str], found: str, expected: str):
        self.path, self.found, self.expected = str(path), found, expected
        super().__init__(f"{path}: found {found}; expected {expected}")


class Skipped:
    """Stands for a value that is passed over, such as a number that NumPy pickled."""


_SKIPPED = Skipped()


class TorchFile:
    """The tree of a file: dicts and lists of `Tensor`, numbers, text, None and `Skipped`; numbers of tensors on demand.

    Raises CheckpointError for anything else, such as another format or a name that no checkpoint needs. Nothing in the
    file is ever looked up, imported or called.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path
        try:
            _refuse_old(Path(path))
            self._archive = Archive(path, compressed=False, limits=_LIMITS)
            self._prefix = pickle_prefix(self._archive)
            data = self._archive.read(f"{self._prefix}data.pkl", MAX_PICKLE_BYTES)
            self.tree: Any = _Tree().run(data, MAX_PICKLE_BYTES)
        except MotionFormatError as error:
            raise CheckpointError(path, error.found, error.expected) from error
        except TensorPickleError as error:
            expected = "the pickle of a dictionary of tensors" if error.expected == ONE_TENSOR else error.expected
            raise CheckpointError(path, str(error), expected) from error

    def array(self, tensor: Tensor) -> np.ndarray:
        """A tensor's numbers, of its own dtype. Raises CheckpointError where the file does not hold them."""
        try:
            return read_tensor(self._archive, self._prefix, tensor, MAX_BYTES)
        except MotionFormatError as error:
            raise CheckpointError(self.path, error.found, error.expected) from error


def _refuse_old(path: Path) -> None:
    if not path.is_file():  # such as a pipe, which would be waited for; `Archive` says what it is
        return
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(len(_BEFORE_ZIP)) == _BEFORE_ZIP:
            raise MotionFormatError(path, "the file format of torch before 1.6", "a file that torch ≥ 1.6 has saved")


class _Tree(Machine):
    """The instructions of nested dictionaries."""

    names: ClassVar = {
        **dict.fromkeys((REBUILD.name, _PARAMETER.name)),
        **{f"torch {kind}Storage": dtype for kind, dtype in [("Float", "<f4"), ("Double", "<f8"), ("Half", "<f2")]},
        **{f"torch {kind}Storage": dtype for kind, dtype in [("Long", "<i8"), ("Int", "<i4"), ("Bool", "|b1")]},
        ORDERED_DICT.name: None,
        **dict.fromkeys(_NUMPY),
    }

    def step(self, name: str, argument: Any) -> None:
        if name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "BINFLOAT":
            self.stack.append(argument)
        elif name in ("APPEND", "APPENDS"):
            items = [self.stack.pop()] if name == "APPEND" else self.pop_to_mark()
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [self.stack.pop(), self.stack.pop()][::-1] if name == "SETITEM" else self.pop_to_mark()
            self._set(items)
        elif name == "BUILD":
            self.stack.pop()  # attributes of a state dict (its layers' versions), or the inside of a NumPy value
            if not isinstance(self.stack[-1], dict | Skipped):
                raise TensorPickleError("an object with a state", "dictionaries of tensors")
        else:
            super().step(name, argument)

    def reduce(self, function: Any, arguments: Any) -> Any:
        if function == _PARAMETER and isinstance(arguments, tuple) and arguments and isinstance(arguments[0], Tensor):
            return arguments[0]
        if isinstance(function, Global) and function.name in _NUMPY:
            return _SKIPPED
        return super().reduce(function, arguments)

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TensorPickleError(f"items for something that is no {kind.__name__}", f"a {kind.__name__}")
        return self.stack[-1]

    def _set(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        # Only keys whose hash is no work: a tuple of a tuple of … would exhaust the interpreter's stack.
        if len(keys) != len(values) or not all(isinstance(key, str | int) for key in keys):
            raise TensorPickleError("a dictionary with keys other than text and whole numbers", "such keys")
        self._top(dict).update(zip(keys, values, strict=True))
