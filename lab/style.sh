#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# style.sh - the checks of form: checkpatch, shellcheck, mandoc, codespell,
# sizes.
#
#   style.sh
#
# checkpatch comes out of Debian's kernel source package, kept in the cache.
# Fails on any finding of these tools; file and function sizes above the
# house limits are listed for a reviewer and do not fail.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"

FILE_LINES=800
FUNCTION_LINES=60

fetch_checkpatch() {
	local dir=$KV_CACHE/checkpatch work
	[ ! -x "$dir/checkpatch.pl" ] || return 0
	kv_lock checkpatch
	say "fetching checkpatch from linux-source-6.1"
	work=$(mktemp -d "$KV_CACHE/checkpatch.XXXXXX")
	(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download linux-source-6.1)
	dpkg --fsys-tarfile "$work"/*.deb |
		tar -xO ./usr/src/linux-source-6.1.tar.xz |
		tar -xJ -C "$work" --strip-components=2 --wildcards \
			'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
			'*/scripts/const_structs.checkpatch'
	rm "$work"/*.deb
	rm -rf "$dir"
	mv "$work" "$dir"
}

# C sources, each with the length of its longest functions: a function is what
# opens with "{" and closes with "}" in the first column.
sizes() {
	awk -v file_max=$FILE_LINES -v function_max=$FUNCTION_LINES '
		FNR == 1 { if (lines > file_max) print "  " name ": " lines " lines"; name = FILENAME }
		{ lines = FNR }
		/^[a-z].*\(/ { head = $0 }
		/^{/ { start = FNR }
		/^}/ && start {
			if (FNR - start > function_max)
				print "  " FILENAME ":" start ": " FNR - start " lines: " head
			start = 0
		}
		END { if (lines > file_max) print "  " name ": " lines " lines" }' "$@"
}

status=0
cd "$KV_TOP"
mapfile -t c < <(find kmod user bpf selftests lab -name '*.[ch]' | sort)
mapfile -t scripts < <(find lab selftests .ci -type f \( -name '*.sh' -o -path '.ci/run' \) | sort)
mapfile -t texts < <(find kmod user bpf selftests lab Documentation Makefile Kbuild README.md \
	.ci -type f 2>/dev/null | sort)

fetch_checkpatch
say "checkpatch"
# env_user.h is userspace; version tests and BIT() do not fit compat and UAPI;
# tracepoint macros are laid out in a way of their own.
mapfile -t kernel_c < <(find kmod -name '*.[ch]' ! -name env_user.h ! -name trace.h | sort)
ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON,BIT_MACRO
checkpatch() {
	"$KV_CACHE/checkpatch/checkpatch.pl" --no-tree --strict --terse --show-types \
		--no-summary --quiet --file "$@" || status=1
}
checkpatch --ignore "$ignore" "${kernel_c[@]}"
checkpatch --ignore "$ignore,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE" kmod/trace.h
say "shellcheck"
# SC2317: tests are functions that the harness calls by name.
shellcheck -x -e SC2317 -P SCRIPTDIR:selftests/lib "${scripts[@]}" || status=1
say "manual pages"
mandoc -Tlint -Wwarning user/man/*.[13] || status=1
say "codespell"
codespell -L inflight,inh,nd "${texts[@]}" || status=1
say "files above $FILE_LINES lines, functions above $FUNCTION_LINES:"
sizes "${c[@]}"
exit $status
