"""A trained policy in NumPy: the file that `learning.policy.save_policy` writes, and what it wants to see.

Runs in Python 3.8 with NumPy alone. The observation is `imitation.observation.observe`, which takes NumPy arrays too.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = "mjx_skillmimic policy"
SETTINGS_FORMAT = "mjx_skillmimic policy settings"
VERSION = 1
# As `learning.normalizer` has them; a test compares the two.
_EPSILON, _LIMIT = 1e-5, 5.0


class PolicyFileError(ValueError):
    """A policy or settings file that is not what it should be; names the file, what was found and expected."""

    def __init__(self, path: str | Path, found: str, expected: str):
        super().__init__(f"{path}: found {found}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class ObservationSettings:
    """The fields of `imitation.options.ObservationOptions` that an observation depends on, with their meaning."""

    root_height: bool
    root_rotation: str
    force_frame: str
    force_clip: float | None
    force_scale: float
    num_skills: int


@dataclasses.dataclass(frozen=True)
class Settings:
    """observation: see `ObservationSettings`. action_scale: rad for an action of 1; action_clip: bound or None."""

    observation: ObservationSettings
    action_scale: float
    action_clip: float | None

    def targets(self, action: np.ndarray) -> np.ndarray:
        """PD targets (..., 156) rad of actions (..., 156)."""
        if self.action_clip is not None:
            action = np.clip(action, -self.action_clip, self.action_clip)
        return self.action_scale * action


def read_settings(path: str | Path) -> Settings:
    """The settings that `starts.export_policy` wrote beside a policy. Raises FileNotFoundError, PolicyFileError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (SETTINGS_FORMAT, VERSION):
            raise PolicyFileError(path, "another kind of JSON", f"a {SETTINGS_FORMAT} version {VERSION}")
        action = content["action"]
        observation = ObservationSettings(**content["observation"])
        return Settings(observation, float(action["scale"]), action["clip"])
    except PolicyFileError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise PolicyFileError(path, f"no readable settings ({error!r})", f"a {SETTINGS_FORMAT}") from error


class NumPyPolicy:
    """The mean action of a trained actor: `policy(obs (..., D)) -> (..., A)`, computed in float32."""

    def __init__(self, path: str | Path):
        """Raises FileNotFoundError, or PolicyFileError for a file that `save_policy` did not write."""
        try:
            with np.load(str(path), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop("header").tobytes().decode())
            if (header["format"], header["version"]) != (FORMAT, VERSION):
                raise PolicyFileError(path, "another kind of file", f"a {FORMAT} version {VERSION}")
            if header.get("head", "gaussian") != "gaussian":
                raise PolicyFileError(path, f"a {header['head']} policy", "a gaussian one")
            names = [f"body/hidden_{index}" for index in range(len(header["hidden"]))] + ["mean"]
            self.layers = [
                tuple(arrays[f"actor/params/{name}/{part}"].astype(np.float32) for part in ("kernel", "bias"))
                for name in names
            ]
            self.mean, self.mean_low = arrays["moments/mean"], arrays["moments/mean_low"]
            self.scale = np.sqrt(arrays["moments/var"] + np.float32(_EPSILON))
            self.action_limit = float(header["action_limit"])
            self.metadata: dict[str, Any] = header["metadata"]
        except PolicyFileError:
            raise
        except (zipfile.BadZipFile, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
            raise PolicyFileError(path, f"no readable policy ({error!r})", f"a {FORMAT}") from error
        sizes = [int(header["obs_size"]), *(int(width) for width in header["hidden"]), int(header["action_size"])]
        shapes = [kernel.shape for kernel, _ in self.layers]
        if shapes != [(sizes[i], sizes[i + 1]) for i in range(len(shapes))] or self.mean.shape != (sizes[0],):
            raise PolicyFileError(path, f"layers of shapes {shapes}", f"widths {sizes}")

    @property
    def obs_size(self) -> int:
        return int(self.mean.shape[0])

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """Raises ValueError for observations of another width."""
        if obs.shape[-1] != self.obs_size:
            raise ValueError(f"the policy takes {self.obs_size} columns, got {obs.shape[-1]}")
        centred = (np.asarray(obs, np.float32) - self.mean) - self.mean_low
        x = np.clip(centred / self.scale, -_LIMIT, _LIMIT)
        for kernel, bias in self.layers[:-1]:
            x = np.maximum(x @ kernel + bias, 0.0)
        kernel, bias = self.layers[-1]
        return np.clip(x @ kernel + bias, -self.action_limit, self.action_limit)
