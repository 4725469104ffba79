#!/bin/sh
# man.sh NAME VERSION EPOCH PROGRAM: a man page of what the program and its commands say with --help.
set -eu
name=$1 version=$2 epoch=$3 program=$4
export NO_COLOR=1 COLUMNS=100

escaped() { sed 's/\\/\\e/g; s/-/\\-/g; s/^\([.'"'"']\)/\\\&\1/'; }
section() {
    printf '.SH %s\n.nf\n' "$1"
    escaped
    printf '.fi\n'
}

printf '.TH %s 1 %s "novacompat %s"\n' "$(printf '%s' "$name" | tr a-z A-Z)" "$(date --utc --date="@$epoch" +%F)" "$version"
printf '.SH NAME\n%s \\- tells Nova, before a live migration, whether devices can continue elsewhere\n' "$name" | sed '2s/-a/\\-a/'
node "$program" --help | section "SYNOPSIS"
# Of the program, or of one command that has some: journal list.
commands() { node "$program" "$@" --help | sed -n '/^Commands:/,$ s/^  \([a-z][a-z-]*\).*/\1/p' | sed '/^help$/d'; }
of() { node "$program" "$@" --help | section "$(printf '%s' "$*" | tr a-z A-Z)"; }
if [ "$name" = novacompat ]; then
    for command in $(commands); do
        of "$command"
        for one in $(commands "$command"); do of "$command" "$one"; done
    done
fi
printf '.SH FILES\n/etc/novacompat, /var/lib/novacompat/journal\n.SH SEE ALSO\n/usr/share/doc/novacompat/README.md, configuration.md\n'
