#!/usr/bin/env bash
# Makes .local/venv from a lock and keeps it so: venv.sh runtime|dev. Does nothing where it is up to date.
#
# The stamps hold the lock's hash and the folder: a lock that changed is installed again, a tree that was moved gets a
# new environment, since the programs in it name the interpreter by its full path.
set -euo pipefail
cd "$(dirname "$0")/../.."
want=${1:?runtime or dev}
venv=.local/venv
mkdir -p .local
exec 9>.local/venv.lock
flock 9

fingerprint() { echo "$(sha256sum <"deploy/$1") $PWD"; }
is_current() { [[ -x $venv/bin/python && -f $venv/.$1 && $(<"$venv/.$1") == "$(fingerprint "$2")" ]]; }
install() { "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --no-deps --require-hashes -r "deploy/$1"; }

# The dev lock holds every version of the runtime's, so whoever has it lacks nothing.
if [[ $want == runtime ]] && is_current runtime requirements.lock; then exit 0; fi
if [[ $want == dev ]] && is_current dev requirements-dev.lock; then exit 0; fi

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Assay needs Python 3.11 or newer; set PYTHON." >&2; exit 1; }
if [[ -f $venv/.home && $(<"$venv/.home") != "$PWD" ]]; then rm -rf "$venv"; fi
if [[ ! -x $venv/bin/python ]]; then
  echo "Making $venv ..."
  rm -rf "$venv"
  "$python" -m venv "$venv"
fi
echo "$PWD" >"$venv/.home"

if [[ $want == dev ]]; then
  echo "Installing the locked packages, those for development too ..."
  install requirements-dev.lock
  fingerprint requirements-dev.lock >"$venv/.dev"
else
  echo "Installing the locked packages ..."
  install requirements.lock
fi
fingerprint requirements.lock >"$venv/.runtime"
