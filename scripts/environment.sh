# Sourced by the scripts here: a virtual environment with this project in it, and foreign programs.

# Debian's own Python where it will do: a quarter faster than one that was built without profiles.
if [ -z "${PYTHON:-}" ]; then
  PYTHON=/usr/bin/python3
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || PYTHON=python3
fi

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$@"; exit 1; }

apt_install() {
  command -v apt-get >/dev/null || die "missing, by the names of Debian's packages: $*"
  [ "$(id -u)" = 0 ] || die "missing: $*. Install them as root: apt-get install $*"
  say "installing from Debian: $*"
  local output
  output=$(apt_install_quietly "$@" 2>&1) || die "apt-get install $* failed:"$'\n'"$output"
}

# In a subshell, so that however it ends nothing is left behind.
apt_install_quietly() (
  # No service may start: the tests run these programs themselves, on their own ports.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
)

# What the tests and the benchmark run against, by program and Debian package.
need_programs() {
  local missing=() pair PATH=$PATH:/usr/sbin
  for pair in curl:curl nginx:nginx-light redis-server:redis-server psql:postgresql-client \
    wrk:wrk h2load:nghttp2-client chromium:chromium; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

need_python() {
  [ "$PYTHON" != python3 ] || command -v python3 >/dev/null || apt_install python3
  command -v "$PYTHON" >/dev/null || die "there is no $PYTHON"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "$PYTHON is $("$PYTHON" --version 2>&1); 3.11 or newer is needed. Name one: PYTHON=python3.12 $0"
  version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
}

# enter_venv [EXTRAS]: activates .venv/<version>, made anew where pyproject.toml changed.
enter_venv() {
  need_python
  local extras=${1:-}
  make_venv ".venv/$version" "${extras:-plain}" "$(cat pyproject.toml scripts/constraints.txt | cksum)" \
    -e ".${extras:+[$extras]}"
}

# enter_compiled_venv [EXTRAS]: activates .venv/compiled-<version>, with the data plane compiled and
# installed beside what else there is; made anew where a source changed.
enter_compiled_venv() {
  need_python
  need_compiler
  local extras=${1:-} sources
  sources=$(find trioproxy -name '*.py' -print0 | sort -z | xargs -0 cat pyproject.toml scripts/constraints.txt hatch_build.py | cksum)
  TRIOPROXY_COMPILE=1 make_venv ".venv/compiled-$version" "${extras:-plain}" "$sources" \
    ".${extras:+[$extras]}"
}

# make_venv PATH NAME STATE PIP-ARGUMENTS...: activates it; installs where NAME or STATE are new.
make_venv() {
  local venv=$1 stamp=$1/.made-$2-${3%% *}
  if [ ! -e "$stamp" ]; then
    [ "$(prefix_of "$PYTHON")" = "$(prefix_of "$venv/bin/python")" ] || rm -rf "$venv"
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || apt_install "python$version-venv"
    say "making $venv"
    "$PYTHON" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -c scripts/constraints.txt "${@:4}" \
      || die "pip could not install what pyproject.toml names; it needs a package index and a network"
    rm -f "$venv/.made-$2-"*
    touch "$stamp"
  fi
  # shellcheck disable=SC1091
  . "$venv/bin/activate"
}

# prefix_of PYTHON: where that interpreter comes from; nothing if there is none.
prefix_of() { "$1" -c 'import sys; print(sys.base_prefix)' 2>/dev/null || true; }

# What compiles Python modules.
need_compiler() {
  local missing=()
  command -v gcc >/dev/null || missing+=(gcc libc6-dev)
  if ! "$PYTHON" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null; then
    missing+=("python$version-dev")
  fi
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# What the benchmark runs beside that: the systems that it compares with.
need_bench_programs() {
  local missing=()
  command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
  [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}
