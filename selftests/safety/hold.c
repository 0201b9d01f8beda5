// SPDX-License-Identifier: GPL-2.0
/*
 * hold hull|kvm - make a VM and keep it until stdin ends
 *
 * Prints "held", or the error that came instead; then exits with 1.
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

int main(int argc, char **argv)
{
	char byte;
	int vm;

	if (argc != 2 || (strcmp(argv[1], "hull") && strcmp(argv[1], "kvm"))) {
		fprintf(stderr, "usage: hold hull|kvm\n");
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
