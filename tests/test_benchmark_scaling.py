"""The scaling study on forced CPU devices, its efficiencies, and the count behind the TPU estimate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjx_skillmimic.benchmark import scaling, tpu
from mjx_skillmimic.benchmark.engines import Engine
from mjx_skillmimic.benchmark.hlo import Program, Traffic
from mjx_skillmimic.benchmark.scaling_report import panels, plot_study, table
from tests.toy import PointEnv, toy_config

ROOT = Path(__file__).resolve().parent.parent
ENGINE = Engine("mujoco")


class ToyStudy(scaling.Study):
    """Points on a plane instead of a humanoid."""

    def _build(self, engine: Engine) -> PointEnv:
        env = PointEnv()
        env.initial_action, env.one_hot_mask = np.zeros(2), np.zeros(2, bool)
        return env


WORKER = """
import sys
from pathlib import Path
from tests import test_benchmark_scaling as here
here.measure(Path(sys.argv[1]))
"""


def measure(path: Path) -> None:
    """One device of this process, and two with twice the worlds."""
    study = ToyStudy(toy_config(1), seconds=0.01, repeats=3)
    for point in scaling.make_points([ENGINE], [1, 2], [8], [4], ["weak"]):
        scaling.write_study(path, study.run(point))


def test_a_study_on_forced_devices(tmp_path: Path):
    path = tmp_path / "study.json"
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", WORKER, str(path)], env=os.environ | flags, check=True, timeout=120)
    records = scaling.read_study(path)
    assert [(r["devices"], r["worlds"], r["minibatch_size"]) for r in records] == [(1, 8, 16), (2, 16, 32)]
    assert all(len(r["rates"]) == 3 and sorted(r["rates"])[1] == r["env_steps_per_s"] > 0 for r in records)
    assert all(r["overflow_fraction"] == r["nonfinite_fraction"] == 0 for r in records)
    # What is there is found again, by another study of the same configuration only.
    points = scaling.make_points([ENGINE], [1, 2], [8], [4], ["weak"])
    study, other = (ToyStudy(toy_config(1), 0.01, 3) for _ in range(2))
    with other.config.unlocked():
        other.config.ppo.num_epochs = 3
    assert all(any(scaling.same_point(study.describe(point), r) for r in records) for point in points)
    assert not any(scaling.same_point(other.describe(point), r) for point in points for r in records)
    scaling.write_study(path, records[0])
    assert len(scaling.read_study(path)) == 2


def test_points_of_weak_and_strong_scaling_are_measured_once():
    points = scaling.make_points([ENGINE], [1, 2, 4], [6, 12], [32])
    found = [(point.devices, point.worlds) for point in points]
    # 6 worlds are not shared by 4 devices; 12 on 2 devices are weak scaling of 6 and strong scaling of 12.
    assert found == [(1, 6), (1, 12), (2, 6), (2, 12), (2, 24), (4, 12), (4, 24), (4, 48)]
    with pytest.raises(scaling.StudyError, match="no mode 'string'; there are weak, strong"):
        scaling.make_points([ENGINE], [1], [6], [32], ["string"])


def record(devices: int, worlds: int, rate: float) -> scaling.Record:
    about = {"device": "D", "engine": "e", "horizon": 32, "seeds": 1, "config_hash": "h", "overflow_fraction": 0.0}
    return about | {"devices": devices, "worlds": worlds, "env_steps_per_s": rate}


def test_efficiency_is_the_rate_over_that_of_as_many_single_devices(tmp_path: Path):
    records = [record(1, 8, 100.0), record(1, 32, 120.0), record(4, 8, 200.0), record(4, 32, 360.0)]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(records).splitlines()[2:]]
    assert [row[6:8] for row in rows] == [["-", "-"], ["-", "-"], ["-", "50%"], ["90%", "75%"]]
    shown = panels(records)
    weak = shown["weak scaling: equal worlds a device"][1]
    assert list(weak.values()) == [[(1, 100.0), (4, 360.0)]]
    assert sorted(shown["strong scaling: equal worlds in all"][1].values()) == [
        [(1, 100.0), (4, 200.0)],
        [(1, 120.0), (4, 360.0)],
    ]
    assert plot_study(records, tmp_path / "new" / "study.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="1 points, expected at least two"):
        plot_study(records[:1], tmp_path / "none.png")


def test_files_of_another_kind_are_refused(tmp_path: Path):
    path = tmp_path / "other.json"
    for content, complaint in (("{", "is no JSON"), (json.dumps({"records": []}), "holds no scaling study")):
        path.write_text(content)
        with pytest.raises(scaling.StudyError, match=complaint):
            scaling.read_study(path)
    assert scaling.read_study(tmp_path / "absent.json") == []


HLO = """HloModule test

