# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What bats files share that run Linux guests where hull.ko is loaded.

# prepare [KERNEL]: for setup_file: variables, what must be built, the file's own directory. KERNEL
# as scripts/kernels names it.
prepare() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	HULL=$TOP/user/hull
	GUESTS=$TOP/selftests/build/launcher
	LIMIT=$((60 * ${HULL_TIME_SCALE:-1}))
	export TOP HULL GUESTS LIMIT
	[ -c /dev/hull ] || {
		echo "hull.ko is not loaded: scripts/lab bats selftests/$(basename "$BATS_TEST_FILENAME")"
		return 1
	}
	make -s -C "$TOP/user"
	make -s -C "$TOP/selftests/launcher"
	KERNEL=$("$TOP/scripts/kernels" "${1:-6.1-cloud}" | cut -f2)
	export KERNEL
	cd "$BATS_FILE_TMPDIR" || return
}

# load_module NAME: modules of Debian's kernel are in the cache, not in this root.
load_module() {
	local dir
	for dir in "${HULL_CACHE:-$HOME/.cache/hull}/kernels/$(uname -r)" /; do
		modprobe -d "$dir" "$1" 2>/dev/null && return
	done
	echo "cannot load the module $1"
}

# An init script: what each begins with, then stdin.
init_script() {
	cat <<-'END'
		#!/bin/sh
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		say() { echo "hull-guest: $*"; }
		for module in /modules/*; do insmod "$module" || say "cannot load $module"; done
	END
	cat
}

# boot INITRAMFS WORDS OPTION...: until it is off.
boot() {
	local initramfs=$1 words=$2
	shift 2
	timeout $((LIMIT * 4)) "$HULL" run --kernel "$KERNEL" --initrd "$initramfs" --mem 128M \
		--append "console=ttyS0 quiet panic=-1 $words" --timeout $((LIMIT * 4 - 10)) "$@" </dev/null
}

# has TEXT: the guest whose console is in $output said so; shown when not.
has() {
	[[ $output == *"hull-guest: $1"* ]] || {
		printf '%s\n' "$output"
		cat stderr
		return 1
	}
}

# said NAME TEXT: a guest with a name, whose output is in NAME.out, did so; else all that is known of
# it is shown.
said() {
	tr -d '\r' <"$1.out" | grep -qF "hull-guest: $2" || {
		cat "$1.out" "$1.err"
		[ ! -e failures ] || cat failures
		return 1
	}
}

# end NAME: waits for a guest, whose process is in NAME.pid; its exit status is kept.
end() {
	local status=0
	wait "$(cat "$1.pid")" || status=$?
	echo $status >"$1.status"
}

# wakeups NAME THREAD: how often that thread of a guest's launcher was woken.
wakeups() {
	local task
	for task in /proc/"$(cat "$1.pid")"/task/*; do
		[ "$(cat "$task/comm")" != "$2" ] ||
			sed -n 's/^voluntary_ctxt_switches:[ \t]*//p' "$task/status"
	done
}

# ended_well: the guest of setup_file, whose status is in the file "status".
ended_well() {
	[ "$(cat status)" -eq 0 ] && has "done"
}
