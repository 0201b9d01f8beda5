// SPDX-License-Identifier: GPL-2.0
/*
 * ELF executables, 32 and 64 bit: their loadable segments and the note with Xen's PVH entry point.
 *
 * Every offset and count comes from the file: file_at() is the only way to a byte of it.
 */
#include <elf.h>
#include <string.h>

#include "boot/boot.h"

#define XEN_ELFNOTE_PHYS32_ENTRY	18

struct segment {
	uint32_t type;
	uint64_t offset;
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t file_size;
	uint64_t memory_size;
	uint64_t align;
};

struct elf_file {
	const struct blob *blob;
	unsigned int bits;
	uint64_t entry;
	uint64_t headers;
	uint64_t header_size;
	unsigned int count;
};

static const void *file_at(const struct blob *blob, uint64_t offset, uint64_t size)
{
	if (offset > blob->size || size > blob->size - offset)
		return NULL;
	return blob->data + offset;
}

int elf_detect(const struct blob *kernel)
{
	return kernel->size >= SELFMAG && !memcmp(kernel->data, ELFMAG, SELFMAG);
}

static int check_ident(const struct blob *kernel, uint16_t type, uint16_t machine,
		       struct failure *why)
{
	if (kernel->data[EI_DATA] != ELFDATA2LSB || (machine != EM_386 && machine != EM_X86_64))
		return fail(why, "%s is not for x86", kernel->name);
	if (type != ET_EXEC && type != ET_DYN)
		return fail(why, "%s is an ELF file but no executable", kernel->name);
	return 0;
}

static int open_elf32(const struct blob *kernel, struct elf_file *file, struct failure *why)
{
	const void *at = file_at(kernel, 0, sizeof(Elf32_Ehdr));
	Elf32_Ehdr header;

	if (!at)
		return fail(why, "%s is truncated in its ELF header", kernel->name);
	memcpy(&header, at, sizeof(header));
	file->bits = 32;
	file->entry = header.e_entry;
	file->headers = header.e_phoff;
	file->header_size = header.e_phentsize;
	file->count = header.e_phnum;
	if (file->header_size < sizeof(Elf32_Phdr))
		return fail(why, "%s has program headers of a wrong size", kernel->name);
	return check_ident(kernel, header.e_type, header.e_machine, why);
}

static int open_elf64(const struct blob *kernel, struct elf_file *file, struct failure *why)
{
	const void *at = file_at(kernel, 0, sizeof(Elf64_Ehdr));
	Elf64_Ehdr header;

	if (!at)
		return fail(why, "%s is truncated in its ELF header", kernel->name);
	memcpy(&header, at, sizeof(header));
	file->bits = 64;
	file->entry = header.e_entry;
	file->headers = header.e_phoff;
	file->header_size = header.e_phentsize;
	file->count = header.e_phnum;
	if (file->header_size < sizeof(Elf64_Phdr))
		return fail(why, "%s has program headers of a wrong size", kernel->name);
	return check_ident(kernel, header.e_type, header.e_machine, why);
}

static int open_elf(const struct blob *kernel, struct elf_file *file, struct failure *why)
{
	memset(file, 0, sizeof(*file));
	file->blob = kernel;
	if (kernel->size < EI_NIDENT || !elf_detect(kernel))
		return fail(why, "%s is truncated in its ELF header", kernel->name);
	if (kernel->data[EI_CLASS] == ELFCLASS32)
		return open_elf32(kernel, file, why);
	if (kernel->data[EI_CLASS] == ELFCLASS64)
		return open_elf64(kernel, file, why);
	return fail(why, "%s is neither a 32-bit nor a 64-bit ELF file", kernel->name);
}

/* 0, or -1: the header itself or what it points to in the file is not there. */
static int get_segment(const struct elf_file *file, unsigned int index, struct segment *segment)
{
	uint64_t offset = add_clamped(file->headers, index * file->header_size);
	const void *at = file_at(file->blob, offset, file->header_size);
	Elf64_Phdr header;
	Elf32_Phdr narrow;

	if (!at)
		return -1;
	if (file->bits == 64) {
		memcpy(&header, at, sizeof(header));
		*segment = (struct segment){
			header.p_type, header.p_offset, header.p_vaddr, header.p_paddr,
			header.p_filesz, header.p_memsz, header.p_align,
		};
	} else {
		memcpy(&narrow, at, sizeof(narrow));
		*segment = (struct segment){
			narrow.p_type, narrow.p_offset, narrow.p_vaddr, narrow.p_paddr,
			narrow.p_filesz, narrow.p_memsz, narrow.p_align,
		};
	}
	if (segment->type != PT_LOAD && segment->type != PT_NOTE)
		return 0;
	return file_at(file->blob, segment->offset, segment->file_size) ? 0 : -1;
}

