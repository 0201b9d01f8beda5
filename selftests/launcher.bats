#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# The launcher as its users meet it, on a machine where hull.ko is not loaded:
# usage, files that are no kernels, too little memory, documents that agree.
#
# Run: bats selftests/launcher.bats

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	HULL=$TOP/user/hull
	GUEST=$TOP/selftests/build/launcher/guest.elf
	export TOP HULL GUEST
	make -s -C "$TOP/user"
	make -s -C "$TOP/selftests/launcher"
}

# Also shows what a failed test printed, which bats does not do for "run".
hull() {
	run "$HULL" "$@"
	printf '%s\n' "$output"
}

no_module() {
	[ ! -e /dev/hull ] || skip "hull.ko is loaded"
}

# run_codes, check_codes: lines "CODE TEXT" out of the header that is their source.
codes() {
	sed -n "/HULL_$1_CODES(X)/,/^\$/s/.*X([A-Z_]*,[[:space:]]*\([0-9]*\),[[:space:]]*\"\(.*\)\").*/\1 \2/p" \
		"$TOP/user/exit_codes.h"
}

@test "wrong usage ends with 125 and a hint" {
	local arguments
	for arguments in "" "--no-such-option" "no-such-command" "help no-such-command" "run" \
		"run --kernel" "run --no-such-option" "run --kernel x --cpus 0" \
		"run --kernel x --cpus 256" "run --kernel x --cpus -1" "run --kernel x --cpus 1x" \
		"run --kernel x --mem 0" "run --kernel x --mem 512X" "run --kernel x --mem 1k" \
		"run --kernel x --mem 99999999G" "run --kernel x --timeout 0" \
		"run --kernel x --timeout -1" "run --kernel x --timeout soon" \
		"run --kernel x --timeout nan" "run --kernel x --paging other" \
		"run --kernel x --boot other" "run --kernel x --disk" \
		"run --kernel x --disk ,ro" "run --kernel x --disk d,rw" "run --kernel x --disk d,queues=0" \
		"run --kernel x --disk d,queues=17" "run --kernel x --disk d,queues=x" \
		"run --kernel x --disk d,serial=" "run --kernel x --disk nbd://h,reconnect=-1" \
		"run --kernel x --disk d,reconnect=86401" \
		"run --kernel x --disk d,format=qcow" "run --kernel x --disk d,ro,overlay" "run --kernel x --disk nbd://h,format=raw" "run --kernel x --disk d,serial=123456789012345678901" \
		"run --kernel x --sandbox" "run --kernel x --sandbox maybe" "run --kernel x --name" "run --kernel x --name a/b" "run --kernel x --name .." \
		"run --kernel x --name $(printf %065d 0)" \
		"run --kernel x --net" "run --kernel x --net other" "run --kernel x --net user,other" \
		"run --kernel x --net user,forward=80" "run --kernel x --net user,forward=0:80" \
		"run --kernel x --net user,forward=80:65536" "run --kernel x --net user,forward=sctp:80:80" \
		"run --kernel x --net user,forward=1.2.3:80:80" "run --kernel x --net user,mac=x" \
		"run --kernel x --net user,mac=01:02:03:04:05:06" "run --kernel x --net tap=" \
		"run --kernel x --net tap=a/b" "run --kernel x --net tap=sixteencharacter" \
		"run --kernel x --net tap=t%d" "run --kernel x --net tap=t,forward=80:80" \
		"run --kernel x --net bridge" "run --kernel x --net bridge=" \
		"run --kernel x --share" "run --kernel x --share /tmp" "run --kernel x --share :tag" \
		"run --kernel x --share /tmp:" "run --kernel x --share /tmp:t,rw" "run --kernel x --share /tmp:t,ro,ro" \
		"run --kernel x --share /tmp:$(printf %033d 0)" "run --kernel x --share /tmp:t --share /:t" \
		"run --kernel x $(printf -- '--share /:%d ' 1 2 3 4 5 6 7 8 9)" \
		"run --kernel x --console" "run --kernel x --console a" "run --kernel x --console a=" \
		"run --kernel x --console =pty" "run --kernel x --console a/b=pty" \
		"run --kernel x --console a=unix:" "run --kernel x --console a=file:" \
		"run --kernel x --console a=fd:" "run --kernel x --console a=fd:-1" \
		"run --kernel x --console a=fd:1x" "run --kernel x --console a=tty" \
		"run --kernel x --console $(printf %065d 0)=pty" \
		"run --kernel x --console a=pty --console a=pty" "run --kernel x --console hvc --serial pty" \
		"run --kernel x --console hvc --serial stdio" \
		"run --kernel x $(printf -- '--console p%d=pty ' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)" \
		"run --kernel x --net user,queues=2" "run --kernel x --net tap=t,queues=0" \
		"run --kernel x --net tap=t,queues=9" "run --kernel x --net bridge=b,queues=x" \
		"run --kernel x --balloon=1x" "run --kernel x --balloon=-1M" \
		"run --kernel x --mem 64M --balloon=64M" "run --kernel x --balloon=1k" \
		"run --kernel x --rng=1" "run --kernel x y" "check x" "check --no-such" \
		"exec" "exec --" "exec --no-such-option x" "exec --mem 0 true" "exec --cpus 0 true" \
		"exec --timeout 0 true" "exec --rw" "exec --rw /no/such/directory true" "exec --rw / true" \
		"exec --rw /etc/passwd true" "exec --net=tap=x true" "exec --net=bridge=x true" \
		"exec --net --net true" "exec --kernel= true" \
		"exec $(printf -- '--rw /tmp%.0s ' 1 2 3 4 5 6 7 8) true"; do
		# shellcheck disable=SC2086 # words
		hull $arguments
		[ "$status" -eq 125 ]
		[[ $output == *hull* && $output == *--help* ]]
	done
}

