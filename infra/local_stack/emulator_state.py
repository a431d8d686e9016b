"""Prepares what MiniStack has saved for a restart: two things that it does not correct itself."""

import json
from pathlib import Path


def adopt(state: Path, port: int) -> None:
    """Prepare the state saved in `state` for an emulator on `port`; makes the directory if there is none."""
    state.mkdir(parents=True, exist_ok=True)
    _move_to_port(state, port)
    _forget_stream_positions(state)


def _move_to_port(state: Path, port: int) -> None:
    """It knows queues by URLs that hold the port: on another one its event source mappings wouldn't find them."""
    mark = state / "port"
    former = mark.read_text() if mark.exists() else str(port)
    if former != str(port):
        for saved in state.glob("*.json"):
            saved.write_text(saved.read_text().replace(f"//localhost:{former}/", f"//localhost:{port}/"))
    mark.write_text(str(port))


def _forget_stream_positions(state: Path) -> None:
    """It saves how far a table's stream was read, but not the stream, which starts again: it would take the first
    changes for ones that it has read, and never push them.
    """
    saved = state / "lambda.json"
    if not saved.exists():
        return
    contents = json.loads(saved.read_text())
    positions = contents.get("payload", {}).get("dynamodb_stream_positions", {})
    if positions.get("data"):
        positions["data"] = {}
        saved.write_text(json.dumps(contents))
