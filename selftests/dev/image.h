/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel images made on the spot, as small as the loaders take them.
 */
#ifndef SELFTESTS_DEV_IMAGE_H
#define SELFTESTS_DEV_IMAGE_H

#include <elf.h>
#include <string.h>
#include <asm/bootparam.h>

#include "boot/boot.h"

#define IMAGE_MAX	16384

struct image {
	uint8_t data[IMAGE_MAX];
	struct blob blob;
};

static inline void image_done(struct image *image, const char *name, size_t size)
{
	image->blob = (struct blob){ name, image->data, size };
}

static inline struct setup_header *image_header(struct image *image)
{
	return (struct setup_header *)(image->data + 0x1f1);
}

/* A bzImage with one setup sector and 4 KiB of code, both modes, at 16 MiB. */
static inline void image_bzimage(struct image *image)
{
	struct setup_header *header = image_header(image);

	memset(image->data, 0, sizeof(image->data));
	header->setup_sects = 1;
	header->syssize = 4096 / 16;
	header->boot_flag = 0xaa55;
	header->jump = 0xeb | 0x6a << 8;
	header->header = 0x53726448;
	header->version = 0x20f;
	header->loadflags = LOADED_HIGH;
	header->code32_start = 0x100000;
	header->initrd_addr_max = 0x7fffffff;
	header->kernel_alignment = 0x200000;
	header->relocatable_kernel = 1;
	header->xloadflags = XLF_KERNEL_64;
	header->cmdline_size = 2047;
	header->pref_address = 0x1000000;
	header->init_size = 0x800000;
	memset(image->data + 1024, 0x90, 4096);
	image_done(image, "bzImage", 1024 + 4096);
}

/* An ELF64 file with a PVH note: 256 bytes at 1 MiB, 4 KiB in memory. */
static inline void image_pvh(struct image *image)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)image->data;
	Elf64_Phdr *load = (Elf64_Phdr *)(image->data + 64);
	Elf64_Phdr *note = load + 1;
	uint32_t words[] = { 4, 8, 18, 0x006e6558, 0x100010, 0 };

	memset(image->data, 0, sizeof(image->data));
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64;
	header->e_entry = 0xffffffff80100000;
	header->e_phoff = 64;
	header->e_phentsize = sizeof(Elf64_Phdr);
	header->e_phnum = 2;
	*load = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_offset = 512, .p_vaddr = 0xffffffff80100000,
		.p_paddr = 0x100000, .p_filesz = 256, .p_memsz = 4096,
	};
	*note = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = 256, .p_filesz = sizeof(words), .p_align = 4,
	};
	memcpy(image->data + 256, words, sizeof(words));
	memset(image->data + 512, 0x90, 256);
	image_done(image, "vmlinux", 768);
}

/* An ELF32 file with a multiboot header: 256 bytes at 1 MiB, 8 KiB in memory. */
static inline void image_multiboot(struct image *image, uint32_t flags)
{
	Elf32_Ehdr *header = (Elf32_Ehdr *)image->data;
	Elf32_Phdr *load = (Elf32_Phdr *)(image->data + 64);
	uint32_t words[] = { 0x1badb002, flags, -(0x1badb002 + flags) };

	memset(image->data, 0, sizeof(image->data));
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS32;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_386;
	header->e_entry = 0xc0100020;
	header->e_phoff = 64;
	header->e_phentsize = sizeof(Elf32_Phdr);
	header->e_phnum = 1;
	*load = (Elf32_Phdr){
		.p_type = PT_LOAD, .p_offset = 512, .p_vaddr = 0xc0100000,
		.p_paddr = 0x100000, .p_filesz = 256, .p_memsz = 8192,
	};
	memset(image->data + 512, 0x90, 256);
	memcpy(image->data + 512, words, sizeof(words));
	image_done(image, "kernel.elf", 768);
}

#endif
