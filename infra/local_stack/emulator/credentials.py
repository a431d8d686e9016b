"""The emulator's root credentials: made once, kept where nobody else reads them, in the format of AWS's own tools."""

from __future__ import annotations

import configparser
import os
import secrets
import string
from pathlib import Path

from operations.target import EmulatorCredentials

_PROFILE = "default"
# 26 letters and 6 digits: 15 of them are 75 bits, which no page guesses.
_ALPHABET = string.ascii_uppercase + "234567"
_KEY_ID_LETTERS = 15


def ensure_credentials(file: Path) -> EmulatorCredentials:
    """Those in `file`; new ones where it isn't there or has none."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(file.read_text())
        profile = parser[_PROFILE]
        return EmulatorCredentials(profile["aws_access_key_id"], profile["aws_secret_access_key"])
    except (OSError, KeyError, configparser.Error):
        return _new(file)


def _new(file: Path) -> EmulatorCredentials:
    key_id = "LOCAL" + "".join(secrets.choice(_ALPHABET) for _ in range(_KEY_ID_LETTERS))
    credentials = EmulatorCredentials(key_id, secrets.token_hex(20))
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(
        f"[{_PROFILE}]\n"
        f"aws_access_key_id = {credentials.access_key_id}\n"
        f"aws_secret_access_key = {credentials.secret_access_key}\n"
    )
    unfinished.replace(file)
    return credentials
