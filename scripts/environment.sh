# Sourced by the scripts here: a virtual environment with this project in it, and foreign programs.

PYTHON=${PYTHON:-python3}

die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

apt_install() {
  if [ "$(id -u)" != 0 ]; then
    die "these Debian packages are missing: $*. Install them as root: apt-get install $*"
  fi
  # No service may start: the tests run these programs themselves, on their own ports.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; made=1; fi
  local failed=
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
    >/dev/null || failed=1
  [ -z "$made" ] || rm -f "$policy"
  [ -z "$failed" ] || die "apt-get install $* failed"
}

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

# enter_venv [EXTRAS]: activates .venv-<version>, made anew where pyproject.toml changed.
enter_venv() {
  command -v "$PYTHON" >/dev/null || apt_install python3 python3-venv
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$PYTHON is older than 3.11"
  local version venv stamp
  version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  venv=.venv/$version
  local extras=${1:-}
  stamp=$venv/.made-${extras:-plain}-$(cksum <pyproject.toml | cut -d' ' -f1)
  if [ ! -e "$stamp" ]; then
    if ! "$PYTHON" -m venv "$venv" 2>/dev/null; then
      apt_install python3-venv
      "$PYTHON" -m venv "$venv"
    fi
    "$venv/bin/pip" install -q --disable-pip-version-check -e ".${extras:+[$extras]}"
    rm -f "$venv/.made-${extras:-plain}-"*
    touch "$stamp"
  fi
  # shellcheck disable=SC1091
  . "$venv/bin/activate"
}

# What the benchmark runs beside that: the systems that it compares with.
need_bench_programs() {
  local missing=()
  command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
  [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || missing+=(libnginx-mod-stream)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}
