"""The environment that launch code gets."""

import shlex
import subprocess
from pathlib import Path

import pytest

from simulator.service.environment import changed, client_variables, exports, set_aside

HERE = Path("/tmp/bundle.pem")


def variables(before: dict[str, str]) -> dict[str, str]:
    return client_variables("http://127.0.0.1:1", "http://127.0.0.1:2", HERE, Path("/tmp/sdk.yaml"), before)


def test_real_credentials_and_the_ways_to_them_are_gone() -> None:
    before = {
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_PROFILE": "work",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/real",
        "AWS_ENDPOINT_URL_S3": "https://real.example.org",
        "HOME": "/home/me",
    }
    after = changed(before, variables(before))
    assert "real" not in " ".join(after.values()) and "AWS_PROFILE" not in after
    assert after["HOME"] == "/home/me"


def test_the_region_that_was_named_stays() -> None:
    assert variables({"AWS_DEFAULT_REGION": "eu-west-1"})["AWS_REGION"] == "eu-west-1"
    assert variables({})["AWS_REGION"] == "us-east-1"


def test_a_users_own_settings_of_the_sdk_stay() -> None:
    assert variables({"SAGEMAKER_ADMIN_CONFIG_OVERRIDE": "/mine"})["SAGEMAKER_ADMIN_CONFIG_OVERRIDE"] == "/mine"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NO_PROXY"])
def test_a_shell_understands_the_exports(name: str) -> None:
    script = f'export AWS_PROFILE=work\n{exports(variables({}))}\nprintf \'%s %s\' "${name}" "${{AWS_PROFILE-unset}}"'
    said = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert said.stdout == f"{variables({})[name]} unset"


def test_what_a_shell_would_read_as_its_own_is_quoted() -> None:
    odd = client_variables("http://127.0.0.1:1", "http://127.0.0.1:2", Path("/tmp/a b;c"), HERE, {})
    assert shlex.quote("/tmp/a b;c") in exports(odd)


def test_a_servers_own_environment_says_nothing_of_the_users_aws() -> None:
    own = {"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1", "MOTO_ACCOUNT_ID": "1", "HOME": "/home/me"}
    before = set_aside(own)
    assert own == {"HOME": "/home/me", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    assert before["AWS_PROFILE"] == "work"
