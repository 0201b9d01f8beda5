// SPDX-License-Identifier: GPL-2.0
/*
 * A guest for the launcher's tests: 32-bit code with a multiboot header and a PVH note, which says
 * on the serial port how it was started and then does what its command line says:
 *
 *	off, reset, keyboard, panic, exit	end by the ACPI registers, port 0xcf9, the keyboard
 *						controller, pvpanic, the debug exit (value 5)
 *	triple, hang, spin			a triple fault; halt for ever; loop for ever
 *	unclaimed				touch ports and memory nothing is behind, then off
 *	files					print all modules, then off
 *	map					print the memory map, then off
 *	echo					print what the serial port receives, up to a dot
 *	half					print half a line, then hang
 *	real					through real mode, where that can be, then off
 */
#include "start.h"

static uint64_t get64(uint32_t address)
{
	return *(const volatile uint64_t *)address;
}

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) none;

	asm volatile("lidt %0\n ud2" : : "m"(none));
}

/* Not a far jump: the code runs on as before, with the segments it has. */
static void real_mode(void)
{
	uint32_t cr0;

	asm volatile("mov %%cr0, %0\n and $~1, %0\n mov %0, %%cr0\n"
		     "or $1, %0\n mov %0, %%cr0"
		     : "=&r"(cr0) : : "memory");
}

static void unclaimed(void)
{
	volatile uint32_t *hole = (volatile uint32_t *)0xd0000000;

	print_hex(inl(0x1234));
	print(" ");
	print_hex(inb(0x2f8 + 5));
	print(" ");
	*hole = 1;
	print_hex(*hole);
	print("\n");
}

static void print_file(uint32_t start, uint32_t size, uint32_t words)
{
	print("module ");
	print(words ? (const char *)words : "(none)");
	print(": ");
	print_bytes(start, size);
	print("\n");
}

static void files(uint32_t info, int pvh)
{
	uint32_t count = pvh ? get32(info + 12) : get32(info + 20);
	uint32_t list = pvh ? get32(info + 16) : get32(info + 24);

	for (; count; count--, list += pvh ? 32 : 16) {
		if (pvh)
			print_file(get32(list), get32(list + 8), get32(list + 16));
		else
			print_file(get32(list), get32(list + 4) - get32(list), get32(list + 8));
	}
}

static void map(uint32_t info, int pvh)
{
	uint32_t entry = pvh ? get32(info + 40) : get32(info + 48) + 4;
	uint32_t count = pvh ? get32(info + 48) : get32(info + 44) / 24;

	for (; count; count--, entry += 24) {
		print_hex(get64(entry));
		print(" ");
		print_hex(get64(entry + 8));
		print(get32(entry + 16) == 1 ? " ram\n" : " reserved\n");
	}
}

static void echo(void)
{
	char c = 0;

	/* DTR, RTS: send. */
	outb(PORT_SERIAL + 4, 3);
	while (c != '.') {
		while (!(inb(PORT_SERIAL + 5) & 1))
			asm volatile("pause");
		c = inb(PORT_SERIAL);
		outb(PORT_SERIAL, c);
	}
	print("\n");
}

static void command(const char *word, uint32_t info, int pvh)
{
	if (same(word, "reset")) {
		outb(0xcf9, 6);
	} else if (same(word, "keyboard")) {
		outb(0x64, 0xfe);
	} else if (same(word, "panic")) {
		outb(0x505, 1);
	} else if (same(word, "exit")) {
		outb(0xf4, 5);
	} else if (same(word, "triple")) {
		triple_fault();
	} else if (same(word, "hang")) {
		return;
	} else if (same(word, "half")) {
		print("half a line");
		return;
	} else if (same(word, "spin")) {
		for (;;)
			asm volatile("");
	} else if (same(word, "unclaimed")) {
		unclaimed();
	} else if (same(word, "files")) {
		files(info, pvh);
	} else if (same(word, "map")) {
		map(info, pvh);
	} else if (same(word, "echo")) {
		echo();
	} else if (same(word, "real")) {
		real_mode();
	} else if (!same(word, "off")) {
		print("what?\n");
	}
	power_off();
}

void start(uint32_t magic, uint32_t info)
{
	int pvh = magic != 0x2badb002;
	const char *word = command_line(magic, info);

	print(pvh ? "guest: started by PVH: " : "guest: started by multiboot: ");
	print(word);
	print("\n");
	command(word, info, pvh);
}
