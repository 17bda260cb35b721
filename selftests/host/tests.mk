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

# The tracer, without its BPF programs.
TRACE_QUEUES := $(addprefix user/cli/,trace_queue_model.c trace_queue_report.c \
	trace_queue_json.c trace_queue_prom.c trace_queue_folded.c \
	trace_queue_html.c) $(LIBKVASIR:%=%.c)
TRACE_OUT := $(addprefix user/cli/,trace_collect.c trace_maps.c trace_model.c \
	trace_grow.c trace_record.c trace_time.c trace_report.c trace_vm.c \
	trace_names.c \
	trace_subs.c trace_symbols.c trace_parts.c vmsock.c \
	trace_fmt_table.c trace_fmt_prom.c trace_fmt_folded.c trace_fmt_html.c \
	trace_page.c trace_svg.c trace_file.c trace_file_exits.c trace_file_queues.c \
	trace_file_get.c trace_file_put.c exit_names.c prom.c json_put.c output.c) \
	$(TRACE_QUEUES)
TRACE_DIFF := $(TRACE_OUT) $(addprefix user/cli/,trace_diff.c \
	trace_diff_test.c trace_diff_queues.c trace_diff_print.c stat_test.c)
TRACE_RUN := $(TRACE_OUT) $(addprefix user/cli/,trace_run.c trace_kinds.c \
	trace_serve.c trace_live.c trace_view.c)
TRACE_LOOK := $(TRACE_OUT) user/cli/trace_queue_collect.c
TRACE_COST := $(TRACE_RUN) user/cli/trace_session.c
SRC_test_trace_cost := $(TRACE_COST)
SRC_test_trace_look := $(TRACE_LOOK)
SRC_test_trace_fmt := $(TRACE_OUT)
SRC_test_trace_vm := user/cli/trace_vm.c
SRC_test_trace_queue_fmt := $(TRACE_OUT)
SRC_test_trace_file := $(TRACE_OUT)
SRC_test_trace_diff := $(TRACE_DIFF)
SRC_test_trace_queue_diff := $(TRACE_DIFF)
SRC_test_trace_run := $(TRACE_RUN)
SRC_test_trace_live := $(TRACE_RUN)
SRC_test_trace_queue_file := $(TRACE_RUN)
TRACE_TESTS := $(addprefix test_,trace_fmt trace_queue_fmt trace_file trace_diff \
	trace_queue_diff trace_run trace_live trace_queue_file trace_look \
	trace_cost)
TRACE_LIBS := $(shell pkg-config --libs json-c libbpf libnl-3.0 libnl-genl-3.0 \
	libkmod) -lm -lutil
$(foreach t,$(TRACE_TESTS),$(eval LIB_$(t) := $(TRACE_LIBS)))
$(foreach s,$(TRACE_TESTS) $(notdir $(patsubst %.c,%,$(filter user/cli/%,\
	$(TRACE_COST) $(TRACE_DIFF) $(TRACE_LOOK)))),$(eval EXTRA_$(s) := -iquote ../user/vmm \
	-iquote ../user/include))
