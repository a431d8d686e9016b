"""What the deployed API answers is what its OpenAPI document describes, whatever it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from testing.client import Client

SCHEMATHESIS = "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())"
# A seed, so that a failure comes again; as many requests as the emulator answers in half a minute.
CONFIGURATION = """
seed = 1
continue-on-failure = true

[generation]
max-examples = 15
no-shrink = true

[phases.stateful.generation]
max-examples = 6

[checks]
# Whether anybody trades the token, and how many decimals it has, no schema can say.
positive_data_acceptance.enabled = false
# A gateway answers 404 where a route lacks the method.
unsupported_method.enabled = false
allow_header_conformance.enabled = false
# A cancelled order is still shown.
use_after_free.enabled = false
"""


def test_the_document_is_served_valid_and_without_a_key(stack: dict[str, str]) -> None:
    reply = Client(stack["restUrl"]).call("GET", "/openapi.json")
    assert reply.status == 200
    assert list(OpenAPIV31SpecValidator(reply.body).iter_errors()) == []


def test_every_request_whatever_gets_an_answer_that_the_document_describes(
    stack: dict[str, str], tmp_path: Path
) -> None:
    """No 5xx, no undescribed status or media type, no answer that breaks its schema, no wrong request that is taken."""
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-c", SCHEMATHESIS, "--config-file", str(configuration), "--no-color", "run"]
    command += [f"{stack['restUrl']}/openapi.json", "--url", stack["restUrl"]]
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in done.stdout, done.stdout
