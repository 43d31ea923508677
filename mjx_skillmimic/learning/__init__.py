"""PPO in the Brax style: networks, normalisers, losses and one jitted `train_iteration`."""
