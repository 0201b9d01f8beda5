/* SPDX-License-Identifier: GPL-2.0 */
/*
 * 9P2000.L on the wire: numbers of messages, and integers and strings out of them and into them.
 * Pure: knows no files.
 *
 * A message is size[4] type[1] tag[2] and a body; integers are little endian, a string is
 * length[2] and that many bytes.
 */
#ifndef HULL_9P_PROTO_H
#define HULL_9P_PROTO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests; the reply to each is one more. */
enum p9_type {
	P9_TLERROR	= 6,		/* there is a reply of this kind only */
	P9_TSTATFS	= 8,
	P9_TLOPEN	= 12,
	P9_TLCREATE	= 14,
	P9_TSYMLINK	= 16,
	P9_TMKNOD	= 18,
	P9_TRENAME	= 20,
	P9_TREADLINK	= 22,
	P9_TGETATTR	= 24,
	P9_TSETATTR	= 26,
	P9_TXATTRWALK	= 30,
	P9_TXATTRCREATE	= 32,
	P9_TREADDIR	= 40,
	P9_TFSYNC	= 50,
	P9_TLOCK	= 52,
	P9_TGETLOCK	= 54,
	P9_TLINK	= 70,
	P9_TMKDIR	= 72,
	P9_TRENAMEAT	= 74,
	P9_TUNLINKAT	= 76,
	P9_TVERSION	= 100,
	P9_TAUTH	= 102,
	P9_TATTACH	= 104,
	P9_TFLUSH	= 108,
	P9_TWALK	= 110,
	P9_TREAD	= 116,
	P9_TWRITE	= 118,
	P9_TCLUNK	= 120,
	P9_TREMOVE	= 122,
};

#define P9_RLERROR	(P9_TLERROR + 1)

#define P9_HEADER	7U		/* bytes of size, type and tag */
#define P9_RLERROR_SIZE	(P9_HEADER + 4)
#define P9_RREAD_SIZE	(P9_HEADER + 4)	/* before the data */
#define P9_TWRITE_SIZE	(P9_HEADER + 16)	/* before the data */

#define P9_NOFID	0xffffffffU
#define P9_NOUID	0xffffffffU
#define P9_WALK_MAX	16		/* names in a walk */
#define P9_NAME_SIZE	(NAME_MAX + 1)

/* Kinds of a qid. */
#define P9_QID_DIR	0x80
#define P9_QID_SYMLINK	0x02
#define P9_QID_FILE	0x00

/**
 * struct p9_qid - what tells one file from others
 * @type: P9_QID_*
 * @version: another one when the file has changed
 * @path: the same only for the same file
 */
struct p9_qid {
	uint8_t type;
	uint32_t version;
	uint64_t path;
};

/* ---- reading -------------------------------------------------------------------------------- */

/* @error: 0, or what was wrong first (-EPROTO); what is read after it is 0 or empty. */
struct p9_reader {
	const uint8_t *at, *end;
	int error;
};

uint8_t p9_get8(struct p9_reader *reader);
uint16_t p9_get16(struct p9_reader *reader);
uint32_t p9_get32(struct p9_reader *reader);
uint64_t p9_get64(struct p9_reader *reader);

/* Into @text, closed by a NUL. -ENAMETOOLONG: longer than @room - 1; -EINVAL: has a NUL in it. */
void p9_get_string(struct p9_reader *reader, char *text, size_t room);

/* A name in a directory, P9_NAME_SIZE: -EINVAL when it is empty, ".", ".." or has a '/'. */
void p9_get_name(struct p9_reader *reader, char *name);

/* ---- writing -------------------------------------------------------------------------------- */

/* @full: something did not fit; nothing was written from then on. */
struct p9_writer {
	uint8_t *data;
	size_t size, room;
	bool full;
};

void p9_put8(struct p9_writer *writer, uint8_t value);
void p9_put16(struct p9_writer *writer, uint16_t value);
void p9_put32(struct p9_writer *writer, uint32_t value);
void p9_put64(struct p9_writer *writer, uint64_t value);
void p9_put_string(struct p9_writer *writer, const char *text);
void p9_put_qid(struct p9_writer *writer, const struct p9_qid *qid);

#endif
