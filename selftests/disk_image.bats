#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Disks that are not raw files, where hull.ko is loaded: a root disk in qcow2 whose server is killed
# under the guest, and in one more boot overlays, an export that is read-only and images without
# space behind them. How disks behave is tested in disk/, without guests.
#
#   HULL_SERVERS servers killed (default 10)
#
# Run: scripts/lab bats selftests/disk_image.bats, or as root where the module is loaded

load disk/guests

setup_file() {
	prepare_disks
	mkdir small
	mount -t tmpfs -o size=1M tmpfs small
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return
	umount small || :
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "a guest boots from an image in qcow2, and outlives its servers" {
	local kills=${HULL_SERVERS:-10}
	cat >root-init <<-END
		#!/bin/sh
		/bin/busybox mount -o remount,rw /
		/truth records /records $((kills * 8 + 8)) 50
		/bin/busybox mount -o remount,ro /
		echo "hull-guest: done"
		/bin/busybox poweroff -f
	END
	"$TOP/scripts/guest-disk" --minimal --init root-init --size 24M root.raw
	debugfs -w -R "write $TRUTH truth" root.raw
	debugfs -w -R "sif truth mode 0100755" root.raw
	qemu-img convert -f raw -O qcow2 root.raw root.qcow2
	"$TOP/scripts/guest-initramfs" --root --driver virtio_pci --driver virtio_blk root.cpio
	guest root.cpio "" --disk root.qcow2,format=qcow2 >stdout 2>stderr &
	local pid=$! status=0
	kill_servers $pid "$kills" 8
	wait $pid || status=$?
	show stdout stderr
	[ $status -eq 0 ]
	[ "$(cat killed)" -eq "$kills" ]
	grep -q "hull-guest: done" stdout
	grep -q "qemu-nbd was killed: Killed; the guest waits" stderr
	[ "$(grep -c "the guest was told" stderr)" -eq 0 ]
	# 3: clusters that are not used.
	qemu-img check root.qcow2 || [ $? -eq 3 ]
	check_records root.qcow2 qcow2 $((kills * 8 + 8))
}

@test "no space behind an image or an overlay is an error in the guest; a read-only export is one" {
	qemu-img create -q -f qcow2 small/full.qcow2 16M
	yes base | head -c 4194304 >base.img
	cp base.img same.img
	truncate -s 16M large.img
	initramfs disks.cpio <<-'END'
		for disk in vda vdb vdc vdd; do
			say "$disk: $(cat /sys/block/$disk/size) sectors, ro $(cat /sys/block/$disk/ro)"
		done
		fill() { dd if=/dev/zero of=/dev/$1 bs=64k count=64 conv=fsync 2>/dev/null; }
		fill vda || say "vda: write failed"
		fill vdb || say "vdb: write failed"
		dd if=/dev/vdb of=/dev/null bs=64k 2>/dev/null && say "vdb: still read"
		say "vdc: $(md5sum </dev/vdc | cut -c 1-32)"
		dd if=/dev/zero of=/dev/vdc bs=4k count=1 2>/dev/null || say "vdc: not written"
		say "vdd: $(md5sum </dev/vdd | cut -c 1-32)"
		echo changed | dd of=/dev/vdd conv=fsync 2>/dev/null
		say "vdd: $(head -n 1 /dev/vdd)"
		say done
		poweroff -f
	END
	nbdkit -f -r -U export.sock file base.img 3>&- &
	local server=$! status=0
	(guest disks.cpio "" --disk small/full.qcow2,format=qcow2 --disk large.img,overlay=small \
		--disk "nbd+unix:///?socket=export.sock,ro" --disk base.img,overlay=.) >stdout 2>stderr ||
		status=$?
	kill $server
	show stdout stderr
	[ $status -eq 0 ]
	local output text
	output=$(tr -d '\r' <stdout)
	for text in "vda: 32768 sectors, ro 0" "vda: write failed" "vdb: 32768 sectors, ro 0" \
		"vdb: write failed" "vdb: still read" "vdc: 8192 sectors, ro 1" \
		"vdc: $(md5sum <base.img | cut -c 1-32)" "vdc: not written" "vdd: 8192 sectors, ro 0" \
		"vdd: $(md5sum <base.img | cut -c 1-32)" "vdd: changed" "done"; do
		[[ $output == *"hull-guest: $text"* ]]
	done
	grep -q "^hull: disk small/full.qcow2: writing .*: No space left on device; the guest was told" stderr
	grep -q "^hull: disk large.img (overlay in small): writing .*: No space left on device" stderr
	cmp base.img same.img
	# Of overlays nothing is left.
	[ "$(ls small)" = full.qcow2 ]
}
