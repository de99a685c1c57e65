#!/bin/sh
# Everything on a fresh machine: install, then classify encrypted digits. Arguments are passed on.
set -eu
cd "$(dirname "$0")"
./install.sh experiments
exec .venv/bin/python -m experiments.digits --plot digits.png "$@"
