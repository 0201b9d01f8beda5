#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What was on the disk at each flush of a guest: a guest in the lab writes records to a server that
# keeps a record of what it is asked for; then, here, a disk is made from that for each flush, as
# it was and with a part of what came after, and ext4 and the records on it are checked.
#
#   HULL_RECORDS   how many the guest writes (default 40)
#   LAB_KERNEL     6.1 (default)
#
# Run: bats selftests/disk_log.bats

# The file system ends before the disk does: behind it the guest notes what is safe.
NOTES=$((31 << 20))

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	TOOLS=$TOP/selftests/build/disk
	export TOP TOOLS
	make -s -C "$TOP/user"
	make -s -C "$TOP/selftests/disk" tools
	cd "$BATS_FILE_TMPDIR" || return
	mkdir out
	truncate -s 32M base.img
	mke2fs -q -F -t ext4 base.img 31M
	cp base.img out/disk.img
	cat >init <<-END
		#!/bin/sh
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		for module in /modules/*; do insmod "\$module"; done
		mkdir /mnt
		mount -t ext4 /dev/vda /mnt
		/truth records /mnt/records ${HULL_RECORDS:-40} 0 /dev/vda $NOTES
		umount /mnt && echo "hull-guest: done"
		poweroff -f
	END
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_blk \
		--add "$TOOLS/truth" initramfs
	cat >in-lab <<-END
		cd "$BATS_FILE_TMPDIR"
		nbdkit -f -U /tmp/record.sock "$TOOLS/record.so" file=out/disk.img record=out/record &
		sleep 2
		"$TOP/user/hull" run --kernel "\$1" --initrd initramfs --mem 128M --append \
			"console=ttyS0 quiet panic=-1" --timeout 400 --disk "nbd+unix:///?socket=/tmp/record.sock" </dev/null
		status=\$?
		kill %1
		wait
		exit \$status
	END
	echo 0 >status
	TMPDIR=$BATS_FILE_TMPDIR "$TOP/scripts/lab" --kernel "${LAB_KERNEL:-6.1}" --cpus 2 --timeout 500 \
		--out "$BATS_FILE_TMPDIR/out" -- bash in-lab \
		"$("$TOP/scripts/kernels" 6.1-cloud | cut -f2)" >stdout 2>stderr || echo $? >status
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

@test "a guest writes its records and powers off" {
	tail -n 30 stdout stderr | tr -d '\r'
	[ "$(cat status)" -eq 0 ]
	grep -q "hull-guest: done" stdout
	grep -q "^ack ${HULL_RECORDS:-40}" stdout
	[ -s out/record ]
}

# replay WORDS: with as many records as were noted, and $1 more, wanted.
replay() {
	"$TOOLS/replay" base.img out/record work.img $NOTES 1 "
		rm -f records
		e2fsck -fp \$1 >fsck.log 2>&1
		[ \$? -lt 4 ] && e2fsck -fn \$1 >>fsck.log 2>&1 || { cat fsck.log; exit 1; }
		debugfs -R 'dump /records records' \$1 2>/dev/null
		[ -e records ] || : >records
		$TOOLS/truth count records \$((\$2 + $1)) >count.log || { cat count.log; exit 1; }"
}

@test "at each flush, and with a part of what follows it, ext4 is whole and no record is missing" {
	run replay 0
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"${HULL_RECORDS:-40} records noted: good at each" ]]
	echo "# $output" >&3
}

@test "a record more than were safe is missed" {
	run replay 2
	[ "$status" -eq 1 ]
	[[ $output == *"at least "*" were acknowledged"* ]]
}

@test "a disk that loses a write now and then is found out" {
	REPLAY_LOSES=20 run replay 0
	[ "$status" -eq 1 ]
	[[ $output == *"replay: not good"* ]]
}
