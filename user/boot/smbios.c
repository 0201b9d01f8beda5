// SPDX-License-Identifier: GPL-2.0
/*
 * SMBIOS tables (3.3, 64-bit entry point): what a guest's tools tell of the machine, its name and
 * UUID among it. The structures follow the entry point, each with its strings behind it.
 *
 * selftests/dev/smbios.c walks them as the specification says, and has dmidecode read them.
 */
#include <string.h>

#include "boot/boot.h"
#include "machine/identity.h"

#define TABLES_AT	32		/* behind the entry point */
#define TYPE_END	127
#define NO_HANDLE	0xffff
#define NOT_PROVIDED	0xfffe		/* no information about errors */

struct smbios_entry_point {
	char anchor[5];
	uint8_t checksum;
	uint8_t length;
	uint8_t major, minor, revision;
	uint8_t entry_revision;
	uint8_t reserved;
	uint32_t max_size;
	uint64_t address;
} __attribute__((packed));

struct smbios_header {
	uint8_t type;
	uint8_t length;
	uint16_t handle;
} __attribute__((packed));

struct smbios_bios {
	struct smbios_header header;
	uint8_t vendor, version;
	uint16_t segment;
	uint8_t date;
	uint8_t rom_size;
	uint64_t characteristics;
	uint8_t extension[2];
	uint8_t major, minor, ec_major, ec_minor;
} __attribute__((packed));

#define BIOS_NO_CHARACTERISTICS		(1ULL << 3)
#define BIOS_VIRTUAL_MACHINE		(1U << 4)	/* of the second extension */

struct smbios_system {
	struct smbios_header header;
	uint8_t manufacturer, product, version, serial;
	uint8_t uuid[16];
	uint8_t wake_up;
	uint8_t sku, family;
} __attribute__((packed));

#define WAKE_POWER_SWITCH	6

struct smbios_chassis {
	struct smbios_header header;
	uint8_t manufacturer, type, version, serial, asset;
	uint8_t boot_state, power_state, thermal_state, security;
	uint32_t oem;
	uint8_t height, cords, elements, element_size;
	uint8_t sku;
} __attribute__((packed));

#define CHASSIS_OTHER	1
#define STATE_SAFE	3
#define SECURITY_UNKNOWN 2

struct smbios_processor {
	struct smbios_header header;
	uint8_t socket, type, family, manufacturer;
	uint64_t id;
	uint8_t version, voltage;
	uint16_t clock, max_speed, speed;
	uint8_t status, upgrade;
	uint16_t l1, l2, l3;
	uint8_t serial, asset, part;
	uint8_t cores, cores_enabled, threads;
	uint16_t characteristics;
	uint16_t family2;
	uint16_t cores2, cores_enabled2, threads2;
} __attribute__((packed));

#define PROCESSOR_CENTRAL	3
#define PROCESSOR_OTHER		1
#define PROCESSOR_ENABLED	0x41
#define PROCESSOR_64BIT		(1U << 2)

struct smbios_array {
	struct smbios_header header;
	uint8_t location, use, correction;
	uint32_t capacity;
	uint16_t errors;
	uint16_t devices;
	uint64_t extended;
} __attribute__((packed));

#define ARRAY_OTHER		1
#define ARRAY_SYSTEM		3
#define ARRAY_NO_CORRECTION	3
#define ARRAY_EXTENDED		0x80000000

struct smbios_memory {
	struct smbios_header header;
	uint16_t array, errors;
	uint16_t total_width, data_width;
	uint16_t size;
	uint8_t form, set, locator, bank, type;
	uint16_t detail, speed;
	uint8_t manufacturer, serial, asset, part, attributes;
	uint32_t extended;
	uint16_t configured_speed, min_voltage, max_voltage, voltage;
} __attribute__((packed));

#define MEMORY_EXTENDED		0x7fff
#define MEMORY_DIMM		9
#define MEMORY_RAM		7
#define MEMORY_DETAIL_OTHER	(1U << 1)

struct smbios_mapped {
	struct smbios_header header;
	uint32_t start, end;
	uint16_t array;
	uint8_t width;
	uint64_t extended_start, extended_end;
} __attribute__((packed));

#define MAPPED_EXTENDED		0xffffffff

struct smbios_boot {
	struct smbios_header header;
	uint8_t reserved[6];
	uint8_t status;
} __attribute__((packed));

/**
 * struct table - the structures in the making
 * @handle: of the next one
 * @strings: of the present one so far
 * @full: something did not fit
 */
struct table {
	struct smbios_tables *out;
	uint16_t handle;
	unsigned int strings;
	bool full;
};

static void append(struct table *table, const void *data, size_t size)
{
	struct smbios_tables *out = table->out;

	if (size > sizeof(out->data) - out->size) {
		table->full = true;
		return;
	}
	memcpy(out->data + out->size, data, size);
	out->size += size;
}

/* @size: of the whole structure, which begins with @header. Returns its handle. */
static uint16_t add(struct table *table, struct smbios_header *header, uint8_t type, size_t size)
{
	header->type = type;
	header->length = size;
	header->handle = table->handle++;
	append(table, header, size);
	table->strings = 0;
	return header->handle;
}

/* Strings are numbered from 1 on, in the order in which they stand. */
static void add_string(struct table *table, const char *text)
{
	append(table, text, strlen(text) + 1);
	table->strings++;
}

/* A structure without strings ends with two zeros as well. */
static void close_strings(struct table *table)
{
	append(table, "\0", table->strings ? 1 : 2);
}

/* ---- the structures ------------------------------------------------------------------------- */

