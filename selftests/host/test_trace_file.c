// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recordings of `kvasir trace record`.
 *
 * Proven: what is written is read back the same, names of any bytes too; a
 * file that was cut, changed or is none is refused with a reason; a file is
 * replaced as a whole or not at all.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "trace_damage.h"
#include "trace_sample.h"

static char *write_text(const struct trace_record *rec, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	ASSERT_EQ(trace_file_write(f, rec), 0);
	fclose(f);
	return text;
}

static void expect_rows(const struct trace_rows *a, const struct trace_rows *b)
{
	size_t i;

	ASSERT_EQ(a->n, b->n);
	for (i = 0; i < a->n; i++)
		EXPECT(!memcmp(&a->row[i], &b->row[i], sizeof(a->row[i])),
		       "row %zu differs", i);
}

static void expect_same(const struct trace_record *a,
			const struct trace_record *b)
{
	size_t i, k;

	EXPECT_EQ(a->t.seconds, b->t.seconds);
	EXPECT_EQ(a->t.began, b->t.began);
	EXPECT(!strcmp(a->t.kernel, b->t.kernel), "kernel %s", b->t.kernel);
	EXPECT(!memcmp(&a->t.lost, &b->t.lost, sizeof(a->t.lost)), "losses");
	ASSERT_EQ(a->t.n_vms, b->t.n_vms);
	for (i = 0; i < a->t.n_vms; i++) {
		const struct trace_vm *x = &a->t.vm[i], *y = &b->t.vm[i];

		EXPECT_EQ(x->pid, y->pid);
		EXPECT(!strcmp(x->name, y->name), "name %s", y->name);
		EXPECT(!strcmp(x->comm, y->comm), "comm %s", y->comm);
		expect_rows(&x->rows, &y->rows);
		ASSERT_EQ(x->n_vcpus, y->n_vcpus);
		for (k = 0; k < x->n_vcpus; k++)
			expect_rows(&x->vcpu[k].rows, &y->vcpu[k].rows);
		ASSERT_EQ(x->n_rets, y->n_rets);
		for (k = 0; k < x->n_rets; k++)
			EXPECT_EQ(x->ret[k].count, y->ret[k].count);
	}
	ASSERT_EQ(a->tl.n, b->tl.n);
	for (i = 0; i < a->tl.n; i++) {
		EXPECT_EQ(a->tl.slice[i].end * 1e6, b->tl.slice[i].end * 1e6);
		ASSERT_EQ(a->tl.slice[i].n_cells, b->tl.slice[i].n_cells);
		for (k = 0; k < a->tl.slice[i].n_cells; k++)
			EXPECT(!memcmp(a->tl.slice[i].cell[k].heat,
				       b->tl.slice[i].cell[k].heat,
				       sizeof(a->tl.slice[i].cell[k].heat)),
			       "cell %zu of slice %zu", k, i);
	}
}

TEST("what is written is read back, hostile names too")
{
	struct trace_recording back;
	struct trace_record rec;
	const char *why;
	size_t len;
	char *text;

	sample_record(&rec, 8, 4, 0.3, 5);
	text = write_text(&rec, &len);
	ASSERT_EQ(parse(text, &back, &why), 0);
	expect_same(&rec, &back.exits);
	trace_recording_free(&back);
	trace_record_free(&rec);
	free(text);
}

TEST("an empty trace and the largest numbers are read back")
{
	struct trace_record rec = { 0 };
	struct trace_recording back;
	const char *why;
	size_t len;
	char *text;

	text = write_text(&rec, &len);
	ASSERT_EQ(parse(text, &back, &why), 0);
	expect_same(&rec, &back.exits);
	trace_recording_free(&back);
	free(text);
	sample_huge(&rec.t);
	rec.t.lost.series_full = 1ULL << 48;
	text = write_text(&rec, &len);
	EXPECT_EQ(parse(text, &back, &why), 0);
	EXPECT(!why, "%s", why);
	expect_same(&rec, &back.exits);
	trace_recording_free(&back);
	trace_record_free(&rec);
	free(text);
}

TEST("a file cut anywhere is refused")
{
	struct trace_record rec;
	size_t len;
	char *text;

	sample_record(&rec, 2, 4, 0.1, 5);
	text = write_text(&rec, &len);
	trace_record_free(&rec);
	expect_cut_refused(text, len, 997);
	free(text);
}

