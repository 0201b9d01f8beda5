// SPDX-License-Identifier: GPL-2.0
/* Writes the images of the unit tests as first inputs for the fuzzers: seeds DIRECTORY. */
#include <stdio.h>

#include "image.h"

static int put(const char *directory, const char *name, const struct image *image)
{
	char path[512];
	FILE *file;
	size_t done;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	if (!file)
		return 1;
	done = fwrite(image->data, 1, image->blob.size, file);
	return fclose(file) || done != image->blob.size;
}

int main(int argc, char **argv)
{
	static struct image image;
	int bad = 0;

	if (argc != 2)
		return 2;
	image_bzimage(&image);
	bad |= put(argv[1], "linux/seed", &image);
	image_pvh(&image);
	bad |= put(argv[1], "pvh/seed", &image);
	image_multiboot(&image, 3);
	bad |= put(argv[1], "multiboot/seed", &image);
	return bad;
}
