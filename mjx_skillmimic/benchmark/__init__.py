"""Measuring speed: what is measured (`workloads`), how (`timing`, `points`), where the time goes (`profile`)."""
