"""The command line `fillrate`."""
