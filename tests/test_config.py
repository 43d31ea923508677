"""Configuration files, overrides, checks and comparison."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from ml_collections import ConfigDict, config_dict

from mjx_skillmimic import config as configs
from mjx_skillmimic.learning.options import nearest_divisors

FILE = """
from ml_collections import ConfigDict, config_dict

def get_config(preset="default"):
    rates = {"default": 1e-4, "reference": 2e-5}
    config = ConfigDict()
    config.motion = ConfigDict({"path": "", "weights": (1.0, 2.0)})
    config.physics = ConfigDict({"engine": "auto", "options": {"iterations": 4, "strict": False}})
    config.ppo = ConfigDict({"num_envs": 64, "horizon": 32, "minibatch_size": 256, "lr_schedule": "constant"})
    config.ppo.learning_rate = rates[preset]
    config.eval = ConfigDict({"margin": config_dict.placeholder(float), "anything": None})
    return config
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(FILE)
    return path


def test_overrides_are_parsed_as_the_type_of_the_key(file: Path) -> None:
    texts = {
        "ppo.num_envs": "1_28e0".replace("1_28", "128"),
        "ppo.horizon": "1_6",
        "ppo.learning_rate": "3",
        "physics.engine": "mujoco",
        "physics.options.strict": "yes",
        "motion.weights": "(3, 4.5)",
        "eval.margin": "0.5",
        "eval.anything": "[1, 2]",
    }
    config = configs.load_config(file, texts)
    assert (config.ppo.num_envs, config.ppo.horizon) == (128, 16)
    assert isinstance(config.ppo.num_envs, int)
    assert config.ppo.learning_rate == 3.0
    assert isinstance(config.ppo.learning_rate, float)
    assert config.physics.engine == "mujoco"
    assert config.physics.options.strict is True
    assert config.motion.weights == (3.0, 4.5)
    assert config.eval.margin == 0.5
    assert config.eval.anything == [1, 2]
    assert config.is_locked


def test_none_and_dictionaries(file: Path) -> None:
    config = configs.load_config(file, [("eval.margin", "0.5"), ("eval.margin", "None"), ("eval.anything", "none")])
    assert config.eval.margin is None
    assert config.eval.anything is None
    config = ConfigDict({"physics": {"options": {}}}).lock()
    configs.apply_override(config, "physics.options", "{'nconmax': 64, 'graph': True}")
    assert config.physics.options.to_dict() == {"nconmax": 64, "graph": True}
    with pytest.raises(configs.ConfigError, match=r"expected a dictionary"):
        configs.apply_override(ConfigDict({"physics": {"options": {}}}).lock(), "physics.options", "64")


def test_preset_is_handed_to_get_config(file: Path) -> None:
    assert configs.load_config(file).ppo.learning_rate == 1e-4
    assert configs.load_config(f"{file}:reference").ppo.learning_rate == 2e-5
    with pytest.raises(configs.ConfigError, match="refuses the preset 'refrence'"):
        configs.load_config(f"{file}:refrence")


def test_a_section_takes_the_value_of_its_main_key(file: Path) -> None:
    assert configs.load_config(file, {"motion": str(file.parent)}).motion.path == str(file.parent)
    assert configs.load_config(file, {"physics": "mjx-jax"}).physics.engine == "mjx-jax"
    with pytest.raises(
        configs.ConfigError, match=r"config.physics.options is a section with the keys iterations, strict"
    ):
        configs.load_config(file, {"physics.options": "3"})


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("ppo.horizn", "ppo.horizon"),
        ("horizon", "ppo.horizon"),
        ("pp0.num_envs", "ppo.num_envs"),
        ("physics.iterations", "physics.options.iterations"),
        ("fysics", "physics"),
        ("ppo.num_envs.more", "ppo.num_envs"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(file: Path, key: str, expected: str) -> None:
    with pytest.raises(configs.ConfigError, match=f"config.{key} does not exist; the nearest is '{expected}'"):
        configs.load_config(file, {key: "1"})


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("ppo.horizon", "1.5", r"expected int \(now 32\), found a fraction"),
        ("ppo.horizon", "many", r"expected int"),
        ("ppo.horizon", "none", r"expected int"),
        ("ppo.learning_rate", "fast", r"expected float"),
        ("physics.options.strict", "maybe", r"expected bool"),
        ("motion.weights", "1,x", r"expected tuple"),
    ],
)
def test_a_wrong_type_is_refused(file: Path, key: str, text: str, message: str) -> None:
    with pytest.raises(configs.ConfigError, match=message):
        configs.load_config(file, {key: text})


