"""Pictures of motions and policies: trajectories, offscreen video, a page for the browser, plots."""
