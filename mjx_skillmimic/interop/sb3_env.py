"""A vector environment as Stable-Baselines3 wants it: `PPO("MlpPolicy", SkillVecEnv(SkillVectorEnv(64)))`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjx_skillmimic.interop.gymnasium_env import SkillVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as failure:
    raise ImportError("this interface needs Stable-Baselines3: pip install 'mjx_skillmimic[sb3]'") from failure


class SkillVecEnv(VecEnv):
    """`SkillVectorEnv` behind the interface of SB3's own vector environments.

    The info of a world is empty but at an episode's end: `terminal_observation` (the observation before the new
    episode), `TimeLimit.truncated`, `episode` (r, l, t: return, steps, seconds, for SB3's log), and what Gymnasium has
    in `final_info`. The metrics of every step are in `infos`, arrays (N,).
    """

    def __init__(self, vector: SkillVectorEnv) -> None:
        self.vector = vector
        self.infos: dict[str, Any] = {}
        self._actions: np.ndarray | None = None
        self._returns, self._lengths = np.zeros(vector.num_envs), np.zeros(vector.num_envs, int)
        self._begun = time.time()
        super().__init__(vector.num_envs, vector.single_observation_space, vector.single_action_space)

    def reset(self) -> np.ndarray:
        """New episodes; the seed given to `seed` is used once."""
        obs, self.infos = self.vector.reset(seed=self._seeds[0], options=self._options[0] or None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:], self._lengths[:] = 0.0, 0
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Observations, rewards, ends and infos of the actions given to `step_async`."""
        obs, reward, terminated, truncated, self.infos = self.vector.step(self._actions)
        done = terminated | truncated
        self._returns += reward
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            final = self.infos["final_info"]
            infos[i] = {name: value[i].item() for name, value in final.items() if not name.startswith("_")} | {
                "terminal_observation": self.infos["final_obs"][i],
                "TimeLimit.truncated": bool(truncated[i]),
                "episode": {
                    "r": self._returns[i],
                    "l": int(self._lengths[i]),
                    "t": round(time.time() - self._begun, 6),
                },
            }
        self._returns[done], self._lengths[done] = 0.0, 0
        return obs, reward, done, infos

    def close(self) -> None:
        self.vector.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The attribute of the vector environment, once for every index."""
        return [getattr(self.vector, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: the worlds share their attributes. Raises AttributeError."""
        raise AttributeError(f"{attr_name!r} cannot be set: the worlds are stepped as one")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refused: there are no environments of one world. Raises AttributeError."""
        raise AttributeError(f"{method_name!r} cannot be called: the worlds are stepped as one")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """False for every wrapper of a single world but SB3's Monitor, whose entries the infos have."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        pictures = self.vector.render()
        return [None] * self.num_envs if pictures is None else list(pictures)
