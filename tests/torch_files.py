"""Checkpoints in the published layout that the tests write themselves, without torch (skillmimic.md §8.5)."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from motion_files import ORDERED_DICT, REBUILD, integer, integers, text, zip_bytes

STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}
SIZES = {"llc": (902, (1024, 512, 512), 156), "hlc": (843, (1024, 512), 7)}


class Ordered(dict):
    """Pickled as torch's state dicts are: an OrderedDict with an attribute `_metadata`."""


class Raw(bytes):
    """Pickle instructions put in as they are; they leave one object on the stack."""


class Writer:
    """torch.save's pickle of dictionaries, tuples, lists, arrays and plain values; `numbers` are the storages."""

    def __init__(self) -> None:
        self.numbers: list[bytes] = []

    def dump(self, value: Any) -> bytes:
        if isinstance(value, Raw):
            return bytes(value)
        if isinstance(value, np.ndarray):
            return self._tensor(value)
        if isinstance(value, Ordered):
            start = f"c{ORDERED_DICT}\n)R".encode()
            return start + self._items(value) + b"}" + self._items({"_metadata": {"": {"version": 1}}}) + b"b"
        if isinstance(value, dict):
            return b"}" + self._items(value)
        if isinstance(value, list):
            return b"](" + b"".join(map(self.dump, value)) + b"e"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.dump, value)) + b"t"
        if value is None or isinstance(value, bool):
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        return integer(value) if isinstance(value, int) else text(value)

    def _items(self, value: dict) -> bytes:
        return b"(" + b"".join(self.dump(k) + self.dump(v) for k, v in value.items()) + b"u"

    def _tensor(self, value: np.ndarray) -> bytes:
        key = str(len(self.numbers))
        self.numbers.append(np.ascontiguousarray(value).tobytes())
        kind = f"ctorch\n{STORAGES[value.dtype.str[1:]]}\n".encode()
        pid = b"(" + text("storage") + kind + text(key) + text("cuda:0") + integer(value.size) + b"tQ"
        strides = tuple(step // value.itemsize for step in np.zeros(value.shape, value.dtype).strides)
        body = pid + integer(0) + integers(value.shape) + integers(strides) + b"\x89" + f"c{ORDERED_DICT}\n)R".encode()
        return f"c{REBUILD}\n(".encode() + body + b"tR"


def pth_members(tree: Any) -> dict[str, bytes]:
    """The members of a torch.save'd tree."""
    writer = Writer()
    members = {"model/data.pkl": b"\x80\x02" + writer.dump(tree) + b"."}
    members |= {f"model/data/{i}": data for i, data in enumerate(writer.numbers)}
    return members | {"model/version": b"3\n"}


def pth_bytes(tree: Any) -> bytes:
    return zip_bytes(pth_members(tree))


def statistics(size: int, rng: np.random.Generator, skills: int = 0) -> Ordered:
    """Those of a normaliser: a spread of scales, and labels of which 5 and 31 were seen."""
    mean, var = rng.normal(0, 2, size), 10 ** rng.uniform(-4, 4, size)
    if skills:
        mean[-skills:], var[-skills:] = 0.0, 1e-9
        mean[[size - skills + 5, size - skills + 31]], var[[size - skills + 5, size - skills + 31]] = (0.6, 0.4), 0.24
    return Ordered(running_mean=mean, running_var=var, count=np.array(393216001.0))


def checkpoint(kind: str = "llc", sizes: tuple | None = None, seed: int = 0) -> dict[str, Any]:
    """A published checkpoint's tree with random weights; sizes: (observations, hidden layers, actions)."""
    rng = np.random.default_rng(seed)
    obs, hidden, actions = sizes or SIZES[kind]
    model = Ordered()
    if kind == "llc":
        model["a2c_network.sigma"] = np.full(actions, -2.9, np.float32)
    for mlp in ("actor_mlp", "critic_mlp"):
        for i, (inputs, outputs) in enumerate(zip((obs, *hidden), hidden, strict=False)):
            _linear(model, f"{mlp}.{2 * i}", inputs, outputs, rng)
    _linear(model, "value", hidden[-1], 1, rng)
    _linear(model, "mu" if kind == "llc" else "logits", hidden[-1], actions, rng)
    parameters = [value for name, value in model.items() if "sigma" not in name]
    adam = {i: {"step": 9, "exp_avg": x, "exp_avg_sq": x * x} for i, x in enumerate(parameters[-2:])}
    group = {"lr": 2e-5, "betas": (0.9, 0.999), "amsgrad": False, "foreach": None, "params": list(adam)}
    tree = {
        "model": model,
        "epoch": 3000,
        "optimizer": {"state": adam, "param_groups": [group]},
        "frame": 3000 * 65536,
        "last_mean_rewards": -100500.0,
        "env_state": None,
        "running_mean_std": statistics(obs, rng, 64 if kind == "llc" else 0),
        "reward_mean_std": statistics(1, rng),
    }
    return tree | ({"amp_input_mean_std": statistics(380, rng)} if kind == "llc" else {})


def _linear(model: dict, name: str, inputs: int, outputs: int, rng: np.random.Generator) -> None:
    bound = inputs**-0.5
    model[f"a2c_network.{name}.weight"] = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
    model[f"a2c_network.{name}.bias"] = rng.uniform(-bound, bound, outputs).astype(np.float32)


def published_output(tree: dict[str, Any], obs: np.ndarray, head: str = "mu") -> np.ndarray:
    """The published computation in float64 (§8.3, §8.5): the head's output, of a low-level policy clamped to ±1."""
    model, normaliser = tree["model"], tree["running_mean_std"]
    x = (obs - normaliser["running_mean"]) / np.sqrt(normaliser["running_var"] + 1e-5)
    x = np.clip(x, -5.0, 5.0)
    layers = sorted(name.removesuffix(".weight") for name in model if "actor_mlp" in name and name.endswith("weight"))
    for name in layers:
        x = np.maximum(x @ model[f"{name}.weight"].T.astype(float) + model[f"{name}.bias"], 0.0)
    out = x @ model[f"a2c_network.{head}.weight"].T.astype(float) + model[f"a2c_network.{head}.bias"]
    return np.clip(out, -1.0, 1.0) if head == "mu" else out
