"""Worlds behind the stand-in's tensors; `Toy` moves them with NumPy alone. Quaternions xyzw, as in the tensors."""

import numpy as np

from isaacgym import settings


def make(kind, sim):
    if kind == "mujoco":
        from isaacgym.mujoco_worlds import MujocoWorlds

        return MujocoWorlds(sim)
    return Toy(sim)


def multiply(a, b):
    va, wa, vb, wb = a[..., :3], a[..., 3:], b[..., :3], b[..., 3:]
    vector = wa * vb + wb * va + np.cross(va, vb)
    return np.concatenate([vector, wa * wb - (va * vb).sum(-1, keepdims=True)], -1)


def conjugate(q):
    return q * np.array([-1.0, -1.0, -1.0, 1.0])


def rotate(q, v):
    pure = np.concatenate([v, np.zeros_like(v[..., :1])], -1)
    return multiply(multiply(q, pure), conjugate(q))[..., :3]


def exp(v):
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.concatenate([v * 0.5 * np.sinc(angle / (2.0 * np.pi)), np.cos(0.5 * angle)], -1)


def log(q):
    q = np.where(q[..., 3:] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., 3:])
    return np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0) * q[..., :3]


def from_euler(angles):
    """Rx Ry Rz."""
    each = [exp(angles[..., i : i + 1] * np.eye(3)[i]) for i in range(3)]
    return multiply(multiply(each[0], each[1]), each[2])


def to_euler(q):
    x, y, z = (rotate(q, np.broadcast_to(axis, (*q.shape[:-1], 3))) for axis in np.eye(3))
    first = np.arctan2(-z[..., 1], z[..., 2])
    return np.stack([first, np.arcsin(np.clip(z[..., 0], -1, 1)), np.arctan2(-y[..., 0], x[..., 0])], -1)


class Worlds:
    """State of E worlds: root and ball (E, 13) as in the tensors, joints (E, J, 4), speed (E, J, 3) in the child's
    frame, forces (E, B + 1, 3)."""

    def __init__(self, sim):
        person, ball = sim.envs[0].actors
        self.sim, self.asset, count = sim, person.asset, len(sim.envs)
        self.dofs, self.joint_count = person.dofs, len(person.asset.names) - 1
        self.person, self.thing = person, ball
        rest = np.zeros((count, 13))
        rest[:, 6] = 1.0
        self.root, self.ball = rest.copy(), rest.copy()
        self.joints = np.tile([0.0, 0.0, 0.0, 1.0], (count, self.joint_count, 1))
        self.speed = np.zeros((count, self.joint_count, 3))
        self.forces = np.zeros((count, self.joint_count + 2, 3))

    def place(self, roots, dofs):
        """Takes states that were set."""
        if roots is not None:
            roots = roots.astype(float).reshape(len(self.root), 2, 13)
            self.root, self.ball = roots[:, 0].copy(), roots[:, 1].copy()
        if dofs is not None:
            dofs = dofs.astype(float).reshape(len(self.root), self.joint_count, 3, 2)
            self.joints = (exp if settings.fused else from_euler)(dofs[..., 0])
            self.speed = dofs[..., 1]
            if settings.velocity_frame == "parent":
                self.speed = rotate(conjugate(self.joints), self.speed)

    def tensors(self):
        """The four global tensors by name."""
        speed = rotate(self.joints, self.speed) if settings.velocity_frame == "parent" else self.speed
        pos = (log if settings.fused else to_euler)(self.joints)
        links = np.concatenate([self.links(), self.ball[:, None]], 1)
        return {
            "actor_root_state": np.stack([self.root, self.ball], 1).reshape(-1, 13).astype(np.float32),
            "dof_state": np.stack([pos, speed], -1).reshape(-1, 2).astype(np.float32),
            "rigid_body_state": links.reshape(-1, 13).astype(np.float32),
            "net_contact_force": self.forces.reshape(-1, 3).astype(np.float32),
        }

    def links(self):
        """(E, B, 13), one body after another down the tree."""
        rows = [self.root]
        for body in range(1, self.joint_count + 1):
            parent = rows[self.asset.parents[body]]
            arm = rotate(parent[:, 3:7], np.broadcast_to(self.asset.offsets[body], (len(parent), 3)))
            quat = multiply(parent[:, 3:7], self.joints[:, body - 1])
            linear = parent[:, 7:10] + np.cross(parent[:, 10:], arm)
            angular = parent[:, 10:] + rotate(quat, self.speed[:, body - 1])
            rows.append(np.concatenate([parent[:, :3] + arm, quat, linear, angular], -1))
        links = np.stack(rows, 1)
        if settings.velocity_point == "centre":
            links[..., 7:10] += np.cross(links[..., 10:], rotate(links[..., 3:7], self.asset.centres[None]))
        return links


class Toy(Worlds):
    """Joints that follow their targets as if nothing hung on them; a root that flies and lands; a ball that bounces."""

    def step(self, target):
        target = target.astype(float).reshape(self.speed.shape)
        kp, kd, inertia = (
            self.dofs[name].astype(float).reshape(-1, 3) for name in ("stiffness", "damping", "armature")
        )
        params, total = self.sim.params, np.zeros_like(self.forces)
        h = params.dt / params.substeps
        for substep in range(params.substeps):
            if settings.forces == "last" and substep == params.substeps - 1:
                total *= 0.0
            error = target - log(self.joints)
            self.speed = (inertia * self.speed + h * kp * error) / (inertia + h * kd + h * h * kp)
            self.joints = multiply(self.joints, exp(h * self.speed))
            total[:, 0] += self._fly(self.root, self.asset.masses.sum(), 0.1, 0.0, h)
            ball = self.thing
            bounce = 0.5 * (ball.shapes[0].restitution + self.sim.plane.restitution)
            radius = (ball.bodies[0].mass / ball.asset.options.density * 0.75 / np.pi) ** (1.0 / 3.0)
            total[:, -1] += self._fly(self.ball, ball.bodies[0].mass, radius, bounce, h)
        self.forces = total / (params.substeps if settings.forces == "mean" else 1)

    def _fly(self, body, mass, radius, bounce, h):
        """Moves one body (E, 13) for h seconds; the force (E, 3) of the plane on it."""
        body[:, 7:10] += h * self.sim.params.gravity.array()
        body[:, :3] += h * body[:, 7:10]
        body[:, 3:7] = multiply(exp(h * body[:, 10:]), body[:, 3:7])
        below = (body[:, 2] < radius) & (body[:, 9] < 0.0)
        fast = -body[:, 9] > self.sim.params.physx.bounce_threshold_velocity
        change = np.where(below, -body[:, 9] * (1.0 + np.where(fast, bounce, 0.0)), 0.0)
        body[:, 9] += change
        body[:, 2] = np.maximum(body[:, 2], np.where(below, radius, body[:, 2]))
        return np.stack([0.0 * change, 0.0 * change, mass * change / h], -1)
