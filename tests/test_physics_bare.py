"""The yardstick of the engine `mujoco` simulates the same, and the comparison of speeds reports what it measured."""

import numpy as np
import pytest
from engines import corner_scene

from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.physics import contract
from mjx_skillmimic.physics.bare import BareRollout, bare_rollout_speed, engine_speeds
from mjx_skillmimic.physics.mujoco_c import MujocoPhysics


@pytest.fixture(scope="module")
def courses():
    return contract.clip_courses(corner_scene(), load_clips("throw_catch"), 4, 3)


def test_the_bare_rollout_equals_the_slow_loop(courses):
    scene = corner_scene()
    bare = BareRollout(scene, *courses, threads=2)
    states = bare.run()
    nq = scene.model.nq
    for number, slow in enumerate(contract.slow_rollout(scene, *courses)):
        after = states[:, scene.substeps * (number + 1) - 1]
        np.testing.assert_allclose(after[:, 1 : 1 + nq], slow.qpos, atol=1e-6)
        np.testing.assert_allclose(after[:, 1 + nq :], slow.qvel, atol=1e-3)
    bare.close()


def test_speeds(courses):
    scene = corner_scene()
    physics = MujocoPhysics(scene, threads=1)
    found = engine_speeds({"mujoco": physics}, *courses, threads=1, repeats=2)
    assert found["bare"]["of_bare"] == 1.0
    rates = [np.array(found[name]["rates"]) for name in ("mujoco", "bare")]
    assert all((r > 0).all() and len(r) == 2 for r in rates)
    assert found["mujoco"]["of_bare"] == pytest.approx(np.median(rates[0] / rates[1]))
    assert found["mujoco"]["overflow"] == 0
    assert bare_rollout_speed(scene, *courses, threads=1, repeats=1) > 0


def test_targets_of_another_number_of_worlds_are_refused(courses):
    with pytest.raises(ValueError, match=r"expected \(steps, 4, 156\)"):
        BareRollout(corner_scene(), courses.qpos, courses.qvel, np.swapaxes(courses.targets, 0, 1))
