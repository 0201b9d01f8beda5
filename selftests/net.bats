#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# virtio-net where hull.ko is loaded: Debian's kernel on the user's network, with
# DHCP, a server on the host's loopback and a forwarded port; two guests on one
# bridge, with iperf3 between them, and one on another. By vhost-net and without,
# for tap devices. All of it is in a network namespace of the test's own.
#
# Run: scripts/lab --cpus 2 bats selftests/net.bats, or as root where the module is loaded

load guests

setup_file() {
	prepare
	# What the kernel writes shadow paging does not see.
	VHOST=on
	! grep -qx shadow /sys/module/hull/parameters/paging || VHOST=off
	export VHOST
	load_module tun
	load_module bridge
	make_namespace
	[ -e /dev/vhost-net ] || [ $VHOST = off ] || ns "$HULL" run --kernel "$KERNEL" --net tap=none,vhost=on >no_vhost 2>&1 || :
	load_module vhost_net
	make_initramfs
	run_guests
}

teardown_file() {
	cd "$BATS_FILE_TMPDIR" || return
	xargs -r kill <pids || :
}

# ns COMMAND...: in the namespace.
ns() { nsenter --net=/proc/"$(cat namespace)"/ns/net "$@"; }

# Two bridges, on which the host has an address, and a web server on all of them.
make_namespace() {
	unshare -n sleep 3600 </dev/null >/dev/null 2>&1 3>&- &
	echo $! | tee namespace >pids
	while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
	mkdir www
	head -c 2097152 /dev/urandom >www/file
	# shellcheck disable=SC2016 # for that shell
	ns busybox sh -c '
		ip link set lo up
		for n in 0 1; do
			brctl addbr br$n
			ip addr add 10.9.0.10$n/24 dev br$n
			ip link set br$n up
		done'
	nsenter --net=/proc/$!/ns/net busybox httpd -f -p 8000 -h www </dev/null >web.log 2>&1 3>&- &
	echo $! >>pids
}

make_initramfs() {
	guest_init >init
	cat >lease <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		echo "hull-guest: lease of $ip/$mask, router $router, name server $dns"
		ip addr add "$ip/$mask" dev "$interface"
		ip route add default via "$router"
	END
	chmod 755 lease
	"$TOP/scripts/guest-initramfs" --init init --driver virtio_pci --driver virtio_net \
		--add lease --add www/file --program "$(command -v iperf3)" initramfs
}

