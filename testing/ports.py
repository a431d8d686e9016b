"""Ports for what tests and benchmarks start."""

from __future__ import annotations

import secrets

from infra.local_stack.processes import is_port_free

# Below those that Linux (32768 and up) and macOS (49152 and up) give to outgoing connections.
_SERVERS_PORTS = range(15_000, 32_000)


def free_port(following: int = 0) -> int:
    """A port that nothing listens on now, nor on the `following` ones after it.

    The system would name one of those that it gives to outgoing connections too: while a server is restarted, one of
    them could take its place.
    """
    while True:
        port = secrets.choice(_SERVERS_PORTS)
        if all(is_port_free(other) for other in range(port, port + 1 + following)):
            return port
