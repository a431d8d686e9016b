"""Where the service is and which key opens it: given, or from the environment, or from the nearest local stack."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fillrate.errors import ConfigurationError

URL_VARIABLE = "FILLRATE_URL"
KEY_VARIABLE = "FILLRATE_API_KEY"
_STACK_FILE = Path(".local/stack.json")


@dataclass(frozen=True, slots=True)
class Configuration:
    """`url` ends before `/orders/execute`; `stack` is the local stack's description where `url` came from one."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    stack: Mapping[str, str] | None = field(default=None, repr=False)


def configure(
    url: str | None = None,
    api_key: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Configuration:
    """Arguments win over FILLRATE_URL and FILLRATE_API_KEY, these over the nearest .local/stack.json upwards.

    An `api_key` of "" is none at all. A local stack's own key goes to that stack alone. Raises ConfigurationError.
    """
    environment = os.environ if environment is None else environment
    url = url or environment.get(URL_VARIABLE)
    if api_key is None:
        api_key = environment.get(KEY_VARIABLE)
    stack = None
    if not url:
        stack = nearest_stack(directory or working_directory())
        if stack is None:
            raise ConfigurationError(
                f"no Fillrate to talk to: start one with `make up`, or set {URL_VARIABLE} (and {KEY_VARIABLE})"
            )
        url = stack["restUrl"]
        api_key = stack.get("apiKey") if api_key is None else api_key
    return Configuration(_checked_url(url), _checked_key(api_key or None), stack)


def nearest_stack(directory: Path) -> dict[str, str] | None:
    """The description of the local stack that `make up` runs in `directory` or the nearest one above it.

    Raises ConfigurationError where the file is broken.
    """
    for place in (directory, *directory.parents):
        path = place / _STACK_FILE
        try:
            stack = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} can't be read ({error}): run `make up` again") from error
        if not isinstance(stack, dict) or not isinstance(stack.get("restUrl"), str):
            raise ConfigurationError(f"{path} names no restUrl: run `make up` again")
        return stack
    return None


def working_directory() -> Path:
    """Raises ConfigurationError where it was deleted meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigurationError("the current directory is gone: change into one that exists") from error


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is not a URL such as https://…/api: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{url!r} is not a URL such as https://…/api")
    return url.rstrip("/")


def _checked_key(api_key: str | None) -> str | None:
    # a line end would end the header, and what came after it would be another one
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
        raise ConfigurationError("the API key has characters that no key has: was it copied whole, and nothing else?")
    return api_key
