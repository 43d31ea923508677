"""The few pickle instructions that describe one tensor, interpreted without pickle: nothing is imported or called."""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Mapping
from typing import Any, ClassVar

MAX_PICKLE_BYTES = 1 << 16  # a published clip's is 162 bytes
ONE_TENSOR = "the pickle of one float32 tensor"


class TensorPickleError(ValueError):
    """A pickle that is not one plain tensor; str() says what was found, `expected` what should be."""

    def __init__(self, found: str, expected: str = ONE_TENSOR):
        self.expected = expected
        super().__init__(found)


@dataclasses.dataclass(frozen=True)
class Storage:
    """Raw numbers kept in the archive's member data/`key`; dtype: NumPy's name of one, such as "<f4"."""

    key: str
    count: int
    dtype: str


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Global:
    """A name "module attribute" in a pickle. It stands for itself; nothing is ever looked up by it."""

    name: str


REBUILD = Global("torch._utils _rebuild_tensor_v2")
ORDERED_DICT = Global("collections OrderedDict")
_MARK = object()
_PUSH = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "NEWTRUE", "NEWFALSE", "NONE"}
_CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SAVE = {"BINPUT", "LONG_BINPUT"}
_LOAD = {"BINGET", "LONG_BINGET"}
_IGNORED = {"PROTO", "FRAME"}


def read_tensor_pickle(data: bytes) -> Tensor:
    """The tensor that `data.pkl` of a torch archive describes. Raises TensorPickleError for anything else."""
    found = Machine().run(data, MAX_PICKLE_BYTES)
    if not isinstance(found, Tensor):
        raise TensorPickleError("a pickle that holds something other than one tensor")
    return found


class Machine:
    """Interprets the instructions of one tensor; subclasses add instructions (`step`), names and calls (`reduce`)."""

    # The names that a pickle may hold; of types of storage the numbers' dtype.
    names: ClassVar[Mapping[str, str | None]] = {
        REBUILD.name: None,
        "torch FloatStorage": "<f4",
        ORDERED_DICT.name: None,
    }

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes, limit: int) -> Any:
        """What the pickle describes. Raises TensorPickleError if it is damaged, longer than `limit`, or says more."""
        if len(data) > limit:
            raise TensorPickleError(f"a pickle of {len(data)} bytes", f"at most {limit}")
        try:
            for opcode, argument, _ in pickletools.genops(data):
                if opcode.name == "STOP":
                    (result,) = self.stack
                    return result
                self.step(opcode.name, argument)
        except TensorPickleError:
            raise
        # genops on malformed bytes; an empty stack; an unknown memo
        except (ValueError, IndexError, KeyError) as error:
            raise TensorPickleError(f"a damaged pickle ({type(error).__name__})") from error
        raise TensorPickleError("a pickle without an end")

    def step(self, name: str, argument: Any) -> None:
        """Carries out one instruction. Raises TensorPickleError for one that is not known."""
        if name in _PUSH:
            self.stack.append(_CONSTANTS.get(name, argument))
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name == "TUPLE":
            self.stack.append(tuple(self.pop_to_mark()))
        elif name in _TUPLES:
            self._tuple(_TUPLES[name])
        elif name in _SAVE:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _LOAD:
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":
            self.stack.append(self._global(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = self.stack.pop(), self.stack.pop()
            self.stack.append(self._global(f"{_text(module)} {_text(attribute)}"))
        elif name == "BINPERSID":
            self.stack.append(self._storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            self.stack.append(self.reduce(function, arguments))
        elif name not in _IGNORED:
            raise TensorPickleError(f"the pickle instruction {name}")

    def reduce(self, function: Any, arguments: Any) -> Any:
        """What a call stands for. Raises TensorPickleError for another than those of a tensor."""
        if function == ORDERED_DICT and arguments == ():
            return {}
        if function != REBUILD or not isinstance(arguments, tuple) or len(arguments) not in (6, 7):
            raise TensorPickleError("a call other than that which rebuilds a tensor")
        storage, offset, size, stride = arguments[:4]
        shapes = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        if not isinstance(storage, Storage) or not shapes or not all(map(_is_count, (offset, *size, *stride))):
            raise TensorPickleError("a tensor with an odd size, stride or offset")
        return Tensor(storage, offset, size, stride)

    def pop_to_mark(self) -> list[Any]:
        """The objects above the last mark, which go from the stack with it."""
        items = []
        while (top := self.stack.pop()) is not _MARK:
            items.append(top)
        return items[::-1]

    def _tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError
        start = len(self.stack) - size
        self.stack[start:] = [tuple(self.stack[start:])]

    def _global(self, name: str) -> Global:
        if name not in self.names:
            known = ", ".join(n.replace(" ", ".") for n in self.names)
            raise TensorPickleError(f"the global {name.replace(' ', '.')[:80]!r} in the pickle", f"only {known}")
        return Global(name)

    def _storage(self, pid: Any) -> Storage:
        """From ('storage', FloatStorage, key, device, count); the device ('cuda:0', 'cpu') does not matter."""
        kind = pid[1] if isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" else None
        dtype = self.names.get(kind.name) if isinstance(kind, Global) else None
        if dtype is None:
            raise TensorPickleError("a persistent id that is not a float storage")
        _, _, key, _, count = pid
        if not isinstance(key, str) or not (key.isascii() and key.isdigit() and len(key) < 10) or not _is_count(count):
            raise TensorPickleError("a storage with an odd key or size")
        return Storage(key, count, dtype)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TensorPickleError("a global whose name is not text")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
