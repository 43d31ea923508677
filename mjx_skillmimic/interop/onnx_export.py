"""A policy as an ONNX model: raw observation in, clamped mean action out, the statistics of the observations inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import mjx_skillmimic
from mjx_skillmimic.config import to_json
from mjx_skillmimic.imitation.observation import observation_layout
from mjx_skillmimic.imitation.options import ObservationOptions
from mjx_skillmimic.learning.normalizer import EPSILON, LIMIT
from mjx_skillmimic.learning.policy import PolicyBundle
from mjx_skillmimic.model.humanoid import BODIES, NUM_DOFS

FORMAT = "mjx_skillmimic policy 1"
OPSET, IR_VERSION = 17, 8  # understood by every onnxruntime since 1.12


class OnnxError(ImportError):
    """The library that an export needs is not there; the message says how to install it."""


def library() -> ModuleType:
    """`onnx`. Raises OnnxError with the command that installs it."""
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise OnnxError("an ONNX export needs onnx: pip install 'mjx_skillmimic[onnx]'") from error
    return onnx


def export_onnx(path: str | Path, policy: PolicyBundle, name: str, config: Any = None) -> Path:
    """Writes a policy as one .onnx file, checked by onnx, and returns its path.

    Input "obs" (N, D) float32, raw as the environment gives it; output "action" (N, A) float32, the mean within
    ±action_limit; N is free. A row with a NaN gives NaN actions, as in `PolicyBundle`; infinities are clamped.

    Args:
        name: for people, in the metadata.
        config: the policy's configuration, as `evaluation.setup.run_config` answers it; see `describe`.

    Raises OnnxError without onnx, ValueError for a policy that chooses.
    """
    if policy.head != "gaussian":
        raise ValueError(f"{name} is a {policy.head} policy, expected a gaussian one: choices are not exported")
    onnx = library()
    model = onnx.helper.make_model(
        _graph(onnx, policy),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mjx_skillmimic",
        producer_version=mjx_skillmimic.__version__,
    )
    texts = {key: x if isinstance(x, str) else json.dumps(x) for key, x in describe(policy, name, config).items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, str(path))
    return path


def describe(policy: PolicyBundle, name: str, config: Any = None) -> dict[str, Any]:
    """The model's metadata by key, as docs/checkpoints.md lists them; what is not known is left out.

    config: with the section `observation`, which says how the observation is computed; `action`, what an action means.
    """
    found: dict[str, Any] = {"format": FORMAT, "name": name, "normaliser": "inside: give raw observations"}
    layout = observation_layout(ObservationOptions.reference())
    if policy.obs_size == layout.size:
        slices = {part: layout.slice(part) for part in layout.names}
        found["observation_columns"] = {part: [s.start, s.stop] for part, s in slices.items()}
    if policy.action_size == NUM_DOFS:
        found["action_components"] = [f"{body}_{axis}" for body in BODIES[1:] for axis in "xyz"]
    if isinstance(skills := policy.metadata.get("skills"), list):
        found["skills"] = {str(x["label"]): x["name"] for x in skills if isinstance(x, Mapping)}
    if config is not None:
        found["observation_options"] = config.observation.to_dict()
        found["action_options"] = config.action.to_dict()
        found["config_sha256"] = hashlib.sha256(to_json(config).encode()).hexdigest()
    return found


def _graph(onnx: ModuleType, policy: PolicyBundle) -> Any:
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    params, moments = policy.actor["params"], policy.moments
    constants: dict[str, np.ndarray] = {}
    nodes: list[Any] = []

    def constant(name: str, value: Any) -> str:
        constants[name] = np.asarray(value, np.float32)
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def clip(x: str, limit: float, output: str) -> str:
        return node("Clip", [x, constant(f"{output}_min", -limit), constant(f"{output}_max", limit)], output)

    def linear(x: str, layer: Mapping[str, Any], output: str) -> str:
        weights = [constant(f"{output}/{part}", layer[part]) for part in ("kernel", "bias")]
        return node("Gemm", [x, *weights], output)

    x = node("Sub", ["obs", constant("obs_mean", moments.mean)], "centred_by_mean")
    x = node("Sub", [x, constant("obs_mean_low", moments.mean_low)], "centred")
    deviation = np.sqrt(np.asarray(moments.var, np.float32) + np.float32(EPSILON))
    x = clip(node("Div", [x, constant("obs_deviation", deviation)], "scaled"), LIMIT, "normalised")
    for index in range(len(policy.hidden)):
        x = node("Relu", [linear(x, params["body"][f"hidden_{index}"], f"hidden_{index}")], f"hidden_{index}_relu")
    x = clip(linear(x, params["mean"], "mean"), policy.action_limit, "clamped")
    # ONNX does not say what Clip and Relu make of a NaN, so that a runtime might hide one behind a plain action.
    there = node("Cast", [node("IsNaN", ["obs"], "is_nan")], "is_nan_number", to=floats)
    row = node("ReduceMax", [there], "row_has_nan_number", axes=[1], keepdims=1)
    row = node("Cast", [row], "row_has_nan", to=onnx.TensorProto.BOOL)
    node("Where", [row, constant("nan", np.nan), x], "action")
    return helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", floats, ["N", policy.obs_size])],
        [helper.make_tensor_value_info("action", floats, ["N", policy.action_size])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
