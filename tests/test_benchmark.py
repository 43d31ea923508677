"""Benchmarks: what is counted, how repeats become a figure, files that resume, tables, traces."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from mjx_skillmimic.benchmark import engines, points, profile, records, roofline, sources, sweep, table, timing, trace
from mjx_skillmimic.benchmark.levels import LEVELS
from mjx_skillmimic.benchmark.workloads import SEGMENT, Workload, make_workload
from mjx_skillmimic.config import load_config
from mjx_skillmimic.learning.networks import make_networks
from mjx_skillmimic.learning.options import default_ppo
from mjx_skillmimic.model.scene import build_scene
from tests.toy import PointEnv, toy_config

ROOT = Path(__file__).resolve().parent.parent
WORLDS = 4


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "benchmark.py"))


def record(**changes: Any) -> records.Record:
    made = {"device": "X", "engine": "mujoco", "level": "env", "worlds": 64, "config_hash": "c", "source": "s"}
    return made | {"env_steps_per_s": 123_456.0, "spread": 0.02, "bytes_per_world": 2.5e6, "compile_s": 3.0} | changes


def test_engines_are_read_with_their_options_and_reach_the_configuration() -> None:
    found = engines.parse_engines("mjx-warp:kernels=fused, mujoco:threads=2:x=1.5", ("flag=True",))
    assert found[0] == engines.Engine("mjx-warp", (("flag", True), ("kernels", "fused")))
    assert str(found[1]) == "mujoco:flag=True:threads=2:x=1.5"
    config = load_config(ROOT / "configs" / "ballplay.py", check=False)
    chosen = engines.configured(config, found[1], 1000)
    assert chosen.physics.to_dict() == {"engine": "mujoco", "options": {"flag": True, "threads": 2, "x": 1.5}}
    assert chosen.ppo.num_envs == 1000
    assert 1000 * chosen.ppo.horizon % chosen.ppo.minibatch_size == 0
    assert engines.configured(config, found[1], 8192).ppo.minibatch_size == config.ppo.minibatch_size


@pytest.mark.parametrize(("text", "words"), [("warp", "no engine 'warp'"), ("mujoco:threads", "expected key=value")])
def test_an_engine_that_does_not_exist_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        engines.parse_engines(text)


def test_a_figure_is_the_median_of_its_repeats() -> None:
    """A clock that advances by what each call is said to take: two of warm-up, then 1, 2 and 4 s for two calls each."""
    durations = iter([9.0, 0.5, 0.5, 0.5, 1.0, 1.0, 2.0, 2.0])
    now = [0.0]

    def program(carry: int) -> tuple[int, dict[str, Any]]:
        now[0] += next(durations)
        return carry + 1, {"overflow": jnp.asarray(carry == 4), "nonfinite": jnp.asarray(3.0 * (carry == 5))}

    workload = Workload("env", 2, 100, 0, program, 0.0, None)
    found = timing.measure(workload, seconds=1.0, repeats=3, clock=lambda: now[0])
    assert (found.calls, found.seconds, workload.carry) == (2, 7.0, 8)
    assert found.rates == (200.0, 100.0, 50.0)
    assert (found.median, found.spread) == (100.0, 1.5)
    assert (found.overflow, found.nonfinite) == (1, 3)


class CountedEnv(PointEnv):
    """The toy with what workloads ask of an environment; world 1 fails in the step `fails_at`."""

    initial_action = np.zeros(2, np.float32)
    one_hot_mask = np.zeros(2, bool)

    def reset(self, rng: jax.Array) -> Any:
        return self._with_overflow(super().reset(rng))

    def step(self, state: Any, action: jax.Array) -> Any:
        return self._with_overflow(super().step(state, action))

    @staticmethod
    def _with_overflow(state: Any) -> Any:
        return state.replace(metrics=state.metrics | {"overflow": jnp.arange(len(state.reward)) % 2 * state.done})


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "physics"])
def test_levels_count_their_steps_and_what_failed(level: str) -> None:
    """Every environment counts its steps itself; episodes of ten steps end in step 40, overflowing in odd worlds."""
    config: ConfigDict = toy_config(1)
    workload = make_workload(level, CountedEnv(fails_at=3), config.ppo, 8)
    horizon = SEGMENT if level == "env" else config.ppo.horizon
    assert workload.steps == 8 * horizon
    carry, output = workload.call(workload.carry)
    assert round(float(output["nonfinite"])) == 1
    state = next(leaf for leaf in jax.tree.leaves(carry, is_leaf=is_state) if is_state(leaf))
    assert int(state.info["steps"]) == horizon
    for _ in range(40 // horizon - 1):
        carry, output = workload.call(carry)
        assert round(float(output["nonfinite"])) == 0


def is_state(leaf: Any) -> bool:
    return hasattr(leaf, "info")


def test_physics_level_steps_worlds_and_the_command_line_resumes(
    script: dict[str, Any], tmp_path: Path, capsys
) -> None:
    path = tmp_path / "out.json"
    arguments = ["--config=configs/quickstart.py", "--config.start.max_kick=none", "--engine=mujoco:threads=1"]
    arguments += [f"--envs={WORLDS}", "--level=physics", "--seconds=0.02", "--repeats=2", f"--json={path}"]
    arguments[0] = f"--config={ROOT / 'configs' / 'quickstart.py'}"
    assert script["main"](arguments) == 0
    first = records.read_records(path)
    assert script["main"](arguments) == 0
    assert records.read_records(path) == first
    assert script["main"]([*arguments, "--again"]) == 0
    (found,) = records.read_records(path)
    assert found["rates"] != first[0]["rates"]
    assert found["env_steps_per_call"] == WORLDS * SEGMENT
    assert (found["overflow_worlds"], found["nonfinite_worlds"], len(found["rates"])) == (0, 0, 2)
    assert "mujoco:threads=1" in capsys.readouterr().out.splitlines()[-1]


def test_a_new_record_replaces_the_one_of_its_point(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    for made in (record(), record(worlds=128), record(env_steps_per_s=1.0, source="t")):
        records.write_record(path, made)
    kept = records.read_records(path)
    assert [(r["worlds"], r["env_steps_per_s"]) for r in kept] == [(128, 123_456.0), (64, 1.0)]
    assert records.find(kept, record(source="t")) == kept[1]
    assert records.find(kept, record()) is None
    path.write_text("[]")
    with pytest.raises(records.RecordsError, match="holds no results"):
        records.read_records(path)


def test_the_configuration_hash_ignores_engine_worlds_and_run_but_nothing_else() -> None:
    base = load_config(ROOT / "configs" / "ballplay.py", check=False)
    same = [("physics.engine", "mujoco"), ("ppo.num_envs", "64"), ("run.seed", "3")]
    other = [("scene.iterations", "3"), ("ppo.horizon", "64"), ("motion.path", "set_shot")]

    def digest(*overrides: tuple[str, str]) -> str:
        config = load_config(ROOT / "configs" / "ballplay.py", overrides, check=False)
        return points.describe(config, engines.Engine("mujoco"), "env", 1)["config_hash"]

    expected = points.describe(base, engines.Engine("mjx-warp"), "train", 9)["config_hash"]
    assert digest(*same) == expected
    assert len({expected, *(digest(change) for change in other)}) == 4


def test_a_table_shows_its_records_and_a_stale_one_is_found(tmp_path: Path) -> None:
    results = tmp_path / "r.json"
    records.write_record(results, record(nonfinite_worlds=7, spread=0.25))
    records.write_record(results, record(level="train", env_steps_per_s=98_765.0, bytes_per_world=1e6))
    phases = {"cold": {"total": 58.2}, "warm": {"total": 9.6}}
    records.write_record(results, {"device": "X", "engine": "mujoco", "level": "start", "worlds": 64, **phases})
    text = "before\n<!-- benchmark:begin -->\n<!-- benchmark:end -->\nafter\n"
    assert not table.has_block(text)
    made = table.refresh(text, ["r.json"], tmp_path)
    assert "| X | `mujoco` | 64 | 123 k | 98.8 k | 2.50 | env: 7 NaN, spread 25% |" in made
    assert "| X | `mujoco` | 64 | 58 s | 10 s |" in made
    assert re.match(r"before\n.*\nafter\n$", made, re.DOTALL)
    assert table.refresh(made, None, tmp_path) == made

    document = tmp_path / "page.md"
    stale = runpy.run_path(str(ROOT / "scripts" / "check_docs.py"))["stale_table"]
    document.write_text(made)
    assert list(stale(document, tmp_path)) == []
    document.write_text(made.replace("123 k", "124 k"))
    assert len(list(stale(document, tmp_path))) == 1
    results.unlink()
    assert "does not exist" in next(iter(stale(document, tmp_path)))


def test_the_union_of_intervals_is_what_a_grid_counts() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(0, 200, 60)
    end = start + rng.integers(0, 9, 60)
    covered = np.zeros(300, bool)
    for a, b in zip(start, end, strict=True):
        covered[a:b] = True
    assert trace.union(zip(start.tolist(), end.tolist(), strict=True)) == covered.sum()


def test_a_trace_counts_operations_and_names_the_lines_that_asked_for_them() -> None:
    """Twice the iterations are twice the sorts (on a CPU a sort is two events)."""
    short, long = (traced_sorts(times) for times in (7, 14))
    count = {
        name: row["count"]
        for name, found in (("short", short), ("long", long))
        for row in found["groups"]
        if row["name"] == "sort"
    }
    assert count["long"] == 2 * count["short"] >= 14
    for found in (short, long):
        sorts = [row for row in found["kernels"] if row["group"] == "sort"]
        assert all(row["origin"].startswith("tests/test_benchmark.py:") and "body" in row["origin"] for row in sorts)
        assert 0 < found["busy_ms"] <= found["span_ms"]
        assert sum(row["share"] for row in found["kernels"]) == pytest.approx(1.0)
        assert json.loads(json.dumps(found)) == found
        assert "launches" in profile.text(found)


def traced_sorts(times: int) -> dict[str, Any]:
    def body(x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return jnp.sort(jnp.sin(x), axis=0), None

    x = jnp.eye(64)
    compiled = jax.jit(lambda x: jax.lax.scan(body, x, None, length=times)[0]).lower(x).compile()
    compiled(x).block_until_ready()
    recorded = trace.record(lambda: compiled(x).block_until_ready())
    return profile.report(recorded, sources.sources(compiled.as_text()), steps=times)


@pytest.mark.parametrize(
    ("name", "operation", "kind", "plain"),
    [
        ("_factor_sparse_1a2b3c4d_cuda_kernel_forward", "custom-call.3", "Warp", "_factor_sparse"),
        ("MemcpyD2D", "", "copy", "MemcpyD2D"),
        ("sm90_xmma_gemm_f32f32_tf32f32", "custom-call.1", "matrix product", "sm90_xmma_gemm_f32f32_tf32f32"),
        ("loop_add_fusion_3", "", "XLA", "loop_add_fusion_3"),
        ("void some_library_kernel", "", "other", "void some_library_kernel"),
    ],
)
def test_kernels_of_a_graphics_card_are_told_apart(name: str, operation: str, kind: str, plain: str) -> None:
    event = trace.Event(name, 0.0, 1.0, operation, "Stream #1")
    assert (profile.group(event), profile.plain_name(name)) == (kind, plain)


def test_a_folder_without_a_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no .xplane.pb"):
        trace.read(tmp_path)


def test_the_roofline_counts_the_weights_and_the_mass_matrix() -> None:
    options = default_ppo(num_epochs=5)
    networks = make_networks(options, 902, 156)
    shapes = jax.eval_shape(networks.init, jax.random.key(0))
    weights = {
        part: sum(leaf.size for leaf in jax.tree.leaves(shapes[part]) if leaf.ndim == 2) for part in ("actor", "critic")
    }
    work = {part.name: part for part in roofline.learning_work(options, 902, 156, 380)}
    assert work["rollout: networks"].flops == 2 * (weights["actor"] + 2 * weights["critic"])
    assert work["update: networks, forward and backward"].flops == 5 * 6 * sum(weights.values())

    model = build_scene().model
    physics = roofline.physics_work(model, 2, contacts=0.0, rows=0.0, iterations=0.0)
    kept = next(part.bytes for part in physics if "articulated" in part.name)
    assert kept == 2 * 4 * 2 * (54 * model.nv / 3 + 12 * model.ngeom)  # two substeps, written and read
    card = roofline.Card("", bytes_per_s=10.0, vector=1.0, matrix=100.0)
    assert roofline.Work("", flops=50.0, bytes=10.0).seconds(card) == 50.0
    assert roofline.Work("", flops=50.0, bytes=10.0, matrix=True).seconds(card) == 1.0


def test_the_sweep_finds_a_converged_solver_exact_and_a_cut_short_one_not() -> None:
    config = load_config(ROOT / "configs" / "quickstart.py", [("start.max_kick", "none")], check=False)
    study = sweep.Sweep(config, count=12, worlds=0, seconds=0.1)
    engine = engines.Engine("mujoco", (("threads", 1),))
    exact, short = (study.run(sweep.Setting(engine, "newton", n, 20)) for n in (50, 1))
    assert exact["qvel"]["max"] < 1e-5
    assert short["qvel"]["median"] > 1e-3
    assert exact["nonfinite"] == exact["overflow"] == 0
    assert sweep.markdown([exact]).splitlines()[-1].startswith("| `mujoco:threads=1` | newton | 50 | 20 |")


@pytest.mark.parametrize(
    ("path", "overrides", "words"),
    [
        (None, [], ""),
        (
            "configs/ballplay.py:light",
            [("physics.engine", "mujoco"), ("scene.iterations", "4")],
            "light scene.iterations=4",
        ),
        ("configs/quickstart.py", [("ppo.num_envs", "8")], "quickstart"),
    ],
)
def test_a_table_names_what_differs_from_the_default(
    script: dict[str, Any], path: str | None, overrides: list[tuple[str, str]], words: str
) -> None:
    assert script["variant"](path, overrides) == words
