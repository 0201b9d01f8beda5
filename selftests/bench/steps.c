// SPDX-License-Identifier: GPL-2.0
/*
 * steps SOCKET KALLSYMS ADDRESS SKIP COUNT: which functions an operation's instructions are in.
 *
 * The debugger stub of the lab's QEMU is at SOCKET. A guest executes ADDRESS once an operation:
 * SKIP of them are let pass, then COUNT are executed in single steps. Prints, for each symbol of
 * KALLSYMS (L1's /proc/kallsyms) and by size, instructions and entries per operation, in
 * thousandths:
 *
 *	INSTRUCTIONS ENTRIES NAME
 *
 * While it steps, the emulator takes no interrupt. An instruction that exits is a step, though the
 * CPU has not completed it: one more an exit than the time-stamp counter counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

/* No kernel address, and no program of L1 lies so low. */
#define GUEST_END	0x200000UL
#define KERNEL_START	0xffff800000000000UL

static void fail(const char *what)
{
	fprintf(stderr, "steps: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
	exit(1);
}

/* ---- the debugger's protocol: $data#checksum, each packet answered by + ---------------------- */

static FILE *stub_in, *stub_out;

static void connect_stub(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (fd < 0 || connect(fd, (void *)&address, sizeof(address)))
		fail(path);
	stub_in = fdopen(fd, "r");
	stub_out = fdopen(dup(fd), "w");
	if (!stub_in || !stub_out)
		fail(path);
}

static void send_packet(const char *data)
{
	unsigned char sum = 0;
	const char *at;

	for (at = data; *at; at++)
		sum += *at;
	fprintf(stub_out, "$%s#%02x", data, sum);
	if (fflush(stub_out))
		fail("the emulator has gone");
}

static void receive_packet(char *data, size_t size)
{
	size_t len = 0;
	int c;

	do {
		c = getc(stub_in);
	} while (c != '$' && c != EOF);
	while ((c = getc(stub_in)) != '#' && c != EOF) {
		if (len + 1 < size)
			data[len++] = c;
	}
	data[len] = 0;
	if (c == EOF || getc(stub_in) == EOF || getc(stub_in) == EOF)
		fail("the emulator has gone");
	putc('+', stub_out);
}

static void ask(const char *packet, char *answer, size_t size)
{
	send_packet(packet);
	receive_packet(answer, size);
}

static void command(const char *packet, const char *answer)
{
	char data[256];

	ask(packet, data, sizeof(data));
	errno = 0;
	if (strncmp(data, answer, strlen(answer))) {
		fprintf(stderr, "steps: answer to %s: %s\n", packet, data);
		exit(1);
	}
}

/* Register 16, least significant byte first. */
static uint64_t read_rip(void)
{
	uint64_t rip;
	char data[256];

	ask("p10", data, sizeof(data));
	if (sscanf(data, "%16" SCNx64, &rip) != 1)
		fail("RIP");
	return __builtin_bswap64(rip);
}

/* ---- symbols -------------------------------------------------------------------------------- */

struct symbol {
	uint64_t start, steps, entries;
	char name[100];
};

static struct symbol *symbols;
static size_t nr_symbols;

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_steps(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->steps > y->steps ? -1 : x->steps < y->steps;
}

static struct symbol *add_symbol(uint64_t start, const char *name)
{
	struct symbol *symbol;

	symbols = realloc(symbols, (nr_symbols + 1) * sizeof(*symbols));
	if (!symbols)
		fail("memory");
	symbol = &symbols[nr_symbols++];
	*symbol = (struct symbol){ .start = start };
	snprintf(symbol->name, sizeof(symbol->name), "%s", name);
	return symbol;
}

static void read_symbols(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512], type, name[300];
	uint64_t start;
	size_t i, kept = 0;

	if (!file)
		fail(path);
	add_symbol(0, "(guest)");
	add_symbol(GUEST_END, "(launcher)");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %299s", &start, &type, name) == 3 &&
		    start >= KERNEL_START && strchr("tTwW", type))
			add_symbol(start, name);
	}
	fclose(file);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_start);
	/* Of names for the same address one is enough. */
	for (i = 0; i < nr_symbols; i++) {
		if (!kept || symbols[kept - 1].start != symbols[i].start)
			symbols[kept++] = symbols[i];
	}
	nr_symbols = kept;
}

static struct symbol *find_symbol(uint64_t address)
{
	size_t low = 0, high = nr_symbols;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (symbols[mid].start <= address)
			low = mid;
		else
			high = mid;
	}
	return &symbols[low];
}

/* ---- the account ---------------------------------------------------------------------------- */

/* To the next operation: a breakpoint under the CPU's feet would hold it. */
static void skip_operation(const char *breakpoint)
{
	char packet[80];

	command("s", "T05");
	snprintf(packet, sizeof(packet), "Z%s", breakpoint);
	command(packet, "OK");
	command("c", "T05");
	packet[0] = 'z';
	command(packet, "OK");
}

static void step_operations(uint64_t loop, unsigned long count)
{
	struct symbol *symbol;
	uint64_t rip = loop, last;

	while (count) {
		symbol = find_symbol(rip);
		symbol->steps++;
		symbol->entries += rip == symbol->start;
		command("s", "T05");
		last = rip;
		rip = read_rip();
		/* Not when the guest comes back to an instruction that has faulted. */
		count -= rip == loop && last < GUEST_END;
	}
}

int main(int argc, char **argv)
{
	unsigned long skip, count, i;
	char breakpoint[64], answer[64];
	uint64_t loop;

	if (argc != 6) {
		fprintf(stderr, "usage: steps SOCKET KALLSYMS ADDRESS SKIP COUNT\n");
		return 2;
	}
	read_symbols(argv[2]);
	loop = strtoull(argv[3], NULL, 0);
	skip = strtoul(argv[4], NULL, 0);
	count = strtoul(argv[5], NULL, 0);

	connect_stub(argv[1]);
	/* That it has stopped the machine may be told first. */
	send_packet("?");
	do {
		receive_packet(answer, sizeof(answer));
	} while (strncmp(answer, "T05", 3));
	/* Single registers are told to those only who have asked for their description. */
	command("qXfer:features:read:target.xml:0,10", "m");
	snprintf(breakpoint, sizeof(breakpoint), "1,%" PRIx64 ",1", loop);
	for (i = 0; i <= skip; i++)
		skip_operation(breakpoint);
	if (read_rip() != loop)
		fail("the guest's loop");
	step_operations(loop, count);
	/* What L1 does from here on is nobody's business. */
	send_packet("D");
	receive_packet(answer, sizeof(answer));

	qsort(symbols, nr_symbols, sizeof(*symbols), by_steps);
	for (i = 0; i < nr_symbols && symbols[i].steps; i++)
		printf("%" PRIu64 " %" PRIu64 " %s\n", symbols[i].steps * 1000 / count,
		       symbols[i].entries * 1000 / count, symbols[i].name);
	return 0;
}
