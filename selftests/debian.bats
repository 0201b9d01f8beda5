#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Debian 12 on a disk of its own (scripts/guest-disk): boots under systemd to a
# login on the serial console, where somebody works, and powers off.
#
# Run: scripts/guest-disk --cached; scripts/lab --mem 4G --timeout 1000 -- bats selftests/debian.bats

bats_require_minimum_version 1.5.0

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	HULL=$TOP/user/hull
	LIMIT=$((240 * ${HULL_TIME_SCALE:-1}))
	export TOP HULL LIMIT
	[ -c /dev/hull ] || {
		echo "hull.ko is not loaded: scripts/lab --mem 4G -- bats selftests/debian.bats"
		return 1
	}
	KERNEL=$("$TOP/scripts/kernels" 6.1-cloud | cut -f2)
	export KERNEL
	make -s -C "$TOP/user"
	cd "$BATS_FILE_TMPDIR" || return
	cp --sparse=always "$("$TOP/scripts/guest-disk" --cached)" debian.img
	"$TOP/scripts/guest-initramfs" --root --driver virtio_pci --driver virtio_blk root.cpio
}

# await TEXT: until the guest has said it.
await() {
	local n=0
	until grep -qF -- "$1" out; do
		n=$((n + 1))
		if [ $n -gt $((LIMIT * 5)) ] || ! kill -0 "$pid" 2>/dev/null; then
			tail -n 30 out
			return 1
		fi
		sleep 0.2
	done
}

@test "Debian boots under systemd to a login, and keeps what was synced" {
	cd "$BATS_FILE_TMPDIR"
	mkfifo in
	"$HULL" run --kernel "$KERNEL" --initrd root.cpio --append "console=ttyS0 rw" --mem 512M --cpus 2 \
		--disk debian.img --rng --timeout "$LIMIT" <in >out 2>err 3>&- &
	pid=$!
	exec 4>in
	await "login:"
	echo root >&4
	await "root@"
	# shellcheck disable=SC2016 # for the guest's shell
	echo 'echo state $(systemctl is-system-running) 1 $(systemctl --failed --no-legend | wc -l)' >&4
	await "state running 1 0"
	# Two quotes, so that the echo of the line is not taken for its output.
	echo 'echo kept >/root/kept && sync && echo syn""ced' >&4
	await "synced"
	echo "systemctl poweroff" >&4
	wait "$pid"
	exec 4>&-
	run -1 grep -iE 'oops|panic|BUG:' out
	e2fsck -fn debian.img
	[ "$(debugfs -R 'cat /root/kept' debian.img 2>/dev/null)" = kept ]
}
