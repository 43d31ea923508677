"""The few pickle instructions that describe one tensor, interpreted without pickle: nothing is imported or called."""

from __future__ import annotations

import dataclasses
import pickletools
from typing import Any

MAX_PICKLE_BYTES = 1 << 16  # a published clip's is 162 bytes


class TensorPickleError(ValueError):
    """A pickle that is not one plain tensor; str() says what was found, `expected` what should be."""

    def __init__(self, found: str, expected: str = "the pickle of one float32 tensor"):
        self.expected = expected
        super().__init__(found)


@dataclasses.dataclass(frozen=True)
class Storage:
    """Raw numbers kept in the archive's member data/`key`."""

    key: str
    count: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A strided view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Global:
    name: str


# The three globals of a float32 tensor. They stand for themselves; nothing is ever looked up by these names.
_REBUILD = _Global("torch._utils _rebuild_tensor_v2")
_FLOATS = _Global("torch FloatStorage")
_DICT = _Global("collections OrderedDict")
_ALLOWED = {g.name: g for g in (_REBUILD, _FLOATS, _DICT)}
_MARK = object()
_PUSH = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "NEWTRUE", "NEWFALSE", "NONE"}
_CONSTANTS = {"NEWTRUE": True, "NEWFALSE": False, "NONE": None}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SAVE = {"BINPUT", "LONG_BINPUT"}
_LOAD = {"BINGET", "LONG_BINGET"}
_IGNORED = {"PROTO", "FRAME"}


def read_tensor_pickle(data: bytes) -> Tensor:
    """The tensor that `data.pkl` of a torch archive describes. Raises TensorPickleError for anything else."""
    if len(data) > MAX_PICKLE_BYTES:
        raise TensorPickleError(f"a pickle of {len(data)} bytes", f"at most {MAX_PICKLE_BYTES}")
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.result()
            machine.step(opcode.name, argument)
    except TensorPickleError:
        raise
    except (ValueError, IndexError, KeyError) as error:  # genops on malformed bytes; an empty stack; an unknown memo
        raise TensorPickleError(f"a damaged pickle ({type(error).__name__})") from error
    raise TensorPickleError("a pickle without an end")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Tensor:
        if len(self.stack) != 1 or not isinstance(self.stack[0], Tensor):
            raise TensorPickleError("a pickle that holds something other than one tensor")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSH:
            self.stack.append(_CONSTANTS.get(name, argument))
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name == "TUPLE":
            self._tuple_from_mark()
        elif name in _TUPLES:
            self._tuple(_TUPLES[name])
        elif name in _SAVE:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _LOAD:
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":
            self.stack.append(_global(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = self.stack.pop(), self.stack.pop()
            self.stack.append(_global(f"{_text(module)} {_text(attribute)}"))
        elif name == "BINPERSID":
            self.stack.append(_storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            self.stack.append(_reduce(function, arguments))
        elif name not in _IGNORED:
            raise TensorPickleError(f"the pickle instruction {name}")

    def _tuple_from_mark(self) -> None:
        items = []
        while (top := self.stack.pop()) is not _MARK:
            items.append(top)
        self.stack.append(tuple(reversed(items)))

    def _tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError
        start = len(self.stack) - size
        self.stack[start:] = [tuple(self.stack[start:])]


def _global(name: str) -> _Global:
    if name not in _ALLOWED:
        allowed = ", ".join(n.replace(" ", ".") for n in _ALLOWED)
        raise TensorPickleError(f"the global {name.replace(' ', '.')[:80]!r} in the pickle", f"only {allowed}")
    return _ALLOWED[name]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TensorPickleError("a global whose name is not text")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _storage(pid: Any) -> Storage:
    """From ('storage', FloatStorage, key, device, count); the device ('cuda:0', 'cpu') does not matter."""
    if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage" or pid[1] is not _FLOATS:
        raise TensorPickleError("a persistent id that is not a float storage")
    _, _, key, _, count = pid
    if not isinstance(key, str) or not (key.isascii() and key.isdigit() and len(key) < 10) or not _is_count(count):
        raise TensorPickleError("a storage with an odd key or size")
    return Storage(key, count)


def _reduce(function: Any, arguments: Any) -> Any:
    if function is _DICT and arguments == ():
        return {}
    if function is not _REBUILD or not isinstance(arguments, tuple) or len(arguments) not in (6, 7):
        raise TensorPickleError("a call other than that which rebuilds a tensor")
    storage, offset, size, stride = arguments[:4]
    shapes = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
    if not isinstance(storage, Storage) or not shapes or not all(map(_is_count, (offset, *size, *stride))):
        raise TensorPickleError("a tensor with an odd size, stride or offset")
    return Tensor(storage, offset, size, stride)