@test "help, usage and version go to stdout with status 0" {
	local arguments
	for arguments in --help help "help run" "help check" "run --help" "check --help" \
		--version --usage; do
		# shellcheck disable=SC2086 # words
		run sh -c "'$HULL' $arguments 2>/dev/null"
		[ "$status" -eq 0 ]
		[[ $output == *hull* ]]
	done
	hull run --help
	[[ $output == *"Examples:"*"hull run --kernel"* ]]
	hull check --help
	[[ $output == *"Example"*"hull check"* ]]
}

@test "a configuration file is the options, and is printed as they are" {
	cd "$BATS_TEST_TMPDIR"
	cat >in.json <<-'END'
		{ "kernel": "vmlinuz", "mem": "2G", "cpus": 2, "rng": true, "stats": false,
		  "disk": ["a.img", "b.img,ro"], "timeout": 1.5, "share": "out:o", "console": "a=pty",
		  "balloon": "256M" }
	END
	hull run --cpus 3 --config in.json --mem 4G --disk c.img --share usr:u,ro --console b=fd:3 --print-config
	[ "$status" -eq 0 ]
	printf '%s\n' "$output" >out.json
	tr -d ' \n' <out.json >flat
	[ "$(cat flat)" = '{"cpus":2,"kernel":"vmlinuz","mem":"4G","rng":true,"disk":["a.img","b.img,ro","c.img"],"timeout":"1.5","share":["out:o","usr:u,ro"],"console":["a=pty","b=fd:3"],"balloon":"256M"}' ]
	hull run --config out.json --print-config
	[ "$output" = "$(cat out.json)" ]
	# With and without a value.
	printf '{ "balloon": true, "mem": "1G" }\n' >flag.json
	hull run --config flag.json --print-config
	[ "$(tr -d ' \n' <<<"$output")" = '{"balloon":true,"mem":"1G"}' ]
	hull run --balloon=1G --config flag.json --balloon=64M --print-config
	[ "$(tr -d ' \n' <<<"$output")" = '{"balloon":"64M","mem":"1G"}' ]
	# It is what hull runs.
	hull run --config out.json
	[[ $status -eq 125 && $output == *"cannot open vmlinuz"* ]]
	hull run --append $'\xff' --print-config
	[[ $status -eq 125 && $output == *UTF-8* ]]
	run sh -c "'$HULL' run --rng --print-config >/dev/full"
	[ "$status" -eq 125 ]
}

