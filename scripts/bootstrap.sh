#!/usr/bin/env bash
# Makes the Python environment of the tooling in .venv: "make" runs this before any other command.
#
# Needs Python 3.11 or newer with the venv module, and the package index that pip is configured for. On Debian and
# Ubuntu, as root, a missing venv module is installed. Everything else that the project needs (Go, Debian packages of
# the local cluster, Go tools) is installed later by Python, only by the commands that need it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=${VLLM_CHARTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vllm-charts}
stamp=.venv/.requirements.sha256
wanted=$(sha256sum requirements/bootstrap.txt requirements/dev.txt pyproject.toml | sha256sum | cut -d' ' -f1)

is_current() { [[ -x .venv/bin/vllm-charts && -f $stamp && $(<"$stamp") == "$wanted" ]]; }

fail() {
  printf 'bootstrap: %s\n' "$@" >&2
  exit 1
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer found (looked for \$PYTHON, python3, python3.13, python3.12, python3.11)." \
    "Install one (Debian 12: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python3 make ..."
}

require_venv_module() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "bootstrap: installing python3-venv (Debian keeps the venv module apart)" >&2
    DEBIAN_FRONTEND=noninteractive apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends python3-venv >/dev/null
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  fi
  fail "$1 has no venv module." \
    "Install it (Debian, Ubuntu: apt-get install python3-venv) or name another Python: PYTHON=... make ..."
}

# uv does not read pip's configuration: hand the index over.
use_index_of_pip() {
  local index
  index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
  if [[ -n $index && -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
    export UV_DEFAULT_INDEX=$index
  fi
}

install() {
  local python started=$SECONDS
  python=$(find_python)
  require_venv_module "$python"
  echo "bootstrap: Python environment in .venv ($("$python" --version))" >&2
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear .venv
  fi
  use_index_of_pip
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
  .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/dev.txt
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  echo "$wanted" >"$stamp"
  echo "bootstrap: ready after $((SECONDS - started)) s" >&2
}

is_current && exit 0
mkdir -p "$cache"
exec 9>"$cache/bootstrap.lock"
flock 9 # two makes at once: the second waits, then finds the work done
is_current || install
