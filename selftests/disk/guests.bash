# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What disk_image.bats and disk_truth.bats share: guests that write records, by build/disk/truth,
# and what kills their launchers and servers meanwhile.

load guests

prepare_disks() {
	prepare
	TRUTH=$TOP/selftests/build/disk/truth
	export TRUTH
	make -s -C "$TOP/selftests/disk" tools
}

# initramfs OUT: with the init from stdin, drivers and truth.
initramfs() {
	init_script >"$1.init"
	"$TOP/scripts/guest-initramfs" --init "$1.init" --driver virtio_pci --driver virtio_blk \
		--add "$TRUTH" "$1"
}

# guest INITRAMFS WORDS OPTION...: becomes the launcher, so call it in a process of its own.
guest() {
	local initramfs=$1 words=$2
	shift 2
	exec "$HULL" run --kernel "$KERNEL" --initrd "$initramfs" --mem 128M \
		--append "console=ttyS0 quiet panic=-1 $words" --timeout $((LIMIT * 8)) "$@" </dev/null 3>&-
}

# Of the guest whose output is in the file "stdout": the last record it says is safe. The last line
# may be cut off.
acknowledged() {
	local last
	last=$(tr -d '\r' <stdout | sed '$d' | sed -n 's/^ack //p' | tail -n 1)
	echo "${last:-0}"
}

# wait_for N PID: until that many are, or it has ended.
wait_for() {
	until [ "$(acknowledged)" -ge "$1" ]; do
		kill -0 "$2" 2>/dev/null || return
		sleep 0.1
	done
}

# first_child PID: of whichever thread; nothing while there is none. Without a new process: the guest
# is quick.
first_child() {
	local list child=
	for list in /proc/"$1"/task/*/children; do
		# There is no line end.
		read -r child _ 2>/dev/null <"$list" || [ -z "$child" ] || break
	done
	[ -z "$child" ] || echo "$child"
}

# server_of PID: the launcher's broker's only child.
server_of() {
	local broker
	broker=$(first_child "$1")
	[ -z "$broker" ] || first_child "$broker"
}

# kill_servers PID KILLS STEP: of the launcher, one after the other, STEP records apart; how many is
# in the file "killed" when its guest has ended.
kill_servers() {
	local killed=0 next=$3 word number server
	echo 0 >killed
	while [ $killed -lt "$2" ] && read -r word number; do
		number=${number%$'\r'}
		[ "$word" = ack ] && [ "$number" -ge $next ] || continue
		# At any moment of a record, not when it is done.
		sleep 0.0$((RANDOM % 10))
		server=$(server_of "$1")
		[ -n "$server" ] && kill -KILL "$server" || continue
		killed=$((killed + 1)) next=$((number + $3))
		echo $killed >killed
	done < <(tail -n +1 -s 0.02 -f --pid="$1" stdout)
}

# check_records IMAGE FORMAT LEAST: in the file "records" of its file system, which is as a
# machine that lost its power leaves it. IMAGE does not change.
check_records() {
	local n=0
	rm -f raw.img records
	# A server that is left alone writes what it has, and ends.
	until qemu-img convert -f "$2" -O raw "$1" raw.img; do
		n=$((n + 1))
		[ $n -lt 20 ] || return
		sleep 0.5
	done
	e2fsck -fp raw.img || [ $? -lt 4 ]
	e2fsck -fn raw.img
	debugfs -R 'dump /records records' raw.img
	"$TRUTH" count records "$3"
}

# show FILE...: in the log of a test that fails.
show() {
	tail -n 40 "$@" | tr -d '\r'
}
