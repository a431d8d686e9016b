"""`python -m infra.package`: an entry point alone, see infra/deployment/package.py."""

from infra.deployment.package import main

if __name__ == "__main__":
    raise SystemExit(main())
