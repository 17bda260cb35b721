// SPDX-License-Identifier: GPL-2.0-only
/* Recordings as files; see trace_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "output.h"
#include "run.h"
#include "trace_file_json.h"

#define DEPTH_MAX	16

static void get_recording(struct file_reader *r, struct json_object *root,
			  struct trace_recording *rec)
{
	char kind[8];

	file_get_kind(r, root, kind, sizeof(kind));
	if (r->err)
		return;
	rec->of_queues = strcmp(kind, "exits");
	if (!rec->of_queues)
		file_get_exits(r, root, &rec->exits);
	else if (!queue_record_init(&rec->queues, kind))
		file_get_queues(r, root, &rec->queues);
	else
		file_refuse(r, "a recording of something this kvasir does not know");
}

int trace_file_parse(const char *text, size_t len, struct trace_recording *rec,
		     const char **why)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *root;
	struct file_reader r = { 0 };

	if (!tok)
		return -ENOMEM;
	root = len > TRACE_FILE_MAX ? NULL :
	       json_tokener_parse_ex(tok, text, (int)len);
	if (!root)
		file_refuse(&r, json_tokener_get_error(tok) == json_tokener_continue ?
			   "it ends too early" : "not a recording of kvasir trace");
	if (root && strspn(text + json_tokener_get_parse_end(tok), " \t\r\n") <
		    len - json_tokener_get_parse_end(tok))
		file_refuse(&r, "there is something behind the recording");
	get_recording(&r, root, rec);
	json_object_put(root);
	json_tokener_free(tok);
	*why = r.why;
	return r.err;
}

/* All of the file at @fd, and a 0. Return: to be freed; NULL with errno set. */
static char *slurp(int fd, size_t *len)
{
	size_t room = 1 << 16;
	char *buf = NULL, *grown;
	ssize_t n;

	*len = 0;
	do {
		room *= 2;
		grown = realloc(buf, room);
		if (!grown)
			goto err;
		buf = grown;
		do {
			n = read(fd, buf + *len, room - 1 - *len);
			if (n < 0 && errno != EINTR)
				goto err;
			*len += n > 0 ? n : 0;
		} while (n && *len < room - 1);
	} while (n && *len <= TRACE_FILE_MAX);
	buf[*len] = 0;
	return buf;
err:
	free(buf);
	return NULL;
}

int trace_file_read(const char *path, struct trace_recording *rec)
{
	const char *why = NULL;
	struct stat st;
	char *text;
	size_t len;
	int fd, err;

	memset(rec, 0, sizeof(*rec));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && !S_ISREG(st.st_mode)) {
		close(fd);
		return out_error(EXIT_NO_FILE, "%s: not a regular file", path);
	}
	text = fd < 0 ? NULL : slurp(fd, &len);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (!text)
		return out_error(EXIT_NO_FILE, "cannot read %s: %s", path,
				 strerror(err));
	err = trace_file_parse(text, len, rec, &why);
	free(text);
	if (err == -EINVAL)
		return out_error(EXIT_BAD_KERNEL, "%s: %s", path, why);
	return err ? out_error(EXIT_VMM, "%s: %s", path, strerror(-err)) : 0;
}

void trace_recording_free(struct trace_recording *rec)
{
	if (rec->of_queues)
		queue_record_free(&rec->queues);
	else
		trace_record_free(&rec->exits);
}

/* Make @fd what was at @st: its owner and mode; else as a new file. */
static int take_after(int fd, const struct stat *st)
{
	mode_t mask;

	if (st)
		return fchown(fd, st->st_uid, st->st_gid) ||
		       fchmod(fd, st->st_mode & 07777) ? -1 : 0;
	mask = umask(0);
	umask(mask);
	return fchmod(fd, 0666 & ~mask);
}

/*
 * A file beside @o->path, to be put in the place of what is there: @st, or
 * NULL. NULL with errno set.
 */
static FILE *open_temp(struct trace_out *o, const struct stat *st)
{
	FILE *file = NULL;
	int fd, err;

	if (asprintf(&o->temp, "%s.XXXXXX", o->path) < 0) {
		o->temp = NULL;
		return NULL;
	}
	fd = mkostemp(o->temp, O_CLOEXEC);
	if (fd >= 0 && !take_after(fd, st))
		file = fdopen(fd, "w");
	if (file)
		return file;
	err = errno;
	if (fd >= 0) {
		close(fd);
		unlink(o->temp);
	}
	free(o->temp);
	o->temp = NULL;
	errno = err;
	return NULL;
}

/*
 * A link stays, and what it leads to is written. A device, a pipe, a file with
 * several names, and one whose owner cannot be kept are written directly; a
 * folder fails with EISDIR.
 */
int trace_out_open(struct trace_out *o, const char *path)
{
	char *real = realpath(path, NULL);
	struct stat st;
	bool replace;

	*o = (struct trace_out){ .path = real ? real : strdup(path) };
	if (real)
		replace = !stat(real, &st) && S_ISREG(st.st_mode) &&
			  st.st_nlink == 1;
	else	/* it is new, or a link to nothing */
		replace = lstat(path, &st) && errno == ENOENT;
	if (o->path && replace)
		o->file = open_temp(o, real ? &st : NULL);
	if (o->path && !o->file && (real || !replace))
		o->file = fopen(o->path, "we");
	if (o->file)
		return 0;
	out_error(EXIT_VMM, "cannot write %s: %s", path, strerror(errno));
	free(o->path);
	return EXIT_VMM;
}

int trace_out_close(struct trace_out *o, bool keep)
{
	int ret = 0, err = fclose(o->file) ? errno : 0;

	if (keep && !err && o->temp && rename(o->temp, o->path))
		err = errno;
	if (keep && err)
		ret = out_error(EXIT_VMM, "cannot write %s: %s", o->path,
				strerror(err));
	if (o->temp && (!keep || err))
		unlink(o->temp);
	free(o->temp);
	free(o->path);
	return ret;
}
