// SPDX-License-Identifier: GPL-2.0
/*
 * The DSDT: what of the machine a guest cannot find by asking. iasl turns it into C at build time;
 * ports and lines are those of dev/ and of the FADT in acpi.c. No processor objects: the MADT
 * lists them.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "HULL", "HULLDSDT", 1)
{
	/* Soft off: the sleep type that dev/pm.c takes for power-off. */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0, 8)
				IRQNoFlags () { 4 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0, 2)
				IRQNoFlags () { 8 }
			})
		}

		Device (FWCF)
		{
			Name (_HID, "QEMU0002")
			Name (_STA, 0x0B)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0510, 0x0510, 0, 12)
			})
		}

		Device (PEVT)
		{
			Name (_HID, "QEMU0001")
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0505, 0x0505, 0, 1)
			})
			OperationRegion (PEOR, SystemIO, 0x0505, 1)
			Field (PEOR, ByteAcc, NoLock, Preserve)
			{
				PEPT, 8
			}
			Method (RDPT, 0, NotSerialized)
			{
				Return (PEPT)
			}
			Method (WRPT, 1, NotSerialized)
			{
				PEPT = Arg0
			}
		}

		/* Ports of the machine itself, so that guests give them to nobody else. */
		Device (SYSR)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0600, 0x0600, 0, 16)
			})
		}
	}
}
