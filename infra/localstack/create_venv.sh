#!/bin/sh
# Makes .venv-localstack, or says in one line why it can't be made, and ends with 1. LOCALSTACK_PYTHON chooses the interpreter.
set -eu
venv=.venv-localstack

suits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if [ -e "$venv/.done" ] && [ "$venv/.done" -nt requirements-localstack.txt ] && [ -z "$(find infra/localstack/plugin -newer "$venv/.done" -type f -name '*.*' ! -path '*/build/*' ! -path '*.egg-info/*')" ]; then
    exit 0
fi
python=""
for candidate in ${LOCALSTACK_PYTHON:-python3.13 python3.12 python3 $HOME/.pyenv/versions/3.13.*/bin/python $HOME/.pyenv/versions/3.12.*/bin/python}; do
    if suits "$candidate"; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
    echo "LocalStack needs Python 3.12 or 3.13, and neither is here: install one, or name it in LOCALSTACK_PYTHON"
    exit 1
fi
echo "installing LocalStack into $venv ($("$python" --version))"
rm -rf "$venv"
"$python" -m venv "$venv"
install="$venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check"
# Some of it has no wheel, and is built with what pip brings for that.
if ! $install --require-hashes -r requirements-localstack.txt || ! $install --no-deps --no-build-isolation ./infra/localstack/plugin; then
    echo "LocalStack's packages can't be installed: see above"
    exit 1
fi
rm -rf infra/localstack/plugin/build infra/localstack/plugin/*.egg-info
touch "$venv/.done"
