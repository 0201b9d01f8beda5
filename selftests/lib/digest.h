/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Digests of a guest at its stops, as lines that can be compared: with those of another run, or of
 * another CPU (scripts/check-digests). HULL_DIGEST=nested or =shadow in the environment asks tests
 * that have such guests for them, with VMs of this paging:
 *
 *	# digest GUEST STOP PART=HASH PART=HASH ...
 *
 * and HULL_DIGEST_WORDS=PARTS (or all) for the registers of these parts in place of hashes,
 * PART.NAME=VALUE. Parts of other vCPUs than the first are PART:ID.
 *
 * What may differ between CPUs that do the same is made the same in digest.c, and nowhere else.
 */
#ifndef SELFTESTS_DIGEST_H
#define SELFTESTS_DIGEST_H

#include <stdio.h>

#include "trap.h"

/**
 * struct digest - lines being written
 * @to: where
 * @words: of these parts, or of all, registers and not hashes; NULL: of none
 * @part: the part being written
 * @in_words: it is one of those
 * @hash: of it so far
 */
struct digest {
	FILE *to;
	const char *words;
	char part[16];
	bool in_words;
	__u64 hash;
};

/* Are digests asked for? Then *@digest is to be used. */
bool digest_wanted(struct digest *digest);
/* HULL_PAGING_* of the VMs: as HULL_DIGEST says, or HULL_PAGING_AUTO. */
__u32 digest_paging(void);

/* A line: begin it, add to it, end it. The name of @stop has no blanks. */
void digest_begin(struct digest *digest, const char *guest, const char *stop);
void digest_word(struct digest *digest, const char *part, const char *name, __u64 value);
void digest_memory(struct digest *digest, const char *part, const void *from, size_t size);
void digest_end(struct digest *digest);

/* The same when nothing can be said here: the emulator cannot do it. */
void digest_left_out(struct digest *digest);

/* All register groups of a vCPU but APIC and timers. 0, or -1 with errno. */
int digest_vcpu(struct digest *digest, struct guest *guest, unsigned int id);

/* What a handler found. */
void digest_trap(struct digest *digest, const struct trap *trap);

/* Returns the number of lines that differ; with @show they are shown, word for word. */
int digest_compare(const char *first, const char *second, bool show);

/* FNV-1a, a word at a time. */
static inline __u64 digest_hash(__u64 hash, const void *from, size_t size)
{
	const __u64 *words = from;
	size_t i;

	for (i = 0; i < size / 8; i++)
		hash = (hash ^ words[i]) * 0x100000001b3;
	return hash;
}

#define DIGEST_HASH_START	0xcbf29ce484222325

#endif