static void add_bios(struct table *table)
{
	struct smbios_bios bios = {
		.vendor = 1, .version = 2, .date = 3, .segment = BOOT_ACPI >> 4,
		.characteristics = BIOS_NO_CHARACTERISTICS, .extension[1] = BIOS_VIRTUAL_MACHINE,
		.major = 0xff, .minor = 0xff, .ec_major = 0xff, .ec_minor = 0xff,
	};

	add(table, &bios.header, 0, sizeof(bios));
	add_string(table, "hull");
	add_string(table, "1");
	add_string(table, "01/01/2026");
	close_strings(table);
}

/* Each bit of a hash goes into all: hashes of two numbers have a part in common. */
static uint64_t mix(uint64_t hash)
{
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
	return hash ^ hash >> 33;
}

/* RFC 9562, version 8: of the machine's identity. The same in each version of this file. */
static void derive_uuid(uint8_t uuid[16], const char *identity)
{
	const uint64_t half[] = {
		mix(identity_hash(identity, ~0U)), mix(identity_hash(identity, ~1U)),
	};

	memcpy(uuid, half, 16);
	uuid[7] = (uuid[7] & 0xf) | 0x80;	/* this field's bytes go from low to high */
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static void add_system(struct table *table, const struct boot_config *config)
{
	struct smbios_system system = {
		.manufacturer = 1, .product = 2, .version = 3, .serial = *config->name ? 4 : 0,
		.wake_up = WAKE_POWER_SWITCH,
	};

	derive_uuid(system.uuid, config->identity);
	add(table, &system.header, 1, sizeof(system));
	add_string(table, "hull");
	add_string(table, "hull virtual machine");
	add_string(table, "1");
	if (*config->name)
		add_string(table, config->name);
	close_strings(table);
}

static void add_chassis(struct table *table)
{
	struct smbios_chassis chassis = {
		.manufacturer = 1, .type = CHASSIS_OTHER, .boot_state = STATE_SAFE,
		.power_state = STATE_SAFE, .thermal_state = STATE_SAFE,
		.security = SECURITY_UNKNOWN,
	};

	add(table, &chassis.header, 3, sizeof(chassis));
	add_string(table, "hull");
	close_strings(table);
}

static void add_processor(struct table *table, unsigned int cpus)
{
	uint8_t count = cpus < 0xff ? cpus : 0xff;
	struct smbios_processor processor = {
		.socket = 1, .type = PROCESSOR_CENTRAL, .family = PROCESSOR_OTHER,
		.manufacturer = 2,
		.status = PROCESSOR_ENABLED, .upgrade = PROCESSOR_OTHER,
		.l1 = NO_HANDLE, .l2 = NO_HANDLE, .l3 = NO_HANDLE,
		.cores = count, .cores_enabled = count, .threads = count,
		.characteristics = PROCESSOR_64BIT, .family2 = PROCESSOR_OTHER,
		.cores2 = cpus, .cores_enabled2 = cpus, .threads2 = cpus,
	};

	add(table, &processor.header, 4, sizeof(processor));
	add_string(table, "CPU 0");
	add_string(table, "hull");
	close_strings(table);
}

/* One module of memory, and where the guest finds it. */
static void add_memory(struct table *table, const struct guest_memory *memory)
{
	struct smbios_array array = {
		.location = ARRAY_OTHER, .use = ARRAY_SYSTEM, .correction = ARRAY_NO_CORRECTION,
		.capacity = ARRAY_EXTENDED, .errors = NOT_PROVIDED, .devices = 1,
		.extended = memory->size,
	};
	struct smbios_memory module = {
		.errors = NOT_PROVIDED, .total_width = 0xffff, .data_width = 0xffff,
		.size = MEMORY_EXTENDED, .form = MEMORY_DIMM, .locator = 1, .type = MEMORY_RAM,
		.detail = MEMORY_DETAIL_OTHER, .extended = memory->size / MIB,
	};
	unsigned int i;

	module.array = add(table, &array.header, 16, sizeof(array));
	close_strings(table);
	add(table, &module.header, 17, sizeof(module));
	add_string(table, "DIMM 0");
	close_strings(table);
	for (i = 0; i < memory->count; i++) {
		struct smbios_mapped mapped = {
			.start = MAPPED_EXTENDED, .end = MAPPED_EXTENDED, .array = module.array,
			.width = 1, .extended_start = memory->region[i].gpa,
			.extended_end = memory->region[i].gpa + memory->region[i].size - 1,
		};

		add(table, &mapped.header, 19, sizeof(mapped));
		close_strings(table);
	}
}

static void add_end(struct table *table)
{
	struct smbios_boot boot = { .status = 0 };
	struct smbios_header end;

	add(table, &boot.header, 32, sizeof(boot));
	close_strings(table);
	add(table, &end, TYPE_END, sizeof(end));
	close_strings(table);
}

static void fill_entry_point(struct smbios_tables *tables)
{
	struct smbios_entry_point *entry = (void *)tables->data;
	uint8_t sum = 0;
	unsigned int i;

	memcpy(entry->anchor, "_SM3_", 5);
	entry->length = sizeof(*entry);
	entry->major = 3;
	entry->minor = 3;
	entry->entry_revision = 1;
	entry->max_size = tables->size - TABLES_AT;
	entry->address = BOOT_SMBIOS + TABLES_AT;
	for (i = 0; i < sizeof(*entry); i++)
		sum += tables->data[i];
	entry->checksum = -sum;
}

int smbios_build(struct smbios_tables *tables, const struct guest_memory *memory,
		 const struct boot_config *config)
{
	struct table table = { .out = tables };

	memset(tables, 0, sizeof(*tables));
	tables->size = TABLES_AT;
	add_bios(&table);
	add_system(&table, config);
	add_chassis(&table);
	add_processor(&table, config->cpus);
	add_memory(&table, memory);
	add_end(&table);
	fill_entry_point(tables);
	return table.full ? -1 : 0;
}
