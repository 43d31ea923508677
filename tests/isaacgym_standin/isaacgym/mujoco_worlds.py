"""This project's scene in MuJoCo C behind the stand-in's tensors: a trace recorded through it must be the engine's."""

import jax
import numpy as np

from isaacgym.worlds import Worlds, conjugate, rotate
from mjx_skillmimic.model.scene import build_scene
from mjx_skillmimic.physics.registry import make_physics


class MujocoWorlds(Worlds):
    def __init__(self, sim):
        super().__init__(sim)
        self.scene = build_scene()
        self.physics = make_physics("mujoco", self.scene)
        self._step = jax.jit(self.physics.step)
        self.names = list(self.scene.skeleton.names)
        self.order = [self.names.index(name) for name in self.asset.names]
        self.back = np.argsort(self.order)
        self._check(sim)
        self.state = None

    def _check(self, sim):
        """What the adapter was to set is what the scene has."""
        joints = np.array(self.order[1:]) - 1
        gains = {"stiffness": self.scene.kp, "damping": self.scene.kd, "armature": np.full(self.scene.kp.shape, 0.02)}
        for env in sim.envs:
            person, ball = env.actors
            for name, values in gains.items():
                np.testing.assert_allclose(person.dofs[name].reshape(-1, 3), values.reshape(-1, 3)[joints], rtol=1e-6)
            ids = self.scene.humanoid_body_ids[self.order]
            np.testing.assert_allclose(person.asset.masses, self.scene.model.body_mass[ids], rtol=1e-6)
            mass = self.scene.model.body_mass[self.scene.object_body_id]
            np.testing.assert_allclose(ball.bodies[0].mass, mass, rtol=1e-6)

    def place(self, roots, dofs):
        super().place(roots, dofs)
        joints, speed = self.joints[:, self.back[1:] - 1], self.speed[:, self.back[1:] - 1]
        wxyz = lambda q: np.roll(q, 1, axis=-1)  # noqa: E731
        qpos = np.concatenate(
            [self.root[:, :3], wxyz(self.root[:, 3:7]), wxyz(joints).reshape(len(joints), -1), self.ball[:, :3],
             wxyz(self.ball[:, 3:7])], -1)  # fmt: skip
        spin = rotate(conjugate(self.root[:, 3:7]), self.root[:, 10:])
        ball_spin = rotate(conjugate(self.ball[:, 3:7]), self.ball[:, 10:])
        qvel = np.concatenate(
            [self.root[:, 7:10], spin, speed.reshape(len(speed), -1), self.ball[:, 7:10], ball_spin], -1
        )
        self.state = self.physics.init(qpos.astype(np.float32), qvel.astype(np.float32))

    def step(self, target):
        joints = np.array(self.order[1:]) - 1
        ours = np.zeros((len(self.root), self.joint_count, 3), np.float32)
        ours[:, joints] = target.reshape(ours.shape)
        self.state = self._step(self.state, ours.reshape(len(ours), -1))
        qpos, qvel = (np.asarray(x, float) for x in (self.state.qpos, self.state.qvel))
        xyzw = lambda q: np.roll(q, -1, axis=-1)  # noqa: E731
        count = self.joint_count
        quats = qpos[:, 7 : 7 + 4 * count].reshape(-1, count, 4)
        self.root = np.concatenate([qpos[:, :3], xyzw(qpos[:, 3:7]), qvel[:, :6]], -1)
        self.root[:, 10:] = rotate(self.root[:, 3:7], qvel[:, 3:6])
        self.joints = xyzw(quats)[:, joints]
        self.speed = qvel[:, 6 : 6 + 3 * count].reshape(-1, count, 3)[:, joints]
        ball_quat = xyzw(qpos[:, -4:])
        spin = rotate(ball_quat, qvel[:, -3:])
        self.ball = np.concatenate([qpos[:, -7:-4], ball_quat, qvel[:, -6:-3], spin], -1)
        self.forces[:, :-1] = np.asarray(self.state.body_force)[:, self.order]
        self.forces[:, -1] = np.asarray(self.state.object_force)
