#!/usr/bin/env bash
# Takes what differs between two runs out of an SBOM in CycloneDX, the time and the sums of the tool,
# and gives it the version of the package.
#
# sbom.sh VERSION <IN >OUT
set -euo pipefail
node -e '
const bom = JSON.parse(require("fs").readFileSync(0, "utf8"))
const time = new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString()
bom.metadata.timestamp = time.replace(/\.000Z$/, "Z")
for (const tool of bom.metadata.tools) delete tool.hashes
bom.metadata.component.version = process.argv[1]
console.log(JSON.stringify(bom, null, 2))
' "$1"
