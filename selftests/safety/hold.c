// SPDX-License-Identifier: GPL-2.0
/*
 * hold hull|kvm - make a VM and keep it until stdin ends
 *
 * Prints "held", or the error that came instead; then exits with 1.
 *
 * hold turns - run a guest of hull's before, while and after KVM has a VM
 *
 * Prints what each of the three gave: "ran", or the error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

static int create_kvm(void)
{
	int dev = open("/dev/kvm", O_RDWR);

	return dev < 0 ? -1 : ioctl(dev, KVM_CREATE_VM, 0);
}

static int create_hull(void)
{
	static struct guest guest;

	return guest_create(&guest, 0, GUEST_SIZE) ? -1 : guest.vm;
}

GUEST(talker, 64, "1: out %eax, $0xe9\n jmp 1b");

static const char *run(struct guest *guest)
{
	int exit = guest_run(guest, 0);

	if (exit == -1)
		return strerrorname_np(errno);
	if (exit != HULL_EXIT_REQUEST)
		return "lost";
	hull_answer(&guest->cpu[0].own, 0);
	return "ran";
}

static int take_turns(void)
{
	static struct guest guest;
	int kvm;

	if (guest_create(&guest, 0, GUEST_SIZE) ||
	    guest_start(&guest, 0, GUEST_LONG, GUEST_CODE(talker))) {
		printf("%s\n", strerrorname_np(errno));
		return 1;
	}
	printf("%s", run(&guest));
	kvm = create_kvm();
	printf(" %s", kvm < 0 ? "no-kvm" : run(&guest));
	close(kvm);
	printf(" %s\n", run(&guest));
	guest_destroy(&guest);
	return 0;
}

int main(int argc, char **argv)
{
	char byte;
	int vm;

	if (argc == 2 && !strcmp(argv[1], "turns"))
		return take_turns();
	if (argc != 2 || (strcmp(argv[1], "hull") && strcmp(argv[1], "kvm"))) {
		fprintf(stderr, "usage: hold hull|kvm|turns\n");
		return 2;
	}
	vm = strcmp(argv[1], "kvm") ? create_hull() : create_kvm();
	if (vm < 0) {
		printf("%s\n", strerrorname_np(errno));
		return 1;
	}
	printf("held\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