# The last word of the command line says which guest it is.
guest_init() {
	cat <<-'END'
		#!/bin/sh
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		say() { echo "hull-guest: $*"; }
		sum() { md5sum | cut -c 1-32; }
		fetch() { timeout 20 wget -q -O - "$1"; }
		# Two seconds of data to (or with -R from) that guest.
		iperf() {
			iperf3 -c "$1" -t 2 -f k $2 >/iperf 2>&1 || return
			say "iperf $*: $(sed -n 's/.* \([0-9.]*\) Kbits.*receiver/\1/p' /iperf) Kbit/s"
		}
		answers() { ping -c 2 -W 5 "$1" >/dev/null && say "$1 answers" || say "$1 does not answer"; }
		wait_for() { until fetch "$1" >/dev/null 2>&1; do sleep 1; done; }
		for module in /modules/*; do insmod "$module" || say "cannot load $module"; done
		ip link set eth0 up
		for n in 1 2 3 4 5; do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] || sleep 1; done
		say "address $(cat /sys/class/net/eth0/address), carrier $(cat /sys/class/net/eth0/carrier)"
		say "vectors: $(grep -c 'PCI-MSI.*virtio0-[io]' /proc/interrupts)"
		say "pairs of queues: $(ls /sys/class/net/eth0/queues | grep -c rx)"
		interrupts() { awk -v name="virtio0-$1" '$NF == name { print $2 + $3 }' /proc/interrupts; }
		mkdir /www
		mv /file /www
		case $(sed 's/.*role=//' /proc/cmdline) in
		user)
			udhcpc -i eth0 -s /lease -q -n -f -t 20 2>/dev/null || say "no lease"
			say "fetched $(fetch http://10.0.2.2:8000/file | sum)"
			fetch http://10.0.2.2:9/ 2>/dev/null || say "nothing at port 9"
			ping -c 1 -W 10 10.0.2.2 >/dev/null && say "the host answers"
			httpd -p 80 -h /www
			say "serving"
			wait_for http://10.0.2.2:8000/up
			ip addr add 10.9.0.4/24 dev eth1
			ip link set eth1 up
			answers 10.9.0.3
			;;
		server*)
			ip addr add "10.9.0.$(sed 's/.*role=server//' /proc/cmdline)/24" dev eth0
			httpd -p 80 -h /www
			iperf3 -s >/dev/null 2>&1 &
			say "serving"
			# The client serves when it is done, and then ends.
			until iperf 10.9.0.1; do sleep 1; done
			while :; do sleep 1000; done
			;;
		pulled)
			until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do sleep 0.2; done
			say "carrier lost"
			;;
		client)
			ip addr add 10.9.0.1/24 dev eth0
			wait_for http://10.9.0.100:8000/up
			say "fetched $(fetch http://10.9.0.2/file | sum)"
			for cpu in 0 1; do
				before=$(interrupts input.$cpu)
				say "CPU $cpu fetched $(taskset $((1 + cpu)) wget -q -O - http://10.9.0.2/file | sum)"
				say "interrupts of queue $cpu: $(($(interrupts input.$cpu) - before))"
			done
			answers 10.9.0.2
			answers 10.9.0.3
			iperf 10.9.0.2 || cat /iperf
			iperf 10.9.0.2 -R || cat /iperf
			timeout 60 iperf3 -s -1 >/dev/null 2>&1 || say "nobody asks"
			;;
		esac
		say done
		poweroff -f
	END
}

# start NAME ROLE OPTION...: a guest, in the background.
start() {
	local name=$1 role=$2
	shift 2
	nsenter --net=/proc/"$(cat namespace)"/ns/net "$HULL" run --kernel "$KERNEL" --initrd initramfs --mem 128M \
		--append "console=ttyS0 quiet panic=-1 role=$role" --timeout $((LIMIT * 4)) "$@" \
		</dev/null >"$name.out" 2>"$name.err" 3>&- &
	echo $! >"$name.pid"
	echo $! >>pids
}

# until_says NAME TEXT: waits for it, while the guest runs.
until_says() {
	until grep -q "hull-guest: $2" "$1.out"; do
		kill -0 "$(cat "$1.pid")" 2>/dev/null || return
		sleep 0.5
	done
}

run_guests() {
	start user user --net user,forward=8080:80 --net bridge=br1
	start one server2 --net bridge=br0,vhost="$VHOST"
	start other server3 --net bridge=br1,mac=02:00:00:00:00:03
	start client client --cpus 2 --net bridge=br0,mac=02:00:00:00:00:01,queues=2
	until_says user serving
	ns timeout 60 busybox wget -q -O fetched http://127.0.0.1:8080/file || echo "nothing forwarded" >fetched
	until_says one serving
	until_says other serving
	ns busybox ping -c 3 -W 5 -I br1 10.9.0.3 >pinged || :
	: >www/up
	end user
	end client
	until_says one "iperf 10.9.0.1:"
	# The web server of this one is reached from the host as well, when all is quiet.
	wakeups one net0 >before
	ns timeout 60 busybox wget -q -O from_one http://10.9.0.2/file || :
	wakeups one net0 >after
	ns busybox ip link >links
	kill "$(cat one.pid)" || :
	end one
	kill -KILL "$(cat other.pid)" || :
	end other
	local vhost
	for vhost in "$VHOST" off; do
		start "pulled_$vhost" pulled --net "tap=pulled,vhost=$vhost"
		until_says "pulled_$vhost" address
		ns busybox ip link del pulled || :
		end "pulled_$vhost"
	done
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
}

sum() { md5sum <"$1" | cut -c 1-32; }

@test "a guest on the user's network powers off" {
	said user "done"
	[ "$(cat user.status)" -eq 0 ]
	[ ! -s user.err ] || { cat user.err && false; }
}

@test "it gets its address by DHCP" {
	said user "lease of 10.0.2.15/24, router 10.0.2.2, name server 10.0.2.3"
}

@test "it fetches a file from the host's loopback" {
	said user "fetched $(sum www/file)"
	said user "nothing at port 9"
	said user "the host answers"
}

@test "the host fetches a file from it by a forwarded port" {
	[ "$(sum fetched)" = "$(sum www/file)" ]
}

@test "cards have their addresses, a carrier, and vectors of their own" {
	said client "address 02:00:00:00:00:01, carrier 1"
	said other "address 02:00:00:00:00:03, carrier 1"
	said user "vectors: 2"
	said user "pairs of queues: 1"
	grep -qE 'hull-guest: address 02:[0-9a-f:]{14}, carrier 1' one.out
	[ "$(grep -ho 'address [0-9a-f:]*' {user,one,other,client}.out | sort -u | wc -l)" -eq 4 ]
}

@test "guests on one bridge reach each other" {
	said client "fetched $(sum www/file)"
	[ "$(cat client.status)" -eq 0 ]
}

@test "a card with two pairs of queues has frames of each CPU by its own" {
	local cpu
	said client "vectors: 4"
	said client "pairs of queues: 2"
	for cpu in 0 1; do
		said client "CPU $cpu fetched $(sum www/file)"
		[ "$(tr -d '\r' <client.out | sed -n "s/.*interrupts of queue $cpu: //p")" -ge 20 ]
	done
}

@test "they ping each other, and iperf3 has a throughput in both directions, whoever connects" {
	said client "10.9.0.2 answers"
	grep -qE 'hull-guest: iperf 10.9.0.2: [1-9][0-9]* Kbit/s' client.out
	grep -qE 'hull-guest: iperf 10.9.0.2 -R: [1-9][0-9]* Kbit/s' client.out
	grep -qE 'hull-guest: iperf 10.9.0.1: [1-9][0-9]* Kbit/s' one.out
	# Shown in the log of a run that succeeds, too.
	grep -ho 'hull-guest: iperf.*' client.out one.out | tr -d '\r' | sed 's/^/# /' >&3
}

@test "a guest on another bridge is not reached" {
	said client "10.9.0.3 does not answer"
	# Though it is there.
	grep -q "3 packets received" pinged
}

@test "it is by a guest that has a card on its bridge too" {
	said user "10.9.0.3 answers"
}

@test "tap devices go with the launcher, also when it is killed" {
	[ "$(grep -c ' hull[0-9]*:' links)" -eq 2 ]
	[ "$(cat one.status)" -eq 130 ]
	[ "$(cat other.status)" -eq 137 ]
	run ns busybox ip link
	[[ $output == *br0* && $output != *hull* ]]
}

@test "vhost-net: the launcher has no part in it" {
	[ "$VHOST" = on ] || skip "there is none with shadow paging"
	printf '# woken %s times, and %s\n' "$(cat before)" $(($(cat after) - $(cat before))) >&3
	[ "$(sum from_one)" = "$(sum www/file)" ]
	[ $(($(cat after) - $(cat before))) -le 5 ]
	[ "$(cat before)" -le 60 ]
}

@test "a tap device that is removed is a cable pulled, by vhost-net and without" {
	local vhost
	for vhost in "$VHOST" off; do
		said "pulled_$vhost" "carrier lost"
		said "pulled_$vhost" "done"
		[ "$(cat "pulled_$vhost.status")" -eq 0 ]
		grep -q "^hull: net0: its network has gone: pulled was removed" "pulled_$vhost.err"
	done
}

@test "without the host's module vhost=on is an error that says which it is" {
	[ -e no_vhost ] || skip "it was loaded already, or vhost-net is refused for shadow paging"
	grep -qF "hull: there is no /dev/vhost-net (as root: modprobe vhost_net)" no_vhost
}

@test "vhost=on needs a tap device and nested paging" {
	run "$HULL" run --kernel "$KERNEL" --net user,vhost=on
	[ "$status" -ne 0 ]
	[[ $output == *"--net: what is 'vhost=on'?"* ]]
	run "$HULL" run --kernel "$KERNEL" --net tap=x,vhost=maybe
	[[ $output == *"must be vhost=on or vhost=off"* ]]
	run ns "$HULL" run --kernel "$KERNEL" --net tap=x,vhost=on --paging shadow </dev/null
	[[ $output == *"hull: --net vhost=on needs nested paging"* ]]
}
