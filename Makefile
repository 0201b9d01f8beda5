# SPDX-License-Identifier: GPL-2.0
#
# hull: the module hull.ko (by Kbuild) and the launcher user/hull.  make help lists the targets.

# Let recipes fail where a pipe's left side fails.
SHELL := /bin/bash -o pipefail

# All CPUs, unless the user says -j.
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

# The kernel to build for: a release with headers, or 6.1, 6.12 (the newest of that series).
KVER ?=
# What scripts/kernels calls the headers of KVER; asked only by targets that need it.
KDIR ?= $(shell scripts/kernels $(KVER) | cut -f4)
MAKE_MODULE = $(MAKE) -C $(or $(filter-out -,$(KDIR)),$(error no kernel headers: run scripts/deps build)) \
	M=$(CURDIR)

all: module user/hull

# kbuild decides what is up to date.
module:
	+@$(MAKE_MODULE) modules

user/hull: FORCE
	+@$(MAKE) --no-print-directory -C user hull

# The scripts' own makes know nothing of this one's jobs.
demo check check-long lint bench-linux:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL scripts/$(subst check-long,check --long,$@)

bench:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL sh -c 'scripts/bench && echo && scripts/bench --backend vmx'

modules_install:
	+@$(MAKE_MODULE) modules_install

install: modules_install
	+@$(MAKE) --no-print-directory -C user install

compile_commands.json: module user/hull
	@KVER=$(KVER) scripts/compile-commands >$@.new
	@mv $@.new $@

# Without headers there is nothing of the module to clean but what find sees.
clean:
	@find . -path ./.git -prune -o -path ./user -prune -o -path ./selftests -prune -o \
		\( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' \
		-o -name modules.order -o -name Module.symvers \) -type f -exec rm -f {} +
	@rm -rf .tmp_versions compile_commands.json
	+@$(MAKE) --no-print-directory -C user clean
	@rm -rf selftests/build

help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#: make [KVER=version]     hull.ko for that kernel (default: the newest with headers), user/hull
#: make demo               boot Debian's kernel as a guest, in the lab or on this machine
#: make check              all tests (half an hour on 2 CPUs; the first builds two kernels); check-long: the long ones too
#: make lint               style and static checks
#: make bench              what each operation costs, in instructions, on SVM and VMX
#: make bench-linux        what a Linux guest costs
#: make install            modules_install for KVER, and the launcher ([DESTDIR=] [prefix=/usr/local])
#: make compile_commands.json   for editors
#: make clean
#:
#: demo and check install what they lack (apt-get, as root). Variables: KVER, KDIR (the headers).

FORCE:
.PHONY: all module demo check check-long lint bench bench-linux modules_install install clean help FORCE
