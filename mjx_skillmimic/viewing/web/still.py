"""The fixed geoms of a model in the browser's scene, such as a basket's: sent once, they move with the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mjx_skillmimic.viewing.surroundings import still_geoms
from mjx_skillmimic.viewing.web.meshes import batches

if TYPE_CHECKING:
    import mujoco
    import viser


def add_scenery(server: viser.ViserServer, model: mujoco.MjModel) -> list[Any]:
    """Handles of the meshes under /world/scenery, in the colours of the model; none where there is only a floor."""
    rest = np.zeros((model.nbody, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (model.nbody, 1))
    found = []
    for batch in batches(model, still_geoms(model)):
        pos, quat = batch.poses(*rest)
        colours = model.geom_rgba[batch.geom, :3]
        found.append(
            server.scene.add_batched_meshes_simple(
                f"/world/scenery/{batch.name}",
                batch.vertices,
                batch.faces,
                batched_wxyzs=quat,
                batched_positions=pos,
                batched_scales=batch.scale,
                # three.js takes the colours of instances for linear ones
                batched_colors=(255 * colours**2.2 + 0.5).astype(np.uint8),
                lod="off",
            )
        )
    return found
