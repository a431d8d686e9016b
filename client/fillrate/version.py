"""The installed version of this package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fillrate")
except PackageNotFoundError:  # run from its folder, not installed
    __version__ = "0+uninstalled"
