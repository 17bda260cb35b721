// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that exits as fast as it can, on command.
 *
 *	exit_storm
 *
 * Prints its process id. Every line "KIND COUNT" on standard input makes a
 * vCPU do COUNT exits of KIND (cpuid, out, mmio, hlt, hypercall) and prints a
 * line of JSON: "ns" it took by the clock, "cpu_ns" of CPU time of the thread
 * that runs the vCPU, "exits". Whoever measures a tracer's cost starts and ends
 * the tracer between two lines.
 */
#include <time.h>

#include "tiny_vm.h"

#define CHUNK 50000u	/* of exits per load: the guest's registers have 16 bits */

static uint64_t ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool set_kind(struct tiny_load *load, const char *kind, unsigned int n)
{
	const struct {
		const char *name;
		unsigned int *count;
	} kinds[] = {
		{ "cpuid", &load->cpuid }, { "out", &load->out },
		{ "mmio", &load->mmio }, { "hlt", &load->hlt },
		{ "hypercall", &load->hypercall },
	};
	size_t i;

	memset(load, 0, sizeof(*load));
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kind, kinds[i].name)) {
			*kinds[i].count = n;
			return true;
		}
	}
	return false;
}

static void storm(struct tiny_vm *vm, const char *kind, unsigned int count)
{
	unsigned int left = count, n;
	struct tiny_load load;
	uint64_t t, cpu;

	t = ns(CLOCK_MONOTONIC);
	cpu = ns(CLOCK_THREAD_CPUTIME_ID);
	while (left) {
		n = left < CHUNK ? left : CHUNK;
		if (!set_kind(&load, kind, n)) {
			fprintf(stderr, "no kind '%s'\n", kind);
			exit(2);
		}
		tiny_run(vm, 0, &load);
		left -= n;
	}
	cpu = ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	t = ns(CLOCK_MONOTONIC) - t;
	printf("{\"ns\": %llu, \"cpu_ns\": %llu, \"exits\": %u}\n",
	       (unsigned long long)t, (unsigned long long)cpu, count);
}

int main(void)
{
	unsigned int count;
	struct tiny_vm vm;
	char kind[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	tiny_create(&vm, 1);
	printf("%d\n", getpid());
	while (scanf("%15s %u", kind, &count) == 2)
		storm(&vm, kind, count);
	tiny_destroy(&vm);
	return 0;
}
