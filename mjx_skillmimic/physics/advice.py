"""What to tell who ran out of room for contacts."""

from __future__ import annotations

from typing import Any

import numpy as np

from mjx_skillmimic.physics import needs, sizing


def advice(physics: Any, qpos: np.ndarray, worlds: int) -> str:
    """How much room an engine has, what states qpos (..., nq) need, and which option gives more.

    worlds: on one device. The states that lost contacts may have been reset since: what these need is a lower bound.
    """
    qpos = np.asarray(qpos)
    counts = needs.count(physics.scene, qpos.reshape(-1, qpos.shape[-1]))
    if physics.name == "mjx-jax":
        return (
            f"there is room for {physics.max_geom_pairs} near pairs of capsules and {physics.max_contacts} contacts a "
            f"world, the present states need up to {counts.capsules.max()} and {counts.contacts.max()}; more room: "
            f"--config.physics.options=\"{{'max_geom_pairs': {2 * physics.max_geom_pairs}, "
            f"'max_contacts': {2 * physics.max_contacts}}}\""
        )
    if physics.name == "physx":
        return (
            f"there is room for {physics.capacity} contact points of a world in a physics step; more room: "
            f"--config.physics.options=\"{{'capacity': {2 * physics.capacity}}}\""
        )
    if physics.name != "mjx-warp":
        return f"the engine {physics.name} has no option for more"
    room = physics.buffers or sizing.capacity(physics.scene, worlds, physics.margin)
    together = max(counts.pairs.mean(), counts.contacts.mean()) * worlds
    return (
        f"there is room for {room.naconmax} candidate pairs and contacts of {worlds} worlds, {room.naccdmax} pairs of "
        f"boxes, {room.contacts_per_world} contacts and {room.njmax} constraint rows a world; the present states need "
        f"{together:.0f}, {counts.boxes.mean() * worlds:.0f}, up to {counts.contacts.max()} and {counts.rows.max()}; "
        f"more room: --config.physics.options=\"{{'margin': {2 * physics.margin:g}}}\""
    )
