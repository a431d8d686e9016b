"""`make models` and `make web`: what other languages and packages know of the service, made of its own documents."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from quality.code_generation import client_models, documents

PROJECT = Path(__file__).parents[2]
CLIENT_MODELS = PROJECT / "client" / "fillrate" / "schemas.py"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m quality.code_generation", description="Write what is generated.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("client", help="the client's models of the service's answers")
    schemas = commands.add_parser("schemas", help="all schemas, of answers and of messages, as an OpenAPI document")
    schemas.add_argument("path", type=Path)
    options = parser.parse_args()
    if options.command == "client":
        CLIENT_MODELS.write_text(client_models.source(documents.schemas()))
    else:
        options.path.parent.mkdir(parents=True, exist_ok=True)
        options.path.write_text(json.dumps(documents.schema_document(), indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
