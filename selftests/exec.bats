#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# hull exec where hull.ko is loaded: exit statuses, streams, signals, surroundings,
# files, terminals, the network, and that nothing is left behind. Tests whose names
# begin with "core" are those of the default run.
#
#   HULL_EXEC_MIB   what goes through a program's streams (default 4; with HULL_LONG=1 100)
#   HULL_EXEC_RUNS  runs one after the other (default 5; with HULL_LONG=1 20)
#
# Run: scripts/lab --mem 4G -- bats selftests/exec.bats, or as root where the module is loaded

bats_require_minimum_version 1.5.0

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	HULL=$TOP/user/hull
	LIMIT=$((60 * ${HULL_TIME_SCALE:-1}))
	MIB=4 RUNS=5
	[ -z "${HULL_LONG-}" ] || MIB=100 RUNS=20
	MIB=${HULL_EXEC_MIB:-$MIB} RUNS=${HULL_EXEC_RUNS:-$RUNS}
	export TOP HULL LIMIT MIB RUNS
	[ -c /dev/hull ] || {
		echo "hull.ko is not loaded: scripts/lab bats selftests/exec.bats"
		return 1
	}
	make -s -C "$TOP/user"
	# The cloud kernel has no 9p.
	local kernel
	kernel=$("$TOP/scripts/kernels" 6.1)
	KERNEL=$(cut -f2 <<<"$kernel") MODULES=$(cut -f3 <<<"$kernel")
	export KERNEL MODULES
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

# Runs hull exec with these arguments, after a kernel's.
hull_exec() {
	timeout $((LIMIT * 4)) "$HULL" exec --kernel "$KERNEL" --modules "$MODULES" \
		--timeout $((LIMIT * 4 - 10)) "$@"
}

# The same; output and status are looked at, and shown when the test fails.
go() {
	run --separate-stderr hull_exec "$@"
	printf 'status %s\n--- stdout\n%s\n--- stderr\n%s\n' "$status" "$output" "$stderr"
}

# wait_for TEXT FILE: until it is there.
wait_for() {
	local n
	for ((n = 0; n < LIMIT * 40; n++)); do
		! grep -q "$1" "$2" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}

# ---- the core --------------------------------------------------------------------

@test "core: status, streams, arguments, environment, directory, user, limits" {
	cat >script <<-'END'
		printf '%s|' "$@"; echo
		echo "$PWD $SOME"
		id -u; id -g; id -G; umask; ulimit -n; hostname; whoami
		grep -c . /proc/self/mounts >/dev/null && echo mounts
		ls -l /dev/fd/ >/dev/null && echo fds
		echo "to stderr" >&2
		cat
		exit 42
	END
	printf 'a\0b\377\n' >in
	umask 027
	(ulimit -n 777; SOME='a  value' hull_exec -- sh script one 'two  words' '' <in >out 2>err) && status=0 || status=$?
	cat out err
	[ "$status" -eq 42 ]
	[ "$(cat err)" = "to stderr" ]
	{
		printf 'one|two  words||\n'
		printf '%s a  value\n0\n0\n%s\n0027\n777\n%s\nroot\nmounts\nfds\n' "$PWD" "$(id -G)" "$(hostname)"
		cat in
	} >want
	cmp out want
}

@test "core: what the program writes is gone at the end, but in directories of --rw" {
	mkdir out other
	echo before >file
	go --rw out -- sh -c 'echo changed >file; cat file; echo x >new; rm -r other; touch /usr/bin/x &&
		echo written; echo through >out/file; mkdir out/dir; mv out/file out/dir/moved
		echo again >/tmp/of-the-guest; cat /tmp/of-the-guest'
	[ "$status" -eq 0 ]
	[ "$output" = $'changed\nwritten\nagain' ]
	[ "$(cat file)" = before ]
	[ ! -e new ] && [ -d other ] && [ ! -e /usr/bin/x ] && [ ! -e /tmp/of-the-guest ]
	[ "$(cat out/dir/moved)" = through ]
}

# ---- statuses and signals ----------------------------------------------------------

