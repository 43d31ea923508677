"""Shipped policies: each loads, acts, and is what its card says; names, errors, packaging, and the page about them."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scripts_of import script

import mjx_skillmimic
from mjx_skillmimic import pretrained
from mjx_skillmimic.config import from_json
from mjx_skillmimic.envs.high_level.low_level import numbers_sha256
from mjx_skillmimic.envs.options import from_config
from mjx_skillmimic.evaluation import setup
from mjx_skillmimic.evaluation.policies import policy_file
from mjx_skillmimic.learning import normalizer, policy
from mjx_skillmimic.learning.networks import Actor
from mjx_skillmimic.motion.library import load_clips
from mjx_skillmimic.motion.npz_format import save_clip
from mjx_skillmimic.pretrained import CardError, cards, text

ROOT = Path(__file__).resolve().parent.parent
NAMES = pretrained.names()
CHOOSING = [name for name in NAMES if cards.is_task(pretrained.card(name))]
FOLLOWING = [name for name in NAMES if name not in CHOOSING]
LAYUP = "ballplay-layup"


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_three_published_skills_are_shipped():
    assert {"ballplay-catch", "ballplay-layup", "ballplay-shot"} <= set(NAMES)


def test_each_is_what_its_card_says(name):
    card, file = pretrained.card(name), policy_file(name)
    assert (card["name"], card["file"]["name"]) == (name, f"{name}.npz")
    assert cards.sha256(file) == card["file"]["sha256"]
    assert file.stat().st_size == card["file"]["bytes"] <= 4_000_000
    with np.load(file, allow_pickle=False) as arrays:
        assert {key.split("/")[0] for key in arrays.files} == {"actor", "moments", "header"}
        assert all(arrays[key].dtype == card["file"]["dtype"] for key in arrays.files if key.startswith("actor/"))
    loaded = mjx_skillmimic.load_policy(name)
    assert loaded.metadata == card
    sizes = (loaded.obs_size, loaded.action_size, list(loaded.hidden), loaded.action_limit)
    assert sizes == tuple(card["sizes"][key] for key in ("obs_size", "action_size", "hidden", "action_limit"))
    assert card["config"] == json.loads(json.dumps(policy.load_policy(file).metadata["config"]))


@pytest.mark.parametrize("name", FOLLOWING)
def test_each_acts_in_one_call(name):
    act = pretrained.load(name)
    still = act(np.zeros(902))
    assert still.shape == (156,)
    assert np.isfinite(still).all()
    assert np.abs(still).max() <= 1
    batch = np.random.default_rng(0).normal(size=(3, 902)).astype(np.float32)
    np.testing.assert_allclose(jax.jit(act)(batch), act(batch), atol=1e-5)
    scatter = act(batch, jax.random.key(0)) - act(batch)
    assert 0.03 < np.std(scatter) < 0.07  # the published sigma is 0.055


@pytest.mark.parametrize("name", CHOOSING)
def test_each_that_chooses_has_its_low_level_policy_and_its_table(name):
    act, card = pretrained.load(name), pretrained.card(name)
    obs = np.random.default_rng(0).normal(size=(5, act.obs_size)).astype(np.float32)
    np.testing.assert_array_equal(act(obs), np.argmax(act.probabilities(obs), axis=-1))
    assert card["low_level"]["policy"] == card["config"]["low_level"]["policy"]
    assert numbers_sha256(pretrained.load(card["low_level"]["policy"])) == card["low_level"]["sha256"]
    assert len(card["labels"]) == card["sizes"]["action_size"]
    assert card["training"]["control_steps"] == 3 * card["training"]["total_env_steps"]
    assert card["limits"]
    table = card["evaluations"][0]
    assert table["settings"]["definition"]
    assert table["rows"][0]["name"] == name
    for row in table["rows"]:
        assert row["episodes"] >= 100
        assert row["success"]["low"] <= row["success"]["value"] <= row["success"]["high"]


@pytest.mark.parametrize("name", FOLLOWING)
def test_each_card_is_complete(name):
    card = pretrained.card(name)
    assert len(card["clips"]) >= 1
    assert {clip["skill"] for clip in card["clips"]} == {skill["label"] for skill in card["skills"]}
    assert all(clip["frames"] > 4 and len(clip["sha256"]) == len(clip["recording"]) == 64 for clip in card["clips"])
    if len(card["clips"]) == 1:
        assert card["clips"][0]["sha256"] == card["motion_hash"]
    assert card["limits"]
    assert card["training"]["total_env_steps"] >= card["training"]["env_steps"] > 0
    assert card["training"]["seconds"] > 0
    assert card["training"]["devices"] >= 1
    # Beside those of the paper's protocols, which have rows of their own kind.
    on_clips = [table for table in card["evaluations"] if "start" in table["settings"]]
    assert {table["settings"]["start"] for table in on_clips} >= {"first", "random"}
    for table in on_clips:
        for row in table["rows"]:
            assert row["episodes"] >= 1
            assert 0 <= row["success"]["value"] <= 1
    options = from_config(from_json(json.dumps(card["config"])))
    assert options.motion.path == card["recipe"]["changes"]["motion.path"]


def test_no_card_names_a_place_of_the_machine_that_made_it(name):
    def texts(value):
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                yield from texts(part)
        elif isinstance(value, str):
            yield value

    for words in texts(pretrained.card(name)):
        assert not any(word.startswith(("/", "~")) for word in words.replace("=", " ").split() if len(word) > 1), words


def test_each_card_to_read_is_made_of_the_card(name):
    page = (pretrained.folder() / f"{name}.md").read_text()
    assert page == text.markdown(pretrained.card(name))
    for clip in pretrained.card(name)["clips"]:
        assert clip["name"] in page


def test_page_has_the_table_of_what_is_shipped():
    document = (ROOT / "docs" / "pretrained.md").read_text()
    assert text.refresh(document, [pretrained.card(name) for name in NAMES]) == document
    assert all(f"[`{name}`]" in document for name in NAMES)


def test_unknown_names_are_answered_with_what_there_is():
    for ask in (pretrained.load, policy_file, setup.run_config):
        with pytest.raises(
            FileNotFoundError, match=r"ballplay-catch, ballplay-dribble, ballplay-layup.*nearest is 'ballplay-layup'"
        ):
            ask("ballplay-layupp")
    with pytest.raises(FileNotFoundError, match="zero, random"):
        policy_file("ballplay-layupp")


def test_a_path_that_exists_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(LAYUP).mkdir()
    with pytest.raises(FileNotFoundError, match=r"policy\.npz"):
        pretrained.load(LAYUP)


def test_configuration_comes_from_the_card_or_the_file(tmp_path):
    wanted = pretrained.card(LAYUP)["config"]
    alone = tmp_path / "alone.npz"
    alone.write_bytes(policy_file(LAYUP).read_bytes())
    for source in (LAYUP, alone):
        assert json.loads(json.dumps(setup.run_config(source).to_dict())) == wanted


@pytest.fixture
def clip(tmp_path):
    """The first frames of a clip of ours, under another label."""
    whole = load_clips("throw_catch")[0]
    short = {key: array[:8] for key, array in whole.arrays().items()}
    return save_clip(type(whole)("short", 3, whole.fps, "", "", **short), tmp_path / "short.npz")


def test_evaluate_takes_a_name_and_clips(clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ask = ["--policy", "ballplay-catch", "--engine", "mujoco", "--episodes", "1"]
    assert script("evaluate").main([*ask, "--motion", str(clip), "--json", "e.json"]) == 0
    document = json.loads(Path("e.json").read_text())
    assert document["results"]["total"]["frames"] == 5
    assert document["agent"]["name"] == "ballplay-catch"
    capsys.readouterr()
    assert script("evaluate").main(ask) == 2
    assert "trained on 003_008pickle_catch_013 (102 frames), which are not at" in (said := capsys.readouterr().err)
    assert "give --motion" in said
    elsewhere = Path(pretrained.card("ballplay-catch")["config"]["motion"]["path"])
    elsewhere.mkdir(parents=True)
    (elsewhere / "short.npz").write_bytes(clip.read_bytes())
    assert script("evaluate").main(ask) == 2
    assert "are not, but others are, at" in capsys.readouterr().err


def test_half_precision_of_a_whole_network_acts_nearly_the_same(tmp_path):
    obs = np.random.default_rng(1).normal(size=(64, 902)).astype(np.float32)
    actor = Actor((1024, 512, 512), 156, log_std=-2.9).init(jax.random.key(3), jnp.zeros(902))
    full = policy.PolicyBundle(actor, normalizer.init(902), (1024, 512, 512), 156)
    half = pretrained.load(policy.save_policy(tmp_path / "half.npz", full, "float16"))
    error = np.abs(half(obs) - full(obs))
    assert 0 < error.max() < 0.02 * float(np.std(full(obs)))


def copied(folder):
    for suffix in (".npz", ".json"):
        (folder / f"x{suffix}").write_bytes((pretrained.folder() / f"{LAYUP}{suffix}").read_bytes())
    return folder / "x.npz", folder / "x.json"


def test_damaged_policies_and_cards_are_refused_by_name(tmp_path):
    weights, card = copied(tmp_path)
    assert pretrained.load(weights).metadata["name"] == LAYUP
    whole = json.loads(card.read_text())
    for damage, message in (
        ('{"format": ', "no readable JSON"),
        (json.dumps(whole | {"version": 9}), "version 9, expected version 1"),
        (json.dumps({k: v for k, v in whole.items() if k != "clips"}), "without clips"),
        (json.dumps(whole | {"file": {"name": "x.npz"}}), r"without file\.sha256, file\.bytes"),
        (json.dumps(whole | {"file": whole["file"] | {"sha256": "0" * 64}}), "SHA-256"),
    ):
        card.write_text(damage)
        with pytest.raises(CardError, match=message):
            pretrained.load(weights)
    card.write_text(json.dumps(whole))
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CardError, match="SHA-256"):
        pretrained.load(weights)
    card.write_text('{"any": "other JSON"}')
    with pytest.raises(policy.PolicyFormatError, match=r"x\.npz"):
        pretrained.load(weights)
    with pytest.raises(CardError, match="no card"):
        pretrained.card(weights)


def test_altered_bytes_give_the_one_error_or_a_policy(tmp_path):
    actor = Actor((4,), 3, log_std=0.0).init(jax.random.key(0), jnp.zeros(5))
    file = policy.save_policy(tmp_path / "p.npz", policy.PolicyBundle(actor, normalizer.init(5), (4,), 3))
    sound, refused = file.read_bytes(), 0
    rng = np.random.default_rng(0)
    for _ in range(150):
        altered = bytearray(sound)
        for position in rng.integers(0, len(sound), 3):
            altered[position] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(altered[: rng.integers(1, len(sound) + 1)] if rng.random() < 0.2 else altered))
        try:
            pretrained.load(file)
        except policy.PolicyFormatError:
            refused += 1
    assert refused > 75


def test_package_data_and_source_distribution_hold_every_file():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    shipped = [p for p in pretrained.folder().iterdir() if p.suffix in (".npz", ".json", ".md")]
    starts = [p for p in shipped if p.name.endswith(".starts.npz")]
    assert len(shipped) == 3 * len(NAMES) + len(starts)
    assert {p.name.removesuffix(".starts.npz") for p in starts} <= set(NAMES)
    for path in shipped:
        inside = PurePosixPath("pretrained", path.name)
        assert any(inside.match(pattern) for pattern in patterns["mjx_skillmimic"]), path.name
    assert "recursive-include mjx_skillmimic/pretrained *.npz *.json *.md" in (ROOT / "MANIFEST.in").read_text()


def test_listing_policies_imports_nothing_heavy():
    code = (
        "import sys, mjx_skillmimic as m; print(m.pretrained.names()); assert not {'jax', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert LAYUP in done.stdout
