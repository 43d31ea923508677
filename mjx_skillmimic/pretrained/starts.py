"""Start states of a policy's own making: POLICY.starts.npz beside POLICY.npz, from which a viewer can begin."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjx_skillmimic import npz
from mjx_skillmimic.pretrained.cards import sha256

FORMAT = "mjx_skillmimic start states"
VERSION = 1
SUFFIX = ".starts.npz"
_SHAPES = {"qpos": 2, "qvel": 2, "skill": 1, "name": 1}


class StartsError(ValueError):
    """A file of start states that is damaged; the message names it, what was found and what was expected."""

    def __init__(self, path: str | Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class Starts:
    """S states that a policy reached by itself in simulation, each for a person to begin in.

    qpos (S, nq), qvel (S, nv) float32: MuJoCo's coordinates of the environment's scene. skill (S,) int: the label that
    the policy is told from there on until somebody tells another. name (S,): what goes on, such as "dribble forward".
    metadata: `policy_sha256`, how the states were recorded, and what was measured from each (docs/viewer.md).
    """

    qpos: np.ndarray
    qvel: np.ndarray
    skill: np.ndarray
    name: tuple[str, ...]
    metadata: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not len(self.name) == len(self.qpos) == len(self.qvel) == len(self.skill) > 0:
            sizes = [len(x) for x in (self.name, self.qpos, self.qvel, self.skill)]
            raise ValueError(f"expected as many names as states and skills, at least one, got {sizes}")

    def __len__(self) -> int:
        return len(self.name)

    def made_by(self, policy: str | Path) -> bool:
        """Whether the policy file is the one that reached these states, bit for bit."""
        return self.metadata.get("policy_sha256") == sha256(Path(policy))


def starts_file(policy: str | Path) -> Path:
    """Where the start states of a policy file are, whether or not there are any."""
    return Path(policy).with_suffix(SUFFIX)


def save_starts(starts: Starts, path: str | Path) -> Path:
    """Writes a compressed .npz without pickle: qpos, qvel, skill, name, and meta, a JSON text. Returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = {"format": FORMAT, "version": VERSION} | dict(starts.metadata)
    np.savez_compressed(
        path,
        qpos=np.asarray(starts.qpos, np.float32),
        qvel=np.asarray(starts.qvel, np.float32),
        skill=np.asarray(starts.skill, np.int32),
        name=np.array(starts.name),
        meta=np.array(json.dumps(meta)),
    )
    return path


def load_starts(path: str | Path) -> Starts:
    """Reads what `save_starts` wrote; nothing in the file is executed. Raises FileNotFoundError, StartsError."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no start states {path}")
    try:
        arrays = npz.read_arrays(path)
        meta = npz.description(arrays, "meta", FORMAT, VERSION)
    except npz.UnreadableError as error:
        raise StartsError(path, str(error), "a file of start states") from error
    except npz.DescriptionError as error:
        raise StartsError(path, error.found, error.expected) from error
    meta = {name: value for name, value in meta.items() if name not in ("format", "version")}
    found = {name: arrays[name].ndim for name in _SHAPES if name in arrays}
    if found != _SHAPES or len({len(arrays[name]) for name in _SHAPES}) != 1:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise StartsError(path, f"arrays {shapes}", "qpos (S, nq), qvel (S, nv), skill (S,), name (S,)")
    if not all(np.isfinite(arrays[name]).all() for name in ("qpos", "qvel")):
        raise StartsError(path, "coordinates that are not finite", "finite ones")
    names = tuple(str(name) for name in arrays["name"])
    return Starts(arrays["qpos"], arrays["qvel"], arrays["skill"].astype(int), names, meta)
