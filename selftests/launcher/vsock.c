// SPDX-License-Identifier: GPL-2.0
/*
 * A program of vsock.bats, for guests and hosts: a connection between standard input and output and
 * a socket of AF_VSOCK, each direction to its end.
 *
 *	vsock connect CID PORT	until somebody listens there
 *	vsock try CID PORT	once
 *	vsock listen PORT	for one connection
 *	vsock cid		print the own address
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

static void die(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int new_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int try(struct sockaddr_vm *address)
{
	int fd = new_socket();

	if (!connect(fd, (void *)address, sizeof(*address)))
		return fd;
	close(fd);
	return -1;
}

static int wait_for(struct sockaddr_vm *address)
{
	int fd;

	while ((fd = try(address)) < 0)
		usleep(100000);
	return fd;
}

static int take_one(struct sockaddr_vm *address)
{
	int fd = new_socket(), one;

	if (bind(fd, (void *)address, sizeof(*address)) || listen(fd, 1))
		die("listen");
	one = accept(fd, NULL, NULL);
	if (one < 0)
		die("accept");
	return one;
}

static void copy(int from, int to)
{
	static char buffer[65536];
	ssize_t size, done, part;

	while ((size = read(from, buffer, sizeof(buffer))) > 0) {
		for (done = 0; done < size; done += part) {
			part = write(to, buffer + done, size - done);
			if (part < 0)
				die("write");
		}
	}
	if (size < 0)
		die("read");
}

static int print_cid(void)
{
	unsigned int cid;

	if (ioctl(open("/dev/vsock", O_RDONLY), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid))
		die("/dev/vsock");
	printf("%u\n", cid);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int fd, status = 0;

	if (argc == 2)
		return print_cid();
	if (argc > 3)
		address.svm_cid = strtoul(argv[2], NULL, 10);
	address.svm_port = strtoul(argv[argc - 1], NULL, 10);
	if (!strcmp(argv[1], "listen"))
		fd = take_one(&address);
	else
		fd = strcmp(argv[1], "try") ? wait_for(&address) : try(&address);
	if (fd < 0)
		die("connect");
	if (!fork()) {
		copy(0, fd);
		shutdown(fd, SHUT_WR);
		return 0;
	}
	copy(fd, 1);
	wait(&status);
	return !!status;
}
