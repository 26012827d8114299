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
# What tests must not be slowed down by.
. scripts/served.sh
serve WORKERS=2 RATE_LIMIT=false BCRYPT_COST=4 EMAIL_SIGN_IN=true

export FUZZED_URL=$url
export FUZZED_NEW_ADMIN="env ${settings[*]} node $root/dist/cli/admin.js create --generate"
export SCHEMATHESIS_HOOKS="$root/scripts/schemathesis/hooks.py"
status=0
(cd "$dir" && "$cache/bin/st" --config-file "$root/scripts/schemathesis/schemathesis.toml" run "$FUZZED_URL/openapi.json" \
  --checks all --seed "${SCHEMATHESIS_SEED:-1}" --max-time "$seconds" --request-timeout 10 --continue-on-failure --workers 1 --generation-database none) || status=$?
exit "$status"
