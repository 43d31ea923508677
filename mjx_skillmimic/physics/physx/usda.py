"""Pieces of USD text."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def number(x: float) -> str:
    """A number to float32's full precision."""
    return f"{float(x):.9g}"


def row(values: Iterable[float]) -> str:
    """A vector, or a quaternion wxyz."""
    return f"({', '.join(number(x) for x in values)})"


def names(items: Iterable[str]) -> str:
    """A list of quoted names."""
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def prim(kind: str, name: str, schemas: Iterable[str], lines: Iterable[str]) -> str:
    """A prim with applied schemas; `lines` are its attributes and children."""
    applied = names(schemas)
    head = f'def {kind} "{name}"' + ("" if applied == "[]" else f" (prepend apiSchemas = {applied})")
    return "\n".join([head, "{", *lines, "}"])


def pose(pos: np.ndarray, quat: np.ndarray, scale: np.ndarray | None = None) -> list[str]:
    """Attributes of a place (3,) m, a turn (4,) wxyz and, if any, a scale (3,)."""
    parts = {"translate": ("double3", pos), "orient": ("quatd", quat)}
    if scale is not None:
        parts["scale"] = ("double3", scale)
    order = names(f"xformOp:{operation}" for operation in parts)
    lines = [f"{kind} xformOp:{operation} = {row(values)}" for operation, (kind, values) in parts.items()]
    return [*lines, f"uniform token[] xformOpOrder = {order}"]