%picked (p0: f32[100,8], p1: s32[]) -> f32[1,8] {
  %p0 = f32[100,8]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  ROOT %row = f32[1,8]{1,0} dynamic-slice(%p0, %p1, %p1), dynamic_slice_sizes={1,8}
}

%body (arg: (s32[], f32[100,8])) -> (s32[], f32[100,8]) {
  %arg = (s32[], f32[100,8]{1,0}) parameter(0)
  %i = s32[]{:T(128)S(1)} get-tuple-element(%arg), index=0
  %x = f32[100,8]{1,0} get-tuple-element(%arg), index=1
  %taken = f32[1,8]{1,0:T(8,128)S(1)} fusion(%x, %i), kind=kLoop, calls=%picked
  ROOT %out = (s32[], f32[100,8]{1,0}) tuple(%i, %x)
}

%fixed (arg: (s32[], f32[100,8])) -> pred[] {
  %arg = (s32[], f32[100,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%arg), index=0
  %limit = s32[]{:T(128)} constant(5)
  ROOT %less = pred[]{:T(128)S(1)} compare(%i, %limit), direction=LT
}

%open (arg: (s32[], f32[100,8])) -> pred[] {
  %arg = (s32[], f32[100,8]{1,0}) parameter(0)
  ROOT %more = pred[]{:T(128)S(1)} custom-call(%arg), custom_call_target="converged"
}

ENTRY %main (a: f32[100,8]) -> f32[100,8] {
  %a = f32[100,8]{1,0:T(8,128)} parameter(0)
  %zero = s32[] constant(0)
  %start = (s32[], f32[100,8]{1,0}) tuple(%zero, %a)
  %first = (s32[], f32[100,8]{1,0}) while(%start), condition=%fixed, body=%body
  %second = (s32[], f32[100,8]{1,0}) while(%first), condition=%open, body=%body
  %b = f32[100,8]{1,0} get-tuple-element(%second), index=1
  ROOT %sum = f32[100,8]{1,0} add(%a, %b)
}
"""


def test_traffic_counts_rounds_slices_and_the_large_memory_only():
    # A round reads one row of 8 floats and writes it on chip; the sum reads two arrays of 800 floats and writes one.
    assert Program(HLO, trips=3).traffic() == Traffic(8 * 32 + 3 * 3200, 8 + 1, 0)
    assert Program(HLO, trips=10).traffic().bytes_moved == 15 * 32 + 3 * 3200


def test_products_are_counted_with_their_loops():
    def f(x: jax.Array, w: jax.Array) -> jax.Array:
        body = jax.jit(lambda x, _: (jnp.tanh(x @ w), None))
        x, _ = jax.lax.scan(lambda x, _: jax.lax.scan(body, x, None, length=3), x, None, length=4)
        return jnp.einsum("bi,ij->bj", x, w)

    traced = jax.jit(f).trace(jnp.zeros((5, 7)), jnp.zeros((7, 7)))
    assert tpu.matrix_flops(traced.jaxpr) == (3 * 4 + 1) * 2 * 5 * 7 * 7


def test_estimated_times_are_amounts_over_ceilings():
    record = {"memory_bytes": 8 * 2**30, "bytes_moved": 819e9 / 2, "matrix_flops": 197e12 / 4, "operations": 3e6}
    found = tpu.estimate_times(record)
    assert list(found.values()) == pytest.approx([0.5, 0.5, 0.25, 3.0])
