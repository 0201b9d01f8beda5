#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# virtio-vsock where hull.ko is loaded, by the host's vhost-vsock: Debian's kernel
# and its host connect to each other and exchange megabytes, before and after the
# driver's device is reset; meanwhile there is another guest, whose interrupts are
# a line. And the CIDs that a guest cannot have.
#
# Run: scripts/lab --cpus 2 bats selftests/vsock.bats, or as root where the module is loaded

load guests

setup_file() {
	prepare
	VSOCK=$GUESTS/vsock
	export VSOCK
	[ -e /dev/vhost-vsock ] || try --vsock 42 >no_module 2>&1 || :
	load_module vhost_vsock
	head -c 4194304 /dev/urandom >big
	head -c 4194304 /dev/urandom >other
	guest_init >init
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci \
		--driver vmw_vsock_virtio_transport --add "$VSOCK" --add big initramfs
	run_guests
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return
	xargs -r kill <pids || :
}

# try OPTION...: a guest that is refused, or else ends by its time limit.
try() { "$HULL" run --kernel "$KERNEL" --mem 128M --timeout 3 "$@" </dev/null; }

guest_init() {
	init_script <<-'END'
		sum() { md5sum | cut -c 1-32; }
		say "cid $(/vsock cid), vectors $(grep -c 'PCI-MSI.*virtio0' /proc/interrupts)"
		port=$(sed 's/.*port=//' /proc/cmdline)
		say "to the host: $(/vsock connect 2 $port </big | sum)"
		say "from the host: $(/vsock listen $((port + 1)) </big | sum)"
		/vsock try 42 7 2>&1 </dev/null | sed 's/^/hull-guest: another guest: /'
		cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport
		echo virtio0 >unbind
		echo virtio0 >bind
		say "after a reset: $(/vsock connect 2 $((port + 2)) </big | sum)"
		# What the host says when it has looked at all it wants to.
		/vsock connect 2 $((port + 3)) </dev/null >/dev/null
		say done
		poweroff -f
	END
}

# start NAME CID PORT WORDS: a guest, in the background.
start() {
	"$HULL" run --kernel "$KERNEL" --initrd initramfs --mem 192M --vsock "$2" --stats \
		--append "console=ttyS0 quiet panic=-1 $4 port=$3" --timeout $((LIMIT * 4)) \
		</dev/null >"$1.out" 2>"$1.err" 3>&- &
	echo $! >"$1.pid"
	echo $! >>pids
}

# host NAME WHAT...: the host's end of a connection; what came is in NAME.
host() {
	local name=$1
	shift
	timeout $((LIMIT * 3)) "$VSOCK" "$@" <other >"$name" || echo "$name: $?" >>failures
}

# serve NAME CID PORT: all of a guest's connections but the last.
serve() {
	host "$1.first" listen "$3"
	host "$1.second" connect "$2" $(($3 + 1))
	host "$1.third" listen $(($3 + 2))
}

run_guests() {
	: >pids
	start one 42 1000 ""
	start two 43 2000 pci=nomsi
	serve two 43 2000 3>&- &
	local two=$!
	serve one 42 1000
	wait $two
	try --vsock 42 >in_use 2>&1 || echo "status $?" >>in_use
	wakeups one vsock >woken
	host one.last listen 1003 3>&- &
	host two.last listen 2003
	end one
	end two
	try --vsock 42 >again 2>&1 || echo "status $?" >>again
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
}

sum() { md5sum <"$1" | cut -c 1-32; }

@test "guests with sockets to the host power off" {
	said one "cid 42, vectors"
	said two "cid 43, vectors 0"
	said one "done"
	said two "done"
	[ "$(cat one.status two.status)" = $'0\n0' ]
	run grep "^hull:" one.err two.err
	[ "$status" -eq 1 ]
	[ ! -e failures ]
}

@test "megabytes both ways, from the guest's connection and from the host's" {
	said one "to the host: $(sum other)"
	cmp big one.first
	said one "from the host: $(sum other)"
	cmp big one.second
}

@test "the same after the driver has reset its device" {
	said one "after a reset: $(sum other)"
	cmp big one.third
}

@test "interrupts by a line do, too" {
	said two "to the host: $(sum other)"
	said two "from the host: $(sum other)"
	said two "after a reset: $(sum other)"
	cmp big two.first
	cmp big two.second
	cmp big two.third
}

@test "a guest does not reach another one" {
	said two "another guest: vsock: connect:"
}

@test "doorbells and irqfds: the launcher has no part in it" {
	printf '# woken %s times; %s\n' "$(cat woken)" "$(grep doorbells one.err)" >&3
	[ "$(cat woken)" -le 40 ]
	[ "$(sed -n 's/^doorbells *//p' one.err)" -ge 100 ]
}

@test "a CID in use is refused, and free again when its guest has ended" {
	grep -qF "hull: the CID 42 is in use by another guest: choose another (--vsock)" in_use
	grep -qx "status 125" in_use
	grep -qE "time limit|panicked" again || { cat again && false; }
}

@test "CIDs that are not a guest's are refused" {
	local cid
	for cid in 0 1 2 4294967295 4294967296 99999999999999999999 -3 "" x 3x " 5"; do
		run try --vsock "$cid"
		[ "$status" -ne 0 ]
		[[ $output == *"must be the guest's CID, 3 to 4294967294 (2 is the host's)"* ]]
	done
}

@test "without the host's module, an error says which it is" {
	[ -e no_module ] || skip "it was loaded already"
	grep -qF "hull: there is no /dev/vhost-vsock (as root: modprobe vhost_vsock)" no_module
}

@test "shadow paging is refused" {
	run try --vsock 44 --paging shadow
	printf '%s\n' "$output"
	[ "$status" -eq 125 ]
	[[ $output == *"hull: --vsock needs nested paging"* ]]
}
