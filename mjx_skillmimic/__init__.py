"""Interaction skills for simulated humanoids from motion clips: SkillMimic in JAX and MuJoCo-MJX.

Importing the package imports nothing heavy; import the room that is needed, for example `mjx_skillmimic.envs`.
"""

__version__ = "0.1.0"
