"""What can be measured, by name."""

# Each contains the one before; see `workloads`.
LEVELS = ("physics", "env", "rollout", "train")
# A new process up to its first training iteration; see `first_iteration`.
START = "start"
