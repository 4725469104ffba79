#!/bin/sh
# copyright.sh SBOM: who the authors of what is in the package are, and under which licence each part is.
set -eu
cat <<'EOF'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: novacompat

Files: *
Copyright: 2026 the novacompat developers
License: Apache-2.0
Comment: The texts of other licences are in the directory of each package, below
 /usr/lib/novacompat/node_modules.

EOF
node --print '
    const { components } = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
    const licences = components.map(({ name, licenses: [{ license }] }) =>
        `Files: usr/lib/novacompat/node_modules/${name}/*\nCopyright: the authors of ${name}\nLicense: ${license.id}\n`);
    [...new Set(licences)].join("\n")' "$1"
cat <<'EOF'

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
EOF
for licence in BlueOak-1.0.0 ISC MIT; do
    printf '\nLicense: %s\n See https://spdx.org/licenses/%s.html and the files LICENSE.\n' "$licence" "$licence"
done
