"""Published checkpoints: what is read acts as published, and nothing else gets through."""

from __future__ import annotations

import contextlib
import json
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from motion_files import integer, text, zip_bytes
from scripts_of import script
from torch_files import Ordered, Raw, checkpoint, pth_bytes, pth_members, published_output

from mjx_skillmimic.evaluation.setup import run_config
from mjx_skillmimic.interop.published_policy import HIGH_LEVEL_FORMAT, save_checkpoint, to_policy
from mjx_skillmimic.interop.rl_games import read_checkpoint
from mjx_skillmimic.interop.torch_file import CheckpointError
from mjx_skillmimic.learning import normalizer
from mjx_skillmimic.learning.policy import load_policy
from mjx_skillmimic.viewing.driver import learned_skills

SMALL = (902, (24, 16), 156)


def write(folder, tree, name="model.pth"):
    path = folder / name
    path.write_bytes(tree if type(tree) is bytes else pth_bytes(tree))
    return path


def observations(tree, count=64):
    """As the statistics say, and far beyond, and exactly at the mean, with a label on and with none."""
    rng = np.random.default_rng(1)
    mean, var = (tree["running_mean_std"][f"running_{name}"] for name in ("mean", "var"))
    scale = np.repeat([1.0, 20.0, 0.0, 1e6], count // 4)[:, None]
    return (mean + scale * np.sqrt(var) * rng.normal(size=(count, len(mean)))).astype(np.float32)


@pytest.fixture(name="published", scope="module")
def fixture_published(tmp_path_factory):
    tree = checkpoint()
    folder = tmp_path_factory.mktemp("published")
    path = write(folder, tree)
    return tree, path, save_checkpoint(folder / "out" / "layup.npz", read_checkpoint(path), "throw_catch")


def test_imported_policy_acts_as_published(published):
    tree, _, out = published
    obs = observations(tree)
    expected = published_output(tree, obs)
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(load_policy(out)(jnp.asarray(obs)), expected, rtol=0, atol=1e-5)


def test_provenance_labels_and_configuration(published):
    _, path, out = published
    policy = load_policy(out)
    assert (policy.obs_size, policy.hidden, policy.action_size, policy.action_limit) == (902, (1024, 512, 512), 156, 1)
    origin = policy.metadata["checkpoint"]
    assert (origin["file"], origin["epoch"], origin["frame"]) == ("model.pth", 3000, 196_608_000)
    assert origin["bytes"] == path.stat().st_size
    assert learned_skills(str(out), []) == [5, 31]
    np.testing.assert_allclose(policy.actor["params"]["log_std"], -2.9, rtol=1e-6)
    config = run_config(out)
    assert (config.observation.force_frame, config.observation.force_clip, config.action.initial) == (
        "world",
        None,
        "zero",
    )
    assert config.motion.path == "throw_catch"


def test_statistics_go_on_as_published(published):
    """After the import another batch is merged as the published normaliser would, in float64 (§8.3)."""
    tree, path, _ = published
    old = tree["running_mean_std"]
    batch = observations(tree)[:32]
    count, number = float(old["count"]), len(batch)
    delta = batch.astype(float).mean(0) - old["running_mean"]
    total = count + number
    spread = (
        old["running_var"] * count + batch.astype(float).var(0, ddof=1) * number + delta**2 * count * number / total
    )
    moments = normalizer.merge(read_checkpoint(path).moments, jnp.asarray(batch))
    as_float = {
        name: np.asarray(getattr(moments, name), float) for name in ("mean", "mean_low", "var", "count", "count_low")
    }
    np.testing.assert_allclose(as_float["var"], spread / total, rtol=1e-6)
    assert as_float["count"] + as_float["count_low"] == total
    moved = as_float["mean"] + as_float["mean_low"] - old["running_mean"]
    np.testing.assert_allclose(moved, delta * number / total, rtol=1e-3, atol=1e-12)


def test_high_level_policy_is_kept_for_later(tmp_path, capsys):
    tree = checkpoint("hlc")
    path = write(tmp_path, tree)
    assert script("import_checkpoint").main([str(path), str(tmp_path / "scoring.npz")]) == 0
    shown = capsys.readouterr().out
    assert "a high-level policy of 843 observations, hidden layers 1024-512, 7 choices" in shown
    assert "scoring, which chooses among skills [31, 1, 2, 12, 13, 11, 31]" in shown
    with np.load(tmp_path / "scoring.npz", allow_pickle=False) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    assert (header["format"], header["task"], header["hidden"]) == (HIGH_LEVEL_FORMAT, "scoring", [1024, 512])
    obs = observations(tree)
    x = normalizer.normalize(read_checkpoint(path).moments, jnp.asarray(obs))
    for name in ("body/hidden_0", "body/hidden_1", "logits"):
        x = x @ arrays[f"actor/params/{name}/kernel"] + arrays[f"actor/params/{name}/bias"]
        x = x if name == "logits" else jnp.maximum(x, 0.0)
    np.testing.assert_allclose(x, published_output(tree, obs, "logits"), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "sizes", "words"),
    [
        (
            "llc",
            (905, (8,), 156),
            "low-level policy of 905 observations.*SkillMimic-V2 with its hist.*expected.*902",
        ),
        ("llc", (1084, (8,), 51), "low-level policy of 1084 observations, hidden layers 8, 51 actions"),
        ("hlc", (843, (8,), 3), "high-level policy of 843 observations.*3 choices.*expected a low-level policy"),
    ],
)
def test_other_policies_are_named(tmp_path, kind, sizes, words):
    with pytest.raises(CheckpointError, match=words):
        to_policy(read_checkpoint(write(tmp_path, checkpoint(kind, sizes))))


