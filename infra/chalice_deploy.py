"""`python -m infra.chalice_deploy`: an entry point alone, see infra/deployment/chalice_deploy.py."""

from infra.deployment.chalice_deploy import main

if __name__ == "__main__":
    raise SystemExit(main())
