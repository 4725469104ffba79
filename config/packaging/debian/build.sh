#!/bin/sh
# build.sh DIRECTORY: makes DIRECTORY/novacompat_VERSION_all.deb of a built tree, the same bytes for the same commit.
#
# In /usr/lib/novacompat is what `npm pack` packs, the sample hosts, and what runs of package-lock.json. SOURCE_DATE_EPOCH is
# the time of all files; the commit's, unless it is set.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../../.." && pwd)
output=$(cd "$1" && pwd)
cd "$repository"

export LC_ALL=C
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
date=$(date --utc --date="@$SOURCE_DATE_EPOCH" --rfc-email)
version=$(node --print 'require("./package.json").version')
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
lib=$root/usr/lib/novacompat
doc=$root/usr/share/doc/novacompat

# /usr/lib: the program.
npm pack --silent --ignore-scripts --pack-destination "$stage" >/dev/null
mkdir -p "$lib"
tar -xzf "$stage/novacompat-$version.tgz" -C "$lib" --strip-components=1
cp package-lock.json .npmrc "$lib"
npm ci --silent --omit=dev --ignore-scripts --prefer-offline --prefix "$lib" >&2
rm -rf "$lib/package-lock.json" "$lib/.npmrc" "$lib/node_modules/.package-lock.json" "$lib/node_modules/.bin"
# Of other people's packages only what runs, and what says whose it is.
find "$lib/node_modules" -type f ! -name '*.js' ! -name '*.cjs' ! -name '*.mjs' ! -name '*.json' ! -iname '*licen[cs]e*' -delete
find "$lib/node_modules" -type d \( -name test -o -name tests -o -name examples -o -name benchmarks -o -name docs -o -name .github \) -prune -exec rm -rf {} +
find "$lib" -type f -exec chmod 644 {} +
rm -rf "$lib/config" "$lib/LICENSE" "$lib/README.md"
npm pkg set --prefix "$lib" gitHead="$(git describe --always --exclude='*' --abbrev=40 --dirty)"
mkdir -p "$lib/config"
cp -a config/samples "$lib/config/"
chmod 755 "$lib/dist/src/cli/main.js" "$lib/dist/src/cli/agent-main.js"
mkdir -p "$root/usr/bin"
ln -s ../lib/novacompat/dist/src/cli/main.js "$root/usr/bin/novacompat"
ln -s ../lib/novacompat/dist/src/cli/agent-main.js "$root/usr/bin/novacompat-agent"

# /etc: every option, none in force.
mkdir -p "$root/etc/novacompat/overlay.d"
for name in novacompat agent; do
    install -m 0640 "config/$name.yaml.sample" "$root/etc/novacompat/$name.yaml"
done
chmod 0750 "$root/etc/novacompat"

# systemd.
mkdir -p "$root/lib/systemd/system"
install -m 0644 config/*.service "$root/lib/systemd/system/"
units=$(cd config && echo *.service)

# /usr/share: what tells of it.
mkdir -p "$doc/examples" "$root/usr/share/man/man1" "$root/usr/share/lintian/overrides"
cp README.md config/policy.yaml config/snapshot.schema.json config/agent.openapi.json "$doc/examples/"
mv "$doc/examples/README.md" "$doc/README.md"
cp config/README.md "$doc/configuration.md"
cp config/novacompat-hook.conf.sample config/prometheus-alerts.yaml config/grafana-dashboard.json "$doc/examples/"
node dist/test/supply-chain/sbom.js >"$doc/sbom.cdx.json"
sh "$here/copyright.sh" "$doc/sbom.cdx.json" >"$doc/copyright"
gzip -9n <CHANGELOG.md >"$doc/NEWS.gz"
printf 'novacompat (%s) unstable; urgency=medium\n\n  * See NEWS.\n\n -- novacompat developers <novacompat@example.org>  %s\n' \
    "$version" "$date" | gzip -9n >"$doc/changelog.gz"
for name in novacompat novacompat-agent; do
    sh "$here/man.sh" "$name" "$version" "$SOURCE_DATE_EPOCH" "$root/usr/bin/$name" |
        gzip -9n >"$root/usr/share/man/man1/$name.1.gz"
done
cp "$here/lintian-overrides" "$root/usr/share/lintian/overrides/novacompat"

# What dpkg needs to know.
mkdir "$root/DEBIAN"
size=$(du --summarize --apparent-size --block-size=1K "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@SIZE@/$size/" "$here/control" >"$root/DEBIAN/control"
for script in postinst prerm postrm; do
    sed "s/@UNITS@/$units/" "$here/$script" >"$root/DEBIAN/$script"
    chmod 755 "$root/DEBIAN/$script"
done
(cd "$root" && find etc -type f | sort | sed 's#^#/#') >"$root/DEBIAN/conffiles"
(cd "$root" && find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -print | sort | sed 's#^\./##' | xargs md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$output/novacompat_${version}_all.deb" >/dev/null
echo "$1/novacompat_${version}_all.deb"
