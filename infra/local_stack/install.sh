#!/bin/sh
# install.sh PYTHON PIP-OPTION…: installs locked packages, shows that it goes on, and says in a sentence why it can't.
set -u
python=$1
shift
# A shell's own ideas of where pip installs, and of which modules there are, are for other projects.
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PYTHONHOME PYTHONPATH
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$python" -m pip install --disable-pip-version-check --no-input --no-compile --require-hashes --no-build-isolation \
    --progress-bar off --retries 2 "$@" >"$log" 2>&1 &
pip=$!
trap 'kill "$pip" 2>/dev/null; exit 130' INT TERM
started=$(date +%s)
shown=$started
while kill -0 "$pip" 2>/dev/null; do
    sleep 0.2
    now=$(date +%s)
    if [ $((now - shown)) -ge 5 ]; then
        echo "  $((now - started)) s: $(grep -c '^Collecting ' "$log") packages so far"
        shown=$now
    fi
done
wait "$pip" && exit 0

if grep -Eq 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Connection to .* timed out|Network is unreachable|Max retries exceeded' "$log"; then
    echo "make: the packages can't be downloaded. Is there a network, and do HTTPS_PROXY, PIP_INDEX_URL and pip.conf say how to reach the package index? pip's last word: $(grep -E 'Error|error' "$log" | tail -1 | cut -c1-300)" >&2
elif grep -q 'No space left' "$log"; then
    echo "make: no space is left on the disk for the packages" >&2
else
    echo "make: pip can't install the packages:" >&2
    tail -8 "$log" >&2
fi
exit 1
