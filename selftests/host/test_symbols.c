// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names for addresses in a guest: vmlinux, System.map, kallsyms.
 *
 * Proven: names are found in both kinds of file, with their offsets; addresses
 * outside have none; files that are cut off, damaged at random or no symbols at
 * all are refused or read as far as they go, without touching what is not
 * theirs (the sanitizers look).
 */
#include <elf.h>
#include <sys/stat.h>

#include "../../user/cli/trace_symbols.h"
#include "kvt.h"

/* An ELF file with three symbols: two functions and an object. */
struct file {
	Elf64_Ehdr head;
	Elf64_Shdr section[3];
	Elf64_Sym symbol[3];
	char names[32];
};

static struct file make_elf(void)
{
	struct file f = {
		.head = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB },
			.e_shoff = offsetof(struct file, section),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 3,
		},
		.section[1] = {
			.sh_type = SHT_SYMTAB, .sh_link = 2,
			.sh_offset = offsetof(struct file, symbol),
			.sh_size = sizeof(f.symbol),
		},
		.section[2] = {
			.sh_type = SHT_STRTAB,
			.sh_offset = offsetof(struct file, names),
			.sh_size = sizeof(f.names),
		},
		.names = "\0second\0first\0object",
	};

	f.symbol[0] = (Elf64_Sym){ .st_name = 1, .st_value = 0x2000,
				   .st_info = STT_FUNC };
	f.symbol[1] = (Elf64_Sym){ .st_name = 8, .st_value = 0x1000,
				   .st_info = STT_FUNC };
	f.symbol[2] = (Elf64_Sym){ .st_name = 14, .st_value = 0x1800,
				   .st_info = STT_OBJECT };
	return f;
}

static const char *path_of(const void *data, size_t size)
{
	static char path[] = "/tmp/kvt-symbols.XXXXXX";
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	ASSERT(fd >= 0, "mkstemp: %s", strerror(errno));
	ASSERT_EQ(write(fd, data, size), size);
	close(fd);
	return path;
}

static int load(const void *data, size_t size, struct trace_symbols **s)
{
	const char *path = path_of(data, size);
	int err = trace_symbols_load(path, s);

	unlink(path);
	return err;
}

static void expect_at(const struct trace_symbols *s, uint64_t addr,
		      const char *name, uint64_t want)
{
	uint64_t offset = ~0ull;
	const char *got = trace_symbols_find(s, addr, &offset);

	if (!name) {
		EXPECT(!got, "0x%lx is %s", addr, got);
		return;
	}
	ASSERT(got, "0x%lx has no name", addr);
	EXPECT(!strcmp(got, name), "0x%lx is %s, not %s", addr, got, name);
	EXPECT_EQ(offset, want);
}

TEST("an ELF file: functions by address, no objects")
{
	struct file f = make_elf();
	struct trace_symbols *s;

	ASSERT_EQ(load(&f, sizeof(f), &s), 0);
	expect_at(s, 0xfff, NULL, 0);
	expect_at(s, 0x1000, "first", 0);
	expect_at(s, 0x1fff, "first", 0xfff);
	expect_at(s, 0x2010, "second", 0x10);
	expect_at(s, 0x2000 + (1 << 20), NULL, 0);
	trace_symbols_free(s);
}

TEST("System.map and kallsyms: code only, modules too")
{
	static const char map[] =
		"0000000000001000 T first\n"
		"0000000000001800 D object\n"
		"0000000000002000 t second\t[module]\n"
		"garbage\n"
		"0000000000003000 T\n"
		"0000000000004000 T last";
	struct trace_symbols *s;

	ASSERT_EQ(load(map, sizeof(map) - 1, &s), 0);
	expect_at(s, 0x1900, "first", 0x900);
	expect_at(s, 0x2001, "second", 1);
	expect_at(s, 0x3001, "second", 0x1001);
	expect_at(s, 0x4002, "last", 2);
	trace_symbols_free(s);
}

TEST("nothing in it: refused")
{
	/* kallsyms for those who may not see addresses */
	static const char hidden[] = "0000000000000000 T first\n";
	struct trace_symbols *s;

	EXPECT_EQ(load("", 0, &s), -EINVAL);
	EXPECT_EQ(load("no symbols\n", 11, &s), -EINVAL);
	EXPECT_EQ(load(hidden, sizeof(hidden) - 1, &s), -EINVAL);
	EXPECT_EQ(trace_symbols_load("/nonexistent", &s), -ENOENT);
}

TEST("an ELF file cut off anywhere")
{
	struct file f = make_elf();
	struct trace_symbols *s;
	size_t n;
	int err;

	for (n = 0; n < sizeof(f); n++) {
		err = load(&f, n, &s);
		if (!err)
			trace_symbols_free(s);
		EXPECT(!err || err == -EINVAL, "%zu bytes: %d", n, err);
	}
}

TEST("an ELF file with damaged bytes")
{
	uint64_t seed = kvt_seed(), offset;
	struct trace_symbols *s;
	unsigned int i, k;
	struct file f;
	int err;

	for (i = 0; i < 4000; i++) {
		f = make_elf();
		for (k = 0; k < 4; k++)
			((unsigned char *)&f)[kvt_rand(&seed) % sizeof(f)] =
				(unsigned char)kvt_rand(&seed);
		err = load(&f, sizeof(f), &s);
		EXPECT(!err || err == -EINVAL, "%d", err);
		if (err)
			continue;
		trace_symbols_find(s, kvt_rand(&seed), &offset);
		trace_symbols_free(s);
	}
}

TEST("what is no file, or has no end, is not read")
{
	struct trace_symbols *s;
	char path[64];

	EXPECT_EQ(trace_symbols_load("/dev/zero", &s), -EINVAL);
	snprintf(path, sizeof(path), "/tmp/kvt-symbols.%d", getpid());
	ASSERT_OK(mkfifo(path, 0600));
	EXPECT_EQ(trace_symbols_load(path, &s), -EINVAL);
	unlink(path);
}
