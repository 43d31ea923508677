"""Interaction skills for simulated humanoids from motion clips: SkillMimic in JAX and MuJoCo-MJX.

Importing the package imports nothing heavy; import the room that is needed, for example `mjx_skillmimic.envs`.
`load_policy("ballplay-layup")` is a shipped policy, ready to act (docs/pretrained.md).
"""

from mjx_skillmimic.pretrained import load as load_policy

__version__ = "0.1.0"

__all__ = ["__version__", "load_policy"]
