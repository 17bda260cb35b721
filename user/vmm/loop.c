// SPDX-License-Identifier: GPL-2.0-only
/* The main thread's event loop. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "loop.h"

struct watch {
	loop_fn fn;
	void *ctx;
};

struct loop {
	unsigned int nr;
	unsigned int room;
	struct pollfd *fds;	/* fd -1: removed, swept before poll() */
	struct watch *watches;
	bool quit;
};

int loop_create(struct loop **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	free(loop->fds);
	free(loop->watches);
	free(loop);
}

static int grow(struct loop *loop)
{
	unsigned int room = loop->room ? loop->room * 2 : 16;
	struct watch *watches;
	struct pollfd *fds;

	if (loop->nr < loop->room)
		return 0;
	fds = reallocarray(loop->fds, room, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	loop->fds = fds;
	watches = reallocarray(loop->watches, room, sizeof(*watches));
	if (!watches)
		return -ENOMEM;
	loop->watches = watches;
	loop->room = room;
	return 0;
}

static struct pollfd *find(struct loop *loop, int fd)
{
	unsigned int i;

	for (i = 0; i < loop->nr; i++)
		if (loop->fds[i].fd == fd)
			return &loop->fds[i];
	return NULL;
}

int loop_add(struct loop *loop, int fd, short events, loop_fn fn, void *ctx)
{
	int ret;

	if (find(loop, fd))
		return -EEXIST;
	ret = grow(loop);
	if (ret)
		return ret;
	loop->fds[loop->nr] = (struct pollfd) { .fd = fd, .events = events };
	loop->watches[loop->nr] = (struct watch) { fn, ctx };
	loop->nr++;
	return 0;
}

void loop_del(struct loop *loop, int fd)
{
	struct pollfd *p = find(loop, fd);

	if (p)
		p->fd = -1;
}

static void sweep(struct loop *loop)
{
	unsigned int i, kept = 0;

	for (i = 0; i < loop->nr; i++) {
		if (loop->fds[i].fd < 0)
			continue;
		loop->fds[kept] = loop->fds[i];
		loop->watches[kept++] = loop->watches[i];
	}
	loop->nr = kept;
}

/* Added meanwhile: not polled yet, so beyond @nr. Removed: fd is -1. */
static void dispatch(struct loop *loop, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && !loop->quit; i++) {
		struct pollfd p = loop->fds[i];
		struct watch w = loop->watches[i];

		if (p.fd >= 0 && p.revents)
			w.fn(w.ctx, p.fd, p.revents);
	}
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		sweep(loop);
		if (poll(loop->fds, loop->nr, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		dispatch(loop, loop->nr);
	}
	return 0;
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
}
