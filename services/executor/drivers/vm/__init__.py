"""Virtual machines of QEMU on this machine, each in a cage of its own, spoken to over a serial port of theirs alone."""