@test "a program that is not there, or is none: 127 and 126" {
	run -127 --separate-stderr hull_exec no-such-program
	[ "$stderr" = "hull: no-such-program: No such file or directory" ]
	echo text >text
	go ./text
	[ "$status" -eq 126 ]
	[ "$stderr" = "hull: ./text: Permission denied" ]
	[ -z "$output" ]
}

@test "exit statuses are the program's: 0, 1, 255, and 128 + N of a signal" {
	go true
	[ "$status" -eq 0 ] && [ -z "$output" ] && [ -z "$stderr" ]
	go false
	[ "$status" -eq 1 ]
	go sh -c 'exit 255'
	[ "$status" -eq 255 ] && [ -z "$stderr" ]
	go sh -c 'kill -SEGV $$'
	[ "$status" -eq 139 ]
}

@test "SIGTERM, SIGUSR1 and SIGHUP reach the program" {
	cat >script <<-'END'
		trap 'echo usr1' USR1
		trap 'echo term; exit 7' TERM
		trap 'echo hup' HUP
		echo ready
		while :; do sleep 0.1; done
	END
	hull_exec -- sh script >out 2>err 3>&- &
	wait_for ready out
	# The launcher, not timeout(1), which would end it.
	pkill -USR1 -x hull
	wait_for usr1 out
	pkill -HUP -x hull
	wait_for hup out
	pkill -TERM -x hull
	status=0
	wait $! || status=$?
	cat out err
	[ "$status" -eq 7 ]
	[ "$(cat out)" = $'ready\nusr1\nhup\nterm' ]
}

@test "a signal that the program ignores ends the machine when it comes twice" {
	hull_exec -- sh -c 'trap "" INT TERM; echo ready; while :; do sleep 1; done' >out 2>err 3>&- &
	local hull
	wait_for ready out
	hull=$(pgrep -x hull)
	kill -TERM "$hull"
	sleep 2
	kill -0 "$hull"
	while kill -TERM "$hull" 2>/dev/null; do sleep 0.3; done
	status=0
	wait $! || status=$?
	cat out err
	[ "$status" -eq 143 ]
}

@test "a signal while the machine starts ends it" {
	hull_exec -- true >out 2>err 3>&- &
	sleep 1
	pkill -TERM -x hull
	status=0
	wait $! || status=$?
	[ "$status" -eq 143 ]
}

@test "the time limit: 124" {
	go --timeout $((LIMIT / 2)) -- sleep 1000
	[ "$status" -eq 124 ]
	[[ $stderr == *"time limit"* ]]
}

@test "the guest's kernel panics: 255, and its last lines" {
	go sh -c 'echo c >/proc/sysrq-trigger'
	[ "$status" -eq 255 ]
	[ -z "$output" ]
	[[ $stderr == *"Kernel panic"*"hull: the guest panicked"* ]]
	go sh -c 'echo o >/proc/sysrq-trigger; sleep 100'
	[ "$status" -eq 255 ]
	[[ $stderr == *"powered off before the program had ended"* ]]
}

# ---- streams -----------------------------------------------------------------------

@test "what goes through stdin and stdout is the same" {
	head -c "${MIB}M" /dev/urandom >in
	hull_exec -- cat <in >out
	cmp in out
	hull_exec -- sh -c 'cat >&2' < <(cat in) 2>err | wc -c >count
	cmp in err
	[ "$(cat count)" -eq 0 ]
}

@test "a slow reader and a slow writer" {
	head -c 1M /dev/urandom >in
	(head -c 10000 in; sleep 3; tail -c +10001 in) | hull_exec -- cat | (sleep $((LIMIT / 4)); cat) >out
	cmp in out
}

@test "stdin that nobody reads, and stdin that does not end, are no obstacles" {
	yes | hull_exec -- echo over >out
	[ "$(cat out)" = over ]
	mkfifo fifo
	sleep 1000 >fifo 3>&- &
	local writer=$!
	hull_exec -- echo over <fifo >out
	[ "$(cat out)" = over ]
	kill $writer
	# One that is two streams here is two there, in order.
	hull_exec -- sh -c 'echo 1; echo 2 >&2; echo 3; echo 4 >&2; echo 5' >both 2>&1
	[ "$(tr -d '\n' <both)" = 12345 ]
	# Streams that are closed are empty.
	hull_exec -- sh -c 'cat; echo x' <&- >&- 2>&-
}

