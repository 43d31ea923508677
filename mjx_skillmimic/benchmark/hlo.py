"""What a compiled program moves to and from memory, read from its text with the loops unrolled in the count.

XLA's own cost analysis counts the body of a loop once, and a training iteration is loops within loops.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\](\{[^}]*\})?")
_BITS = {"pred": 8, "bf16": 16, "f8e4m3fn": 8, "f8e5m2": 8, "token": 0}
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id"}
_FREE |= {"copy-done", "slice-done", "all-reduce-done", "async-done", "async-update"}
_PICKING = {"dynamic-slice", "slice", "gather", "slice-start"}


@dataclasses.dataclass(frozen=True)
class Traffic:
    """bytes_moved: read from and written to the large memory. operations: instructions executed one after another.
    gathers: those among them that pick or scatter rows by index."""

    bytes_moved: float = 0.0
    operations: float = 0.0
    gathers: float = 0.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.bytes_moved + other.bytes_moved, self.operations + other.operations, self.gathers + other.gathers
        )

    def times(self, number: float) -> Traffic:
        return Traffic(self.bytes_moved * number, self.operations * number, self.gathers * number)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation; shape with layouts, operands by name (or as they stand, for constants)."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str
    is_root: bool

    def called(self, attribute: str) -> str | None:
        """The computation that an attribute such as `body` names."""
        found = re.search(rf"\b{attribute}=%?([\w.-]+)", self.attributes)
        return found.group(1) if found else None


class Program:
    """The text of an optimised HLO module.

    Args:
        text: `compiled.as_text()`.
        trips: of loops whose condition holds no number of rounds, such as a solver's that ends when it has converged.
    """

    def __init__(self, text: str, trips: int) -> None:
        self.trips = trips
        self.computations: dict[str, list[Instruction]] = {}
        self.entry = ""
        for name, is_entry, lines in _computations(text):
            self.computations[name] = [found for line in lines if (found := _instruction(line))]
            self.entry = name if is_entry else self.entry

    def traffic(self, name: str | None = None) -> Traffic:
        """Of a computation, the whole program by default."""
        instructions = self.computations[name or self.entry]
        known = {instruction.name: instruction for instruction in instructions}
        total = Traffic()
        for instruction in instructions:
            if instruction.opcode in _FREE:
                continue
            if instruction.opcode == "while":
                body, condition = instruction.called("body"), instruction.called("condition")
                total += self.traffic(body).times(self.rounds(condition or ""))
            elif instruction.opcode == "call":
                total += self.traffic(instruction.called("to_apply"))
            else:
                picks = instruction.opcode in ("gather", "scatter") or "gather" in instruction.name
                total += Traffic(self._moved(instruction, known), 1.0, float(picks))
        return total

    def rounds(self, condition: str) -> int:
        """How often a loop runs: the integer its condition compares with, else `trips`."""
        numbers = [
            int(match.group(1))
            for instruction in self.computations.get(condition, [])
            if instruction.opcode == "constant" and instruction.shape.startswith("s32[]")
            if (match := re.match(r"(\d+)", ",".join(instruction.operands)))
        ]
        return max(numbers, default=self.trips)

    def _moved(self, instruction: Instruction, known: dict[str, Instruction]) -> float:
        """Bytes of the result and of what is read of each operand, where they lie in the large memory."""
        shapes = [known[name].shape for name in instruction.operands if name in known]
        if instruction.opcode in ("copy-start", "slice-start"):
            first = _SHAPE.search(instruction.shape)
            return sum(map(_bytes, shapes[:1])) + (_bytes(first.group(0)) if first else 0.0)
        if instruction.opcode in _PICKING:
            return _bytes(instruction.shape) + _read(instruction.shape, shapes[0] if shapes else "")
        if instruction.opcode == "dynamic-update-slice":
            return 2 * _bytes(shapes[1]) if len(shapes) > 1 else 0.0
        inner = self.computations.get(instruction.called("calls") or "", [])
        if instruction.opcode != "fusion" or not inner:
            return _bytes(instruction.shape) + sum(map(_bytes, shapes))
        return self._moved_by_fusion(instruction, shapes, inner)

    @staticmethod
    def _moved_by_fusion(fusion: Instruction, shapes: list[str], inner: list[Instruction]) -> float:
        """As `_moved`; an operand of which only slices are used counts as these, an update in place as the update."""
        root = next((instruction for instruction in inner if instruction.is_root), inner[-1])
        named = {instruction.name: instruction for instruction in inner}
        in_place = root.opcode == "dynamic-update-slice" and len(root.operands) > 1 and root.operands[1] in named
        moved = (
            0.0 if "S(" in fusion.shape else _size(named[root.operands[1]].shape) if in_place else _bytes(fusion.shape)
        )
        parameters = [instruction for instruction in inner if instruction.opcode == "parameter"]
        for parameter in parameters:
            number = int(parameter.operands[0])
            if number >= len(shapes):
                continue
            users = [user for user in inner if parameter.name in user.operands]
            if in_place and users == [root] and root.operands[0] == parameter.name:
                continue
            if users and all(user.opcode in _PICKING and user.operands[0] == parameter.name for user in users):
                moved += sum(_read(user.shape, shapes[number]) for user in users)
            else:
                moved += _bytes(shapes[number])
        return moved


def _read(picked: str, source: str) -> float:
    """Bytes of the shape `picked` if `source` lies in the large memory."""
    return 0.0 if "S(" in source else min(_size(picked), _size(source))


def _bytes(shape: str) -> float:
    """Bytes of a shape or tuple of shapes, those in on-chip memory (a layout with S) left out."""
    return sum(_size(match.group(0)) for match in _SHAPE.finditer(shape) if "S(" not in (match.group(3) or ""))


def _size(shape: str) -> float:
    total = 0.0
    for match in _SHAPE.finditer(shape):
        dtype = match.group(1)
        digits = re.search(r"\d+", dtype)
        bits = _BITS.get(dtype, int(digits.group(0)) if digits else 0)
        total += bits / 8 * math.prod(int(size) for size in match.group(2).split(",") if size)
    return total


def _computations(text: str) -> Iterator[tuple[str, bool, list[str]]]:
    name, is_entry = "", False
    lines: list[str] = []
    for line in text.splitlines():
        if (match := re.match(r"(ENTRY )?%([\w.-]+) \(", line)) and line.rstrip().endswith("{"):
            name, is_entry, lines = match.group(2), bool(match.group(1)), []
        elif line.startswith("}"):
            yield name, is_entry, lines
        else:
            lines.append(line)


def _instruction(line: str) -> Instruction | None:
    match = re.match(r"\s+(ROOT )?%([\w.-]+) = (.*)", line)
    if not match:
        return None
    rest = match.group(3)
    end = _closing(rest) if rest.startswith("(") else rest.find(" ")
    shape, rest = rest[:end], rest[end:].lstrip()
    opcode, _, rest = rest.partition("(")
    close = _closing("(" + rest) - 2
    operands = tuple(re.findall(r"%([\w.-]+)", rest[:close])) or tuple(part.strip() for part in rest[:close].split(","))
    return Instruction(match.group(2), shape, opcode, operands, rest[close:], bool(match.group(1)))


def _closing(text: str) -> int:
    """The place after the parenthesis that closes the one that `text` begins with."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place + 1
    return len(text)