def test_a_batch_that_does_not_divide_is_refused_with_numbers_that_fit(file: Path) -> None:
    with pytest.raises(configs.ConfigError) as caught:
        configs.load_config(file, {"ppo.minibatch_size": "300", "ppo.num_envs": "100", "physics.engine": "mjx-wrap"})
    message = str(caught.value)
    assert "100 x 32 = 3200" in message
    assert "'mjx-wrap'" in message
    assert "the nearest is 'mjx-warp'" in message
    for minibatch in (200, 320):  # 3200 has no divisor between them, and both numbers must be named
        assert 3200 % minibatch == 0
    assert not [d for d in range(201, 320) if 3200 % d == 0]
    assert "ppo.minibatch_size = 200 or 320, or ppo.num_envs = 75 or 150" in message
    for num_envs in (75, 150):
        configs.load_config(file, {"ppo.minibatch_size": "300", "ppo.num_envs": str(num_envs)})


@pytest.mark.parametrize("number", [1, 97, 3200, 4096])
def test_nearest_divisors_against_a_slow_search(number: int) -> None:
    for wanted in (1, 7, 300, number, number + 5):
        below = [d for d in range(1, number + 1) if number % d == 0 and d <= wanted][-1:]
        above = [d for d in range(1, number + 1) if number % d == 0 and d >= wanted][:1]
        assert nearest_divisors(number, wanted) == sorted({*below, *above})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"ppo.num_envs": "-4"}, r"ppo: num_envs is -4, expected at least 1"),
        ({"ppo.learning_rate": "0"}, r"ppo: learning_rate is 0.0, expected above 0"),
        ({"motion.path": "nowhere/catch.pt"}, r"'nowhere/catch.pt' does not exist"),
    ],
)
def test_values_that_cannot_work_are_refused(file: Path, overrides: dict[str, str], message: str) -> None:
    with pytest.raises(configs.ConfigError, match=message):
        configs.load_config(file, overrides)


def test_a_missing_motion_names_the_nearest_file(file: Path) -> None:
    (file.parent / "003_008pickle_catch_014.pt").touch()
    with pytest.raises(configs.ConfigError, match=r"the nearest is '.*003_008pickle_catch_014.pt'"):
        configs.load_config(file, {"motion": str(file.parent / "003_008pickle_catch_14.pt")})


def test_a_missing_file_names_the_nearest(file: Path) -> None:
    with pytest.raises(configs.ConfigError, match=r"no configuration file .*tyo.py; the nearest is '.*toy.py'"):
        configs.load_config(file.with_name("tyo.py"))


def test_validators_can_be_added_for_a_section() -> None:
    @configs.validator("only_in_this_test")
    def check(config: ConfigDict):
        if math.isnan(config.only_in_this_test.value):
            yield "the value is not a number"

    configs.validate(ConfigDict({"only_in_this_test": {"value": 1.0}}))
    configs.validate(ConfigDict({"another": {"value": 1.0}}))
    with pytest.raises(configs.ConfigError, match="the value is not a number"):
        configs.validate(ConfigDict({"only_in_this_test": {"value": math.nan}}))


def test_command_line_is_split_into_file_overrides_and_rest() -> None:
    arguments = ["--config=a.py:x", "--workdir=w", "--config.a.b", "-3", "--resume", "-config.c=d=e", "--configure=1"]
    assert configs.split_arguments(arguments) == (
        "a.py:x",
        [("a.b", "-3"), ("c", "d=e")],
        ["--workdir=w", "--resume", "--configure=1"],
    )
    with pytest.raises(configs.ConfigError, match=r"--config.a needs a value"):
        configs.split_arguments(["--config.a", "--resume"])


def test_json_round_trip_and_differences(file: Path) -> None:
    config = configs.load_config(file)
    assert configs.from_json(configs.to_json(config)).to_dict() == config.to_dict()
    changed = configs.load_config(file, {"ppo.horizon": "64", "motion.weights": "9,9"})
    found = configs.differences(config, changed)
    assert [str(d) for d in found] == ["motion.weights: [1.0, 2.0] -> [9.0, 9.0]", "ppo.horizon: 32 -> 64"]
    assert [d.key for d in configs.differences(config, changed, free=["motion"])] == ["ppo.horizon"]
    fewer = ConfigDict({"ppo": {"num_envs": 64}})
    assert "ppo.horizon" in {d.key for d in configs.differences(config, fewer)}


def test_run_defaults_hold_their_own_rules_and_refuse_unknown_keys() -> None:
    configs.validate(ConfigDict({"run": configs.run_defaults(total_env_steps=10)}))
    with pytest.raises(configs.ConfigError, match=r"run.checkpoint_keep = 0"):
        configs.validate(ConfigDict({"run": configs.run_defaults(checkpoint_keep=0)}))
    with pytest.raises(AttributeError):
        configs.run_defaults(checkpoints_keep=1)
    assert not isinstance(configs.run_defaults().seed, config_dict.FieldReference)
