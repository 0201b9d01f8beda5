// SPDX-License-Identifier: GPL-2.0
/*
 * Linux bzImage by the Linux/x86 boot protocol, entered past its real-mode part: in 64-bit mode
 * where the kernel offers that, else in 32-bit mode.
 *
 *	load address		protected-mode part of the image, needs init_size bytes
 *	below the low end	initrd, as high as the kernel takes it
 *	BOOT_ZERO_PAGE		struct boot_params, RSI points to it
 *	BOOT_CMDLINE		command line
 *	BOOT_PAGE_TABLES	identity map of the first 4 GiB (64-bit entry)
 */
#include <string.h>
#include <asm/bootparam.h>

#include "boot/boot.h"

#define SETUP_MAGIC		0x53726448	/* "HdrS" */
#define HEADER_OFFSET		0x1f1
#define SECTOR			512
#define ENTRY64			0x200		/* into the protected-mode part */
#define PROTOCOL_MIN		0x202		/* cmd_line_ptr */

/* Page-table bits. */
#define PTE_PRESENT_WRITE	0x3
#define PTE_LARGE		0x80

struct linux_image {
	struct setup_header header;
	uint64_t header_end;		/* in the file */
	uint64_t payload_offset;	/* protected-mode part in the file */
	uint64_t payload_size;
	uint64_t load;			/* where it goes */
	uint64_t needs;			/* bytes from there on */
	uint64_t initrd;
	uint64_t initrd_size;
	int long_mode;
};

int linux_detect(const struct blob *kernel)
{
	uint32_t magic;

	if (kernel->size < HEADER_OFFSET + sizeof(struct setup_header))
		return 0;
	memcpy(&magic, kernel->data + 0x202, sizeof(magic));
	return magic == SETUP_MAGIC;
}

