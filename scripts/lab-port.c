// SPDX-License-Identifier: GPL-2.0
/*
 * lab-port - copies stdin to a parallel port, by which COMMAND's output leaves Bochs
 *
 * Usage: lab-port 1|2
 *
 * Bochs writes each byte to a file as it is strobed, at once; its serial ports
 * have a baud rate. By /dev/port, since not every kernel has ioperm().
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	/* Bits of the control register: printer selected, not in reset, strobe. */
	enum { IDLE = 0x0c, STROBE = 0x0d };
	off_t base = argc > 1 && atoi(argv[1]) == 2 ? 0x278 : 0x378;
	int port = open("/dev/port", O_WRONLY);
	/* The ports of data, status (writes are ignored) and control. */
	unsigned char strobe[3] = { 0, 0, STROBE }, idle = IDLE, buf[65536];
	ssize_t count, i;

	if (port < 0)
		return 1;
	while ((count = read(0, buf, sizeof(buf))) > 0) {
		for (i = 0; i < count; i++) {
			strobe[0] = buf[i];
			if (pwrite(port, strobe, 3, base) != 3 ||
			    pwrite(port, &idle, 1, base + 2) != 1)
				return 1;
		}
	}
	return count < 0;
}
