#!/usr/bin/env bash
# Holds /openapi.json of the built service against linters (Redocly, Spectral with OWASP's rules), makes clients of it with three
# generators, compiles them, and uses them; checks that the generated files of packages/client are fresh. The tools are many
# packages: they have a lock file of their own and are installed into the user's cache folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/contract-tools/install.sh
. scripts/served.sh
serve WORKERS=1 RATE_LIMIT=false BCRYPT_COST=4
work=$dir/tools
mkdir -p "$work"
cp "$tools"/*.* "$tools"/.npmrc "$work"
ln -s "$cache/node_modules" "$work/node_modules"
cd "$work"
curl -sSf "$url/openapi.json" -o openapi.json
export SERVED_URL=$url

# The tools do not wait for each other. Each has three minutes, and takes some seconds on a machine that is not busy.
failed=0
declare -A pids
begin() {
  local name=$1
  shift
  timeout 180 "$@" >"$work/$name.log" 2>&1 &
  pids[$name]=$!
}
await() {
  local name
  for name in "$@"; do
    if wait "${pids[$name]}"; then
      echo "ok: $name"
    else
      failed=1
      echo "FAILED: $name (exit code $?; 124: too slow)"
      cat "$work/$name.log"
    fi
  done
}
begin redocly node_modules/.bin/redocly lint --config redocly.yaml openapi.json
begin spectral node_modules/.bin/spectral lint --ruleset spectral.yaml --fail-severity error --display-only-failures openapi.json
begin openapi-typescript node_modules/.bin/openapi-typescript openapi.json -o clients/schema.ts
begin hey-api node_modules/.bin/openapi-ts -i openapi.json -o clients/hey
begin orval node_modules/.bin/orval --config orval.config.cjs
mkdir fresh
if client_types openapi.json fresh >client-types.log 2>&1 &&
  cmp fresh/schema.ts "$root/packages/client/src/schema.ts" &&
  cmp fresh/operations.ts "$root/packages/client/src/operations.ts"; then
  echo 'ok: client-types'
else
  failed=1
  echo 'FAILED: client-types: run scripts/client-types.sh'
  cat client-types.log
fi
await openapi-typescript hey-api orval
if [ "$failed" = 0 ]; then
  begin compile node_modules/.bin/tsc -p .
  await compile
fi
if [ "$failed" = 0 ]; then
  begin use node js/use-clients.js "$url"
  await use
fi
await redocly spectral
exit "$failed"
