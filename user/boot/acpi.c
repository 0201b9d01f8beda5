// SPDX-License-Identifier: GPL-2.0
/*
 * ACPI tables: RSDP, RSDT, XSDT, FADT, FACS and MADT composed here, the DSDT compiled by iasl at
 * build time. They describe what dev/ and the module have: PM block, reset register, local APICs,
 * one IOAPIC. Machines with PCI have an MCFG and an SSDT as well.
 *
 * selftests/dev/acpi.c checks each checksum and has iasl disassemble every table.
 */
#include <string.h>

#include "boot/boot.h"
#include "dev/pci.h"
#include "dev/pm.h"
#include "dev/reset.h"
#include "dev/rtc.h"
#include "machine/irq.h"
#include "dsdt.hex"
#include "pci.hex"

#define IOAPIC_BASE		0xfec00000
#define LAPIC_BASE		0xfee00000
#define ACPI_ALIGN		16

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;		/* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

/* Generic address. */
struct acpi_gas {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size;
	uint64_t address;
} __attribute__((packed));

#define GAS_IO			1

/* Revision 5 of the table. */
struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved1;
	uint8_t preferred_pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base;
	uint8_t cst_cnt;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr;
	struct acpi_gas x_gpe0, x_gpe1, sleep_control, sleep_status;
} __attribute__((packed));

#define FADT_PROFILE_SERVER	4	/* enterprise server: no suspend offered */
#define FADT_C_UNSUPPORTED	0x0fff

#define FADT_WBINVD		(1U << 0)
#define FADT_PROC_C1		(1U << 2)
#define FADT_SLP_BUTTON		(1U << 5)	/* no fixed sleep button */
#define FADT_TMR_VAL_EXT	(1U << 8)	/* 32-bit PM timer */
#define FADT_RESET_REG_SUP	(1U << 10)

#define BOOT_NO_VGA		(1U << 2)

struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} __attribute__((packed));

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_base;
	uint32_t flags;			/* 1: there are two 8259s as well */
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length;
	uint8_t processor, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t processor;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length;
	uint8_t id, reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length;
	uint8_t bus, irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_lapic_nmi {
	uint8_t type, length;
	uint8_t processor;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

struct acpi_mcfg {
	struct acpi_header header;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} __attribute__((packed));

/* A window of memory with addresses of 64 bits, as iasl compiles it. */
struct acpi_qword_memory {
	uint8_t tag;
	uint16_t length;
	uint8_t type;			/* 0: memory */
	uint8_t flags, type_flags;
	uint64_t granularity, first, last, offset, size;
} __attribute__((packed));

#define ACPI_QWORD		0x8a
#define ACPI_TABLES_MAX		4		/* named by the roots */

#define MADT_LAPIC		0
#define MADT_IOAPIC		1
#define MADT_OVERRIDE		2
#define MADT_LAPIC_NMI		4
#define MADT_X2APIC		9
#define MADT_ENABLED		1
#define MADT_CONFORMS		0x0	/* as the bus has it: ISA is active high, edge */
#define MADT_HIGH_LEVEL		0xd
#define MADT_ALL_PROCESSORS	0xff
#define LAPIC_ID_MAX		254	/* larger ids need x2APIC entries */

static uint8_t checksum(const void *data, uint32_t size)
{
	const uint8_t *byte = data;
	uint8_t sum = 0;

	while (size--)
		sum += *byte++;
	return -sum;
}

/* Appends @size bytes, aligned; returns their place or NULL when the area is full. */
static void *take(struct acpi_tables *tables, uint32_t size)
{
	uint32_t at = align_up(tables->size, ACPI_ALIGN);

	if (size > sizeof(tables->data) - at)
		return NULL;
	tables->size = at + size;
	return tables->data + at;
}

static uint64_t gpa_of(const struct acpi_tables *tables, const void *table)
{
	return BOOT_ACPI + ((const uint8_t *)table - tables->data);
}

static void begin(struct acpi_header *header, const char *signature, uint8_t revision)
{
	memcpy(header->signature, signature, 4);
	header->revision = revision;
	memcpy(header->oem_id, "HULL\0\0", 6);
	memcpy(header->oem_table_id, "HULL", 4);
	memcpy(header->oem_table_id + 4, signature, 4);
	header->oem_revision = 1;
	memcpy(header->creator_id, "HULL", 4);
	header->creator_revision = 1;
}

static void finish(struct acpi_header *header, uint32_t length)
{
	header->length = length;
	header->checksum = 0;
	header->checksum = checksum(header, length);
}

static struct acpi_gas io_register(uint16_t port, uint8_t bytes)
{
	return (struct acpi_gas){
		.space = GAS_IO, .bit_width = bytes * 8,
		.access_size = bytes == 4 ? 3 : bytes, .address = port,
	};
}

static void *put_dsdt(struct acpi_tables *tables)
{
	void *dsdt = take(tables, sizeof(dsdt_aml_code));

	if (dsdt)
		memcpy(dsdt, dsdt_aml_code, sizeof(dsdt_aml_code));
	return dsdt;
}

static void *put_facs(struct acpi_tables *tables)
{
	struct acpi_facs *facs;

	/* The FACS is aligned to 64 bytes. */
	tables->size = align_up(tables->size, 64);
	facs = take(tables, sizeof(*facs));
	if (!facs)
		return NULL;
	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	return facs;
}

static void fadt_registers(struct acpi_fadt *fadt)
{
	fadt->pm1a_evt = PM_EVENT_PORT;
	fadt->pm1a_cnt = PM_CONTROL_PORT;
	fadt->pm_tmr = PM_TIMER_PORT;
	fadt->pm1_evt_len = 4;
	fadt->pm1_cnt_len = 2;
	fadt->pm_tmr_len = 4;
	fadt->x_pm1a_evt = io_register(PM_EVENT_PORT, 4);
	fadt->x_pm1a_evt.access_size = 2;
	fadt->x_pm1a_cnt = io_register(PM_CONTROL_PORT, 2);
	fadt->x_pm_tmr = io_register(PM_TIMER_PORT, 4);
	fadt->reset_reg = io_register(RESET_PORT, 1);
	fadt->reset_value = RESET_NOW;
}

static void *put_fadt(struct acpi_tables *tables, const void *dsdt, const void *facs)
{
	struct acpi_fadt *fadt = take(tables, sizeof(*fadt));

	if (!fadt)
		return NULL;
	begin(&fadt->header, "FACP", 5);
	fadt->facs = gpa_of(tables, facs);
	fadt->dsdt = gpa_of(tables, dsdt);
	fadt->x_dsdt = fadt->dsdt;
	fadt->preferred_pm_profile = FADT_PROFILE_SERVER;
	fadt->sci_int = IRQ_SCI;
	fadt_registers(fadt);
	fadt->c2_latency = FADT_C_UNSUPPORTED;
	fadt->c3_latency = FADT_C_UNSUPPORTED;
	fadt->century = RTC_CENTURY;
	/* No 8042: there is no keyboard, and guests need not search for one. */
	fadt->boot_arch = BOOT_NO_VGA;
	fadt->flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_TMR_VAL_EXT |
		      FADT_RESET_REG_SUP;
	fadt->minor_revision = 1;
	finish(&fadt->header, sizeof(*fadt));
	return fadt;
}

static int add_processor(struct acpi_tables *tables, unsigned int id)
{
	struct madt_x2apic *wide;
	struct madt_lapic *entry;
	uint32_t size = id <= LAPIC_ID_MAX ? sizeof(*entry) : sizeof(*wide);
	void *at = tables->data + tables->size;

	if (size > sizeof(tables->data) - tables->size)
		return -1;
	tables->size += size;
	if (id <= LAPIC_ID_MAX) {
		entry = at;
		*entry = (struct madt_lapic){ MADT_LAPIC, size, id, id, MADT_ENABLED };
	} else {
		wide = at;
		*wide = (struct madt_x2apic){ MADT_X2APIC, size, 0, id, MADT_ENABLED, id };
	}
	return 0;
}

/* What follows the processors. */
struct madt_tail {
	struct madt_ioapic ioapic;
	struct madt_override timer;	/* the PIT's line 0 is pin 2 */
	struct madt_override sci;
	struct madt_lapic_nmi nmi;
} __attribute__((packed));

static void *put_madt(struct acpi_tables *tables, unsigned int cpus)
{
	struct acpi_madt *madt = take(tables, sizeof(*madt));
	struct madt_tail *tail;
	unsigned int id;

	if (!madt)
		return NULL;
	begin(&madt->header, "APIC", 4);
	madt->lapic_base = LAPIC_BASE;
	madt->flags = 1;
	for (id = 0; id < cpus; id++)
		if (add_processor(tables, id))
			return NULL;
	tail = (void *)(tables->data + tables->size);
	if (sizeof(*tail) > sizeof(tables->data) - tables->size)
		return NULL;
	tables->size += sizeof(*tail);
	*tail = (struct madt_tail){
		.ioapic = { MADT_IOAPIC, sizeof(tail->ioapic), 0, 0, IOAPIC_BASE, 0 },
		.timer = { MADT_OVERRIDE, sizeof(tail->timer), 0, 0, 2, MADT_CONFORMS },
		.sci = { MADT_OVERRIDE, sizeof(tail->sci), 0, IRQ_SCI, IRQ_SCI, MADT_HIGH_LEVEL },
		.nmi = { MADT_LAPIC_NMI, sizeof(tail->nmi), MADT_ALL_PROCESSORS, 0, 1 },
	};
	finish(&madt->header, tables->data + tables->size - (uint8_t *)madt);
	return madt;
}

static void *put_mcfg(struct acpi_tables *tables)
{
	struct acpi_mcfg *mcfg = take(tables, sizeof(*mcfg));

	if (!mcfg)
		return NULL;
	begin(&mcfg->header, "MCFG", 1);
	mcfg->base = PCI_ECAM;
	finish(&mcfg->header, sizeof(*mcfg));
	return mcfg;
}

/* The compiled SSDT, with its 64-bit window where this machine has it. */
static void *put_pci(struct acpi_tables *tables, uint64_t window)
{
	uint8_t *table = take(tables, sizeof(pci_aml_code));
	struct acpi_qword_memory memory;
	size_t at;

	if (!table)
		return NULL;
	memcpy(table, pci_aml_code, sizeof(pci_aml_code));
	for (at = sizeof(struct acpi_header); at <= sizeof(pci_aml_code) - sizeof(memory); at++) {
		memcpy(&memory, table + at, sizeof(memory));
		if (memory.tag != ACPI_QWORD || memory.length != sizeof(memory) - 3 ||
		    memory.type || memory.size != memory.last - memory.first + 1)
			continue;
		memory.first = window;
		memory.last = window + PCI_WINDOW64_SIZE - 1;
		memory.size = PCI_WINDOW64_SIZE;
		memcpy(table + at, &memory, sizeof(memory));
	}
	finish((struct acpi_header *)table, sizeof(pci_aml_code));
	return table;
}

/* RSDT (@entry_size 4) or XSDT (8): the addresses of the other tables. */
static void *put_root(struct acpi_tables *tables, const char *signature, unsigned int entry_size,
		      void *const *table, unsigned int count)
{
	uint32_t size = sizeof(struct acpi_header) + count * entry_size;
	struct acpi_header *root = take(tables, size);
	unsigned int i;

	if (!root)
		return NULL;
	begin(root, signature, 1);
	for (i = 0; i < count; i++) {
		uint64_t entry = gpa_of(tables, table[i]);

		memcpy((uint8_t *)(root + 1) + i * entry_size, &entry, entry_size);
	}
	finish(root, size);
	return root;
}

static void fill_rsdp(struct acpi_tables *tables, const void *rsdt, const void *xsdt)
{
	struct acpi_rsdp *rsdp = (void *)tables->data;

	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "HULL\0\0", 6);
	rsdp->revision = 2;
	rsdp->rsdt = gpa_of(tables, rsdt);
	rsdp->xsdt = gpa_of(tables, xsdt);
	rsdp->length = sizeof(*rsdp);
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

int acpi_build(struct acpi_tables *tables, const struct guest_memory *memory, unsigned int cpus,
	       bool pci, struct failure *why)
{
	void *dsdt, *facs, *rsdt, *xsdt, *table[ACPI_TABLES_MAX];
	unsigned int count = 2, i;

	memset(tables, 0, sizeof(*tables));
	take(tables, sizeof(struct acpi_rsdp));
	dsdt = put_dsdt(tables);
	facs = put_facs(tables);
	if (!dsdt || !facs)
		goto full;
	table[0] = put_fadt(tables, dsdt, facs);
	table[1] = put_madt(tables, cpus);
	if (pci) {
		table[count++] = put_mcfg(tables);
		table[count++] = put_pci(tables, pci_window64(memory));
	}
	for (i = 0; i < count; i++)
		if (!table[i])
			goto full;
	rsdt = put_root(tables, "RSDT", 4, table, count);
	xsdt = put_root(tables, "XSDT", 8, table, count);
	if (!rsdt || !xsdt)
		goto full;
	fill_rsdp(tables, rsdt, xsdt);
	return 0;
full:
	return fail(why, "the ACPI tables of %u CPUs do not fit below 1 MiB", cpus);
}
