#!/usr/bin/env bash
# Builds what is released into DIR: static binaries for amd64 and arm64, each as a .tar.gz, a .deb
# and an .rpm with completions and manual pages, an SBOM of each binary, and SHA256SUMS.
#
# deploy/dist.sh DIR
#
# Two builds of one commit give the same bytes: nothing here reads the clock, the machine's name or
# the path of the tree. deploy/dist-check.sh proves it.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022
out=$(realpath -m "${1:?usage: deploy/dist.sh DIR}")
cd "$(dirname "$0")/.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
host=$(go env GOHOSTARCH)
tools=$PWD/bin/tools

# The version of a package begins with a digit. A commit without a tag in front of it gets the time
# of the commit, so that a later one is newer.
revision=$(git rev-parse HEAD)
version=$(git describe --tags --always --dirty)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
case $version in
v[0-9]*) PACKAGE_VERSION=${version#v} ;;
*) PACKAGE_VERSION=0.0.0+$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).${version//-/.} ;;
esac
# An operator who tests upgrades may say what the package is called.
export PACKAGE_VERSION=${DIST_VERSION:-$PACKAGE_VERSION}

# dated gives a file or tree the time of the commit.
dated() { find "$@" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

# build ARCH builds the binary. What the user's environment says of targets does not count.
build() {
  env -u GOEXPERIMENT GOFLAGS= GOOS=linux GOARCH="$1" GOAMD64=v1 GOARM64=v8.0 CGO_ENABLED=0 \
    go build -trimpath -buildvcs=false -o "$stage/$1/c100k" -ldflags \
    "-s -w -buildid= -X c100k/internal/version.revision=$revision -X c100k/internal/version.version=$version" \
    ./cmd/c100k
}

# tool MODULE@VERSION builds a tool once and prints its path.
tool() {
  local path=$tools/${1##*/}
  if [[ ! -x $path ]]; then
    echo "dist: building ${1##*/}" >&2
    GOFLAGS=-trimpath GOBIN=$tools go install "$1"
    mv "$tools/$(basename "${1%@*}")" "$path"
  fi
  echo "$path"
}

rm -rf "$out"
mkdir -p "$out"
stage=$out/stage
arches=(amd64 arm64)
for arch in "${arches[@]}"; do
  echo "dist: building for $arch"
  build "$arch"
done

echo "dist: manual pages, completions, configuration"
c100k=$stage/$host/c100k
"$c100k" man --dir "$stage/man"
find "$stage/man" -type f -exec gzip -9n {} +
mkdir "$stage/completion"
"$c100k" completion bash >"$stage/completion/c100k"
"$c100k" completion zsh >"$stage/completion/_c100k"
"$c100k" completion fish >"$stage/completion/c100k.fish"
"$c100k" config init >"$stage/c100k.yaml"
cp deploy/systemd/c100k.{service,socket} deploy/systemd/environment deploy/systemd/logrotate "$stage"
cp LICENSE README.md CHANGELOG.md docs/operations.md tuning.md "$stage"
cp deploy/package/{nfpm.yaml,{postinstall,preremove,postremove}.sh} "$stage"
dated "$stage"

nfpm=$(tool "$nfpm")
sbom=$(tool "$sbom")
for arch in "${arches[@]}"; do
  echo "dist: packages for $arch"
  # The serial number would be random, and the time that of the run.
  "$sbom" bin -json -noserial -std -output - "$stage/$arch/c100k" 2>/dev/null |
    deploy/package/sbom.sh "$PACKAGE_VERSION" >"$out/c100k_${PACKAGE_VERSION}_$arch.cdx.json"
  export PACKAGE_ARCH=$arch
  cp -p "$stage/$arch/c100k" "$stage/c100k"
  for kind in deb rpm; do
    (cd "$stage" && "$nfpm" package --config nfpm.yaml --packager "$kind" --target "$out/")
  done
  root=c100k-$PACKAGE_VERSION-linux-$arch
  mkdir "$stage/$root"
  cp -r "$stage"/{c100k,LICENSE,README.md,CHANGELOG.md,c100k.yaml,man,completion} \
    "$stage"/c100k.{service,socket} "$stage/$root"
  dated "$stage/$root"
  tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$root" |
    gzip -9n >"$out/$root.tar.gz"
  cp "$stage/$arch/c100k" "$out/c100k-linux-$arch"
done
rm -rf "$stage"
(cd "$out" && sha256sum -- * >SHA256SUMS)
cat "$out/SHA256SUMS"
