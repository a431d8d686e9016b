"""What of the dependencies isn't deployed: parts that nothing of ours loads, sources beside bytecode, and symbols.

A smaller zip is fetched and unpacked sooner at a cold start. The packages' own metadata stays, by which Amazon
Inspector and others know what is in it. `tests/e2e/test_package.py` loads every module of ours from what is left.
"""

import shutil
import struct
from pathlib import Path

# Folders and modules that no module of ours loads, nor any that ours load.
UNUSED = (
    "bin",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/middleware_factory",
    "aws_lambda_powertools/metrics/provider/datadog",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "batch",
            "circuit_breaker",
            "data_classes",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
            "metadata",
            "parameters",
            "parser",
            "serialization.py",
            "streaming",
            "typing",
            "validation",
        )
    ),
    "annotated_types/test_cases.py",
    "pydantic/color.py",
    "pydantic/deprecated/decorator.py",
    "pydantic/deprecated/json.py",
    "pydantic/experimental/pipeline.py",
    "pydantic/mypy.py",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
    "urllib3/contrib/pyopenssl.py",
    "urllib3/contrib/socks.py",
    "urllib3/http2/connection.py",
)
# Types, and lists of files of which some are gone.
_OF_NO_USE_AT_RUN_TIME = ("*.pyi", "py.typed", "*.dist-info/RECORD")

_ELF = b"\x7fELF"
_64_BITS_LITTLE_ENDIAN = b"\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


def slim(packages: Path) -> None:
    """Take out of a folder of compiled packages what no function loads.

    Sources go where their bytecode stands in for them, so this comes after they are compiled beside themselves
    (`compileall -b`).
    """
    for name in UNUSED:
        _remove(packages / name)
    for pattern in _OF_NO_USE_AT_RUN_TIME:
        for path in list(packages.rglob(pattern)):
            path.unlink()
    for source in packages.rglob("*.py"):
        if source.with_suffix(".pyc").exists():
            source.unlink()
    for library in packages.rglob("*.so*"):
        library.write_bytes(without_symbols(library.read_bytes()))


def without_symbols(library: bytes) -> bytes:
    """A shared library without what only linkers and debuggers read; as it is where it isn't a 64-bit ELF of Linux.

    The loader reads segments alone: sections may lack, and symbols that are in no segment with them. Source: System V
    ABI, chapters 4 (object files) and 5 (program loading), https://www.sco.com/developers/gabi/latest/contents.html
    """
    if not library.startswith(_ELF + _64_BITS_LITTLE_ENDIAN):
        return library
    ident, *fields = _HEADER.unpack_from(library)
    segments_at, segment_size, segments = fields[4], fields[8], fields[9]
    end = segments_at + segment_size * segments
    for number in range(segments):
        _, _, offset, _, _, in_file, _, _ = _SEGMENT.unpack_from(library, segments_at + number * segment_size)
        end = max(end, offset + in_file)
    # no sections: neither where they begin, nor how many there are, nor which one has their names
    fields[5] = fields[11] = fields[12] = 0
    return _HEADER.pack(ident, *fields) + library[_HEADER.size : end]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
        path.with_suffix(".pyc").unlink(missing_ok=True)