@test "a program that closes its output: the reader sees the end" {
	# Nobody else is to hold the pipe.
	(exec "$HULL" exec --kernel "$KERNEL" --modules "$MODULES" --timeout $((LIMIT * 4)) -- sh -c 'echo first; exec >&-; sleep 5; echo late >&2' 2>err) | (cat; date +%s >ended) >out
	date +%s >after
	[ "$(cat out)" = first ]
	[ "$(cat err)" = late ]
	[ $(($(cat after) - $(cat ended))) -ge 2 ]
}

@test "a reader that leaves: SIGPIPE for the program" {
	hull_exec -- sh -c 'yes; echo "status $?" >&2; exit 3' 2>err | head -n 1 >out
	local status=${PIPESTATUS[0]}
	cat err
	[ "$(cat out)" = y ]
	grep -q "status 141" err
	[ "$status" -eq 3 ]
}

@test "what the program started ends with it, and what they wrote arrives" {
	go sh -c '(trap "" TERM HUP; echo child; sleep 1000) & sleep 1; seq 100000'
	[ "$status" -eq 0 ]
	[ "$output" = "$(echo child; seq 100000)" ]
}

# ---- surroundings --------------------------------------------------------------------

@test "directories of --rw below what the machine has of its own" {
	mkdir -p /run/hull-test/dir
	go --rw /run/hull-test/dir --rw . -- sh -c 'echo one >/run/hull-test/dir/file; echo two >file; ls /run/hull-test'
	[ "$status" -eq 0 ]
	[ "$output" = dir ]
	[ "$(cat /run/hull-test/dir/file file)" = $'one\ntwo' ]
	rm -r /run/hull-test
}

@test "another user keeps his rights" {
	chmod 755 . "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR"
	mkdir -m 700 secret
	mkdir -m 777 his
	# Which he may read.
	cp "$KERNEL" vmlinuz
	mkdir modules
	(cd "$MODULES" && sed -n 's/:.*//p' modules.dep |
		grep -E '/(virtio|virtio_ring|virtio_pci.*|virtio_console|9p.*|netfs|fscache|overlay)\.ko' |
		xargs cp --parents -t "$BATS_TEST_TMPDIR/modules" modules.dep modules.builtin)
	chmod -R a+rX vmlinuz modules
	echo x >secret/file
	chmod 666 /dev/hull
	cd his || return
	run --separate-stderr timeout $((LIMIT * 4)) setpriv --reuid 1234 --regid 2345 --groups 2345,3456 \
		"$HULL" exec --kernel ../vmlinuz --modules ../modules --rw . -- \
		sh -c 'id -u; id -g; id -G; cat ../secret/file 2>/dev/null || echo refused; echo y >file; echo z >/etc/x 2>/dev/null || echo refused too'
	chmod 600 /dev/hull
	printf '%s\n' "$output" "$stderr"
	[ "$status" -eq 0 ]
	[ "$output" = $'1234\n2345\n2345 3456\nrefused\nrefused too' ]
	[ "$(stat -c '%u %g' file)" = "1234 2345" ]
}

@test "a kernel with compressed modules" {
	local kernel
	kernel=$("$TOP/scripts/kernels" 6.12)
	go --kernel "$(cut -f2 <<<"$kernel")" --modules "$(cut -f3 <<<"$kernel")" --net -- uname -r
	[ "$status" -eq 0 ]
	[ "$output" = "$(cut -f1 <<<"$kernel")" ]
	[ -z "$stderr" ]
}

@test "CPUs and memory are as asked for" {
	go --cpus 2 --mem 700M -- sh -c 'nproc; sed -n "s/^MemTotal: *\([0-9]*\) .*/\1/p" /proc/meminfo'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" -eq 2 ]
	[ "${lines[1]}" -gt 500000 ] && [ "${lines[1]}" -lt 716800 ]
}

