#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Shared directories (virtio-9p) where hull.ko is loaded: one boot of Debian's
# kernel with a directory to write to and one to read, which the tests then look
# at from both sides. What requests refuse is tested in 9p/.
#
# Run: scripts/lab bats selftests/share.bats, or as root where the module is loaded

load guests

setup_file() {
	# The cloud kernel has no 9p.
	prepare 6.1
	make_trees
	guest_init >init
	"$TOP/scripts/guest-initramfs" --kernel 6.1 --init init --driver virtio_pci \
		--driver 9pnet_virtio --driver 9p initramfs
	boot initramfs "" --mem 256M --share data:data --share lib:lib,ro >stdout 2>stderr || echo $? >status
}

# What is shared: data, for writing, and lib, for reading. The guest is not to see outside.
make_trees() {
	echo 0 >status
	mkdir data lib outside data/many data/tree
	echo "hello, guest" >data/greeting
	echo "you may read this" >lib/readme
	echo secret >outside/secret
	head -c 20971520 /dev/urandom >data/big
	(cd data/many && seq -f 'file-%03g' 300 | xargs touch)
	(cd data/tree && seq -f 'file-%03g' 50 | xargs touch)
	ln -s "$PWD/outside/secret" data/absolute
	ln -s ../outside/secret data/relative
	ln -s /etc/of-the-guest data/etc
	mkfifo lib/fifo
	cp "$(command -v busybox)" lib/busybox
	find lib -exec stat -c '%n %s %Y %Z %a' {} + | sort >lib.before
}

guest_init() {
	init_script <<-'END'
		mkdir /data /lib /none /etc
		options=trans=virtio,version=9p2000.L,msize=512000
		mount -t 9p -o $options data /data && say "data: mounted"
		mount -t 9p -o $options lib /lib && say "lib: mounted"
		mount -t 9p -o $options none /none 2>/dev/null || say "none: not mounted"
		say "greeting: $(cat /data/greeting)"
		echo "hello, host" >/data/answer
		echo "and again" >>/data/answer
		dd if=/data/answer of=/data/synced conv=fsync 2>/dev/null && say "synced"
		cd /data/many && set -- * && cd /
		say "many: $# files, $1 and others"
		rm -r /data/tree && say "tree: removed"
		say "big: $(dd if=/data/big bs=500000 2>/dev/null | md5sum | cut -c 1-32)"
		dd if=/data/big of=/data/big2 bs=500000 2>/dev/null && say "big2: written"
		mkdir -m 750 /data/dir && echo moved >/data/dir/a && mv /data/dir/a /data/dir/b &&
			mv /data/dir/b /data/out && rmdir /data/dir && say "moved: $(cat /data/out)"
		mkdir /data/dir2 && mv /data/dir2 /data/dir3 && chmod 700 /data/dir3
		exec 3>/data/gone && rm /data/gone && echo 3 >&3 && exec 3>&- && say "gone: still written"
		echo "of the guest" >/etc/of-the-guest
		say "etc: $(cat /data/etc)"
		cat /data/absolute 2>/dev/null || say "absolute: leads nowhere"
		cat /data/relative 2>/dev/null || say "relative: leads nowhere"
		ln -s /etc/of-the-guest /data/made && ln /data/out /data/hard && say "made: $(cat /data/made)"
		cp /lib/readme /data/mode && chmod 4751 /data/mode && chown 1000:2000 /data/mode
		say "mode: $(stat -c '%a %u %g' /data/mode)"
		mknod /data/null c 1 3 2>/dev/null || say "null: not made"
		say "readme: $(cat /lib/readme)"
		echo x 2>/dev/null >/lib/new || say "lib: nothing made"
		echo x 2>/dev/null >>/lib/readme || say "lib: not written"
		mkdir /lib/dir 2>/dev/null || say "lib: no directory made"
		rm /lib/readme 2>/dev/null || say "lib: nothing removed"
		mv /lib/readme /lib/other 2>/dev/null || say "lib: nothing moved"
		chmod 777 /lib/readme 2>/dev/null || say "lib: no mode changed"
		say "busybox: $(/lib/busybox echo runs)"
		umount /data && mount -t 9p -o $options data /data && say "again: $(cat /data/out)"
		say done
		poweroff -f
	END
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return
	output=$(tr -d '\r' <stdout)
}

@test "a Linux guest with two shared directories powers off" {
	ended_well
	[ ! -s stderr ] || { cat stderr && false; }
}

@test "they are mounted by their tags, and again" {
	has "data: mounted"
	has "lib: mounted"
	has "none: not mounted"
	has "again: moved"
}

@test "files are read and written" {
	has "greeting: hello, guest"
	has "synced"
	[ "$(cat data/answer)" = $'hello, host\nand again' ]
	cmp data/answer data/synced
}

@test "20 MiB are the same both ways" {
	has "big: $(md5sum <data/big | cut -c 1-32)"
	has "big2: written"
	cmp data/big data/big2
}

@test "a directory of 300 files is listed, and one is removed with its files" {
	has "many: 300 files, file-001 and others"
	has "tree: removed"
	[ ! -e data/tree ]
}

@test "directories are made, files renamed and removed" {
	has "moved: moved"
	has "gone: still written"
	[ "$(cat data/out)" = moved ]
	[ ! -e data/dir ] && [ ! -e data/dir2 ] && [ ! -e data/gone ]
	[ "$(stat -c '%F %a' data/dir3)" = "directory 700" ]
}

@test "links are the guest's, and lead out of nothing" {
	has "etc: of the guest"
	has "absolute: leads nowhere"
	has "relative: leads nowhere"
	has "made: of the guest"
	[ "$(readlink data/made)" = /etc/of-the-guest ]
	[ data/out -ef data/hard ]
	[[ $output != *secret* ]]
	[ "$(cat outside/secret)" = secret ]
}

@test "owner and mode are kept, but for set-user-ID; no devices" {
	has "mode: 751 1000 2000"
	[ "$(stat -c '%a %u %g' data/mode)" = "751 1000 2000" ]
	has "null: not made"
	[ ! -e data/null ]
}

@test "a read-only directory is read, and programs in it run; nothing in it changes" {
	has "readme: you may read this"
	has "busybox: runs"
	local what
	for what in "nothing made" "not written" "no directory made" "nothing removed" \
		"nothing moved" "no mode changed"; do
		has "lib: $what"
	done
	find lib -exec stat -c '%n %s %Y %Z %a' {} + | sort | diff lib.before -
}
