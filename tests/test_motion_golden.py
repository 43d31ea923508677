"""The golden checks of this room where the published folder is absent, and that they can fail."""

from __future__ import annotations

import numpy as np
import pytest

from mjx_skillmimic.evaluation.golden import motion
from mjx_skillmimic.evaluation.golden.registry import find


def arrays_of(golden_dir, pattern: str) -> dict[str, np.ndarray]:
    files = sorted(golden_dir.glob(f"{pattern}.npz"))
    if not files:
        pytest.skip(f"no {pattern}.npz in {golden_dir}")
    with np.load(files[0]) as file:
        return dict(file)


def test_the_room_s_files_find_their_checks():
    assert find("v1_motion_003_008pickle_catch_014") is motion.check_motion
    assert find("v1_motion_index") is motion.check_index
    assert find("v1_init_state") is motion.check_init_state


@pytest.mark.parametrize("stem", ["v1_init_state", "v1_motion_index"])
def test_without_the_published_folder_the_rest_is_still_checked(golden_dir, stem, monkeypatch, tmp_path):
    arrays = arrays_of(golden_dir, stem)
    monkeypatch.setenv("MJX_SKILLMIMIC_DATA", str(tmp_path))
    check = find(stem)
    assert check is not None
    quantities = list(check(arrays))
    assert quantities
    assert [q.name for q in quantities if not q.passed] == []
    assert not [q.name for q in quantities if "(file)" in q.name or "at hand" in q.name]


@pytest.mark.parametrize(
    "name", ["root_pos_vel", "root_rot", "root_rot_vel", "root_rot_vel_f64", "obj_pos_vel_init_vel_true", "hoi_data"]
)
def test_a_wrong_number_fails_its_quantity(golden_dir, name):
    arrays = arrays_of(golden_dir, "v1_motion_0*")
    arrays[name] = arrays[name].copy()
    arrays[name][1, 0] += 0.1
    failed = [quantity.name for quantity in motion.check_motion(arrays) if not quantity.passed]
    assert failed == ["hoi_data/root_pos" if name == "hoi_data" else name]


def test_wrong_windows_and_states_fail(golden_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("MJX_SKILLMIMIC_DATA", str(tmp_path))
    arrays = arrays_of(golden_dir, "v1_init_state")
    first = ("clip", "start_frame", "episode_length")
    arrays = {k: array[:1] if k.startswith("out_") or k in first else array for k, array in arrays.items()}
    tampered = {
        "out_dof_vel": "dof_vel",
        "out_dof_pos": "dof_pos",
        "out_root_rot": "root_rot",
        "out_obj_pos_vel": "obj_pos_vel",
    }
    for name in tampered:
        arrays[name] = arrays[name].copy()
        arrays[name][0, 1] += 0.01
    failed = {q.name.split("/")[1] for q in motion.check_init_state(arrays) if not q.passed}
    assert failed == set(tampered.values())
