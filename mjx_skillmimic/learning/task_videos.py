"""Videos of a high-level task while it is trained: an episode in MuJoCo C, with the goal and the skills chosen."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.config import to_json


class TaskVideos:
    """Episodes of later and later states of a policy that chooses, in a session that is built on first use."""

    def __init__(self, config: ConfigDict, env: Any, export: Callable[[Any, Path, Mapping[str, Any]], Any]) -> None:
        """export: writes a training state's policy into a file, with metadata."""
        self._metadata = {**env.policy_metadata, "config": json.loads(to_json(config))}
        self._export = export
        self._session: Any = None
        self._videos = 0

    def video(self, state: Any, iteration: int, path: Path) -> None:
        """One episode from the next of the start states. Raises VideoError if nothing can draw it."""
        from mjx_skillmimic.viewing.task_recording import record_episodes
        from mjx_skillmimic.viewing.task_session import TaskSession
        from mjx_skillmimic.viewing.video import write_video

        with tempfile.TemporaryDirectory(prefix="policy-") as folder:
            file = Path(folder) / f"iteration {iteration}.npz"
            self._export(state, file, self._metadata)
            if self._session is None:
                self._session = TaskSession(str(file))
            else:
                self._session.set_policy(str(file))
        starts = self._session.clips
        begin = starts[self._videos % len(starts)].removeprefix("start: ")
        self._videos += 1
        (episode,) = record_episodes(self._session, begin=begin)
        write_video(episode, path)
