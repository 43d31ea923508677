"""Physics engines behind one door: `make_physics` and the `Physics` protocol."""