def changed(change, kind="llc"):
    tree = checkpoint(kind, SMALL)
    change(tree)
    return tree


def without(section, name):
    return changed(lambda tree: tree[section].pop(name))


def with_tensor(name, value, section="model"):
    return changed(lambda tree: tree[section].update({name: value}))


def call(name, *arguments):
    """Instructions that would call a function by its name."""
    return Raw(f"c{name}\n(".encode() + b"".join(map(text, arguments)) + b"tR")


NET = "a2c_network"
NAN = checkpoint(sizes=SMALL)["model"][f"{NET}.mu.weight"].copy()
NAN[3, 2] = np.nan
MEMBERS = pth_members(checkpoint(sizes=SMALL))
GOOD = zip_bytes(MEMBERS)
NESTED = Raw(b")" + b"\x85" * 100_000)
# file or tree, words that the message must contain
BAD = {
    "os.system": (changed(lambda t: t.update(env_state=call("os\nsystem", "touch CANARY"))), "global 'os.system'"),
    "posix.system": (changed(lambda t: t.update(epoch=call("posix\nsystem", "touch CANARY"))), "global 'posix.system'"),
    "eval": (call("builtins\neval", "open('CANARY', 'w')"), "global 'builtins.eval'"),
    "INST": (Raw(b"(" + text("touch CANARY") + b"ios\nsystem\n"), "pickle instruction INST"),
    "BUILD on a name": (Raw(b"ctorch\nFloatStorage\n}(" + text("a") + integer(1) + b"ub"), "object with a state"),
    "a call of a storage": (call("torch\nFloatStorage", "x"), "a call other than that which rebuilds a tensor"),
    "truncated": (GOOD[: len(GOOD) // 2], "damaged zip archive"),
    "cut at the end": (GOOD[:-30], "damaged zip archive"),
    "empty": (b"", "an empty file"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "begins with 76 65 72 73"),
    "before torch 1.6": (bytes.fromhex("80028a0a6cfc9c46f9206aa850192e"), "format of torch before 1.6"),
    "deflated": (zip_bytes(MEMBERS, zipfile.ZIP_DEFLATED), "with compression 8"),
    "one tensor": (np.zeros((3, 2), np.float32), "no dictionary 'model' among Tensor"),
    "a list": ([1, 2], "no dictionary 'model' among list"),
    "odd keys": ({"\x1b[31m\n": 1, "\ud800": 2}, r"among \x1b[31m\n, \ud800;"),
    "a state dict": (checkpoint(sizes=SMALL)["model"], f"no dictionary 'model' among {NET}.sigma"),
    "no statistics": (changed(lambda t: t.pop("running_mean_std")), "no dictionary 'running_mean_std'"),
    "no mean": (without("running_mean_std", "running_mean"), "no tensor 'running_mean'"),
    "no head": (without("model", f"{NET}.mu.weight"), f"one of {NET}.mu.weight (llc), {NET}.logits.weight (hlc)"),
    "no bias": (without("model", f"{NET}.actor_mlp.2.bias"), f"no tensor '{NET}.actor_mlp.2.bias'"),
    "no sigma": (without("model", f"{NET}.sigma"), f"no tensor '{NET}.sigma'"),
    "a missing layer": (without("model", f"{NET}.actor_mlp.0.weight"), "layers 2 of"),
    "other inputs": (with_tensor(f"{NET}.actor_mlp.0.weight", np.zeros((24, 901), "f4")), "expected shape 24×902"),
    "other layers": (with_tensor(f"{NET}.actor_mlp.2.weight", np.zeros((16, 23), "f4")), "16×23; expected shape 16×24"),
    "short bias": (with_tensor(f"{NET}.mu.bias", np.zeros(155, "f4")), "mu.bias of shape 155; expected shape 156"),
    "short sigma": (with_tensor(f"{NET}.sigma", np.zeros(3, "f4")), "sigma of shape 3; expected shape 156"),
    "a vector": (with_tensor(f"{NET}.mu.weight", np.zeros(156, "f4")), "of shape 156; expected two axes"),
    "no rows": (with_tensor(f"{NET}.mu.weight", np.zeros((0, 16), "f4")), "of shape 0×16; expected two axes"),
    "text": (with_tensor(f"{NET}.mu.weight", "weights"), f"no tensor '{NET}.mu.weight'"),
    "integers": (with_tensor(f"{NET}.mu.bias", np.zeros(156, "i8")), "mu.bias of int64; expected floating-point"),
    "NaN": (with_tensor(f"{NET}.mu.weight", NAN), "mu.weight with 1 of 2496 numbers not finite"),
    "beyond float32": (with_tensor("running_mean", np.full(902, 1e300), "running_mean_std"), "902 of 902 numbers not"),
    "negative variance": (with_tensor("running_var", np.full(902, -1.0), "running_mean_std"), "a variance of -1"),
    "three statistics": (with_tensor("running_var", np.ones(3), "running_mean_std"), "of shape 3; expected shape 902"),
    "missing numbers": (zip_bytes(MEMBERS | {"model/data/0": b"\0" * 8}), "8 bytes of numbers"),
    "a nested key": (changed(lambda t: t.update(x=Raw(b"}" + NESTED + b"Ns"))), "keys other than text"),
    "an odd dictionary": (changed(lambda t: t.update(x=Raw(b"}(Nu"))), "keys other than text"),
    "a long pickle": (zip_bytes({"model/data.pkl": b"N" * (5 << 20)}), "bytes; expected at most"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line_and_nothing_runs(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    content, words = BAD[case]
    path = write(tmp_path, content, "bad.pth")
    assert script("import_checkpoint").main([str(path), "out.npz"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "bad.pth: found " in message
    assert "; expected " in message
    assert words in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.pth"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fuzz_a_checkpoint_is_read_or_refused(tmp_path, data):
    """Bytes of the pickle changed, dropped or repeated: never another exception."""
    pickled = bytearray(MEMBERS["model/data.pkl"])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(pickled) - 1))
        end = start + data.draw(st.integers(0, 12))
        pickled[start:end] = data.draw(st.binary(max_size=4)) + pickled[start:end] * data.draw(st.integers(0, 2))
    path = write(tmp_path, zip_bytes(MEMBERS | {"model/data.pkl": bytes(pickled)}))
    with contextlib.suppress(CheckpointError):
        assert np.isfinite(read_checkpoint(path).moments.mean).all()


def test_files_that_cannot_be_read_or_written(tmp_path, capsys):
    run = script("import_checkpoint").main
    good = write(tmp_path, checkpoint(sizes=SMALL))
    assert run([str(tmp_path / "absent.pth"), str(tmp_path / "out.npz")]) == 2
    assert "no readable file" in capsys.readouterr().err
    assert run([str(good), str(tmp_path / "out.onnx")]) == 2
    assert "ends in .npz" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("{}")
    assert run([str(good), str(tmp_path / "out.npz")]) == 2
    assert "would be taken for the configuration of out.npz" in capsys.readouterr().err


def test_values_that_nobody_needs_are_passed_over(tmp_path):
    """A mean reward that NumPy pickled, a parameter instead of its data, half precision, no counters."""
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f4") + b"\x89\x88tR(K\x03" + text("<")
    scalar += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + b"c_codecs\nencode\n(" + text("abcd") + text("latin1")
    tree = checkpoint(sizes=SMALL)
    tree |= {"last_mean_rewards": Raw(scalar + b"tRtR"), "epoch": None, "frame": True}
    tree["model"][f"{NET}.mu.weight"] = tree["model"][f"{NET}.mu.weight"].astype("f2")
    read = read_checkpoint(write(tmp_path, tree))
    assert {"epoch", "frame"}.isdisjoint(read.origin)
    kernel = np.asarray(read.actor["params"]["mean"]["kernel"])
    np.testing.assert_array_equal(kernel, tree["model"][f"{NET}.mu.weight"].T.astype(np.float32))


def test_evaluation_takes_the_result(published, tmp_path):
    """The command line, with the configuration that the file carries and the clip that it names."""
    *_, out = published
    report = tmp_path / "evaluation.json"
    arguments = ["--policy", str(out), "--episodes", "2", "--start", "120", "--engine", "mujoco", "--json", str(report)]
    assert script("evaluate").main(arguments) == 0
    document = json.loads(report.read_text())
    assert document["results"]["total"]["frames"] > 0
    assert document["agent"]["metadata"]["config"]["preset"] == "reference"
    assert set(document["clips"].values()) == {"unknown"}


class TestAgainstTorch:
    """The same with torch itself, where it is installed."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def saved(self, torch, tree, path):
        """The tree as modules and an optimiser save it, and the published computation on them."""
        model = torch.nn.Module()
        net = model.a2c_network = torch.nn.Module()
        for name, value in tree["model"].items():
            *parents, leaf = name.removeprefix(f"{NET}.").split(".")
            module = net
            for parent in parents:
                module.add_module(parent, getattr(module, parent, torch.nn.Module()))
                module = getattr(module, parent)
            module.register_parameter(leaf, torch.nn.Parameter(torch.from_numpy(value)))
        optimiser = torch.optim.Adam(model.parameters(), lr=2e-5)
        sum(x.sum() for x in model.parameters()).backward()
        before = {name: x.detach().clone() for name, x in model.state_dict().items()}
        optimiser.step()
        with torch.no_grad():
            for name, x in model.state_dict().items():
                x.copy_(before[name])
        modules = {name: self.normaliser(torch, tree[name]) for name in tree if name.endswith("mean_std")}
        states = {name: module.state_dict() for name, module in modules.items()}
        plain = {"epoch": 7, "frame": 11, "last_mean_rewards": np.float32(3.5), "env_state": None}
        torch.save({"model": model.state_dict(), "optimizer": optimiser.state_dict(), **plain, **states}, path)
        return model.state_dict(), modules["running_mean_std"]

    def normaliser(self, torch, values):
        module = torch.nn.Module()
        for name, value in values.items():
            module.register_buffer(name, torch.as_tensor(np.asarray(value, np.float64)))
        return module

    def test_modules_saved_by_torch_act_the_same(self, torch, tmp_path):
        tree = checkpoint(seed=3)
        weights, normaliser = self.saved(torch, tree, tmp_path / "model.pth")
        obs = torch.from_numpy(observations(tree))
        x = (obs - normaliser.running_mean.float()) / torch.sqrt(normaliser.running_var.float() + 1e-5)
        x = torch.clamp(x, -5.0, 5.0)
        for layer in (0, 2, 4):
            names = [f"{NET}.actor_mlp.{layer}.{part}" for part in ("weight", "bias")]
            x = torch.relu(torch.nn.functional.linear(x, *(weights[name] for name in names)))
        mean = torch.nn.functional.linear(x, weights[f"{NET}.mu.weight"], weights[f"{NET}.mu.bias"])
        read = read_checkpoint(tmp_path / "model.pth")
        assert (read.origin["epoch"], read.origin["frame"]) == (7, 11)
        ours = to_policy(read)(jnp.asarray(obs.numpy()))
        np.testing.assert_allclose(ours, torch.clamp(mean, -1.0, 1.0).numpy(), rtol=0, atol=1e-5)

    def test_our_files_are_what_torch_reads(self, torch, tmp_path):
        tree = checkpoint(sizes=SMALL)
        loaded = torch.load(write(tmp_path, tree), map_location="cpu", weights_only=True)
        assert list(loaded) == list(tree)
        for section in ("model", "running_mean_std"):
            assert isinstance(tree[section], Ordered)
            for name, value in tree[section].items():
                np.testing.assert_array_equal(loaded[section][name].numpy(), value)
