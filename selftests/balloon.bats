#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# virtio-balloon where hull.ko is loaded: Debian's kernel with a balloon, and with
# free memory only, by the module's paging and by shadow paging: what it has, what
# the launcher has, and what is in memory afterwards.
#
# Run: scripts/lab bats selftests/balloon.bats, or as root where the module is loaded

load guests

setup_file() {
	prepare
	guest_init >init
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_balloon initramfs
}

# It goes on when it is told to, by a line on the serial port.
guest_init() {
	cat <<-'END'
		#!/bin/sh
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		say() { echo "hull-guest: $*"; }
		free() { sed -n 's/^MemFree: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
		sum() { md5sum </data/$1 | cut -c 1-32; }
		fill() { dd if=/dev/$1 of=/data/$2 bs=1M count=$3 2>/dev/null; }
		mkdir /data
		mount -t tmpfs -o size=90% tmpfs /data
		fill urandom kept 4
		kept=$(sum kept)
		before=$(free)
		for module in /modules/*; do insmod "$module" || say "cannot load $module"; done
		# Until the balloon no longer grows.
		now=$before last=0
		while [ "$now" != "$last" ]; do
			last=$now
			sleep 1
			now=$(free)
			[ $((now - last)) -gt 100 ] || [ $((last - now)) -gt 100 ] || break
		done
		say "does without $((before - now)) KiB"
		fill zero used 64
		say "used"
		read -r line
		rm /data/used
		[ "$(sum kept)" = "$kept" ] && say "all is kept"
		say "freed"
		read -r line
		[ "$(sum kept)" = "$kept" ] && say "all is still kept"
		fill urandom fresh 4
		fresh=$(sum fresh)
		fill zero used 64
		[ "$(tr -d '\0' </data/used | wc -c)" = 0 ] && say "all is zero"
		[ "$(sum fresh)$(sum kept)" = "$fresh$kept" ] && say "all is kept in the end"
		sleep 2
		say done
		poweroff -f
	END
}

# wait_for COMMAND...: until it succeeds; shows what there is when it does not.
wait_for() {
	local n
	for ((n = 0; n < LIMIT * 20; n++)); do
		! "$@" || return 0
		sleep 0.1
	done
	cat stdout stderr
	return 1
}

told() { grep -q "hull-guest: $1" stdout; }

# Memory of the launcher in KiB.
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"; }

rss_below() { [ "$(rss)" -lt "$1" ]; }

# guest OPTION...: runs it to its end; $without: what it does without; $full: what
# the launcher had when the guest used most, $low: after it had freed 64 MiB.
guest() {
	cd "$BATS_TEST_TMPDIR" || return
	mkfifo keys
	"$HULL" run --kernel "$KERNEL" --initrd "$BATS_FILE_TMPDIR/initramfs" --mem 256M \
		--append "console=ttyS0 quiet panic=-1" --stats --timeout $((LIMIT * 4)) "$@" \
		<keys >stdout 2>stderr 3>&- &
	pid=$!
	exec 4>keys
	wait_for told used
	without=$(sed -n 's/.*does without \([0-9-]*\) KiB.*/\1/p' stdout)
	full=$(rss)
	echo >&4
	wait_for told freed
	# What is left of a huge page is not reported.
	wait_for rss_below $((full - 49152))
	low=$(rss)
	echo >&4
	wait $pid
	exec 4>&-
	echo "without $without KiB; the launcher had $full KiB, then $low KiB"
	cat stdout stderr
	told "all is kept"
	told "all is still kept"
	told "all is zero"
	told "all is kept in the end"
	told "done"
	[ "$(count 'free memory returned, KiB')" -ge 49152 ]
	[ "$(count 'guest: memory, KiB')" -gt 150000 ]
	[ "$(count 'guest: memory free, KiB')" -gt 0 ]
	[ "$(count 'guest: minor faults')" -gt 0 ]
}

# count NAME: of the table at the end.
count() { sed -n "s/^$1 *//p" stderr; }

@test "a guest does without the balloon's memory, and what it frees is the host's" {
	guest --balloon=64M
	[ "$without" -ge 64000 ]
	[ "$(count 'balloon: wanted, KiB')" -eq 65536 ]
	[ "$(count 'balloon: at the end, KiB')" -eq 65536 ]
	[ "$(count 'balloon: went into it, KiB')" -ge 65536 ]
}

@test "without a balloon's size what is freed is the host's" {
	guest --balloon --cpus 2
	[ "$without" -lt 8000 ]
	[ "$(count 'balloon: at the end, KiB')" -eq 0 ]
}

@test "the same with shadow paging" {
	guest --balloon=64M --paging shadow
	[ "$without" -ge 64000 ]
	[ "$(count 'balloon: at the end, KiB')" -eq 65536 ]
}

@test "a balloon gives way before the guest runs out of memory" {
	cd "$BATS_TEST_TMPDIR"
	init_script >init <<-'END'
		sleep 5
		mkdir /data
		mount -t tmpfs -o size=100% tmpfs /data
		dd if=/dev/zero of=/data/used bs=1M count=120 && say "all fits"
		poweroff -f
	END
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_balloon initramfs
	run boot initramfs "" --mem 256M --balloon=128M --stats
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hull-guest: all fits"* ]]
	[ "$(sed -n 's/^balloon: came out of it, KiB *//p' <<<"$output")" -gt 0 ]
}
