// SPDX-License-Identifier: GPL-2.0
/*
 * What an initramfs is made of: archives, which cpio(1) is to understand, and the modules of a
 * kernel in their order. Works in the directory that is its argument.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/cpio.h"
#include "exec/modules.h"
#include "test.h"

/* ---- archives ------------------------------------------------------------------------------- */

static uint32_t field(const uint8_t *header, unsigned int number)
{
	char digits[9] = "";

	memcpy(digits, header + 6 + 8 * number, 8);
	return strtoul(digits, NULL, 16);
}

static void test_format(void)
{
	struct cpio cpio = { NULL };
	const uint8_t *at;

	cpio_add_directory(&cpio, "d", 0755);
	cpio_add_file(&cpio, "d/file", 0640, "12345", 5);
	EXPECT_EQ(0, cpio_finish(&cpio));
	at = cpio.data;
	EXPECT(!memcmp(at, "070701", 6));
	EXPECT_EQ(S_IFDIR | 0755, field(at, 1));
	EXPECT_EQ(0, field(at, 6));
	EXPECT_EQ(2, field(at, 11));
	EXPECT(!strcmp((const char *)at + 110, "d"));
	at += 112;
	EXPECT(!memcmp(at, "070701", 6));
	EXPECT(field(at, 0) != field(cpio.data, 0));
	EXPECT_EQ(S_IFREG | 0640, field(at, 1));
	EXPECT_EQ(1, field(at, 4));
	EXPECT_EQ(5, field(at, 6));
	EXPECT_EQ(7, field(at, 11));
	EXPECT(!strcmp((const char *)at + 110, "d/file"));
	EXPECT(!memcmp(at + 120, "12345\0\0\0", 8) && !memcmp(at + 128, "070701", 6));
	at += 128;
	EXPECT_EQ(11, field(at, 11));
	EXPECT(!strcmp((const char *)at + 110, "TRAILER!!!"));
	EXPECT_EQ(124, cpio.data + cpio.size - at);
	free(cpio.data);
}

/* Names and data of all lengths around the padding, and more than fits at first. */
static void test_unpacked(void)
{
	static uint8_t data[3 << 20];
	struct cpio cpio = { NULL };
	char name[40];
	FILE *file;
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + i / 256;
	cpio_add_directory(&cpio, "tree", 0755);
	for (i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "tree/%.*s", (int)i + 1, "abcdefghijkl");
		cpio_add_file(&cpio, name, 0644, data, i);
	}
	cpio_add_file(&cpio, "tree/large", 0755, data, sizeof(data));
	EXPECT_EQ(0, cpio_finish(&cpio));
	file = fopen("archive", "w");
	EXPECT(file && fwrite(cpio.data, 1, cpio.size, file) == cpio.size && !fclose(file));
	file = fopen("large", "w");
	EXPECT(file && fwrite(data, 1, sizeof(data), file) == sizeof(data) && !fclose(file));
	free(cpio.data);
	EXPECT_EQ(0, system("rm -rf tree && cpio --quiet -id <archive && cmp large tree/large"));
	EXPECT_EQ(0, system("[ -x tree/large ] && [ $(ls tree | wc -l) = 10 ]"));
	for (i = 0; i < 9; i++) {
		char command[100];

		snprintf(command, sizeof(command), "head -c %zu large | cmp - tree/%.*s", i,
			 (int)i + 1, "abcdefghijkl");
		EXPECT_EQ(0, system(command));
	}
}

static void test_too_long(void)
{
	static char name[5000];
	struct cpio cpio = { NULL };

	memset(name, 'x', sizeof(name) - 1);
	cpio_add_file(&cpio, name, 0644, "", 0);
	cpio_add_file(&cpio, "fits", 0644, "", 0);
	EXPECT_EQ(-1, cpio_finish(&cpio));
	free(cpio.data);
}

/* ---- modules -------------------------------------------------------------------------------- */

static const char dep_text[] =
	"kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache.ko kernel/fs/netfs.ko\n"
	"kernel/net/9p/9pnet.ko:\n"
	"kernel/fs/fscache.ko: kernel/fs/netfs.ko\n"
	"kernel/fs/netfs.ko:\n"
	"kernel/drivers/virtio-rng.ko.xz: kernel/virtio.ko.xz kernel/virtio_ring.ko.xz\n"
	"kernel/virtio.ko.xz: kernel/virtio_ring.ko.xz\n"
	"kernel/virtio_ring.ko.xz:\n"
	"kernel/x/9p_x.ko:\n"
	"kernel/x/x_9p.ko: ";

#define NEEDED_9P							\
	"kernel/fs/netfs.ko kernel/fs/fscache.ko kernel/net/9p/9pnet.ko kernel/fs/9p/9p.ko "
#define NEEDED_RNG							\
	"kernel/virtio_ring.ko.xz kernel/virtio.ko.xz kernel/drivers/virtio-rng.ko.xz "