@test "a configuration file that cannot be is refused by name and place" {
	cd "$BATS_TEST_TMPDIR"
	local text expected
	while IFS='|' read -r text expected; do
		printf '%s\n' "$text" >bad.json
		hull run --config bad.json
		[[ $status -eq 125 && $output == *"$expected"* ]]
	done <<-'END'
		{"kernel": 1|bad.json:2: '}' expected
		[]|bad.json: must be an object
		{"mem": "1G", "mem": "2G"}|bad.json:1: duplicate
		{"append": "a\u0000b"}|bad.json:1: 
		{"bogus": 1}|bad.json: there is no option 'bogus'
		{"config": "x.json"}|bad.json: there is no option 'config'
		{"rng": 1}|bad.json: 'rng' must be true or false
		{"balloon": ["1M"]}|bad.json: 'balloon' must be a string or a number
		{"kernel": "x", "balloon": "1G"}|--balloon=SIZE: must be less than the memory of 512 MiB
		{"mem": true}|bad.json: 'mem' must be a string or a number
		{"mem": ["1G"]}|bad.json: 'mem' must be a string or a number
		{"disk": ["a", null]}|bad.json: 'disk' must be a list
		{"mem": "3X"}|--mem 3X: not a size
		{}|which kernel?
	END
	hull run --config missing.json
	[[ $status -eq 125 && $output == *missing.json* ]]
}

@test "bash completes commands, options and values" {
	complete_words() {
		bash -c ". '$TOP/user/hull.bash'
			COMP_WORDS=(\"\$@\") COMP_CWORD=\$((\$# - 1))
			_hull; echo \"\${COMPREPLY[*]}\"" bash "$HULL" "$@"
	}
	[ "$(complete_words ru)" = run ]
	[ "$(complete_words help ch)" = check ]
	[ "$(complete_words run --pag)" = --paging ]
	[ "$(complete_words run --paging '')" = "nested shadow" ]
	[ "$(complete_words run --paging = sh)" = shadow ]
	[ -z "$(complete_words run --kernel vm)" ]
	# All that --help has.
	[ "$(complete_words run -- | wc -w)" -eq "$("$HULL" run --usage | grep -oE -- '--[a-z-]+' | sort -u | wc -l)" ]
}

@test "exit codes are distinct and documented alike everywhere" {
	local code text name count=0
	[ -z "$( (codes RUN; codes CHECK) | cut -d' ' -f1 | grep -vx 0 | sort | uniq -d)" ]
	for name in RUN EXEC CHECK; do
		while read -r code text; do
			count=$((count + 1))
			case $name in
			RUN) page=hull-run.1 help=run ;;
			EXEC) page=hull-exec.1 help=exec ;;
			CHECK) page=hull.1 help=check ;;
			esac
			"$HULL" "$help" --help | grep -F "$text" | grep -qw "$code"
			grep -A1 -x "\.It $code" "$TOP/user/$page" | grep -qiF "$text"
			[ ! -e "$TOP/README.md" ] || grep -qw "$code" "$TOP/README.md"
		done < <(codes $name)
	done
	[ "$count" -eq 20 ]
}

@test "every option is in the man page" {
	local command option
	for command in run exec; do
		for option in $("$HULL" $command --usage | grep -oE -- '--[a-z-]+' | sort -u); do
			case $option in
			--help | --usage | --version) continue ;;
			esac
			grep -q -- "Fl Fl ${option#--}" "$TOP/user/hull-$command.1"
		done
	done
}

@test "every request and parameter of the module is in its man page" {
	local name seen=0
	for name in $(sed -nE 's/^#define (HULL_[A-Z_]+)\s+_IO[WR]*\(.*/\1/p' "$TOP/uapi/hull.h") \
		$(sed -nE 's/^module_param(_named)?\((\w+),.*/\2/p' "$TOP"/kmod/*.c "$TOP"/kmod/*/*.c); do
		echo "$name"
		grep -qE "^\.It (Dv|Cm) (.*[ ,])?$name\b" "$TOP/user/hull.4"
		seen=$((seen + 1))
	done
	[ "$seen" -ge 25 ]
}

@test "the man pages have no mistakes" {
	local page
	for page in hull.1 hull-run.1 hull-exec.1 hull.4; do
		run sh -c "LC_ALL=C.UTF-8 MANWIDTH=80 man -l --warnings=w -Tutf8 '$TOP/user/$page' 2>&1 >/dev/null"
		[ "$status" -eq 0 ]
		[ -z "$output" ]
	done
}

@test "files that are no kernels are refused by name" {
	cd "$BATS_TEST_TMPDIR"
	: >empty
	echo "just words" >text
	head -c 100000 /dev/zero >zeros
	head -c 300 "$GUEST" >short
	mkdir directory
	local file
	for file in empty text zeros short directory missing; do
		hull run --kernel $file
		[ "$status" -eq 125 ]
		[[ $output == "hull: "*"$file"* ]]
	done
	hull run --kernel "$GUEST" --initrd missing
	[ "$status" -eq 125 ]
	[[ $output == *"missing"* ]]
	hull run --kernel "$GUEST" --boot multiboot --module missing,words
	[ "$status" -eq 125 ]
	[[ $output == *"cannot open missing"* ]]
	run timeout 60 "$HULL" run --kernel /dev/zero
	[ "$status" -eq 125 ]
	[[ $output == *"too large"* ]]
}

