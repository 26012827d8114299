#!/usr/bin/env bash
# Fuzzes the built service from its own /openapi.json with every check of Schemathesis. Exit code 0: no failure.
#   scripts/schemathesis.sh [seconds]     60 unless said
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
seconds=${1:-60}
version=4.32.5
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clustered-auth-api/schemathesis-$version

if ! "$cache/bin/st" --version >/dev/null 2>&1; then
  echo "Installing Schemathesis $version into $cache"
  rm -rf "$cache"
  python3 -m venv "$cache"
  "$cache/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi
[ -f dist/src/index.js ] || npm run --silent build

dir=$(mktemp -d)
service=
finish() {
  if [ -n "$service" ]; then
    kill "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap finish EXIT

# What tests must not be slowed down by, and nothing of the developer's .env: the service starts in an empty folder.
settings=(PORT=0 HOST=127.0.0.1 OPS_PORT=0 WORKERS=2 RATE_LIMIT=false BCRYPT_COST=4 "DATA_DIR=$dir/data" "RUNTIME_DIR=$dir/run")
(cd "$dir" && exec env "${settings[@]}" node "$root/dist/src/index.js") >"$dir/log" 2>&1 &
service=$!
port=
for _ in $(seq 300); do
  port=$(sed -n 's/.*"port":\([0-9][0-9]*\).*"msg":"listening".*/\1/p' "$dir/log" | head -n 1)
  [ -n "$port" ] && break
  kill -0 "$service" 2>/dev/null || break
  sleep 0.1
done
if [ -z "$port" ]; then
  echo 'The service did not start:' >&2
  cat "$dir/log" >&2
  exit 1
fi

export FUZZED_URL="http://127.0.0.1:$port"
export FUZZED_NEW_ADMIN="env ${settings[*]} node $root/dist/src/cli/admin.js create --generate"
export SCHEMATHESIS_HOOKS="$root/scripts/schemathesis/hooks.py"
status=0
(cd "$dir" && "$cache/bin/st" --config-file "$root/scripts/schemathesis/schemathesis.toml" run "$FUZZED_URL/openapi.json" \
  --checks all --seed "${SCHEMATHESIS_SEED:-1}" --max-time "$seconds" --request-timeout 10 --continue-on-failure --workers 1 --generation-database none) || status=$?
exit "$status"
