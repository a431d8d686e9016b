"""Where the service is: what is given wins over the environment, and that over the nearest local stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fillrate import ConfigurationError, configure

STACK = {"restUrl": "http://127.0.0.1:4566/api", "apiKey": "of-the-stack"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(STACK))
    return tmp_path


def test_what_is_given_wins_over_the_environment() -> None:
    environment = {"FILLRATE_URL": "https://other/api", "FILLRATE_API_KEY": "other"}
    found = configure("https://given/api/", "given", environment=environment)
    assert (found.url, found.api_key) == ("https://given/api", "given")


def test_the_environment_wins_over_the_local_stack(project: Path) -> None:
    environment = {"FILLRATE_URL": "https://other/api", "FILLRATE_API_KEY": "other"}
    found = configure(environment=environment, directory=project)
    assert (found.url, found.api_key, found.stack) == ("https://other/api", "other", None)


def test_the_nearest_stack_upwards_is_found_with_its_key(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    found = configure(environment={}, directory=below)
    assert (found.url, found.api_key) == (STACK["restUrl"], "of-the-stack")


def test_a_local_stacks_key_goes_nowhere_else(project: Path) -> None:
    assert configure("https://given/api", environment={}, directory=project).api_key is None
    assert configure(environment={"FILLRATE_URL": "https://other/api"}, directory=project).api_key is None


def test_an_empty_key_is_none_at_all(project: Path) -> None:
    assert configure(api_key="", environment={"FILLRATE_API_KEY": "other"}, directory=project).api_key is None


def test_with_nothing_to_go_by_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"make up.*FILLRATE_URL"):
        configure(environment={}, directory=tmp_path)


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"restUrl": 1}'])
def test_a_broken_stack_file_is_named(project: Path, text: str) -> None:
    (project / ".local" / "stack.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"stack\.json"):
        configure(environment={}, directory=project)


@pytest.mark.parametrize("url", ["ftp://a/b", "localhost:4566", "https://", "https://a/api?x=1", "https://a/#b"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        configure(url, environment={})
