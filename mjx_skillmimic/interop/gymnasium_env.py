"""The tasks as Gymnasium environments: `SkillVectorEnv` for many worlds in one call, `SkillEnv` for one.

Importing this module registers `mjx_skillmimic/<task>-v0` for every task of `envs`, for `gymnasium.make` and
`gymnasium.make_vec`; `make("mjx_skillmimic.interop.gymnasium_env:mjx_skillmimic/BallPlay-v0")` imports it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mjx_skillmimic import envs
from mjx_skillmimic.interop.host_worlds import HostWorlds, checked_actions, chooses, load_task, steps_of

try:
    import gymnasium
    from gymnasium import error, spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as failure:
    raise ImportError("this interface needs gymnasium: pip install 'mjx_skillmimic[gym]'") from failure

RENDER_MODES = ("rgb_array",)


class SkillVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N worlds of a task, stepped by one compiled function; worlds that end begin a new episode in the same step.

    Observations (N, observation_size), actions (N, action_size) in [−1, 1], rewards (N,), all float32; in a high-level
    task actions are choices (N,), whole numbers below action_size, and a step is a decision. The infos hold,
    each with its mask `_name`: the metrics of the step (`reward/p`, `error/body_m`, …), zero after a reset; `skill`,
    `clip`, `frame`, `progress` of the episode that the observation belongs to; and where episodes ended `final_obs` and
    `final_info` (metrics and episode before the new one), in the form of `gymnasium.vector.SyncVectorEnv`.

    Args:
        num_envs: N.
        env: an environment of `envs.load`, instead of one made from `task_options` (those of `host_worlds.load_task`);
            it stays open when this one is closed.
        render_mode: "rgb_array" or None; pictures of all worlds, drawn in software.
        width, height: of a picture.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        env: Any = None,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 360,
        **task_options: Any,
    ) -> None:
        self.worlds, self._owned = _open(env, num_envs, task_options), env is None
        self.num_envs, self.render_mode = num_envs, render_mode
        self._painter = _painter(self.worlds, render_mode, width, height)
        self.metadata = type(self).metadata | {"render_fps": _rate(self.worlds)}
        self.single_observation_space, self.single_action_space = _spaces(self.worlds)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes in all worlds; equal seeds give equal courses.

        options: "clip" and "frame", numbers or (N,), where the episodes begin instead of on drawn starts. Raises
        ValueError for others.
        """
        _check_open(self.closed)
        super().reset(seed=seed)
        shown = self.worlds.reset(_draw_seed(self.np_random), options)
        everywhere = np.ones(self.num_envs, bool)
        if self._painter is not None:
            self._painter.forget(everywhere)
        return shown.obs, _masked(shown.metrics | shown.episode, everywhere)

    def step(self, actions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step. Raises TypeError or ValueError for actions of another type, shape, or not finite."""
        _check_ready(self.closed, self.worlds)
        shown = self.worlds.step(actions)
        done = shown.done
        info = _masked(shown.metrics | shown.episode, np.ones(self.num_envs, bool))
        if done.any():
            final = np.full(self.num_envs, None, object)
            for world, row in zip(np.flatnonzero(done), self.worlds.final_obs()[done], strict=True):
                final[world] = row
            at_end = {name: np.where(done, value, 0) for name, value in (shown.metrics | shown.before).items()}
            info |= _masked({"final_obs": final, "final_info": _masked(at_end, done)}, done)
            if self._painter is not None:
                self._painter.forget(done)
        return shown.obs, shown.reward, shown.terminated, shown.truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Pictures (height, width, 3) uint8 of all worlds; None without a render mode."""
        _check_ready(self.closed, self.worlds)
        return None if self._painter is None else self._painter.paint(self.worlds.poses())

    def close_extras(self, **_: Any) -> None:
        if self._owned:
            self.worlds.close()


class SkillEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One world of a task; arguments, options and infos as of `SkillVectorEnv`, without the world axis and the masks.

    For the same seed its episode is that of a vector environment of one world. An episode that has ended must be reset.
    The picture at an episode's end is that of the step before.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES)}  # noqa: RUF012

    def __init__(
        self, env: Any = None, render_mode: str | None = None, width: int = 480, height: int = 360, **task_options: Any
    ) -> None:
        self.worlds, self._owned = _open(env, 1, task_options), env is None
        self.render_mode, self._painter = render_mode, _painter(self.worlds, render_mode, width, height)
        self.metadata = type(self).metadata | {"render_fps": _rate(self.worlds)}
        self.observation_space, self.action_space = _spaces(self.worlds)
        self._over, self._closed = True, False
        self._pose: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode. Raises ValueError for options that do not exist."""
        _check_open(self._closed)
        super().reset(seed=seed)
        shown = self.worlds.reset(_draw_seed(self.np_random), options)
        self._over, self._pose = False, self.worlds.poses()
        if self._painter is not None:
            self._painter.forget(np.ones(1, bool))
        return shown.obs[0], _single(shown.metrics | shown.episode)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step. Raises TypeError or ValueError for an action of another type, shape, or not finite."""
        _check_open(self._closed)
        if self._over:
            raise error.ResetNeeded("step of an episode that has not begun, or has ended: call reset() first")
        if chooses(self.worlds.env):
            shown = self.worlds.step(np.asarray(action)[None])
        else:
            shown = self.worlds.step(checked_actions(action, (self.worlds.env.action_size,))[None])
        self._over = bool(shown.done[0])
        if not self._over:
            self._pose = self.worlds.poses()
        # The worlds have begun the next episode already; this one's end is what they keep beside it.
        obs = self.worlds.final_obs()[0] if self._over else shown.obs[0]
        info = _single(shown.metrics | shown.before)
        return obs, float(shown.reward[0]), bool(shown.terminated[0]), bool(shown.truncated[0]), info

    def render(self) -> np.ndarray | None:
        """A picture (height, width, 3) uint8; None without a render mode."""
        _check_ready(self._closed, self.worlds)
        return None if self._painter is None else self._painter.paint(self._pose)[0]

    def close(self) -> None:
        if self._owned and not self._closed:
            self.worlds.close()
        self._closed = True


def register() -> None:
    """Registers every task with Gymnasium; importing the module has done so for those that ship."""
    for task in envs.names():
        identifier = f"mjx_skillmimic/{task}-v0"
        if identifier not in gymnasium.registry:
            here = "mjx_skillmimic.interop.gymnasium_env"
            gymnasium.register(
                identifier, f"{here}:SkillEnv", vector_entry_point=f"{here}:SkillVectorEnv", kwargs={"task": task}
            )


def _open(env: Any, num_envs: int, task_options: Mapping[str, Any]) -> HostWorlds:
    if env is not None and task_options:
        raise ValueError(f"expected either an environment or {sorted(task_options)}, got both")
    return HostWorlds(load_task(**task_options) if env is None else env, num_envs)


def _painter(worlds: HostWorlds, render_mode: str | None, width: int, height: int) -> Any:
    if render_mode is None:
        return None
    if render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode={render_mode!r}; expected one of {RENDER_MODES} or None")
    from mjx_skillmimic.interop.host_pictures import Painter

    return Painter(worlds.env, width, height)


def _rate(worlds: HostWorlds) -> int:
    return round(1.0 / (worlds.env.scene.control_dt * steps_of(worlds.env)))


def _spaces(worlds: HostWorlds) -> tuple[spaces.Box, Any]:
    """Of one world: observation, action."""
    observation = spaces.Box(-np.inf, np.inf, (worlds.env.observation_size,), np.float32)
    if chooses(worlds.env):
        return observation, spaces.Discrete(worlds.env.action_size)
    return observation, spaces.Box(-1.0, 1.0, (worlds.env.action_size,), np.float32)


def _draw_seed(random: np.random.Generator) -> int:
    return int(random.integers(2**32))


def _masked(values: Mapping[str, Any], mask: np.ndarray) -> dict[str, Any]:
    return {**values, **{f"_{name}": mask.copy() for name in values}}


def _single(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: value[0].item() for name, value in values.items()}


def _check_open(closed: bool) -> None:
    if closed:
        raise error.ClosedEnvironmentError("the environment is closed")


def _check_ready(closed: bool, worlds: HostWorlds) -> None:
    _check_open(closed)
    if worlds.state is None:
        raise error.ResetNeeded("no episode has begun: call reset() first")


register()
