"""Parameter structures with the attributes that the documentation lists, and no others."""

import numpy as np


class _Structure:
    """Refuses attributes that were not set by __init__."""

    def __setattr__(self, name, value):
        if getattr(self, "_sealed", False) and not hasattr(self, name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        object.__setattr__(self, name, value)

    def _seal(self):
        object.__setattr__(self, "_sealed", True)


class Vec3(_Structure):
    def __init__(self, x=0.0, y=0.0, z=0.0):
        self.x, self.y, self.z = x, y, z
        self._seal()

    def array(self):
        return np.array([self.x, self.y, self.z])


class Quat(_Structure):
    def __init__(self, x=0.0, y=0.0, z=0.0, w=1.0):
        self.x, self.y, self.z, self.w = x, y, z, w
        self._seal()


class Mat33(_Structure):
    def __init__(self):
        self.x, self.y, self.z = Vec3(), Vec3(), Vec3()
        self._seal()


class Transform(_Structure):
    def __init__(self, p=None, r=None):
        self.p, self.r = p or Vec3(), r or Quat()
        self._seal()


class PhysXParams(_Structure):
    def __init__(self):
        self.always_use_articulations = False
        self.bounce_threshold_velocity = 0.2
        self.contact_collection = 2
        self.contact_offset = 0.02
        self.default_buffer_size_multiplier = 2.0
        self.friction_correlation_distance = 0.025
        self.friction_offset_threshold = 0.04
        self.max_depenetration_velocity = 100.0
        self.max_gpu_contact_pairs = 1048576
        self.num_position_iterations = 4
        self.num_subscenes = 0
        self.num_threads = 0
        self.num_velocity_iterations = 1
        self.rest_offset = 0.001
        self.solver_type = 1
        self.use_gpu = False
        self._seal()


class SimParams(_Structure):
    def __init__(self):
        self.dt = 1.0 / 60.0
        self.substeps = 2
        self.up_axis = 0
        self.gravity = Vec3(0.0, -9.8, 0.0)
        self.num_client_threads = 0
        self.use_gpu_pipeline = False
        self.physx = PhysXParams()
        self._seal()


class PlaneParams(_Structure):
    def __init__(self):
        self.normal = Vec3(0.0, 1.0, 0.0)
        self.distance = 0.0
        self.static_friction = self.dynamic_friction = 1.0
        self.restitution = 0.0
        self.segmentation_id = 0
        self._seal()


class AssetOptions(_Structure):
    def __init__(self):
        self.angular_damping, self.linear_damping = 0.5, 0.0
        self.max_angular_velocity, self.max_linear_velocity = 64.0, 1000.0
        self.armature = 0.0
        self.density = 1000.0
        self.default_dof_drive_mode = 0
        self.collapse_fixed_joints = self.disable_gravity = self.fix_base_link = False
        self.flip_visual_attachments = self.replace_cylinder_with_capsule = False
        self.override_com = self.override_inertia = False
        self.thickness = 0.02
        self._seal()


class RigidShapeProperties(_Structure):
    def __init__(self):
        self.friction, self.restitution = 1.0, 0.0
        self.rolling_friction = self.torsion_friction = self.compliance = 0.0
        self.contact_offset, self.rest_offset, self.thickness = 0.02, 0.0, 0.0
        self.filter = 0
        self._seal()


class RigidBodyProperties(_Structure):
    def __init__(self, mass):
        self.mass, self.invMass = mass, 1.0 / mass
        self.com, self.inertia, self.flags = Vec3(), Mat33(), 0
        self._seal()


class IndexRange(_Structure):
    def __init__(self, start, count):
        self.start, self.count = start, count
        self._seal()


DOF = np.dtype(
    [
        ("hasLimits", "?"),
        ("lower", "<f4"),
        ("upper", "<f4"),
        ("driveMode", "<i4"),
        ("velocity", "<f4"),
        ("effort", "<f4"),
        ("stiffness", "<f4"),
        ("damping", "<f4"),
        ("friction", "<f4"),
        ("armature", "<f4"),
    ]
)
