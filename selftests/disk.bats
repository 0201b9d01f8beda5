#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# PCI, virtio-blk and virtio-rng where hull.ko is loaded: one boot of Debian's
# kernel with four disks, which the tests then look at; one with INTx, one from a
# root disk; and locks.
#
# Run: scripts/lab bats selftests/disk.bats, or as root where the module is loaded

load guests

setup_file() {
	prepare
	make_disks
	guest_init >init
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_blk \
		--driver virtio-rng initramfs
	# Two vCPUs, for two queues, where there is time: a lone emulated CPU is quicker.
	export cpus=1
	[ -z "${HULL_LONG-}" ] || cpus=2
	boot initramfs "" --name disks-1 --cpus $cpus --disk data.img,serial=hull-data-1,queues=2 \
		--disk ro.img,ro,serial=read-only --disk small/full.img --disk "$(cat block)" --rng \
		>stdout 2>stderr || echo $? >status
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return
	umount small || :
	[ "$(cat block)" = block.img ] || losetup -d "$(cat block)"
}

# The file for the block device is the disk itself where this kernel has no loop devices.
make_disks() {
	local module
	truncate -s 48M data.img
	yes 'read only' | head -c 1048576 >ro.img
	mkdir small
	mount -t tmpfs -o size=1M tmpfs small
	truncate -s 16M small/full.img
	truncate -s 2M block.img
	echo 0 >status
	echo block.img >block
	if [ ! -e /dev/loop-control ]; then
		module=$(find "${HULL_CACHE:-$HOME/.cache/hull}/kernels/$(uname -r)" "/lib/modules/$(uname -r)" \
			-name 'loop.ko*' 2>/dev/null | head -n 1)
		[ -z "$module" ] || insmod "$module" || :
	fi
	! losetup -f --show block.img >loop || mv loop block
}

# What the guest does with vda (data), vdb (read-only), vdc (no space behind it) and vdd.
guest_init() {
	init_script <<-'END'
		dmi=/sys/class/dmi/id
		say "machine: $(cat $dmi/sys_vendor), $(cat $dmi/product_name), $(cat $dmi/product_serial)"
		for disk in vda vdb vdc vdd; do
			at=/sys/block/$disk
			say "$disk: serial $(cat $at/serial), $(cat $at/size) sectors, ro $(cat $at/ro)," \
				"$(ls $at/mq | wc -l) queues"
		done
		say "interrupts: $(grep -c 'PCI-MSI.*virtio.*req' /proc/interrupts) by MSI-X," \
			"$(grep -c 'IO-APIC.*virtio' /proc/interrupts) by lines"
		say "random: $(head -c 100 /dev/hwrng | wc -c) bytes"
		mkdir /mnt
		mke2fs -F /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt || say "no file system"
		dd if=/dev/urandom of=/mnt/file bs=64k count=32 conv=fsync 2>/dev/null
		before=$(md5sum </mnt/file)
		umount /mnt
		echo 3 >/proc/sys/vm/drop_caches
		mount -t ext4 /dev/vda /mnt
		[ "$before" = "$(md5sum </mnt/file)" ] && say "file: the same after another mount"
		umount /mnt
		say "vdb: $(md5sum </dev/vdb | cut -c 1-32)"
		dd if=/dev/zero of=/dev/vdb bs=4k count=1 2>/dev/null || say "vdb: not written"
		dd if=/dev/zero of=/dev/vdc bs=64k count=64 conv=fsync 2>/dev/null || say "vdc: write failed"
		dd if=/dev/vdc of=/dev/null bs=64k count=64 2>/dev/null && say "vdc: still read"
		yes hull | head -c 2097152 >/dev/vdd && sync
		say "vdd: $(md5sum </dev/vdd | cut -c 1-32)"
		blkdiscard /dev/vda && say "vda: discarded"
		say "vda: $(head -c 65536 /dev/vda | tr -d '\0' | wc -c) bytes are not zero"
		say done
		poweroff -f
	END
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	output=$(tr -d '\r' <stdout)
}

sum() { md5sum <"$1" | cut -c 1-32; }

@test "a Linux guest with four disks powers off" {
	ended_well
}

@test "the machine tells its name" {
	has "machine: hull, hull virtual machine, disks-1"
}