static const char builtin_text[] = "kernel/fs/ext4/ext4.ko\nkernel/lib/crc-t10dif.ko\n";

static struct blob of(const char *text)
{
	return (struct blob){ "list", (const uint8_t *)text, strlen(text) };
}

static int resolve(struct module_list *list, const char *dep_file, const char *name)
{
	struct blob dep = of(dep_file), builtin = of(builtin_text);
	struct failure why = { "" };
	int ret = modules_resolve(list, &dep, &builtin, name, &why);

	EXPECT(!ret == !why.text[0]);
	return ret;
}

static void expect_list(struct module_list *list, const char *want)
{
	char have[1000] = "";
	unsigned int i;

	for (i = 0; i < list->count; i++) {
		strcat(have, list->path[i]);
		strcat(have, " ");
	}
	if (strcmp(want, have))
		printf("# %s\n", have);
	EXPECT(!strcmp(want, have));
	modules_free(list);
}

static void test_modules(void)
{
	struct module_list list = { 0 };

	EXPECT_EQ(0, resolve(&list, dep_text, "9p"));
	EXPECT_EQ(0, resolve(&list, dep_text, "9pnet"));
	EXPECT_EQ(0, resolve(&list, dep_text, "9p"));
	expect_list(&list, NEEDED_9P);
	/* Compressed ones; '-' and '_' are the same. */
	EXPECT_EQ(0, resolve(&list, dep_text, "virtio_rng"));
	expect_list(&list, NEEDED_RNG);
	/* The last line has no end, and a space too many. */
	EXPECT_EQ(0, resolve(&list, dep_text, "x_9p"));
	expect_list(&list, "kernel/x/x_9p.ko ");
	/* What is built in needs nothing. */
	EXPECT_EQ(0, resolve(&list, dep_text, "ext4"));
	EXPECT_EQ(0, resolve(&list, dep_text, "crc_t10dif"));
	expect_list(&list, "");
}

static void test_bad_modules(void)
{
	struct module_list list = { 0 };
	static char many[MODULES_MAX * 16 + 100] = "a.ko:";
	unsigned int i;

	EXPECT_EQ(-1, resolve(&list, dep_text, "missing"));
	EXPECT_EQ(-1, resolve(&list, dep_text, "9p_"));
	EXPECT_EQ(-1, resolve(&list, dep_text, ""));
	EXPECT_EQ(-1, resolve(&list, "", "9p"));
	EXPECT_EQ(-1, resolve(&list, "\n\n:\n", "9p"));
	expect_list(&list, "");
	for (i = 0; i < MODULES_MAX; i++)
		sprintf(many + strlen(many), " m%u.ko", i);
	EXPECT_EQ(-1, resolve(&list, many, "a"));
	modules_free(&list);
}

static void test_release(void)
{
	static uint8_t image[0x1000];
	struct blob kernel = { "kernel", image, sizeof(image) };
	char release[16];

	memcpy(image + 0x202, "HdrS", 4);
	EXPECT_EQ(-1, kernel_release(&kernel, release, sizeof(release)));
	image[0x20e] = 0x40;
	strcpy((char *)image + 0x240, "6.1.0-57 (x@y) #1");
	EXPECT_EQ(0, kernel_release(&kernel, release, sizeof(release)));
	EXPECT(!strcmp(release, "6.1.0-57"));
	/* It would be elsewhere; it is too long; it is not there; no kernel. */
	strcpy((char *)image + 0x240, "../../etc");
	EXPECT_EQ(0, kernel_release(&kernel, release, sizeof(release)));
	EXPECT(!strchr(release, '/'));
	memset(image + 0x240, 'x', 100);
	EXPECT_EQ(0, kernel_release(&kernel, release, sizeof(release)));
	EXPECT_EQ(15, strlen(release));
	image[0x20f] = 0xff;
	EXPECT_EQ(-1, kernel_release(&kernel, release, sizeof(release)));
	kernel.size = 0x20f;
	EXPECT_EQ(-1, kernel_release(&kernel, release, sizeof(release)));
	kernel.size = sizeof(image);
	image[0x202] = 'x';
	EXPECT_EQ(-1, kernel_release(&kernel, release, sizeof(release)));
}

static const struct test tests[] = {
	{ "the format of an archive", test_format },
	{ "an archive is what cpio unpacks", test_unpacked },
	{ "a name that is too long", test_too_long },
	{ "modules come after those they need", test_modules },
	{ "modules that are not there, lists that are damaged", test_bad_modules },
	{ "the release of a kernel", test_release },
};

int main(int argc, char **argv)
{
	char directory[512];

	snprintf(directory, sizeof(directory), "%s/archives", argc > 1 ? argv[1] : ".");
	mkdir(directory, 0755);
	if (chdir(directory))
		return 1;
	return RUN_TESTS(tests);
}
