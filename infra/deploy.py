"""`python -m infra.deploy`: an entry point alone, see infra/deployment/deploy.py."""

from infra.deployment.deploy import main

if __name__ == "__main__":
    raise SystemExit(main())
