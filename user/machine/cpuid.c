// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUID leaves that say which vCPU this is and how many there are: one package, one thread a
 * core, APIC ids from 0.
 *
 * No locks: works on the caller's table.
 */
#include <stddef.h>

#include "machine/machine.h"

#define LEAF_FEATURES		0x1
#define LEAF_CACHES		0x4
#define LEAF_TOPOLOGY		0xb
#define LEAF_TOPOLOGY2		0x1f
#define LEAF_AMD_FEATURES	0x80000001
#define LEAF_ADDRESS_SIZES	0x80000008
#define LEAF_AMD_CACHES		0x8000001d
#define LEAF_AMD_TOPOLOGY	0x8000001e

#define EBX_AMD			0x68747541	/* "Auth" */
#define EBX_HYGON		0x6f677948	/* "Hygo" */

#define EDX_HTT			(1U << 28)
#define ECX_AMD_CMP_LEGACY	(1U << 1)

/* Where the caches' leaves keep how many share one, less one. */
#define SHARING_SHIFT		14
#define SHARING_MASK		(0xfffU << SHARING_SHIFT)
#define CORES_SHIFT		26
#define CORES_MASK		(0x3fU << CORES_SHIFT)

#define CACHE_TYPE(eax)		((eax) & 0x1f)
#define CACHE_LEVEL(eax)	((eax) >> 5 & 7)

/* Bits of an APIC id that number @cpus. */
static unsigned int id_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while (1U << bits < cpus)
		bits++;
	return bits;
}

static unsigned int at_most(unsigned int value, unsigned int limit)
{
	return value < limit ? value : limit;
}

static void features(struct hull_cpuid_entry *entry, unsigned int id, unsigned int cpus)
{
	entry->ebx &= 0xffff;
	entry->ebx |= at_most(cpus, 255) << 16 | (id & 0xff) << 24;
	entry->edx &= ~EDX_HTT;
	if (cpus > 1)
		entry->edx |= EDX_HTT;
}

/* The last level is shared by all, the others are a core's own. */
static void caches(struct hull_cpuid_entry *entry, unsigned int cpus, unsigned int cores_field)
{
	unsigned int share = 0;

	if (!CACHE_TYPE(entry->eax))
		return;
	if (CACHE_LEVEL(entry->eax) >= 3)
		share = at_most((1U << id_bits(cpus)) - 1, 0xfff);
	entry->eax &= ~(SHARING_MASK | cores_field);
	entry->eax |= share << SHARING_SHIFT;
	if (cores_field)
		entry->eax |= at_most((1U << id_bits(cpus)) - 1, 0x3f) << CORES_SHIFT;
}

static void topology(struct hull_cpuid_entry *entry, unsigned int id, unsigned int cpus)
{
	static const uint32_t type[2] = { 1 << 8, 2 << 8 };	/* threads of a core; cores */

	entry->eax = entry->subleaf == 1 ? id_bits(cpus) : 0;
	entry->ebx = entry->subleaf == 0 ? 1 : entry->subleaf == 1 ? cpus : 0;
	entry->ecx = entry->subleaf | (entry->subleaf < 2 ? type[entry->subleaf] : 0);
	entry->edx = id;
}

/* Leaves whose meaning differs between vendors are AMD's when the vendor is. */
static bool is_amd(const struct hull_cpuid_entry *entry, uint32_t count)
{
	for (; count; count--, entry++)
		if (entry->leaf == 0)
			return entry->ebx == EBX_AMD || entry->ebx == EBX_HYGON;
	return false;
}

static void amd_leaf(struct hull_cpuid_entry *entry, unsigned int id, unsigned int cpus)
{
	switch (entry->leaf) {
	case LEAF_AMD_FEATURES:
		entry->ecx &= ~ECX_AMD_CMP_LEGACY;
		if (cpus > 1)
			entry->ecx |= ECX_AMD_CMP_LEGACY;
		break;
	case LEAF_ADDRESS_SIZES:
		entry->ecx = at_most(cpus - 1, 255) | id_bits(cpus) << 12;
		break;
	case LEAF_AMD_CACHES:
		caches(entry, cpus, 0);
		break;
	case LEAF_AMD_TOPOLOGY:
		entry->eax = id;
		entry->ebx = id & 0xff;
		entry->ecx = 0;
		break;
	}
}

void cpuid_for_vcpu(struct hull_cpuid_entry *entry, uint32_t count, unsigned int id,
		    unsigned int cpus)
{
	bool amd = is_amd(entry, count);

	for (; count; count--, entry++) {
		switch (entry->leaf) {
		case LEAF_FEATURES:
			features(entry, id, cpus);
			break;
		case LEAF_CACHES:
			caches(entry, cpus, CORES_MASK);
			break;
		case LEAF_TOPOLOGY:
		case LEAF_TOPOLOGY2:
			topology(entry, id, cpus);
			break;
		default:
			if (amd)
				amd_leaf(entry, id, cpus);
			break;
		}
	}
}
