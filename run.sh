#!/usr/bin/env bash
#
# ./run.sh                       sets up, then runs the gradient-flow study
# ./run.sh <experiment> [flags]  runs one experiment; --help shows its flags
# ./run.sh help                  lists the experiments
# ./run.sh test                  format, lint, types and tests
# ./run.sh benchmark [flags]     times jaxdl against what it replaces: all of
#                                docs/benchmarks.md; or a name, then its flags
# ./run.sh docs [--serve]        builds the documentation into site/, or serves it

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
python=$venv/bin/python
progress=$venv/.jaxdl-set-up-began
main_line='^if __name__'

say() { printf '%s\n' "$*" >&2; }
die() { say "run.sh: $*"; exit 1; }

# Prints the first Python that can make a virtual environment.
find_python() {
  local candidate version without_venv=
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    version=$("$candidate" -c '
import sys
assert sys.version_info >= (3, 11)
print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
    without_venv=${without_venv:-$version}
  done
  if [ -n "$without_venv" ]; then
    die "Python $without_venv has no venv module here; on Debian and Ubuntu" \
      "install it with: sudo apt install python$without_venv-venv"
  fi
  die "no Python 3.11, 3.12 or 3.13 found on the PATH; install one" \
    "(https://www.python.org/downloads/) and start again"
}

# Prints the extra that this machine's accelerator needs, if it has one.
accelerator() {
  if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
    echo cuda
  elif [ -e /dev/accel0 ] || [ -n "${TPU_NAME:-}" ]; then
    echo tpu
  fi
}

# Prints what a finished set-up depends on: place, interpreter, requirements.
fingerprint() {
  echo "$root"
  "$python" -V
  cat "$root/setup.cfg" "$root/pyproject.toml" "$root/constraints.txt" | cksum
}

# Whether .venv was set up for a checkout in another place: a moved folder.
was_moved() {
  [ -f "$venv/.jaxdl-set-up-run" ] &&
    ! grep -qFx "$root" "$venv/.jaxdl-set-up-run"
}

# Shows what pip is fetching on one line of a terminal, and nothing elsewhere.
show_progress() {
  local line
  while IFS= read -r line; do
    if [ -t 2 ]; then
      case $line in
        *Downloading*|*'Using cached'*|Installing\ c*)
          printf '\r\033[K  %.74s' "${line#"${line%%[![:space:]]*}"}" >&2 ;;
      esac
    fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
}

make_venv() {
  local found
  found=$(find_python)
  "$found" -m venv --clear "$venv" ||
    die "$found could not make a virtual environment in $venv"
}

# Prints some Python, which may lack what the project needs.
any_python() {
  if "$python" -V >/dev/null 2>&1; then echo "$python"; else find_python; fi
}

# Waits until no other run.sh sets this checkout up.
#
# The lock is the kernel's, on the folder, as long as descriptor 9 is open: it
# is free again however this ends.
lock() {
  local found
  found=$(any_python)
  exec 9< "$root"
  "$found" -c '
import fcntl, sys
try:
  fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
  print("Another run.sh is setting up .venv; waiting for it.", file=sys.stderr)
  fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
  pass  # Not every file system has locks.
'
}

# Whether .venv was set up with an extra, for what it depends on now.
is_set_up() {
  local stamp=$venv/.jaxdl-set-up-$1
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint 2>&1)" ]
}

# Sets up .venv with an extra (`run` for none), unless that is done already.
set_up() {
  if is_set_up "$1"; then return; fi
  lock
  if ! is_set_up "$1"; then install "$1"; fi  # Or another has, meanwhile.
  exec 9<&-
}

# Installs the project and its requirements into .venv.
#
# The stamp is written last. A set-up that was killed leaves its mark behind,
# and the next one starts from an empty environment.
install() {
  local extras seconds=$SECONDS
  if [ -e "$progress" ]; then
    say "The last set-up broke off; starting it over."
    make_venv
  elif ! "$python" -m pip --version >/dev/null 2>&1 || was_moved; then
    make_venv
  fi
  touch "$progress"
  extras=$(accelerator)
  if [ "$1" != run ]; then extras=${extras:+$extras,}$1; fi
  say "Setting up .venv with $("$python" -V)${extras:+ and extras $extras};" \
    "the first time takes a minute or two."
  # pip ends as if it had failed where it is interrupted.
  trap 'say "Interrupted; the next start sets up anew."; exit 130' INT
  "$python" -m pip install --disable-pip-version-check --progress-bar off \
    --constraint "$root/constraints.txt" \
    --editable "$root${extras:+[$extras]}" | show_progress ||
    { rm -f "$progress"; die "pip could not install jaxdl; see above. It needs" \
      "room on the disk, and a connection to PyPI or the index it is set to"; }
  trap - INT
  fingerprint > "$venv/.jaxdl-set-up-run"
  if [ "$1" != run ]; then fingerprint > "$venv/.jaxdl-set-up-$1"; fi
  rm "$progress"
  say "Set up in $((SECONDS - seconds)) s."
}

# Whether a file is a program: an experiment or benchmark, not a part of one.
is_main() { grep -qs "$main_line" "$1"; }

run_experiment() {
  local name=$1
  shift
  is_main "$root/experiments/$name.py" || list_experiments "$name"
  set_up run
  exec "$python" -P -m "experiments.$name" "$@"
}

# Lists the experiments, or says that there is none of this name: for both a
# Python without the project's requirements is enough.
list_experiments() {
  local found
  found=$(any_python)
  cd "$root"
  exec "$found" -m experiments "$@"
}

run_tests() {
  set_up dev
  cd "$root"
  "$python" -m ruff format --check --quiet . ||
    die "the files above are not formatted; run: .venv/bin/ruff format ."
  "$python" -m ruff check --quiet .
  "$python" -m mypy --no-error-summary
  # Neighbouring tests share compiled programs, so each process has a stretch.
  exec "$python" -m pytest --numprocesses auto --maxprocesses 4 \
    --dist worksteal "$@"
}

# Runs the benchmark of a name, or those of the documentation if there is none.
run_benchmark() {
  local name=all
  case ${1:-} in
    '' | -*) ;;
    *) name=$1; shift ;;
  esac
  if ! is_main "$root/benchmarks/$name.py"; then
    say "run.sh: no benchmark is called '$name'; there are:" \
      "$(cd "$root/benchmarks" && grep -l "$main_line" -- *.py |
        sed 's/\.py$//' | paste -sd ' ' -)"
    exit 2
  fi
  set_up benchmark
  cd "$root"
  exec "$python" -m "benchmarks.$name" "$@"
}

# Builds the documentation's site, or shows it while it is being written.
run_docs() {
  set_up docs
  cd "$root"
  if [ "${1:-}" = --serve ]; then
    shift
    exec "$python" -m mkdocs serve "$@"
  fi
  "$python" -m mkdocs build --strict "$@"
  say "Documentation: $root/site/index.html"
}

case ${1:-} in
  '') run_experiment gradient_flow ;;
  help | -h | --help) list_experiments ;;
  test) shift; run_tests "$@" ;;
  benchmark) shift; run_benchmark "$@" ;;
  docs) shift; run_docs "$@" ;;
  -*) run_experiment gradient_flow "$@" ;;
  *) run_experiment "$@" ;;
esac
