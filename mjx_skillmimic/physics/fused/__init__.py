"""The fast GPU step: MuJoCo Warp's collision detection between two kernels of our own (docs/physics_fused.md)."""