@test "disks have their size, serial number, queues" {
	has "vda: serial hull-data-1, 98304 sectors, ro 0, $cpus queues"
	has "vdb: serial read-only, 2048 sectors, ro 1, 1 queues"
	has "vdc: serial , 32768 sectors, ro 0, 1 queues"
}

@test "each queue has a vector of its own" {
	has "interrupts: $((3 + cpus)) by MSI-X, 0 by lines"
}

@test "random numbers come" {
	has "random: 100 bytes"
}

@test "a file is the same after sync and another mount" {
	has "file: the same after another mount"
}

@test "a read-only disk is read, and not written" {
	has "vdb: $(sum ro.img)"
	has "vdb: not written"
	[ "$(yes 'read only' | head -c 1048576 | md5sum)" = "$(md5sum <ro.img)" ]
}

@test "no space behind a disk is an error in the guest, and reported" {
	has "vdc: write failed"
	has "vdc: still read"
	grep -q "^hull: disk small/full.img: writing .* No space left on device; the guest was told" stderr
	[ "$(grep -c '^hull: disk small' stderr)" -le 5 ]
}

@test "what was synced to a block device is there" {
	[ "$(cat block)" != block.img ] || skip "this kernel has no loop devices"
	has "vdd: $(yes hull | head -c 2097152 | md5sum | cut -c 1-32)"
	[ "$(sum "$(cat block)")" = "$(yes hull | head -c 2097152 | md5sum | cut -c 1-32)" ]
}

@test "a discard gives the file's space back" {
	has "vda: discarded"
	has "vda: 0 bytes are not zero"
	[ "$(stat -c %b data.img)" -lt 64 ]
	[ "$(stat -c %s data.img)" -eq $((48 << 20)) ]
}

@test "without MSI interrupts come by lines" {
	init_script >init-lines <<-'END'
		say "$(grep -c 'IO-APIC.*fasteoi.*virtio' /proc/interrupts) lines"
		say "$(md5sum </dev/vda | cut -c 1-32) $(md5sum </dev/vdb | cut -c 1-32)"
		poweroff -f
	END
	"$TOP/scripts/guest-initramfs" --init init-lines --driver virtio_pci --driver virtio_blk lines.cpio
	run boot lines.cpio pci=nomsi --disk ro.img,ro --disk ro.img,ro
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hull-guest: 2 lines"* ]]
	[[ $output == *"hull-guest: $(sum ro.img) $(sum ro.img)"* ]]
}

@test "a guest boots from a root disk, which keeps what was synced" {
	cat >root-init <<-'END'
		#!/bin/sh
		/bin/busybox mount -o remount,rw /
		echo "kept" >/kept
		/bin/busybox sync
		/bin/busybox mount -o remount,ro /
		echo "hull-guest: root is $(/bin/busybox sed -n 's/^\(.*\) \/ ext4 \(r.\).*/\1 \2/p' /proc/mounts)"
		/bin/busybox poweroff -f
	END
	"$TOP/scripts/guest-disk" --minimal --init root-init root.img
	"$TOP/scripts/guest-initramfs" --root --driver virtio_pci --driver virtio_blk root.cpio
	run boot root.cpio "" --disk root.img
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hull-guest: root is /dev/vda ro"* ]]
	e2fsck -fn root.img
	[ "$(debugfs -R 'cat /kept' root.img 2>/dev/null)" = kept ]
}

@test "a disk belongs to one guest, or to readers" {
	truncate -s 1M one.img
	"$HULL" run --kernel "$GUESTS/guest.elf" --append hang --mem 16M --disk one.img --serial none \
		--timeout "$LIMIT" </dev/null 3>&- &
	local pid=$!
	sleep 2
	run "$HULL" run --kernel "$GUESTS/guest.elf" --append off --mem 16M --disk one.img </dev/null
	printf '%s\n' "$output"
	[ "$status" -eq 125 ]
	[[ $output == *"one.img is in use by another process"* ]]
	run "$HULL" run --kernel "$GUESTS/guest.elf" --append off --mem 16M --disk one.img,ro </dev/null
	[ "$status" -eq 125 ]
	kill -TERM $pid
	wait $pid || :
	run "$HULL" run --kernel "$GUESTS/guest.elf" --append off --mem 16M --disk one.img </dev/null
	[ "$status" -eq 0 ]
}
