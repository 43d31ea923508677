"""Scenes: the humanoid, its options, contact materials and compiled models."""