@test "protocol and files must fit the kernel" {
	hull run --kernel "$GUEST" --boot 64
	[ "$status" -eq 125 ]
	[[ $output == *"bzImage"* ]]
	hull run --kernel "$GUEST" --boot multiboot --initrd "$GUEST"
	[ "$status" -eq 125 ]
	[[ $output == *"--module"* ]]
}

@test "too little memory is refused with what is needed" {
	local image name need
	head -c 20M /dev/zero >"$BATS_TEST_TMPDIR/initrd"
	hull run --kernel "$GUEST" --initrd "$BATS_TEST_TMPDIR/initrd" --mem 16M
	[ "$status" -eq 125 ]
	[[ $output == *"16 MiB"*"at least 22 MiB (--mem 22M)"* ]]
	for name in 6.1-cloud:68 6.1:80 6.12:72; do
		image=$("$TOP/scripts/kernels" "${name%:*}" 2>/dev/null | cut -f2)
		[ -r "$image" ] || continue
		need=${name#*:}
		hull run --kernel "$image" --mem $((need - 1))M
		[ "$status" -eq 125 ]
		[[ $output == *"at least $need MiB"* ]]
		hull run --kernel "$image" --mem $((need - 1))M --initrd "$BATS_TEST_TMPDIR/initrd"
		[[ $output == *"at least $((need + 20)) MiB"* ]]
	done
}

@test "disks that cannot be are refused by name" {
	cd "$BATS_TEST_TMPDIR"
	mkdir directory
	mkfifo fifo
	: >empty
	head -c 511 /dev/zero >short
	head -c 1000 /dev/zero >odd
	local case
	for case in "missing:cannot open disk missing: No such file" \
		"directory:disk directory is neither a file nor a block device" \
		"fifo:disk fifo is neither a file nor a block device" \
		"empty:disk empty is too short: it has 0 bytes" \
		"short:disk short is too short: it has 511 bytes" \
		"odd:the size of disk odd, 1000 bytes, is no multiple of 512"; do
		hull run --kernel "$GUEST" --disk "${case%%:*}"
		[ "$status" -eq 125 ]
		[[ $output == "hull: ${case#*:}"* ]]
		hull run --kernel "$GUEST" --disk "${case%%:*},ro"
		[ "$status" -eq 125 ]
	done
	for case in "nbd://127.0.0.1:1/x" "nbd+unix:///?socket=missing" "nbd://host.invalid"; do
		hull run --kernel "$GUEST" --disk "$case"
		[ "$status" -eq 125 ]
		[[ $output == "hull: cannot open disk $case: "* ]]
	done
	# Nothing is guessed: a guest can make its raw disk look like anything.
	truncate -s 1M good looks
	printf 'QFI\373' | dd of=looks conv=notrunc status=none
	hull run --kernel "$GUEST" --disk looks
	[ "$status" -eq 125 ]
	[[ $output == "hull: disk looks looks like an image in format qcow2: say so (--disk looks,format=qcow2), or that it is none (format=raw)"* ]]
	hull run --kernel "$GUEST" --disk looks,format=raw --disk missing
	[[ $output == "hull: cannot open disk missing: "* ]]
	for case in "missing:cannot open disk missing: No such file" \
		"good:cannot open disk good: Image is not in qcow2 format" \
		"looks:cannot open disk looks: Unsupported qcow2 version 0"; do
		hull run --kernel "$GUEST" --disk "${case%%:*},format=qcow2"
		[ "$status" -eq 125 ]
		[[ $output == "hull: ${case#*:}"* ]]
	done
	hull run --kernel "$GUEST" --disk good,overlay=missing
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot make a temporary file of 1048576 bytes in missing: No such file"* ]]
	PATH=/nowhere hull run --kernel "$GUEST" --disk looks,format=qcow2
	[[ $output == "hull: cannot open disk looks: there is no qemu-nbd"*"package qemu-utils"* ]]
	hull run --kernel "$GUEST" --disk good --disk good
	[ "$status" -eq 125 ]
	[[ $output == "hull: disk good is in use by another process, or given twice"* ]]
	chmod 444 good
	if [ "$(id -u)" -eq 0 ]; then
		chmod 755 . "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$(dirname "$BATS_FILE_TMPDIR")"
		cp "$HULL" "$GUEST" .
		run setpriv --reuid 65534 --clear-groups ./hull run --kernel guest.elf --disk good
	else
		run "$HULL" run --kernel "$GUEST" --disk good
	fi
	printf '%s\n' "$output"
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot write to disk good: Permission denied (--disk good,ro only reads it)"* ]]
}

@test "bridges that are none are refused by name" {
	hull run --kernel "$GUEST" --net bridge=no-such-bridge
	[ "$status" -eq 125 ]
	[[ $output == "hull: there is no bridge no-such-bridge (to make one: "* ]]
	hull run --kernel "$GUEST" --net user --net bridge=lo
	[ "$status" -eq 125 ]
	[[ $output == "hull: lo is no bridge" ]]
}

@test "a port that cannot be forwarded is refused by name" {
	hull run --kernel "$GUEST" --net user,forward=1.2.3.4:8080:80
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot forward TCP port 8080 of 1.2.3.4 to the guest: Cannot assign requested address" ]]
	hull run --kernel "$GUEST" --net user,forward=udp:1.2.3.4:53:53
	[[ $output == "hull: cannot forward UDP port 53 of 1.2.3.4 to the guest: "* ]]
}

@test "directories that cannot be shared are refused by name" {
	cd "$BATS_TEST_TMPDIR"
	: >file
	mkdir -p dir:with:colons closed
	hull run --kernel "$GUEST" --share missing:tag
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot share missing: No such file or directory"* ]]
	hull run --kernel "$GUEST" --share file:tag,ro
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot share file: it is no directory"* ]]
	# The last colon counts.
	hull run --kernel "$GUEST" --share dir:with:colons:tag --share missing:tag2
	[[ $output == "hull: cannot share missing: No such file or directory"* ]]
	chmod 0 closed
	if [ "$(id -u)" -eq 0 ]; then
		chmod 755 . "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$(dirname "$BATS_FILE_TMPDIR")"
		cp "$HULL" "$GUEST" .
		run setpriv --reuid 65534 --clear-groups ./hull run --kernel guest.elf --share closed:tag
	else
		run "$HULL" run --kernel "$GUEST" --share closed:tag
	fi
	chmod 755 closed
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot share closed: Permission denied"* ]]
}

@test "consoles that cannot be are refused by name" {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir dir
	touch file
	hull run --kernel "$GUEST" --console a=file:dir
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot open dir: Is a directory"* ]]
	hull run --kernel "$GUEST" --console a=unix:file
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot listen at file: Address already in use"* ]]
	[ -f file ]
	hull run --kernel "$GUEST" --console a=unix:missing/socket
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot listen at missing/socket: No such file or directory"* ]]
	hull run --kernel "$GUEST" --console a=fd:99
	[ "$status" -eq 125 ]
	[[ $output == "hull: --console a=fd:99: there is no such file descriptor"* ]]
	# A socket that was made is gone when another option cannot be.
	hull run --kernel "$GUEST" --console a=unix:socket --console b=file:dir
	[ "$status" -eq 125 ]
	[ ! -e socket ]
}

@test "exec: kernels and modules that cannot be are refused by name" {
	cd "$BATS_TEST_TMPDIR" || return
	local kernel
	hull exec --kernel missing -- true
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot open missing: No such file or directory"* ]]
	hull exec --kernel "$GUEST" -- true
	[ "$status" -eq 125 ]
	[[ $output == *"does not say its release: --modules DIR is needed"* ]]
	hull exec --kernel "$GUEST" --modules missing -- true
	[ "$status" -eq 125 ]
	[[ $output == "hull: cannot open missing/modules.dep: No such file or directory"* ]]
	mkdir modules
	echo 'fs/9p.ko: net/9pnet.ko' >modules/modules.dep
	: >modules/modules.builtin
	hull exec --kernel "$GUEST" --modules modules -- true
	[ "$status" -eq 125 ]
	[[ $output == "hull: modules: the kernel has no module virtio_pci"* ]]
	# Without --modules it is the kernel's own release that is looked for.
	kernel=$("$TOP/scripts/kernels" 6.12)
	if [ -r "$(cut -f2 <<<"$kernel")" ]; then
		hull exec --kernel "$(cut -f2 <<<"$kernel")" -- true
		[ "$status" -eq 125 ]
		[[ $output == *"/lib/modules/$(cut -f1 <<<"$kernel")/"* ]]
	fi
}

@test "without the module: run says so, check says why" {
	no_module
	hull run --kernel "$GUEST" --append off
	[ "$status" -eq 125 ]
	[[ $output == *"/dev/hull"*"hull check"* ]]
	hull check
	[[ $output == *"module: hull is not loaded"*"insmod"* ]]
	# The first obstacle counts.
	if grep -qwE 'svm|vmx' /proc/cpuinfo; then
		[ "$status" -ge 21 ] && [ "$status" -le 23 ]
	else
		[ "$status" -eq 20 ]
	fi
	[[ $output == *"cannot run guests now"* ]]
}
