#!/bin/sh
# Makes .venv, or says in one line what is missing. PYTHON chooses the interpreter.
set -eu

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python=""
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if suits "$candidate"; then python=$candidate && break; fi
done
if [ -z "$python" ]; then
    found=${PYTHON:-python3}
    echo "make: Python 3.11 or newer is needed, and $found is $("$found" --version 2>/dev/null || echo missing): install it, or name it as in \`make up PYTHON=/path/to/python3.12\`" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "make: $python can't make virtual environments: run \`sudo apt install python$version-venv\` (or python3-venv) and try again" >&2
    exit 1
fi
rm -rf .venv
"$python" -m venv .venv