@test "many files are looked at" {
	mkdir many
	(cd many && seq -f 'file-%05g' 6000 | xargs touch)
	# Where few may be open here, which root may change unless it is kept from that.
	(ulimit -n 2000; hull_exec() { timeout $((LIMIT * 4)) setpriv --bounding-set=-sys_resource \
		"$HULL" exec --kernel "$KERNEL" --modules "$MODULES" "$@"; }
		hull_exec -- sh -c 'find many -type f -size 0 | wc -l; cat many/file-00001 many/file-06000') >out
	[ "$(cat out)" -eq 6000 ]
}

@test "a terminal is one in the machine, of the same size, and its keys are signals" {
	cat >script <<-'END'
		tty; stty size
		test -t 0 && test -t 1 && test -t 2 && echo terminal
		trap 'echo interrupted; exit 5' INT
		echo ready
		while :; do sleep 0.1; done
	END
	cat >session <<-END
		stty rows 33 cols 101
		"$HULL" exec --kernel "$KERNEL" --modules "$MODULES" -- sh script
		echo "status \$?"
		stty -a | grep -o '.icanon'
	END
	mkfifo keys
	timeout $((LIMIT * 4)) script -qefc "sh session" /dev/null <keys >typed 3>&- &
	exec 4>keys
	wait_for ready typed
	printf '\003' >&4
	wait_for 'status' typed
	exec 4>&-
	wait $! || true
	tr -d '\r' <typed >clean
	cat clean
	grep -q '^/dev/pts/' clean
	grep -q '^33 101$' clean
	grep -q '^terminal$' clean
	grep -q 'interrupted' clean
	grep -q '^status 5$' clean
	# And the terminal is as it was.
	grep -q '^ icanon$' clean
}

@test "the network: a file from a server on this host's loopback" {
	ip link set lo up
	head -c 300000 /dev/urandom >file
	busybox httpd -f -p 127.0.0.1:8123 -h . 3>&- &
	local server=$!
	hull_exec --net -- busybox wget -q -O - http://10.0.2.2:8123/file >got || status=$?
	kill $server
	cmp file got
	go --net -- sh -c 'cat /etc/resolv.conf; ls /sys/class/net'
	[ "$output" = $'nameserver 10.0.2.3\neth0\nlo' ]
	go ls /sys/class/net
	[ "$output" = lo ]
}

@test "a Java program" {
	local tool
	for tool in java javac jar; do
		command -v $tool >/dev/null || skip "this machine has no $tool (Debian: default-jdk-headless)"
	done
	cat >Main.java <<-'END'
		public class Main {
			public static void main(String[] words) throws Exception {
				long sum = 0;
				for (int b; (b = System.in.read()) >= 0;)
					sum += b;
				System.out.println(String.join("|", words) + " " + sum);
				System.err.println(Runtime.getRuntime().availableProcessors());
				System.exit(7);
			}
		}
	END
	javac Main.java
	jar cfe app.jar Main Main.class
	head -c 100000 /dev/zero | tr '\0' '\1' >in
	go --mem 2G --cpus 2 -- java -jar app.jar one 'two  words' <in
	[ "$status" -eq 7 ]
	[ "$output" = "one|two  words 100000" ]
	[ "$stderr" = 2 ]
}

@test "many runs, one after the other and side by side, leave nothing behind" {
	local n
	mkdir temporary here
	export TMPDIR=$PWD/temporary
	cd here || return
	for ((n = 0; n < RUNS; n++)); do
		[ "$(echo $n | hull_exec -- cat)" = $n ]
	done
	for n in 1 2 3 4 5; do
		(echo "in $n" | hull_exec --mem 256M -- sh -c "cat; sleep 1; exit $n" >../out$n 2>&1 ||
			echo $? >../status$n) 3>&- &
	done
	wait
	cd .. || return
	for n in 1 2 3 4 5; do
		cat out$n
		[ "$(cat out$n)" = "in $n" ]
		[ "$(cat status$n)" -eq $n ]
	done
	run ! pgrep -a -x hull
	find here temporary -mindepth 1 >left
	cat left
	[ ! -s left ]
	[ "$(lsmod | awk '$1 == "hull" { print $3 }')" -eq 0 ]
}
