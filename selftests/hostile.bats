#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# A guest that is a hostile driver (launcher/hostile.c) of each virtio device, where
# hull.ko is loaded: the device stops until it is reset, works then, and the launcher
# lives. Meanwhile Debian's kernel is a guest with a disk, a network card, a shared
# directory and random numbers, which it looks at round after round, and a balloon.
#
#   HULL_CHAINS   malformed chains for each device (default 500; with HULL_LONG=1 100000)
#
# Run: scripts/lab --cpus 2 bats selftests/hostile.bats, or as root where the module is loaded

load guests

setup_file() {
	local chains=500
	# The cloud kernel has no 9p.
	prepare 6.1
	[ -z "${HULL_LONG-}" ] || chains=100000
	CHAINS=${HULL_CHAINS:-$chains}
	# No more than 40 chains a second are counted on.
	PATIENCE=$((LIMIT * 8 + CHAINS / 40))
	export CHAINS PATIENCE
	load_module tun
	load_module vhost_net
	load_module vhost_vsock
	truncate -s 4M scratch.img
	yes 'read only' | head -c 1048576 >ro.img
	mkdir scratch
	start_other
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return
	xargs -r kill <pids || :
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

# ---- the other guest -----------------------------------------------------------

other_init() {
	init_script <<-'END'
		good=0
		check() {
			cmp -s "$1" /sent || { say "BAD: $1"; return 1; }
		}
		round() {
			head -c 20000 /dev/hwrng >/sent
			[ "$(wc -c </sent)" = 20000 ] || say "BAD: /dev/hwrng"
			dd if=/sent of=/disk/file conv=fsync 2>/dev/null
			dd if=/sent of=/data/file conv=fsync 2>/dev/null
			echo 3 >/proc/sys/vm/drop_caches
			timeout 100 wget -q -O /fetched http://10.0.2.2:8000/file
			check /disk/file && check /data/file && check /fetched && good=$((good + 1))
			say "round $good is good"
		}
		mkdir /disk /data
		mke2fs -F /dev/vda >/dev/null
		mount -t ext4 /dev/vda /disk
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=100000 data /data
		ip link set eth0 up
		ip addr add 10.0.2.15/24 dev eth0
		until [ -e /data/end ]; do round; done
		umount /disk
		say done
		poweroff -f
	END
}

# What it writes into the shared directory comes back to it by the network.
start_other() {
	other_init >init
	"$TOP/scripts/guest-initramfs" --kernel 6.1 --init init --driver virtio_pci --driver virtio_blk \
		--driver virtio_net --driver virtio-rng --driver virtio_balloon --driver ext4 \
		--driver 9pnet_virtio --driver 9p initramfs
	truncate -s 16M other.img
	mkdir data
	: >pids
	busybox ip link set lo up
	busybox httpd -f -p 127.0.0.1:8000 -h data </dev/null >web.log 2>&1 3>&- &
	echo $! >>pids
	run_other 3>&- &
	until [ "$(rounds)" -gt 0 ]; do
		[ ! -e other.status ] || { cat other.out other.err && return 1; }
		sleep 0.1
	done
}

run_other() {
	"$HULL" run --kernel "$KERNEL" --initrd initramfs --mem 256M --append "console=ttyS0 quiet panic=-1" \
		--disk other.img --net user --share data:data --rng --balloon=16M \
		--timeout $((PATIENCE * 10)) </dev/null >other.out 2>other.err &
	echo $! >>pids
	local status=0
	wait $! || status=$?
	echo $status >other.status
}

rounds() { grep -c "round .* is good" other.out || :; }

# ---- the hostile one -----------------------------------------------------------

# hostile COUNT OPTION...: the guest is a hostile driver of COUNT devices of ours. Another one saw
# nothing of it, and has gone on.
hostile() {
	local count=$1 before began=$SECONDS
	shift
	before=$(rounds)
	run unshare -n timeout "$PATIENCE" "$HULL" run --kernel "$GUESTS/hostile.elf" --mem 16M --append "$CHAINS" \
		"$@" --timeout $((PATIENCE - 10)) </dev/null
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hostile: done"* && $output != *DEAD* ]]
	[ "$(grep -c "$CHAINS chains, answered [0-9]*, needed a reset [1-9].*; works" <<<"$output")" -eq "$count" ]
	# A device that breaks again and again does not fill the log: five lines a minute.
	[ "$(grep -c 'needs a reset:' <<<"$output")" -le $(((count + (SECONDS - began) / 60 + 1) * 5)) ]
	if [ "$(grep -c 'chains, answered 0' <<<"$output")" -gt "${unanswered:-0}" ]; then
		echo "a device has answered nothing"
		return 1
	fi
	[[ $(cat other.out) != *BAD* ]] || { cat other.out other.err && false; }
	# Shown in the log of a run that succeeds, too.
	grep "^hostile: device" <<<"$output" | tr -d '\r' | sed 's/^/# /' >&3
	echo "# $(($(rounds) - before)) rounds of the other guest" >&3
}

skip_shadow() {
	! grep -qx shadow /sys/module/hull/parameters/paging || skip "what the kernel writes shadow paging does not see"
}

@test "disks, one of them read-only, and random numbers" {
	hostile 3 --disk scratch.img,queues=2 --disk ro.img,ro --rng
	[ "$(yes 'read only' | head -c 1048576 | md5sum)" = "$(md5sum <ro.img)" ]
}

@test "network cards, of the user and of tap devices" {
	hostile 2 --net user --net tap=hostile,queues=4
}

@test "a network card by vhost-net" {
	skip_shadow
	# The kernel is often too slow for this driver.
	unanswered=1
	hostile 1 --net tap=hostile,vhost=on
}

@test "a shared directory" {
	hostile 1 --share scratch:scratch
	[ -z "$(ls -A scratch)" ]
}

@test "ports of a console" {
	hostile 1 --console a=file:written --console b=pty --console c=unix:socket
	[ ! -e socket ]
}

@test "a balloon, with the module's paging and with shadow paging" {
	local paging
	for paging in auto shadow; do
		hostile 1 --balloon=4M --paging $paging
		[[ $output == *"the device needs a reset: a page of the balloon is not in memory"* ]]
		[[ $output == *"hostile: a page that is not there: needs a reset"* ]]
	done
}

@test "sockets by vhost-vsock" {
	skip_shadow
	unanswered=1
	hostile 1 --vsock 45
}

@test "the other guest was good to its end" {
	local n
	: >data/end
	for ((n = 0; n < LIMIT * 10; n++)); do
		[ ! -e other.status ] || break
		sleep 0.1
	done
	cat other.out other.err
	[ "$(cat other.status)" -eq 0 ]
	[ ! -s other.err ]
	grep -q "hull-guest: done" other.out
	[ "$(rounds)" -gt 1 ]
	run grep BAD other.out
	[ "$status" -eq 1 ]
	e2fsck -fn other.img
}
