#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Ports of virtio-console where hull.ko is loaded: one boot of Debian's kernel with
# ports to files, pipes and a Unix socket, which the tests then look at from both
# sides.
#
# Run: scripts/lab bats selftests/console.bats, or as root where the module is loaded

load guests

setup_file() {
	prepare
	guest_init >init
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_console initramfs
	head -c 4194304 /dev/urandom >big
	echo 0 >status
	ask >answers 2>asked &
	# The reader of "slow" takes its time to begin.
	boot initramfs "" --console out=file:out --console in=fd:3 --console copy=file:copy --console slow=fd:4 \
		--console talk=unix:talk --console gone=fd:5 \
		</dev/null >stdout 2>stderr 3<big 4> >(sleep 2 && cat >slow) 5> >(head -c 10 >gone) ||
		echo $? >status
	wait
}

guest_init() {
	init_script <<-'END'
		sleep 1
		for port in /sys/class/virtio-ports/*; do
			read -r name <$port/name
			eval "$name=/dev/${port##*/}"
			names="$names $name"
		done
		say "ports:$names"
		echo "hello, host" >$out
		echo "and again" >$out
		cat $in >/big
		say "in: $(md5sum </big | cut -c 1-32)"
		cat /big >$copy
		cat /big >$slow && say "slow: written"
		( trap '' PIPE; cat /big >$gone ) 2>/dev/null &
		for n in 1 2; do
			exec 3<>$talk
			# It is at its end until somebody is there.
			until read -r line <&3; do sleep 0.1; done
			say "asked: $line"
			echo "answer to $line" >&3
			exec 3>&-
		done
		say done
		poweroff -f
	END
}

# Two questions, one after the other; the end of each answer is the end of the connection.
ask() {
	perl -MIO::Socket::UNIX -e '
		for my $n (1, 2) {
			my $socket;
			for (1 .. 3000) {
				last if $socket = IO::Socket::UNIX->new(Peer => "talk");
				select undef, undef, undef, 0.1;
			}
			$socket->autoflush(1);
			print $socket "question $n\n";
			print while <$socket>;
		}'
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	output=$(tr -d '\r' <stdout)
}

@test "a Linux guest finds its ports by their names" {
	[ "$(cat status)" -eq 0 ] || { printf '%s\n' "$output" && cat stderr && false; }
	has "ports: out in copy slow talk gone"
	has "done"
	[ ! -s stderr ] || { cat stderr && false; }
}

@test "a file gets what is written, also after the port was closed" {
	[ "$(cat out)" = $'hello, host\nand again' ]
}

@test "4 MiB are the same both ways, and the end of the file is one in the guest" {
	has "in: $(md5sum <big | cut -c 1-32)"
	cmp big copy
}

@test "a slow reader gets all" {
	has "slow: written"
	cmp big slow
}

@test "a reader that leaves is no obstacle" {
	[ "$(stat -c %s gone)" -eq 10 ]
}

@test "a Unix socket has one connection after the other" {
	has "asked: question 1"
	has "asked: question 2"
	[ "$(cat answers)" = $'answer to question 1\nanswer to question 2' ] || { cat asked && false; }
	[ ! -e talk ]
}

# wait_for TEXT FILE: until it is there.
wait_for() {
	local n
	for ((n = 0; n < LIMIT * 20; n++)); do
		! grep -q "$1" "$2" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

@test "the terminal as the guest's console: keys, its size, and when that changes" {
	init_script >hvc <<-'END'
		sleep 1
		exec </dev/hvc0 >/dev/hvc0 2>&1
		echo "size $(stty size)"
		echo "which line?"
		read -r line
		echo "line: $line"
		while [ "$(stty size)" != "40 120" ]; do sleep 0.1; done
		echo "size $(stty size)"
		seq 2000 && echo "all"
		poweroff -f
	END
	"$TOP/scripts/guest-initramfs" --init hvc --driver virtio_pci --driver virtio_console hvc.cpio
	cat >session <<-END
		stty rows 33 cols 101
		(while ! grep -q 'line: typed' typed; do sleep 0.1; done; stty rows 40 cols 120 </dev/tty) &
		"$HULL" run --kernel "$KERNEL" --initrd hvc.cpio --mem 256M --console hvc --serial serial \
			--append "console=ttyS0 console=hvc0 quiet panic=-1"
		echo "status \$?"
	END
	mkfifo keys
	timeout $((LIMIT * 4)) script -qefc "sh session" /dev/null <keys >typed 3>&- &
	exec 4>keys
	wait_for 'which line' typed
	printf 'typed\r' >&4
	wait_for '^status' typed
	exec 4>&-
	wait $! || true
	tr -d '\r' <typed >clean
	head -n 50 clean
	grep -q '^size 33 101$' clean
	grep -q '^line: typed$' clean
	grep -q '^size 40 120$' clean
	grep -q '^status 0$' clean
	# Nothing of much is lost; Linux waits for each 16 bytes, which takes long in the lab.
	sed -n '/^size 40 120$/,/^all$/p' clean | sed '1d;$d' | cmp - <(seq 2000)
}
