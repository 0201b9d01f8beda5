/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading a guest: files in, memory filled and the first vCPU's registers out.
 *
 * boot_load() looks at the kernel and calls one of the loaders. All of them take files as they
 * come from the user: nothing in them is believed before it is checked.
 */
#ifndef HULL_BOOT_BOOT_H
#define HULL_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/failure.h"
#include "machine/memory.h"

/*
 * Where the launcher puts what a guest finds at its start: memory below 640 KiB that no loader
 * puts a kernel in, and the BIOS area for what guests search for there.
 */
#define BOOT_ZERO_PAGE		0x7000
#define BOOT_GDT		0x8000
#define BOOT_PAGE_TABLES	0x9000		/* PML4, PDPT, four page directories */
#define BOOT_INFO		0x10000		/* start information of PVH and multiboot */
#define BOOT_INFO_SIZE		0x8000
#define BOOT_CMDLINE		0x20000
#define BOOT_CMDLINE_MAX	0x10000
#define BOOT_EBDA		0x9fc00
#define BOOT_ACPI		0xe0000
#define BOOT_ACPI_END		0xff000
#define BOOT_SMBIOS		0xff000		/* in the 64 KiB in which guests search for it */
#define BOOT_BIOS_END		0x100000
#define BOOT_KERNEL_MIN		0x100000	/* no kernel is loaded below */

#define BOOT_MAX_INITRDS	16
#define BOOT_MAX_MODULES	32

struct blob {
	const char *name;
	const uint8_t *data;
	size_t size;
};

struct boot_module {
	struct blob file;
	const char *cmdline;
};

enum boot_protocol {
	BOOT_AUTO,
	BOOT_LINUX64,
	BOOT_LINUX32,
	BOOT_PVH,
	BOOT_MULTIBOOT,
};

/**
 * struct boot_config - what the user wants to run
 * @kernel: the image
 * @initrd: concatenated, each padded to 4 bytes
 * @module: for PVH and multiboot
 * @cmdline: never NULL
 * @protocol: BOOT_AUTO: by the image
 * @cpus: number of vCPUs
 * @pci: there is a PCI bus
 * @name: that the user gave the machine; empty: none
 * @identity: what the guest is known by
 */
struct boot_config {
	struct blob kernel;
	struct blob initrd[BOOT_MAX_INITRDS];
	unsigned int initrds;
	struct boot_module module[BOOT_MAX_MODULES];
	unsigned int modules;
	const char *cmdline;
	enum boot_protocol protocol;
	unsigned int cpus;
	bool pci;
	const char *name;
	const char *identity;
};

/**
 * struct boot_entry - how the first vCPU starts
 * @long_mode: 64-bit, with the page tables at BOOT_PAGE_TABLES; else 32-bit without paging
 * @cs: selector of the flat code segment in the GDT at BOOT_GDT
 * @ds: selector of the flat data segment
 */
struct boot_entry {
	const char *protocol;
	int long_mode;
	uint16_t cs;
	uint16_t ds;
	uint64_t rip;
	uint64_t rax;
	uint64_t rbx;
	uint64_t rsi;
};

int boot_load(const struct guest_memory *memory, const struct boot_config *config,
	      struct boot_entry *entry, struct failure *why);

/* Reads a whole file, of any kind, into malloc()ed memory. */
int blob_load(struct blob *blob, const char *path, struct failure *why);
void blob_free(struct blob *blob);

/* ---- e820.c --------------------------------------------------------------------------------- */

#define E820_RAM	1
#define E820_RESERVED	2
#define E820_MAX	8

struct e820_entry {
	uint64_t start;
	uint64_t size;
	uint32_t type;
};

/* Returns the number of entries, at most E820_MAX. */
unsigned int e820_build(const struct guest_memory *memory, struct e820_entry entry[E820_MAX]);

/* ---- acpi.c --------------------------------------------------------------------------------- */

/* The RSDP comes first: guests search for it in the BIOS area. */
#define ACPI_RSDP_GPA	BOOT_ACPI
#define ACPI_RSDP_SIZE	36

struct acpi_tables {
	uint8_t data[BOOT_ACPI_END - BOOT_ACPI];
	uint32_t size;
};

/* Composes all tables as they are at BOOT_ACPI; @pci: there is a PCI bus. */
int acpi_build(struct acpi_tables *tables, const struct guest_memory *memory, unsigned int cpus,
	       bool pci, struct failure *why);

/* ---- smbios.c ------------------------------------------------------------------------------- */

struct smbios_tables {
	uint8_t data[BOOT_BIOS_END - BOOT_SMBIOS];
	uint32_t size;
};

/* The entry point and the structures, as they are at BOOT_SMBIOS. 0, or -1: they do not fit. */
int smbios_build(struct smbios_tables *tables, const struct guest_memory *memory,
		 const struct boot_config *config);

/* ---- common to the loaders (load.c) --------------------------------------------------------- */

/* Copies the command line to BOOT_CMDLINE; @limit: bytes the guest takes, with the zero. */
int boot_put_cmdline(const struct guest_memory *memory, const char *cmdline, uint64_t limit,
		     struct failure *why);

/* Bytes of all initrds together. */
uint64_t boot_initrd_size(const struct boot_config *config);
int boot_put_initrd(const struct guest_memory *memory, const struct boot_config *config,
		    uint64_t gpa);

/* The message for a guest that needs memory up to @end plus @extra bytes. */
int boot_needs_memory(const struct guest_memory *memory, uint64_t end, uint64_t extra,
		      struct failure *why);

/* Flat segments, code at selector 0x10 and data at 0x18; @code64: long mode's code segment. */
int boot_put_gdt(const struct guest_memory *memory, int code64);

/* ---- the loaders ---------------------------------------------------------------------------- */

int linux_detect(const struct blob *kernel);
int linux_load(const struct guest_memory *memory, const struct boot_config *config,
	       struct boot_entry *entry, struct failure *why);

/**
 * struct elf_info - an ELF file that was looked over
 * @bits: 32 or 64
 * @start: lowest physical address it loads at
 * @end: end of the highest segment in memory
 * @entry: physical address of its entry point
 * @pvh_entry: of the PVH entry point, when @has_pvh
 */
struct elf_info {
	unsigned int bits;
	uint64_t start;
	uint64_t end;
	uint64_t entry;
	int has_pvh;
	uint64_t pvh_entry;
};

int elf_detect(const struct blob *kernel);
int elf_parse(const struct blob *kernel, struct elf_info *info, struct failure *why);
int elf_load(const struct guest_memory *memory, const struct blob *kernel, struct failure *why);

int pvh_load(const struct guest_memory *memory, const struct boot_config *config,
	     const struct elf_info *elf, struct boot_entry *entry, struct failure *why);

int multiboot_detect(const struct blob *kernel);
int multiboot_load(const struct guest_memory *memory, const struct boot_config *config,
		   const struct elf_info *elf, struct boot_entry *entry, struct failure *why);

#endif
