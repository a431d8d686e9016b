"""`python -m fillrate.cli` is `fillrate`."""

from fillrate.cli.main import main

main()
