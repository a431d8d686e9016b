"""Bytes as a Zstandard frame: what `base64+zstd` asks for.

The frame is stored, not compressed, which every decoder reads; nobody saves bytes on the way to their own machine.
Source: RFC 8878, sections 3.1.1.1 (frame header) and 3.1.1.2 (blocks).
"""

from __future__ import annotations

_MAGIC = (0xFD2FB528).to_bytes(4, "little")
# Single segment, with the content's size in eight bytes; no checksum, no dictionary.
_DESCRIPTOR = bytes([0b1110_0000])
_LARGEST_BLOCK = 128 * 1024
_RAW_BLOCK = 0
_BLOCK_HEADER_LENGTH = 3


def stored(content: bytes) -> bytes:
    """`content` in one frame of raw blocks."""
    starts = range(0, len(content), _LARGEST_BLOCK) or range(1)
    blocks = [content[start : start + _LARGEST_BLOCK] for start in starts]
    header = _MAGIC + _DESCRIPTOR + len(content).to_bytes(8, "little")
    return header + b"".join(_block(block, is_last=index == len(blocks) - 1) for index, block in enumerate(blocks))


def _block(content: bytes, *, is_last: bool) -> bytes:
    header = is_last | _RAW_BLOCK << 1 | len(content) << 3
    return header.to_bytes(_BLOCK_HEADER_LENGTH, "little") + content
