"""A stand-in for Isaac Gym Preview 4, for tests: see the README beside this package."""


class Settings:
    """What tests may change before a simulation is created; the values here are what is believed of Isaac Gym."""

    def __init__(self):
        self.order = "depth"  # of bodies and dofs: depth or breadth first
        self.fused = True  # whether hinge triples become spherical joints; else intrinsic Euler angles
        self.velocity_frame = "child"  # whose axes a spherical joint's velocity has: child or parent
        self.velocity_point = "origin"  # of a link: origin or centre (of mass)
        self.forces = "mean"  # over the substeps of a simulate, or those of the last
        self.physics = "numpy"


settings = Settings()
