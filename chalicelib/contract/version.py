"""The version of the API, the Python client and the changelog: one for all three (docs/release.md)."""

VERSION = "1.0.0"