/* The entry point may be given as a virtual address: translate it by the segment it lies in. */
static void note_load(const struct segment *segment, uint64_t raw_entry, struct elf_info *info)
{
	uint64_t end = add_clamped(segment->paddr, segment->memory_size);

	if (segment->paddr < info->start)
		info->start = segment->paddr;
	if (end > info->end)
		info->end = end;
	if (raw_entry >= segment->vaddr && raw_entry - segment->vaddr < segment->memory_size)
		info->entry = raw_entry - segment->vaddr + segment->paddr;
}

static void note_pvh(const struct elf_file *file, const struct segment *segment,
		     struct elf_info *info)
{
	uint64_t align = segment->align == 8 ? 8 : 4;
	uint64_t end = segment->offset + segment->file_size;
	uint64_t at = segment->offset;

	while (end - at >= sizeof(Elf32_Nhdr)) {
		uint64_t name, desc;
		Elf32_Nhdr note;

		memcpy(&note, file->blob->data + at, sizeof(note));
		name = at + sizeof(note);
		desc = align_up(name + note.n_namesz, align);
		if (desc > end || note.n_descsz > end - desc)
			return;
		if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
		    !memcmp(file->blob->data + name, "Xen", 4) && note.n_descsz >= 4) {
			info->has_pvh = 1;
			memcpy(&info->pvh_entry, file->blob->data + desc,
			       note.n_descsz >= 8 ? 8 : 4);
			return;
		}
		at = align_up(desc + note.n_descsz, align);
		if (at > end)
			return;
	}
}

int elf_parse(const struct blob *kernel, struct elf_info *info, struct failure *why)
{
	struct segment segment;
	struct elf_file file;
	unsigned int i;

	memset(info, 0, sizeof(*info));
	if (open_elf(kernel, &file, why))
		return -1;
	info->bits = file.bits;
	info->entry = file.entry;
	info->start = UINT64_MAX;
	for (i = 0; i < file.count; i++) {
		if (get_segment(&file, i, &segment))
			return fail(why, "%s is truncated: segment %u is not all there",
				    kernel->name, i);
		if (segment.type == PT_NOTE && !info->has_pvh)
			note_pvh(&file, &segment, info);
		if (segment.type != PT_LOAD || !segment.memory_size)
			continue;
		if (segment.file_size > segment.memory_size)
			return fail(why, "%s: segment %u is larger in the file than in memory",
				    kernel->name, i);
		note_load(&segment, file.entry, info);
	}
	if (info->start == UINT64_MAX)
		return fail(why, "%s has nothing to load", kernel->name);
	if (info->start < BOOT_KERNEL_MIN)
		return fail(why, "%s loads at 0x%llx, below 1 MiB", kernel->name,
			    (unsigned long long)info->start);
	return 0;
}

/* After elf_parse() and after the caller compared info->end with the memory there is. */
int elf_load(const struct guest_memory *memory, const struct blob *kernel, struct failure *why)
{
	struct segment segment;
	struct elf_file file;
	unsigned int i;

	if (open_elf(kernel, &file, why))
		return -1;
	for (i = 0; i < file.count; i++) {
		if (get_segment(&file, i, &segment))
			return fail(why, "%s is truncated", kernel->name);
		if (segment.type != PT_LOAD || !segment.memory_size)
			continue;
		if (memory_write(memory, segment.paddr, kernel->data + segment.offset,
				 segment.file_size) ||
		    memory_zero(memory, segment.paddr + segment.file_size,
				segment.memory_size - segment.file_size))
			return fail(why, "%s: segment %u at 0x%llx is not in memory", kernel->name,
				    i, (unsigned long long)segment.paddr);
	}
	return 0;
}
