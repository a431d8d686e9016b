"""The emulated AWS of a running stack, as its root."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from operations.target import LOCAL_REGION, EmulatorCredentials


def root_session(stack: Mapping[str, str]) -> boto3.Session:
    """Of the stack with this description; give each client its `awsEndpoint`."""
    return boto3.Session(*EmulatorCredentials.of(stack), region_name=LOCAL_REGION)
