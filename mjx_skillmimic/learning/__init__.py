"""Learning: PPO as one pure iteration, and the loop that logs, saves, evaluates and resumes around it."""
