"""Where a request to a server of this machine comes from, as far as its headers tell.

Every page that a developer visits can have the browser ask 127.0.0.1. A browser says in `Origin` and `Sec-Fetch-Site`
which page it asks for, which no page can change. A name of the page's own that leads to this machine (DNS rebinding)
shows in `Host`. Programs, curl among them, send neither `Origin` nor `Sec-Fetch-Site`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

Scope = Mapping[str, Any]

_HOST = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?")

# What a browser says of a page of the server's own, and of an address that a person has typed.
_SAME_ORIGIN = "same-origin"
_TYPED = "none"


@dataclass(frozen=True, slots=True)
class Sender:
    """What the headers of an ASGI scope say; a header that comes twice is there twice."""

    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    fetch_sites: tuple[str, ...]

    @classmethod
    def of(cls, scope: Scope) -> Self:
        headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
        found = [(name.lower(), value.decode("latin-1").strip().lower()) for name, value in headers]

        def values(wanted: bytes) -> tuple[str, ...]:
            return tuple(value for name, value in found if name == wanted)

        return cls(values(b"host"), values(b"origin"), values(b"sec-fetch-site"))

    @property
    def is_browser(self) -> bool:
        """Whether a page, or a person at a browser, asks."""
        return bool(self.origins or self.fetch_sites)

    def asks_a_host_of(self, names: Collection[str] = ()) -> bool:
        """Whether `Host` is this machine: a loopback address, `localhost`, or one of `names`.

        The port is not looked at: it may be a proxy's, and a page of another port has its own in `Origin`.
        """
        return len(self.hosts) == 1 and _is_one_of(self.hosts[0], names)

    @property
    def is_own_page(self) -> bool:
        """Whether it is a page of the very address that is asked, or a person who typed that address."""
        own = all(origin == f"http://{host}" for origin in self.origins for host in self.hosts)
        return own and all(site in (_SAME_ORIGIN, _TYPED) for site in self.fetch_sites)

    @property
    def has_typed_the_address(self) -> bool:
        """Whether a person did, or chose a bookmark: no page can have the browser say so."""
        return not self.origins and bool(self.fetch_sites) and all(site == _TYPED for site in self.fetch_sites)

    def is_page_of(self, origins: Collection[str]) -> bool:
        """Whether it is a page of one of `origins`, each as `http://127.0.0.1:3000`."""
        return bool(self.origins) and all(origin in origins for origin in self.origins)


def _is_one_of(host: str, names: Collection[str]) -> bool:
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found["ipv6"] or found["name"]
    if name == "localhost" or name in names:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
