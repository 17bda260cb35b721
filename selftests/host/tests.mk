# SPDX-License-Identifier: GPL-2.0-only
# What host tests of user/ are linked with; included by ../Makefile.

LIBKVASIR := $(patsubst ../%.c,%,$(wildcard ../user/lib/*.c))
SRC_test_lib := $(LIBKVASIR:%=%.c)
LIB_test_lib := $(shell pkg-config --libs libnl-3.0 libnl-genl-3.0 libkmod)

# -iquote goes before every -I: kmod/ has a kvasir.h of its own.
$(foreach s,test_lib $(notdir $(LIBKVASIR)),$(eval EXTRA_$(s) := \
	-iquote ../user/include \
	$(shell pkg-config --cflags libnl-3.0 libkmod)))

# The VMM as far as it loads a kernel: closed in itself.
VMM_BOOT := $(addprefix user/vmm/,acpi.c aml.c boot.c boot_bzimage.c \
	boot_elf.c bus.c cpuid.c irq.c vcpu.c vm.c)
SRC_test_boot := $(VMM_BOOT)
SRC_test_acpi := $(VMM_BOOT)
SRC_test_sandbox := $(VMM_BOOT) user/vmm/sandbox.c
LIB_test_sandbox := $(shell pkg-config --libs libcap-ng libseccomp)
$(foreach s,test_boot test_acpi test_sandbox sandbox \
	$(notdir $(VMM_BOOT:.c=)),$(eval EXTRA_$(s) := \
	-iquote ../user/include -iquote ../user/vmm))
