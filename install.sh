#!/bin/sh
# ./install.sh EXTRA: make .venv and install fhejax with that extra in it; quick when done before.
set -eu
cd "$(dirname "$0")"
extra=$1
python=.venv/bin/python

works() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in "${PYTHON:-python3.13}" python3.13 python3.12 python3.11 python3 python; do
        if works "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "fhejax needs Python 3.11 or newer with its venv module, and none was found on PATH." >&2
    echo "Install one (on Debian or Ubuntu: apt install python3 python3-venv), or name it:" >&2
    echo "PYTHON=/path/to/python3 $0 $extra" >&2
    return 1
}

installed=.venv/installed-$extra.toml
if works "$python" && cmp -s pyproject.toml "$installed"; then
    exit 0
fi
if ! { works "$python" && "$python" -m pip --version >/dev/null 2>&1; }; then
    found=$(find_python)
    echo "Making .venv with $("$found" --version) ..."
    "$found" -m venv --clear .venv
fi
echo "Installing fhejax[$extra] into .venv: a few minutes the first time ..."
"$python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
cp pyproject.toml "$installed"
