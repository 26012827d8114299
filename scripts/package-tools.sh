#!/usr/bin/env bash
# Checks packages/* as npm would publish them: packed, held against publint and arethetypeswrong, installed together from their
# tarballs into an empty folder, loaded by import and by require, and used by a strict TypeScript in each of its module modes.
# The tools are those of scripts/contract-tools, installed once for each lock file.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
. scripts/contract-tools/install.sh
bin=$cache/node_modules/.bin

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
check() {
  local name=$1
  shift
  if timeout 180 "$@" >"$work/log" 2>&1; then
    echo "ok: $name"
  else
    failed=1
    echo "FAILED: $name"
    cat "$work/log"
  fi
}

npm run --silent build:packages
names=()
for folder in packages/*/; do
  name=$(basename "$folder")
  names+=("$name")
  mkdir -p "$work/packed/$name"
  npm pack --silent --pack-destination "$work/packed/$name" "./$folder" >"$work/log" 2>&1 || cat "$work/log"
  mv "$work/packed/$name"/*.tgz "$work/packed/$name.tgz"
  check "publint $name" "$bin/publint" run --strict "$work/packed/$name.tgz"
  check "attw $name" "$bin/attw" --no-emoji --format ascii --profile node16 "$work/packed/$name.tgz"
done

# One program that uses every package, in both forms.
app=$work/app
mkdir -p "$app"
cd "$app"
printf '{ "name": "app", "private": true }\n' >package.json
names=("${names[@]/%/.tgz}")
check 'install from the tarballs' npm install --ignore-scripts --no-audit --no-fund --prefer-offline "${names[@]/#/file:$work/packed/}"
for name in "${names[@]%.tgz}"; do
  package=@clustered-auth/$name
  printf "import * as it from '%s';\nif (Object.keys(it).length === 0) throw new Error('no exports');\nexport type Everything = typeof it;\n" "$package" | tee "$name.mts" "$name.cts" >"$name.mjs.tmp"
  grep -v '^export type' "$name.mjs.tmp" >"$name.mjs"
  printf "if (Object.keys(require('%s')).length === 0) throw new Error('no exports');\n" "$package" >"$name.cjs"
  check "import $name" node "$name.mjs"
  check "require $name" node "$name.cjs"
done
# With the dependencies that it names, and no others.
check 'the fixture starts' node -e "require('@clustered-auth/testing').startAuth().then(async (auth) => {
  await auth.tokenOf(await auth.createUser());
  await auth.close();
})"
strict=(--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --types node --typeRoots "$root/node_modules/@types" --target es2022 --lib es2023,dom)
check 'types, node16' "$bin/tsc" "${strict[@]}" --module node16 ./*.mts ./*.cts
check 'types, nodenext' "$bin/tsc" "${strict[@]}" --module nodenext ./*.mts ./*.cts
check 'types, bundler' "$bin/tsc" "${strict[@]}" --module esnext --moduleResolution bundler ./*.mts
exit "$failed"
