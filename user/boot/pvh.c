// SPDX-License-Identifier: GPL-2.0
/*
 * ELF kernels with Xen's PVH entry point (Linux's vmlinux and others): 32-bit protected mode
 * without paging, EBX points to struct hvm_start_info.
 *
 *	BOOT_INFO		start information, then the module list, memory map and strings
 *	BOOT_CMDLINE		command line
 *	below the low end	initrd and modules, page aligned
 */
#include <string.h>

#include "boot/boot.h"

#define START_MAGIC	0x336ec578

struct hvm_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memmap;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct hvm_modlist_entry {
	uint64_t address;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct hvm_memmap_entry {
	uint64_t address;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* All of it together, as it lies at BOOT_INFO. */
struct pvh_block {
	struct hvm_start_info info;
	struct hvm_modlist_entry module[1 + BOOT_MAX_MODULES];
	struct hvm_memmap_entry memmap[E820_MAX];
};

#define BLOCK_GPA(member)	(BOOT_INFO + offsetof(struct pvh_block, member))

/* Takes room for a file from the top of low memory downwards. */
static int take_top(uint64_t *top, uint64_t bottom, uint64_t size, uint64_t *at)
{
	size = align_up(size, PAGE_SIZE);
	if (*top < bottom || size > *top - bottom)
		return -1;
	*top -= size;
	*at = *top;
	return 0;
}

static uint64_t files_size(const struct boot_config *config)
{
	uint64_t size = align_up(boot_initrd_size(config), PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < config->modules; i++)
		size += align_up(config->module[i].file.size, PAGE_SIZE);
	return size;
}

static int add_initrd(const struct guest_memory *memory, const struct boot_config *config,
		      struct pvh_block *block, uint64_t *top, uint64_t bottom)
{
	struct hvm_modlist_entry *entry = &block->module[block->info.nr_modules];

	entry->size = boot_initrd_size(config);
	if (!entry->size)
		return 0;
	block->info.nr_modules++;
	if (take_top(top, bottom, entry->size, &entry->address))
		return -1;
	return boot_put_initrd(memory, config, entry->address);
}

static int add_module(const struct guest_memory *memory, const struct boot_module *module,
		      struct pvh_block *block, uint64_t *top, uint64_t bottom, uint64_t *strings)
{
	struct hvm_modlist_entry *entry = &block->module[block->info.nr_modules++];
	uint64_t size = strlen(module->cmdline) + 1;

	entry->size = module->file.size;
	entry->cmdline = *strings;
	if (size > BOOT_INFO + BOOT_INFO_SIZE - *strings ||
	    memory_write(memory, *strings, module->cmdline, size) ||
	    take_top(top, bottom, entry->size, &entry->address))
		return -1;
	*strings += size;
	return memory_write(memory, entry->address, module->file.data, module->file.size);
}

static int put_files(const struct guest_memory *memory, const struct boot_config *config,
		     const struct elf_info *elf, struct pvh_block *block, struct failure *why)
{
	uint64_t bottom = align_up(elf->end, PAGE_SIZE);
	uint64_t strings = BOOT_INFO + sizeof(*block);
	uint64_t top = align_down(memory_low_end(memory), PAGE_SIZE);
	unsigned int i;

	if (elf->end > top || files_size(config) > top - bottom)
		return boot_needs_memory(memory, elf->end, files_size(config), why);
	if (add_initrd(memory, config, block, &top, bottom))
		return fail(why, "the initrd does not fit in memory");
	for (i = 0; i < config->modules; i++)
		if (add_module(memory, &config->module[i], block, &top, bottom, &strings))
			return fail(why, "module %s does not fit, or its command line is too long",
				    config->module[i].file.name);
	return 0;
}

static void fill_memmap(const struct guest_memory *memory, struct pvh_block *block)
{
	struct e820_entry entry[E820_MAX];
	unsigned int count = e820_build(memory, entry);
	unsigned int i;

	for (i = 0; i < count; i++) {
		block->memmap[i].address = entry[i].start;
		block->memmap[i].size = entry[i].size;
		block->memmap[i].type = entry[i].type;
	}
	block->info.memmap = BLOCK_GPA(memmap);
	block->info.memmap_entries = count;
}

int pvh_load(const struct guest_memory *memory, const struct boot_config *config,
	     const struct elf_info *elf, struct boot_entry *entry, struct failure *why)
{
	struct pvh_block block;

	memset(&block, 0, sizeof(block));
	if (elf->pvh_entry > UINT32_MAX)
		return fail(why, "%s: its PVH entry point is above 4 GiB", config->kernel.name);
	if (put_files(memory, config, elf, &block, why) ||
	    elf_load(memory, &config->kernel, why) ||
	    boot_put_cmdline(memory, config->cmdline, BOOT_CMDLINE_MAX, why))
		return -1;
	block.info.magic = START_MAGIC;
	block.info.version = 1;
	block.info.modlist = block.info.nr_modules ? BLOCK_GPA(module) : 0;
	block.info.cmdline = BOOT_CMDLINE;
	block.info.rsdp = ACPI_RSDP_GPA;
	fill_memmap(memory, &block);
	if (memory_write(memory, BOOT_INFO, &block, sizeof(block)) || boot_put_gdt(memory, 0))
		return fail(why, "the start information does not fit in memory");

	entry->protocol = "PVH";
	entry->cs = 0x10;
	entry->ds = 0x18;
	entry->rip = elf->pvh_entry;
	entry->rbx = BOOT_INFO;
	return 0;
}
