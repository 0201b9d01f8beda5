// SPDX-License-Identifier: GPL-2.0
/*
 * Multiboot (the first specification) with ELF32 kernels: 32-bit protected mode without paging,
 * EAX says who loads, EBX points to the information.
 *
 *	BOOT_INFO		information, memory map, module list, strings
 *	BOOT_CMDLINE		command line
 *	behind the kernel	modules, page aligned
 */
#include <string.h>

#include "boot/boot.h"

#define HEADER_MAGIC		0x1badb002
#define LOADER_MAGIC		0x2badb002
#define HEADER_SEARCH		8192

/* Header: what the kernel wants. Bits 0 to 15 must be understood. */
#define WANTS_PAGE_ALIGNED	(1U << 0)
#define WANTS_MEMORY		(1U << 1)
#define WANTS_VIDEO		(1U << 2)
#define WANTS_REQUIRED		0xffffU

/* Information: what is there. */
#define HAS_MEMORY		(1U << 0)
#define HAS_CMDLINE		(1U << 2)
#define HAS_MODULES		(1U << 3)
#define HAS_MEMMAP		(1U << 6)
#define HAS_LOADER_NAME		(1U << 9)

struct multiboot_header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum;
};

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower;
	uint32_t mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t modules;
	uint32_t module_list;
	uint32_t symbols[4];
	uint32_t memmap_length;
	uint32_t memmap;
	uint32_t drives_length;
	uint32_t drives;
	uint32_t config_table;
	uint32_t loader_name;
	uint32_t apm_table;
	uint32_t video[4];
};

struct multiboot_module {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

/* The size does not count itself. */
struct multiboot_memmap {
	uint32_t size;
	uint64_t address;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

struct multiboot_block {
	struct multiboot_info info;
	struct multiboot_module module[BOOT_MAX_MODULES];
	struct multiboot_memmap memmap[E820_MAX];
	char loader_name[8];
};

#define BLOCK_GPA(member)	(BOOT_INFO + offsetof(struct multiboot_block, member))

static int find_header(const struct blob *kernel, struct multiboot_header *header)
{
	uint64_t search = kernel->size < HEADER_SEARCH ? kernel->size : HEADER_SEARCH;
	uint64_t at;

	for (at = 0; at + sizeof(*header) <= search; at += 4) {
		memcpy(header, kernel->data + at, sizeof(*header));
		if (header->magic == HEADER_MAGIC &&
		    !(uint32_t)(header->magic + header->flags + header->checksum))
			return 0;
	}
	return -1;
}

int multiboot_detect(const struct blob *kernel)
{
	struct multiboot_header header;

	return !find_header(kernel, &header);
}

static int check(const struct boot_config *config, const struct elf_info *elf, struct failure *why)
{
	const char *name = config->kernel.name;
	struct multiboot_header header;

	if (find_header(&config->kernel, &header))
		return fail(why, "%s has no multiboot header", name);
	if (elf->bits != 32)
		return fail(why, "%s is a 64-bit ELF file: multiboot starts 32-bit kernels", name);
	if (header.flags & WANTS_VIDEO)
		return fail(why, "%s wants a video mode: there is no display", name);
	if (header.flags & WANTS_REQUIRED & ~(WANTS_PAGE_ALIGNED | WANTS_MEMORY))
		return fail(why, "%s wants multiboot features 0x%x, which hull does not know", name,
			    header.flags & WANTS_REQUIRED);
	if (config->initrds)
		return fail(why, "--initrd is for Linux and PVH; %s takes --module", name);
	return 0;
}

static uint64_t modules_size(const struct boot_config *config)
{
	uint64_t size = 0;
	unsigned int i;

	for (i = 0; i < config->modules; i++)
		size += align_up(config->module[i].file.size, PAGE_SIZE);
	return size;
}

static int put_modules(const struct guest_memory *memory, const struct boot_config *config,
		       const struct elf_info *elf, struct multiboot_block *block,
		       struct failure *why)
{
	uint64_t at = align_up(elf->end, PAGE_SIZE);
	uint64_t strings = BOOT_INFO + sizeof(*block);
	unsigned int i;

	if (elf->end > memory_low_end(memory) ||
	    modules_size(config) > memory_low_end(memory) - at)
		return boot_needs_memory(memory, elf->end, modules_size(config), why);
	for (i = 0; i < config->modules; i++) {
		const struct boot_module *module = &config->module[i];
		uint64_t size = strlen(module->cmdline) + 1;

		if (size > BOOT_INFO + BOOT_INFO_SIZE - strings ||
		    memory_write(memory, strings, module->cmdline, size))
			return fail(why, "the command line of module %s is too long",
				    module->file.name);
		if (memory_write(memory, at, module->file.data, module->file.size))
			return fail(why, "module %s does not fit in memory", module->file.name);
		block->module[i].start = at;
		block->module[i].end = at + module->file.size;
		block->module[i].string = strings;
		strings += size;
		at += align_up(module->file.size, PAGE_SIZE);
	}
	return 0;
}

static void fill_info(const struct guest_memory *memory, const struct boot_config *config,
		      struct multiboot_block *block)
{
	struct e820_entry entry[E820_MAX];
	unsigned int count = e820_build(memory, entry);
	unsigned int i;

	for (i = 0; i < count; i++) {
		block->memmap[i].size = sizeof(block->memmap[i]) - sizeof(uint32_t);
		block->memmap[i].address = entry[i].start;
		block->memmap[i].length = entry[i].size;
		block->memmap[i].type = entry[i].type;
	}
	block->info.flags = HAS_MEMORY | HAS_CMDLINE | HAS_MODULES | HAS_MEMMAP | HAS_LOADER_NAME;
	block->info.mem_lower = BOOT_EBDA / 1024;
	block->info.mem_upper = (memory_low_end(memory) - MIB) / 1024;
	block->info.cmdline = BOOT_CMDLINE;
	block->info.modules = config->modules;
	block->info.module_list = BLOCK_GPA(module);
	block->info.memmap_length = count * sizeof(block->memmap[0]);
	block->info.memmap = BLOCK_GPA(memmap);
	block->info.loader_name = BLOCK_GPA(loader_name);
	memcpy(block->loader_name, "hull", 5);
}

int multiboot_load(const struct guest_memory *memory, const struct boot_config *config,
		   const struct elf_info *elf, struct boot_entry *entry, struct failure *why)
{
	struct multiboot_block block;

	memset(&block, 0, sizeof(block));
	if (check(config, elf, why) || put_modules(memory, config, elf, &block, why) ||
	    elf_load(memory, &config->kernel, why) ||
	    boot_put_cmdline(memory, config->cmdline, BOOT_CMDLINE_MAX, why))
		return -1;
	fill_info(memory, config, &block);
	if (memory_write(memory, BOOT_INFO, &block, sizeof(block)) || boot_put_gdt(memory, 0))
		return fail(why, "the multiboot information does not fit in memory");

	entry->protocol = "multiboot";
	entry->cs = 0x10;
	entry->ds = 0x18;
	entry->rip = elf->entry;
	entry->rax = LOADER_MAGIC;
	entry->rbx = BOOT_INFO;
	return 0;
}
