"""A whole training iteration of BallPlay on MJX-JAX is exported for TPUs from a machine without any."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp

from mjx_skillmimic.config import load_config
from mjx_skillmimic.envs.ball_play import BallPlay
from mjx_skillmimic.learning import parallel, ppo

ROOT = Path(__file__).resolve().parent.parent
CHIPS = 4


def test_a_training_iteration_is_exported_for_the_tpus_of_a_host():
    """The default configuration with full networks and few worlds; starts are not settled (on the host)."""
    config = load_config(ROOT / "configs" / "ballplay.py", check=False)
    with config.unlocked():
        config.physics.engine = "mjx-jax"
        config.motion.path = "throw_catch"
        config.start.max_kick = None
        config.ppo.update(num_envs=CHIPS, horizon=2, minibatch_size=CHIPS, num_epochs=2)
    env = BallPlay(config)
    make_train = functools.partial(
        ppo.make_train,
        initial_action=jnp.asarray(env.initial_action),
        one_hot_mask=jnp.asarray(env.one_hot_mask),
    )
    mesh = jax.sharding.AbstractMesh((CHIPS,), (parallel.AXIS,))
    program = parallel.assemble(make_train, env, config.ppo, mesh)

    def placed(per_world: bool, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        spec = jax.sharding.PartitionSpec(parallel.AXIS) if per_world else jax.sharding.PartitionSpec()
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=jax.sharding.NamedSharding(mesh, spec))

    whole = jax.eval_shape(make_train(env, config.ppo)[0], jax.random.key(0))
    state = jax.tree.map(placed, program.worlds, whole)
    exported = jax.export.export(jax.jit(program.train_iteration), platforms=("tpu",))(state)
    assert (exported.platforms, exported.nr_devices) == (("tpu",), CHIPS)
    returned, metrics = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    assert jax.tree.map(lambda x: x.shape, returned) == jax.tree.map(lambda x: x.shape, whole)
    assert {"reward", "kl", "env/overflow"} <= metrics.keys()
    text = exported.mlir_module()
    assert "all_reduce" in text
    # Nothing calls back to the host or into another library; what is left to the compiler it knows on TPUs.
    called = set(re.findall(r"custom_call @([\w.]+)", text))
    assert not {name for name in called if "callback" in name or "ffi" in name or name.startswith("cu")}, called
