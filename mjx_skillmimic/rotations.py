"""Quaternions, rotation vectors, headings and the tan-norm encoding, elementwise.

Quaternions are scalar-first (w, x, y, z) and unit; arrays broadcast over leading axes. Every function takes NumPy or
JAX arrays and answers in kind, so the loaders can work in float64 while the training loop stays on the device.
Products are written out component by component: a matrix product would run in TF32 on an NVIDIA GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # jax.Array or np.ndarray, whichever came in

# Below this angle (rad) the published helpers call a rotation the identity: skillmimic.md §3.3.
REFERENCE_MIN_ANGLE = 1e-5


def namespace(*arrays: Array) -> Any:
    """numpy if every argument is a NumPy value, else jax.numpy.

    JAX is imported only for others' arrays: the recorder beside Isaac Gym has Python 3.8 and no JAX.
    """
    if all(isinstance(a, (np.ndarray, np.generic, float, int)) for a in arrays):
        return np
    import jax.numpy as jnp

    return jnp


def normalize(v: Array, eps: float = 1e-12) -> Array:
    """v / max(|v|, eps) along the last axis."""
    xp = namespace(v)
    return v / xp.maximum(xp.sqrt(xp.sum(v * v, axis=-1, keepdims=True)), eps)


def conjugate(q: Array) -> Array:
    """The inverse of a unit quaternion (..., 4)."""
    xp = namespace(q)
    return xp.concatenate([q[..., :1], -q[..., 1:]], axis=-1)


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product a ⊗ b of (..., 4) quaternions: rotate by b, then by a."""
    xp = namespace(a, b)
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    return xp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def cross(a: Array, b: Array) -> Array:
    """Cross product of (..., 3) vectors, broadcasting."""
    xp = namespace(a, b)
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def rotate(q: Array, v: Array) -> Array:
    """v (..., 3) rotated by q (..., 4)."""
    t = 2.0 * cross(q[..., 1:], v)
    return v + q[..., :1] * t + cross(q[..., 1:], t)


def rotate_inverse(q: Array, v: Array) -> Array:
    """v (..., 3) rotated by the inverse of q (..., 4)."""
    return rotate(conjugate(q), v)


def exp(rotvec: Array) -> Array:
    """Quaternion (..., 4) of a rotation vector (..., 3) in rad; smooth at zero."""
    xp = namespace(rotvec)
    squared = xp.sum(rotvec * rotvec, axis=-1, keepdims=True)
    small = squared < 1e-8
    angle = xp.sqrt(xp.where(small, 1.0, squared))
    # sin(x/2)/x and cos(x/2) by series near zero, where the quotient loses its digits
    scale = xp.where(small, 0.5 - squared / 48.0, xp.sin(0.5 * angle) / angle)
    real = xp.where(small, 1.0 - squared / 8.0, xp.cos(0.5 * angle))
    return xp.concatenate([real, scale * rotvec], axis=-1)


def log(q: Array) -> Array:
    """Rotation vector (..., 3) of a unit quaternion, the short way round: norm ≤ π, and log(q) = log(−q)."""
    xp = namespace(q)
    q = xp.where(q[..., :1] < 0.0, -q, q)
    squared = xp.sum(q[..., 1:] * q[..., 1:], axis=-1, keepdims=True)
    small = squared < 1e-12
    sine = xp.sqrt(xp.where(small, 1.0, squared))
    scale = xp.where(small, 2.0 / xp.maximum(q[..., :1], 0.5), 2.0 * xp.arctan2(sine, q[..., :1]) / sine)
    return scale * q[..., 1:]


def reference_exp(rotvec: Array) -> Array:
    """`exp` as published: the angle wrapped to [−π, π], and the identity below 1e-5 rad (skillmimic.md §3.3)."""
    xp = namespace(rotvec)
    angle = xp.sqrt(xp.sum(rotvec * rotvec, axis=-1, keepdims=True))
    axis = rotvec / xp.maximum(angle, 1e-30)
    angle = xp.arctan2(xp.sin(angle), xp.cos(angle))
    usable = xp.abs(angle) > REFERENCE_MIN_ANGLE
    half = 0.5 * xp.where(usable, angle, 0.0)
    return xp.concatenate([xp.cos(half), xp.where(usable, axis * xp.sin(half), 0.0)], axis=-1)


def reference_log(q: Array) -> Array:
    """`log` as published, angle = 2·acos(w) wrapped to [−π, π]; ill-conditioned near the identity (§3.3)."""
    xp = namespace(q)
    real = q[..., :1]
    sine = xp.sqrt(xp.maximum(1.0 - real * real, 0.0))
    angle = 2.0 * xp.arccos(xp.clip(real, -1.0, 1.0))
    angle = xp.arctan2(xp.sin(angle), xp.cos(angle))
    usable = sine > REFERENCE_MIN_ANGLE
    return xp.where(usable, angle * q[..., 1:] / xp.where(usable, sine, 1.0), 0.0)


def tan_norm(q: Array) -> Array:
    """Six numbers (..., 6) that describe a rotation without jumps: its rotated x axis, then its rotated z axis."""
    xp = namespace(q)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    return xp.stack(
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y + w * z),
            2.0 * (x * z - w * y),
            2.0 * (x * z + w * y),
            2.0 * (y * z - w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
        axis=-1,
    )


def heading(q: Array) -> Array:
    """Yaw (...) in rad of the rotated x axis. The humanoid's root +x is its left: it faces heading − 90°."""
    xp = namespace(q)
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    return xp.arctan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))


def about_z(angle: Array) -> Array:
    """Quaternion (..., 4) that turns by `angle` (...) rad about world z."""
    xp = namespace(angle)
    zero = xp.zeros_like(angle)
    return xp.stack([xp.cos(0.5 * angle), zero, zero, xp.sin(0.5 * angle)], axis=-1)


def heading_inverse(q: Array) -> Array:
    """Quaternion (..., 4) that turns the world into the heading frame of q: −heading about z."""
    return about_z(-heading(q))


def geodesic(a: Array, b: Array) -> Array:
    """Angle (...) in rad between two rotations, in [0, π]."""
    xp = namespace(a, b)
    d = log(multiply(conjugate(a), b))
    return xp.sqrt(xp.maximum(xp.sum(d * d, axis=-1), 0.0))


def continuous_signs(q: Array) -> Array:
    """A quaternion track (T, 4) with signs flipped so that neighbours have a non-negative dot product. NumPy only."""
    dots = np.sum(q[1:] * q[:-1], axis=-1)
    signs = np.concatenate([[1.0], np.cumprod(np.where(dots < 0.0, -1.0, 1.0))]).astype(q.dtype)
    return q * signs[:, None]


def wxyz_from_xyzw(q: Array) -> Array:
    """Scalar-last to scalar-first; only loaders need it."""
    xp = namespace(q)
    return xp.concatenate([q[..., 3:], q[..., :3]], axis=-1)


def xyzw_from_wxyz(q: Array) -> Array:
    """Scalar-first to scalar-last; only loaders need it."""
    xp = namespace(q)
    return xp.concatenate([q[..., 1:], q[..., :1]], axis=-1)
