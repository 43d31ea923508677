"""Clips and files that the motion tests make themselves: no published data, no torch."""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile

import numpy as np

from mjx_skillmimic.kinematics import forward_kinematics
from mjx_skillmimic.model.assets import humanoid_skeleton
from mjx_skillmimic.motion.clip import MotionClip
from mjx_skillmimic.rotations import exp

REBUILD, FLOATS, ORDERED_DICT = "torch._utils\n_rebuild_tensor_v2", "torch\nFloatStorage", "collections\nOrderedDict"


def make_clip(frames: int = 30, seed: int = 0, **fields) -> MotionClip:
    """A sound clip: a smoothly moving body whose stored positions are its forward kinematics, and a ball."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] / 60.0
    wave = lambda n, scale: scale * np.sin(rng.uniform(1, 4, n) * t + rng.uniform(0, 6, n))  # noqa: E731
    root_pos = wave(3, 0.3) + np.array([0.0, 0.0, 1.0])
    root_rotvec, dof_pos = wave(3, 0.5) + np.array([1.5, 0.0, 0.0]), wave(156, 0.4)
    pos = forward_kinematics(humanoid_skeleton(), root_pos, exp(root_rotvec), exp(dof_pos.reshape(-1, 52, 3))).pos
    arrays = {
        "root_pos": root_pos,
        "root_rotvec": root_rotvec,
        "dof_pos": dof_pos,
        "body_pos": pos,
        "object_pos": wave(3, 0.2) + np.array([0.3, 0.3, 1.2]),
        "object_rotvec": wave(3, 0.8),
        "contact": np.arange(frames) % 3 == 0,
    }
    metadata = {"name": f"003_made_{seed}", "skill": 3, "fps": 60.0, "source": "a test", "licence": "CC0-1.0"}
    clip = MotionClip(**metadata, **{k: np.asarray(v, np.float32) for k, v in arrays.items()})
    return dataclasses.replace(clip, **fields)


def integer(value: int) -> bytes:
    """A pickled integer of any size up to 255 bytes."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    body = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(body)]) + body


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor_pickle(
    size: tuple[int, ...],
    stride: tuple[int, ...],
    count: int,
    *,
    offset: int = 0,
    storage: str = FLOATS,
    device: str = "cuda:0",
    key: str = "0",
    rebuild: str = REBUILD,
) -> bytes:
    """What torch.save pickles for one tensor, protocol 2."""
    pid = b"(" + text("storage") + f"c{storage}\n".encode() + text(key) + text(device) + integer(count) + b"tQ"
    hooks = f"c{ORDERED_DICT}\n)R".encode()
    body = pid + integer(offset) + integers(size) + integers(stride) + b"\x89" + hooks
    return b"\x80\x02" + f"c{rebuild}\n(".encode() + body + b"tR."


def zip_bytes(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def pt_members(matrix: np.ndarray, prefix: str = "archive", **tensor) -> dict[str, bytes]:
    """Members of a torch.save'd matrix; `tensor` overrides what the pickle says."""
    described = {"size": matrix.shape, "stride": (matrix.shape[1], 1), "count": matrix.size} | tensor
    return {
        f"{prefix}/data.pkl": tensor_pickle(**described),
        f"{prefix}/data/0": np.ascontiguousarray(matrix).tobytes(),
        f"{prefix}/version": b"3\n",
    }


def pt_bytes(matrix: np.ndarray, **tensor) -> bytes:
    return zip_bytes(pt_members(matrix, **tensor))