/* The header ends where the jump over it leads. Fields past its end are not there: zero. */
static int read_header(const struct blob *kernel, struct linux_image *image, struct failure *why)
{
	struct setup_header *header = &image->header;
	uint64_t sectors, size;

	image->header_end = 0x202 + kernel->data[0x201];
	if (image->header_end > kernel->size)
		return fail(why, "%s is truncated in its setup header", kernel->name);
	size = image->header_end - HEADER_OFFSET;
	if (size > sizeof(*header))
		size = sizeof(*header);
	memset(header, 0, sizeof(*header));
	memcpy(header, kernel->data + HEADER_OFFSET, size);
	if (header->version < PROTOCOL_MIN)
		return fail(why, "%s speaks boot protocol %u.%02u, hull needs 2.02 or later",
			    kernel->name, header->version >> 8, header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return fail(why, "%s is a zImage: only a bzImage can be loaded", kernel->name);

	sectors = header->setup_sects ? header->setup_sects : 4;
	image->payload_offset = (sectors + 1) * SECTOR;
	if (image->payload_offset >= kernel->size)
		return fail(why, "%s is truncated: it ends within its setup part", kernel->name);
	image->payload_size = kernel->size - image->payload_offset;
	/* syssize counts paragraphs; images may carry a signature behind that. */
	if (header->version >= 0x204 && (uint64_t)header->syssize * 16 > image->payload_size + 15)
		return fail(why, "%s is truncated: it says it has %llu bytes and has %zu",
			    kernel->name, (unsigned long long)(header->syssize * 16ULL +
			    image->payload_offset), kernel->size);
	return 0;
}

static int choose_mode(const struct boot_config *config, struct linux_image *image,
		       struct failure *why)
{
	int offers = image->header.version >= 0x20c &&
		     (image->header.xloadflags & XLF_KERNEL_64);

	if (config->protocol == BOOT_LINUX64 && !offers)
		return fail(why, "%s has no 64-bit entry point", config->kernel.name);
	image->long_mode = offers && config->protocol != BOOT_LINUX32;
	if (image->long_mode && image->payload_size <= ENTRY64)
		return fail(why, "%s is truncated before its 64-bit entry point",
			    config->kernel.name);
	return 0;
}

static int place_kernel(const struct guest_memory *memory, const struct boot_config *config,
			struct linux_image *image, struct failure *why)
{
	const struct setup_header *header = &image->header;
	uint64_t end;

	image->load = header->code32_start;
	image->needs = image->payload_size;
	if (header->version >= 0x20a) {
		image->load = header->pref_address;
		if (header->init_size > image->needs)
			image->needs = header->init_size;
	} else {
		/* Such a kernel does not say what it unpacks to. */
		image->needs *= 4;
	}
	if (image->load < BOOT_KERNEL_MIN || image->load >= MEMORY_HOLE_START)
		return fail(why, "%s wants to be loaded at 0x%llx", config->kernel.name,
			    (unsigned long long)image->load);
	end = image->load + image->needs;
	if (end > memory_low_end(memory))
		return boot_needs_memory(memory, end, boot_initrd_size(config), why);
	return 0;
}

static int place_initrd(const struct guest_memory *memory, const struct boot_config *config,
			struct linux_image *image, struct failure *why)
{
	uint64_t top = memory_low_end(memory);
	uint64_t kernel_end = align_up(image->load + image->needs, PAGE_SIZE);
	uint64_t limit = 0x38000000;	/* of protocols that do not say */

	image->initrd_size = boot_initrd_size(config);
	if (!image->initrd_size)
		return 0;
	if (image->header.version >= 0x203)
		limit = (uint64_t)image->header.initrd_addr_max + 1;
	if (kernel_end > top || align_up(image->initrd_size, PAGE_SIZE) > top - kernel_end)
		return boot_needs_memory(memory, kernel_end, image->initrd_size, why);
	if (top > limit)
		top = align_down(limit, PAGE_SIZE);
	if (kernel_end > top || align_up(image->initrd_size, PAGE_SIZE) > top - kernel_end)
		return fail(why, "the initrd of %llu MiB does not fit below 0x%llx, where %s takes "
			    "it", (unsigned long long)(image->initrd_size / MIB),
			    (unsigned long long)limit, config->kernel.name);
	image->initrd = top - align_up(image->initrd_size, PAGE_SIZE);
	return 0;
}

static void fill_e820(const struct guest_memory *memory, struct boot_params *params)
{
	struct e820_entry entry[E820_MAX];
	unsigned int count = e820_build(memory, entry);
	unsigned int i;

	for (i = 0; i < count; i++) {
		params->e820_table[i].addr = entry[i].start;
		params->e820_table[i].size = entry[i].size;
		params->e820_table[i].type = entry[i].type;
	}
	params->e820_entries = count;
}

static int put_zero_page(const struct guest_memory *memory, const struct boot_config *config,
			 const struct linux_image *image, struct failure *why)
{
	struct boot_params params;
	uint64_t limit = 256;

	memset(&params, 0, sizeof(params));
	params.hdr = image->header;
	params.hdr.type_of_loader = 0xff;
	params.hdr.vid_mode = 0xffff;
	params.hdr.code32_start = image->load;
	params.hdr.cmd_line_ptr = BOOT_CMDLINE;
	params.hdr.ramdisk_image = image->initrd;
	params.hdr.ramdisk_size = image->initrd_size;
	params.acpi_rsdp_addr = ACPI_RSDP_GPA;
	params.alt_mem_k = (memory_low_end(memory) - MIB) / 1024;
	fill_e820(memory, &params);

	if (image->header.version >= 0x206)
		limit = (uint64_t)image->header.cmdline_size + 1;
	if (boot_put_cmdline(memory, config->cmdline, limit, why))
		return -1;
	return memory_write(memory, BOOT_ZERO_PAGE, &params, sizeof(params));
}

/* Identity map of the first 4 GiB by 2 MiB pages. */
static int put_page_tables(const struct guest_memory *memory)
{
	uint64_t *table = memory_at(memory, BOOT_PAGE_TABLES, 6 * PAGE_SIZE);
	uint64_t i;

	if (!table)
		return -1;
	memset(table, 0, 6 * PAGE_SIZE);
	table[0] = (BOOT_PAGE_TABLES + PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < 4; i++)
		table[512 + i] = (BOOT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | PTE_LARGE | PTE_PRESENT_WRITE;
	return 0;
}

int linux_load(const struct guest_memory *memory, const struct boot_config *config,
	       struct boot_entry *entry, struct failure *why)
{
	const struct blob *kernel = &config->kernel;
	struct linux_image image;

	memset(&image, 0, sizeof(image));
	if (config->modules)
		return fail(why, "--module is for PVH and multiboot kernels; %s takes --initrd",
			    kernel->name);
	if (read_header(kernel, &image, why) || choose_mode(config, &image, why) ||
	    place_kernel(memory, config, &image, why) ||
	    place_initrd(memory, config, &image, why) ||
	    put_zero_page(memory, config, &image, why))
		return -1;
	if (memory_write(memory, image.load, kernel->data + image.payload_offset,
			 image.payload_size) ||
	    (image.initrd_size && boot_put_initrd(memory, config, image.initrd)) ||
	    boot_put_gdt(memory, image.long_mode) ||
	    (image.long_mode && put_page_tables(memory)))
		return fail(why, "%s does not fit in memory", kernel->name);

	entry->protocol = image.long_mode ? "Linux, 64-bit" : "Linux, 32-bit";
	entry->long_mode = image.long_mode;
	entry->cs = 0x10;
	entry->ds = 0x18;
	entry->rip = image.load + (image.long_mode ? ENTRY64 : 0);
	entry->rsi = BOOT_ZERO_PAGE;
	return 0;
}
