/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The main thread's event loop: a list of descriptors and poll().
 *
 * poll() rather than epoll, because standard input may be a file. Only the
 * thread that runs the loop may touch it; callbacks may add and remove
 * descriptors, their own included.
 */
#ifndef KVASIR_LOOP_H
#define KVASIR_LOOP_H

struct loop;

typedef void (*loop_fn)(void *ctx, int fd, short revents);

int loop_create(struct loop **out);
void loop_destroy(struct loop *loop);

/* -EEXIST when @fd is watched already, -ENOMEM. */
int loop_add(struct loop *loop, int fd, short events, loop_fn fn, void *ctx);
/* No such descriptor is fine. */
void loop_del(struct loop *loop, int fd);

/* Until loop_quit(), or -errno when poll() fails. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

#endif /* KVASIR_LOOP_H */
