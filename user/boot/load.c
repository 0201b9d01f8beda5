// SPDX-License-Identifier: GPL-2.0
/*
 * Picks the loader for a kernel, and does what all loaders need: files, command line, initrd, GDT,
 * the BIOS data area.
 *
 * Runs before the first vCPU: no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/boot.h"

/* Larger files are a mistake (a disk image, /dev/zero). */
#define BLOB_MAX	(2 * GIB)

static int read_all(int fd, struct blob *blob, size_t expect, struct failure *why)
{
	size_t room = expect + 1;
	uint8_t *data = malloc(room);
	ssize_t got;

	while (data) {
		if (blob->size == room) {
			uint8_t *more = room < BLOB_MAX ? realloc(data, room * 2) : NULL;

			if (!more)
				break;
			data = more;
			room *= 2;
		}
		got = read(fd, data + blob->size, room - blob->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(data);
			return fail(why, "cannot read %s: %s", blob->name, strerror(errno));
		}
		if (!got) {
			blob->data = data;
			return 0;
		}
		blob->size += got;
	}
	free(data);
	return fail(why, "%s is too large", blob->name);
}

int blob_load(struct blob *blob, const char *path, struct failure *why)
{
	struct stat stat;
	int fd, ret;

	*blob = (struct blob){ .name = path };
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(why, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &stat) || S_ISDIR(stat.st_mode))
		ret = fail(why, "%s is a directory", path);
	else if (stat.st_size > (off_t)BLOB_MAX)
		ret = fail(why, "%s is too large", path);
	else
		ret = read_all(fd, blob, S_ISREG(stat.st_mode) ? stat.st_size : 65535, why);
	close(fd);
	return ret;
}

void blob_free(struct blob *blob)
{
	free((void *)blob->data);
	blob->data = NULL;
	blob->size = 0;
}

int boot_put_cmdline(const struct guest_memory *memory, const char *cmdline, uint64_t limit,
		     struct failure *why)
{
	size_t size = strlen(cmdline) + 1;

	if (limit > BOOT_CMDLINE_MAX)
		limit = BOOT_CMDLINE_MAX;
	if (size > limit)
		return fail(why, "the command line has %zu bytes, this kernel takes %llu", size - 1,
			    (unsigned long long)limit - 1);
	return memory_write(memory, BOOT_CMDLINE, cmdline, size);
}

uint64_t boot_initrd_size(const struct boot_config *config)
{
	uint64_t size = 0;
	unsigned int i;

	for (i = 0; i < config->initrds; i++)
		size = align_up(size, 4) + config->initrd[i].size;
	return size;
}

int boot_put_initrd(const struct guest_memory *memory, const struct boot_config *config,
		    uint64_t gpa)
{
	uint64_t offset = 0;
	unsigned int i;

	for (i = 0; i < config->initrds; i++) {
		offset = align_up(offset, 4);
		if (memory_write(memory, gpa + offset, config->initrd[i].data,
				 config->initrd[i].size))
			return -1;
		offset += config->initrd[i].size;
	}
	return 0;
}

int boot_needs_memory(const struct guest_memory *memory, uint64_t end, uint64_t extra,
		      struct failure *why)
{
	uint64_t needs = align_up(add_clamped(align_up(end, PAGE_SIZE), align_up(extra, PAGE_SIZE)),
				  MIB);

	if (needs > MEMORY_HOLE_START)
		return fail(why, "this kernel and its files need %llu MiB below the hole at 3 GiB",
			    (unsigned long long)(needs / MIB));
	return fail(why, "%llu MiB of memory are too little: this kernel and its files need at "
		    "least %llu MiB (--mem %lluM)", (unsigned long long)(memory->size / MIB),
		    (unsigned long long)(needs / MIB), (unsigned long long)(needs / MIB));
}

int boot_put_gdt(const struct guest_memory *memory, int code64)
{
	const uint64_t gdt[] = {
		0,
		0,
		code64 ? 0x00af9b000000ffffULL : 0x00cf9b000000ffffULL,
		0x00cf93000000ffffULL,
	};

	return memory_write(memory, BOOT_GDT, gdt, sizeof(gdt));
}

/* Where guests look for the EBDA and the size of base memory, as no BIOS ran. */
static int put_bios_data(const struct guest_memory *memory)
{
	const uint16_t ebda_segment = BOOT_EBDA >> 4;
	const uint16_t base_kib = BOOT_EBDA >> 10;
	const uint8_t ebda_kib = (0xa0000 - BOOT_EBDA) >> 10;

	return memory_write(memory, 0x40e, &ebda_segment, 2) ||
	       memory_write(memory, 0x413, &base_kib, 2) ||
	       memory_write(memory, BOOT_EBDA, &ebda_kib, 1) ? -1 : 0;
}

static int put_acpi(const struct guest_memory *memory, const struct boot_config *config,
		    struct failure *why)
{
	struct acpi_tables *tables = malloc(sizeof(*tables));
	int ret = -1;

	if (!tables)
		return fail(why, "out of memory");
	if (!acpi_build(tables, memory, config->cpus, config->pci, why))
		ret = memory_write(memory, BOOT_ACPI, tables->data, tables->size);
	free(tables);
	return ret;
}

static int put_smbios(const struct guest_memory *memory, const struct boot_config *config,
		      struct failure *why)
{
	struct smbios_tables tables;

	if (smbios_build(&tables, memory, config))
		return fail(why, "the SMBIOS tables do not fit below 1 MiB");
	return memory_write(memory, BOOT_SMBIOS, tables.data, tables.size);
}

static int load_elf(const struct guest_memory *memory, const struct boot_config *config,
		    struct boot_entry *entry, struct failure *why)
{
	struct elf_info elf;
	int multiboot = multiboot_detect(&config->kernel);

	if (elf_parse(&config->kernel, &elf, why))
		return -1;
	switch (config->protocol) {
	case BOOT_PVH:
		multiboot = 0;
		break;
	case BOOT_MULTIBOOT:
		if (!multiboot)
			return fail(why, "%s has no multiboot header in its first 8 KiB",
				    config->kernel.name);
		elf.has_pvh = 0;
		break;
	case BOOT_AUTO:
		break;
	default:
		return fail(why, "%s is an ELF file: the Linux boot protocol wants a bzImage",
			    config->kernel.name);
	}
	if (elf.has_pvh)
		return pvh_load(memory, config, &elf, entry, why);
	if (multiboot)
		return multiboot_load(memory, config, &elf, entry, why);
	return fail(why, "%s is an ELF file with neither a PVH entry note nor a multiboot header",
		    config->kernel.name);
}

int boot_load(const struct guest_memory *memory, const struct boot_config *config,
	      struct boot_entry *entry, struct failure *why)
{
	const struct blob *kernel = &config->kernel;

	memset(entry, 0, sizeof(*entry));
	if (put_bios_data(memory) || put_acpi(memory, config, why) ||
	    put_smbios(memory, config, why))
		return -1;
	if (!kernel->size)
		return fail(why, "%s is empty", kernel->name);
	if (elf_detect(kernel))
		return load_elf(memory, config, entry, why);
	if (linux_detect(kernel)) {
		if (config->protocol == BOOT_PVH || config->protocol == BOOT_MULTIBOOT)
			return fail(why, "%s is a bzImage: it boots by the Linux protocol only",
				    kernel->name);
		return linux_load(memory, config, entry, why);
	}
	return fail(why, "%s is no kernel hull knows: it takes a Linux bzImage, an ELF file with a "
		    "PVH note, or an ELF file with a multiboot header", kernel->name);
}