TEST("what cannot be is refused, with the reason")
{
	static const char *const foreign[] = {
		"", " ", "null", "7", "[]", "{}", "\"x\"", "{\"kernel\":\"6.1\"}",
		"#!/bin/sh\n", "\x7f" "ELF",
	};
	struct trace_recording back;
	struct trace_record rec;
	const char *why;
	size_t len, i;
	char *text;

	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		EXPECT_EQ(parse(foreign[i], &back, &why), -EINVAL);
		EXPECT(why, "no reason for %s", foreign[i]);
		trace_recording_free(&back);
	}
	sample_record(&rec, 2, 4, 0.1, 5);
	text = write_text(&rec, &len);
	expect_refused(text, "\"kvasir_trace\":1", "\"kvasir_trace\":2", "version");
	expect_refused(text, "\"kvasir_trace\":1", "\"kvasir\":1", "not a recording");
	expect_refused(text, "\"hist_bits\":40", "\"hist_bits\":41", "histograms");
	expect_refused(text, "\"seconds\":4", "\"seconds\":-4", "length");
	expect_refused(text, "\"seconds\":4.0", "\"seconds\":1e300", "length");
	expect_refused(text, "\"seconds\":4.0", "\"seconds\":1e-300", "length");
	expect_refused(text, "\"timed\":", "\"timed\":9", "sum up");
	expect_refused(text, "\"timed\":", "\"timed\":-", "counts");
	expect_refused(text, "\"max_ns\":", "\"max_ns\":99", "maximum");
	expect_refused(text, "\"max_ns\":", "\"max_ns\":18446744073709551615,\"x\":",
		       "counts");
	expect_refused(text, "\"buckets\":[", "\"buckets\":[1152,1,", "buckets");
	expect_refused(text, "\"buckets\":[", "\"buckets\":[1,", "buckets");
	expect_refused(text, "\"buckets\":[", "\"buckets\":[-1,1,", "buckets");
	expect_refused(text, "\"vm\":0", "\"vm\":2", "cell");
	expect_refused(text, "\"end\":2", "\"end\":5", "order");
	expect_refused(text, "\"slices\":[", "\"slices\":[[],", "slice");
	expect_refused(text, "\"known\":true", "\"known\":1", "machine");
	expect_refused(text, "\"vcpus\":[", "\"vcpus\":[[[[[[[[[[[[[[[[[[[[",
		       "not a recording");
	text[len - 1] = 'x';
	EXPECT_EQ(parse(text, &back, &why), -EINVAL);
	trace_recording_free(&back);
	trace_record_free(&rec);
	free(text);
}

TEST("more reasons than a trace can have are refused, not stored")
{
	static const char head[] =
		"{\"kvasir_trace\":1,\"kernel\":\"\",\"began\":0,\"seconds\":1,"
		"\"pid\":0,\"hist_sub_bits\":5,\"hist_bits\":40,\"losses\":{},"
		"\"slices\":[],\"vms\":[{\"pid\":1,\"comm\":\"\",\"name\":\"\","
		"\"known\":true,\"returns\":[],\"vcpus\":[{\"id\":0,\"reasons\":[";
	static const char one[] = "{\"isa\":2,\"code\":1,\"kernel\":{\"timed\":0,"
		"\"untimed\":1,\"total_ns\":0,\"max_ns\":0,\"buckets\":[]}}";
	struct trace_recording back;
	const char *why;
	size_t len, i;
	char *text;
	FILE *f = open_memstream(&text, &len);

	fputs(head, f);
	for (i = 0; i <= TRACE_FILE_ROWS; i++)
		fprintf(f, "%s%s", i ? "," : "", one);
	fputs("]}]}]}", f);
	fclose(f);
	EXPECT_EQ(parse(text, &back, &why), -EINVAL);
	EXPECT(why && strstr(why, "too many"), "%s", why);
	trace_recording_free(&back);
	free(text);
}

