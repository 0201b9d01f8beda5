// SPDX-License-Identifier: GPL-2.0
/*
 * NBD servers that others have started, by URI.
 *
 * Locks: none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/nbd.h"

struct uri {
	struct nbd_source source;
	const char *text;
};

/* Names are looked up here and now: a name server that is silent makes the disk wait. */
static int uri_connect(struct nbd_source *source, struct nbd_handle *handle, struct failure *why)
{
	/* The URI is the user's own word, its files (of TLS) too. */
	nbd_set_uri_allow_local_file(handle, true);
	if (nbd_aio_connect_uri(handle, ((struct uri *)source)->text))
		return nbd_fail(why);
	return 0;
}

/* libnbd takes root's from /etc. */
static void default_keys(char *path, size_t size)
{
	const char *home = getenv("HOME");

	if (!geteuid() || !home)
		snprintf(path, size, "/etc/pki/libnbd");
	else
		snprintf(path, size, "%s/.pki/libnbd", home);
}

int disk_uri_keys(const char *uri, char *path, size_t size)
{
	static const char *const names[] = { "tls-certificates=", "tls-psk-file=" };
	const char *query = strchr(uri, '?'), *at;
	unsigned int i;

	if (strncmp(uri, "nbds", 4))
		return -1;
	default_keys(path, size);
	for (i = 0; i < 2 && query; i++) {
		at = strstr(query, names[i]);
		if (at && strchr("?&;", at[-1])) {
			at += strlen(names[i]);
			snprintf(path, size, "%.*s", (int)strcspn(at, "&;#"), at);
		}
	}
	return access(path, R_OK) ? -1 : 0;
}

static void uri_close(struct nbd_source *source)
{
	free(source);
}

struct disk *nbd_open_uri(const char *uri, bool read_only, unsigned int reconnect,
			  struct failure *why)
{
	struct uri *source = calloc(1, sizeof(*source));

	if (!source) {
		fail(why, "out of memory");
		return NULL;
	}
	source->source = (struct nbd_source){
		.connect = uri_connect, .close = uri_close, .event = -1,
		.network = true,
	};
	source->text = uri;
	return nbd_open(&source->source, uri, read_only, reconnect, why);
}
