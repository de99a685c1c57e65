#!/bin/sh
# Everything on a fresh machine: install, then run the tests. Arguments are passed to pytest.
set -eu
cd "$(dirname "$0")"
./install.sh tests
exec .venv/bin/python -m pytest --quiet -n 2 --dist loadfile --no-loadscope-reorder "$@"
