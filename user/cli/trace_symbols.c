// SPDX-License-Identifier: GPL-2.0-only
/* Names for addresses in a guest's kernel; see trace_symbols.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace_symbols.h"

/* Nothing is this far into a function. */
#define FAR (1U << 20)
#define SYMBOL_MAX 256
/* No vmlinux with debugging information is larger. */
#define IMAGE_MAX (2UL << 30)

struct symbol {
	uint64_t addr;
	char *name;
};

struct trace_symbols {
	struct symbol *symbol;
	size_t n, room;
};

/* The file, as it is. */
struct image {
	const char *data;
	size_t size;
};

/* @n bytes at @offset, or NULL if the file ends before. */
static const void *at(const struct image *i, uint64_t offset, uint64_t n)
{
	if (offset > i->size || n > i->size - offset)
		return NULL;
	return i->data + offset;
}

static int add(struct trace_symbols *s, uint64_t addr, const char *name,
	       size_t len)
{
	struct symbol *grown;

	if (!addr || !len || len > SYMBOL_MAX)
		return 0;
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 4096;
		grown = realloc(s->symbol, s->room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->symbol = grown;
	}
	s->symbol[s->n].name = strndup(name, len);
	if (!s->symbol[s->n].name)
		return -ENOMEM;
	s->symbol[s->n++].addr = addr;
	return 0;
}

static bool is_code(unsigned char info)
{
	return ELF64_ST_TYPE(info) == STT_FUNC || ELF64_ST_TYPE(info) == STT_NOTYPE;
}

/* The symbols of one table of an ELF file; @strings: its strings' section */
static int load_table(struct trace_symbols *s, const struct image *i,
		      const Elf64_Shdr *table, const Elf64_Shdr *strings)
{
	const char *names = at(i, strings->sh_offset, strings->sh_size);
	const char *syms = at(i, table->sh_offset, table->sh_size);
	uint64_t k, n = table->sh_size / sizeof(Elf64_Sym);
	Elf64_Sym sym;
	int err = 0;

	if (!names || !syms)
		return -EINVAL;
	for (k = 0; k < n && !err; k++) {
		memcpy(&sym, syms + k * sizeof(sym), sizeof(sym));
		if (!is_code(sym.st_info) || sym.st_name >= strings->sh_size)
			continue;
		err = add(s, sym.st_value, names + sym.st_name,
			  strnlen(names + sym.st_name,
				  strings->sh_size - sym.st_name));
	}
	return err;
}

static int load_elf(struct trace_symbols *s, const struct image *i)
{
	const char *heads;
	Elf64_Shdr sh, str;
	Elf64_Ehdr eh;
	unsigned int k;
	int err;

	memcpy(&eh, i->data, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_shentsize != sizeof(sh))
		return -EINVAL;
	heads = at(i, eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(sh));
	if (!heads)
		return -EINVAL;
	for (k = 0; k < eh.e_shnum; k++) {
		memcpy(&sh, heads + k * sizeof(sh), sizeof(sh));
		if (sh.sh_type != SHT_SYMTAB || sh.sh_link >= eh.e_shnum)
			continue;
		memcpy(&str, heads + sh.sh_link * sizeof(str), sizeof(str));
		err = load_table(s, i, &sh, &str);
		if (err)
			return err;
	}
	return 0;
}

/* One line: address, type, name, perhaps a module. */
static int load_line(struct trace_symbols *s, const char *line, size_t len)
{
	char buf[SYMBOL_MAX + 32], *end;
	uint64_t addr;
	size_t n;

	if (len >= sizeof(buf))
		return 0;
	memcpy(buf, line, len);
	buf[len] = 0;
	addr = strtoull(buf, &end, 16);
	if (end == buf || end[0] != ' ' || !end[1] || !strchr("tTwW", end[1]) ||
	    end[2] != ' ')
		return 0;
	n = strcspn(end + 3, " \t\r");
	return add(s, addr, end + 3, n);
}

static int load_text(struct trace_symbols *s, const struct image *i)
{
	const char *p = i->data, *end = i->data + i->size, *nl;
	int err = 0;

	while (p < end && !err) {
		nl = memchr(p, '\n', end - p);
		if (!nl)
			nl = end;
		err = load_line(s, p, nl - p);
		p = nl + 1;
	}
	return err;
}

static int by_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int load(struct trace_symbols *s, const struct image *i)
{
	int err;

	if (i->size >= sizeof(Elf64_Ehdr) && !memcmp(i->data, ELFMAG, SELFMAG))
		err = load_elf(s, i);
	else
		err = load_text(s, i);
	if (!err && !s->n)
		err = -EINVAL;
	if (!err)
		qsort(s->symbol, s->n, sizeof(*s->symbol), by_addr);
	return err;
}

/* A file in /proc has no size: read until it ends. */
static int read_all(int fd, char **data, size_t *size)
{
	size_t room = 0;
	ssize_t n = 1;
	char *grown;

	*data = NULL;
	*size = 0;
	while (n > 0) {
		if (*size >= IMAGE_MAX)
			return -EFBIG;
		if (*size == room) {
			room = room ? 2 * room : 1U << 20;
			grown = realloc(*data, room);
			if (!grown)
				return -ENOMEM;
			*data = grown;
		}
		n = read(fd, *data + *size, room - *size);
		if (n > 0)
			*size += n;
	}
	return n < 0 ? -errno : 0;
}

int trace_symbols_load(const char *path, struct trace_symbols **out)
{
	/* A pipe would keep us waiting, in open() and after it. */
	int err, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct trace_symbols *s;
	struct image i;
	struct stat st;
	char *data;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	err = read_all(fd, &data, &i.size);
	close(fd);
	i.data = data;
	if (!s)
		err = -ENOMEM;
	if (!err)
		err = load(s, &i);
	free(data);
	if (err) {
		trace_symbols_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void trace_symbols_free(struct trace_symbols *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n; i++)
		free(s->symbol[i].name);
	free(s->symbol);
	free(s);
}

const char *trace_symbols_find(const struct trace_symbols *s, uint64_t addr,
			       uint64_t *offset)
{
	size_t low = 0, high = s->n, mid;

	/* The last one that begins at or before @addr */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (s->symbol[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - s->symbol[low - 1].addr >= FAR)
		return NULL;
	*offset = addr - s->symbol[low - 1].addr;
	return s->symbol[low - 1].name;
}