TEST("times that add up to more than there are numbers for are refused")
{
	static const char head[] =
		"{\"kvasir_trace\":1,\"kernel\":\"\",\"began\":0,\"seconds\":1,"
		"\"pid\":0,\"hist_sub_bits\":5,\"hist_bits\":40,\"losses\":{},"
		"\"slices\":[],\"vms\":[{\"pid\":1,\"comm\":\"\",\"name\":\"\","
		"\"known\":true,\"returns\":[],\"vcpus\":[";
	/* Each of them is fine. */
	static const char one[] = "{\"id\":%u,\"reasons\":[{\"isa\":2,\"code\":1,"
		"\"kernel\":{\"timed\":1,\"untimed\":0,\"total_ns\":%llu,"
		"\"max_ns\":0,\"buckets\":[0,1]}}]}";
	struct trace_recording back;
	const char *why;
	unsigned int n, i;
	size_t len;
	char *text;
	FILE *f;

	for (n = 8; n <= 16; n += 8) {
		f = open_memstream(&text, &len);
		fputs(head, f);
		for (i = 0; i < n; i++) {
			fputs(i ? "," : "", f);
			fprintf(f, one, i, 1ULL << 60);
		}
		fputs("]}]}", f);
		fclose(f);
		EXPECT_EQ(parse(text, &back, &why), n == 8 ? 0 : -EINVAL);
		EXPECT(n == 8 || (why && strstr(why, "too long in all")), "%s", why);
		trace_recording_free(&back);
		free(text);
	}
}

/* A folder of its own, with a file in it. */
static void folder(char *dir, char *path)
{
	int fd;

	strcpy(dir, "/tmp/kvt-trace-XXXXXX");
	ASSERT(mkdtemp(dir), "mkdtemp");
	sprintf(path, "%s/file", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ASSERT_EQ(write(fd, "old", 3), 3);
	close(fd);
}

static size_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_size;
}

static void write_out(const char *path, const char *text)
{
	struct trace_out out;

	ASSERT_EQ(trace_out_open(&out, path), 0);
	fputs(text, out.file);
	EXPECT_EQ(trace_out_close(&out, true), 0);
}

TEST("links, further names, owner and mode of a file outlast a recording")
{
	char dir[32], path[64], link[64], name[64];
	struct stat st;

	folder(dir, path);
	sprintf(link, "%s/link", dir);
	sprintf(name, "%s/name", dir);
	if (!geteuid())
		ASSERT_OK(chown(path, 1000, 1001));
	ASSERT_OK(symlink("file", link));
	write_out(link, "newer");
	ASSERT_OK(lstat(link, &st));
	EXPECT(S_ISLNK(st.st_mode), "the link is gone");
	ASSERT_OK(stat(path, &st));
	EXPECT_EQ(st.st_size, 5);
	EXPECT_EQ(st.st_mode & 07777, 0600);
	EXPECT(geteuid() || (st.st_uid == 1000 && st.st_gid == 1001),
	       "owned by %u:%u", st.st_uid, st.st_gid);

	ASSERT_OK(rename(path, name));
	write_out(link, "a link to nothing");
	EXPECT_EQ(size_of(path), 17);
	ASSERT_OK(unlink(path));
	ASSERT_OK(linkat(AT_FDCWD, name, AT_FDCWD, path, 0));
	write_out(path, "both");
	EXPECT_EQ(size_of(name), 4);
	unlink(name);
	unlink(link);
	unlink(path);
	EXPECT_OK(rmdir(dir));
}

TEST("a recording replaces the old file at its end, or leaves it")
{
	char dir[32], path[64];
	struct trace_out out;

	folder(dir, path);
	ASSERT_EQ(trace_out_open(&out, path), 0);
	fputs("newer", out.file);
	fflush(out.file);
	EXPECT_EQ(size_of(path), 3);
	EXPECT_EQ(trace_out_close(&out, false), 0);
	EXPECT_EQ(size_of(path), 3);
	ASSERT_EQ(trace_out_open(&out, path), 0);
	fputs("newer", out.file);
	EXPECT_EQ(trace_out_close(&out, true), 0);
	EXPECT_EQ(size_of(path), 5);
	unlink(path);
	EXPECT_OK(rmdir(dir));	/* nothing is left behind */
	EXPECT_EQ(trace_out_open(&out, "/nowhere/file"), 1);
	EXPECT_EQ(trace_out_open(&out, "/tmp"), 1);
	ASSERT_EQ(trace_out_open(&out, "/dev/full"), 0);
	fputs("x", out.file);
	EXPECT_EQ(trace_out_close(&out, true), 1);
	EXPECT(!access("/dev/full", F_OK), "replaced a device");
}
