// SPDX-License-Identifier: GPL-2.0
/*
 * Integers and strings of 9P, never beyond the message or the reply: see proto.h.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "9p/proto.h"

/* ---- reading -------------------------------------------------------------------------------- */

static void get(struct p9_reader *reader, void *value, size_t size)
{
	memset(value, 0, size);
	if (reader->error)
		return;
	if ((size_t)(reader->end - reader->at) < size) {
		reader->error = -EPROTO;
		return;
	}
	memcpy(value, reader->at, size);
	reader->at += size;
}

uint8_t p9_get8(struct p9_reader *reader)
{
	uint8_t value;

	get(reader, &value, sizeof(value));
	return value;
}

uint16_t p9_get16(struct p9_reader *reader)
{
	uint16_t value;

	get(reader, &value, sizeof(value));
	return le16toh(value);
}

uint32_t p9_get32(struct p9_reader *reader)
{
	uint32_t value;

	get(reader, &value, sizeof(value));
	return le32toh(value);
}

uint64_t p9_get64(struct p9_reader *reader)
{
	uint64_t value;

	get(reader, &value, sizeof(value));
	return le64toh(value);
}

void p9_get_string(struct p9_reader *reader, char *text, size_t room)
{
	size_t length = p9_get16(reader);

	text[0] = '\0';
	if (!reader->error && (size_t)(reader->end - reader->at) < length)
		reader->error = -EPROTO;
	else if (!reader->error && length >= room)
		reader->error = -ENAMETOOLONG;
	else if (!reader->error && memchr(reader->at, '\0', length))
		reader->error = -EINVAL;
	if (reader->error)
		return;
	memcpy(text, reader->at, length);
	text[length] = '\0';
	reader->at += length;
}

void p9_get_name(struct p9_reader *reader, char *name)
{
	p9_get_string(reader, name, P9_NAME_SIZE);
	if (reader->error)
		return;
	if (!name[0] || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		reader->error = -EINVAL;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put(struct p9_writer *writer, const void *value, size_t size)
{
	if (writer->full || writer->room - writer->size < size) {
		writer->full = true;
		return;
	}
	memcpy(writer->data + writer->size, value, size);
	writer->size += size;
}

void p9_put8(struct p9_writer *writer, uint8_t value)
{
	put(writer, &value, sizeof(value));
}

void p9_put16(struct p9_writer *writer, uint16_t value)
{
	value = htole16(value);
	put(writer, &value, sizeof(value));
}

void p9_put32(struct p9_writer *writer, uint32_t value)
{
	value = htole32(value);
	put(writer, &value, sizeof(value));
}

void p9_put64(struct p9_writer *writer, uint64_t value)
{
	value = htole64(value);
	put(writer, &value, sizeof(value));
}

void p9_put_string(struct p9_writer *writer, const char *text)
{
	size_t length = strlen(text);

	if (length > UINT16_MAX) {
		writer->full = true;
		return;
	}
	p9_put16(writer, length);
	put(writer, text, length);
}

void p9_put_qid(struct p9_writer *writer, const struct p9_qid *qid)
{
	p9_put8(writer, qid->type);
	p9_put32(writer, qid->version);
	p9_put64(writer, qid->path);
}
