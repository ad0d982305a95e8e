# Make or reuse the project's virtual environment, then put it first on PATH. Sourced, not run.
# The environment is made anew only when the pinned versions or the project file change.

find_python() {
  local name
  for name in python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "error: no Python 3.11 or newer with the venv module was found" >&2
  echo "       install one (Debian: apt install python3 python3-venv) and try again" >&2
  return 1
}

prepare_venv() {
  local python stamp wanted
  stamp=.venv/.installed
  wanted=$(cat pyproject.toml scripts/constraints.txt | cksum)
  if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    python=$(find_python) || return 4
    echo "│ preparing .venv with $("$python" --version) (once; a few minutes)" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv || return 4
    .venv/bin/python -m pip install -qq --disable-pip-version-check \
      --constraint scripts/constraints.txt --editable '.[train,dev]' || return 4
    echo "$wanted" > "$stamp"
  fi
  PATH="$PWD/.venv/bin:$PATH"
  export PATH
}
