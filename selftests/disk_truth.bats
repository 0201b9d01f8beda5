#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What a guest was told is safe, is: its launcher is killed, its servers are killed, its requests
# are answered with errors. Where hull.ko is loaded; the long run's. See disk_log.bats as well.
#
#   HULL_SERVERS      servers killed under one guest (default 100)
#   HULL_LAUNCHERS    launchers killed (default 5)
#   HULL_OPERATIONS   random requests to each disk of 128 MiB (default 4000)
#
# Run: scripts/lab --timeout 1800 bats selftests/disk_truth.bats

load disk/guests

setup_file() {
	prepare_disks
	initramfs records.cpio <<-'END'
		mkdir /mnt
		mount -t ext4 /dev/vda /mnt || say "no file system"
		/truth records /mnt/records $(sed -n 's/.*records=\([0-9]*\).*/\1/p' /proc/cmdline) 50
		umount /mnt && say done
		poweroff -f
	END
	truncate -s 64M base.img
	mke2fs -q -F -t ext4 base.img
}

setup() { cd "$BATS_FILE_TMPDIR" || return; }

# kill_launchers DISK FORMAT: each guest goes on where the last was ended.
kill_launchers() {
	local round pid before
	for ((round = 0; round < ${HULL_LAUNCHERS:-5}; round++)); do
		: >stdout
		guest records.cpio records=100000 --disk "$1,format=$2" >stdout 2>stderr &
		pid=$!
		wait_for 1 $pid
		before=$(acknowledged)
		wait_for $((before + 10 + RANDOM % 50)) $pid
		sleep 0.0$((RANDOM % 10))
		kill -KILL $pid
		wait $pid || :
		show stdout stderr
		check_records "$1" "$2" "$(acknowledged)"
		echo "# $2, launcher $round: $(acknowledged) records" >&3
	done
}

@test "records outlive launchers that are killed: raw" {
	cp base.img disk.raw
	kill_launchers disk.raw raw
}

@test "records outlive launchers that are killed: qcow2" {
	qemu-img convert -f raw -O qcow2 base.img disk.qcow2
	kill_launchers disk.qcow2 qcow2
}

@test "records outlive servers that are killed under one guest: qcow2" {
	local kills=${HULL_SERVERS:-100} pid status=0
	qemu-img convert -f raw -O qcow2 base.img servers.qcow2
	guest records.cpio records=$((kills * 6 + 6)) --disk servers.qcow2,format=qcow2 >stdout 2>stderr &
	pid=$!
	kill_servers $pid "$kills" 6
	wait $pid || status=$?
	show stdout stderr
	[ $status -eq 0 ]
	[ "$(cat killed)" -eq "$kills" ]
	grep -q "hull-guest: done" stdout
	[ "$(grep -c "the guest was told" stderr)" -eq 0 ]
	qemu-img check servers.qcow2 || [ $? -eq 3 ]
	check_records servers.qcow2 qcow2 $((kills * 6 + 6))
}

@test "128 MiB are what was written: raw, qcow2, and a server that fails and is slow" {
	local operations=${HULL_OPERATIONS:-4000} status=0 server
	rm -f ./*.raw ./*.qcow2 raw.img
	truncate -s 128M disk.raw
	qemu-img create -q -f qcow2 disk.qcow2 128M
	initramfs verify.cpio <<-END
		/truth verify /dev/vda 128 $operations 1 && say "vda: good"
		/truth verify /dev/vdb 128 $operations 2 && say "vdb: good"
		/truth verify /dev/vdc 128 $operations 3 && say "vdc: good"
		say done
		poweroff -f
	END
	ip link set lo up
	# One in fifty, of each kind; and one millisecond for each.
	nbdkit -f -p 10809 -i 127.0.0.1 --filter=error --filter=delay memory 128M error-pread-rate=2% \
		error-pwrite-rate=2% error=EIO wdelay=1ms rdelay=1ms 3>&- &
	server=$!
	sleep 1
	(guest verify.cpio "loglevel=1" --disk disk.raw --disk disk.qcow2,format=qcow2 \
		--disk nbd://127.0.0.1:10809/) >stdout 2>stderr || status=$?
	kill $server
	show stdout stderr
	[ $status -eq 0 ]
	[ "$(grep -c 'hull-guest: vd[abc]: good' stdout)" -eq 3 ]
	[ "$(grep -c 'verified 128 MiB: .* 0 errors' stdout)" -eq 2 ]
	grep -q 'verified 128 MiB: .* [1-9][0-9]* errors' stdout
	grep -q '^hull: disk nbd://127.0.0.1:10809/: writing .*: Input/output error; the guest was told' stderr
	tr -d '\r' <stdout | sed -n 's/^verified/# &/p' >&3
}
