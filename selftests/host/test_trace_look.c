// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks of the tracers at their maps, which are made up: in memory that an earlier
 * look has filled, a look finds what it finds in fresh memory.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fake_maps.h"
#include "queue_sample.h"
#include "../../user/cli/trace_maps.h"
#include "../../user/cli/trace_names.h"
#include "../../user/cli/trace_queue_collect.h"
#include "../../user/cli/trace_vm.h"

/* Descriptors. */
enum { STATES, LIVES, SERIES, RETURNS, SUBS, RIPS, NUMBERS, QUEUES };
/* ... where queues have theirs */
#define SLOW	STATES

/* How much there is to look at. */
struct size {
	uint32_t vms, vcpus, reasons, subs;
};

/* What all looks have learnt; nobody has the number of the processes made up. */
static struct trace_names names;

/* @n more in all buckets around @base. */
static void fill(__u64 *bucket, uint32_t base, uint64_t n)
{
	uint32_t i;

	for (i = 0; i < 20; i++)
		bucket[(base * 7 + i) % HIST_BUCKETS] = n;
}

static void make_series(const struct size *s, uint64_t load)
{
	uint32_t n = s->vms * s->vcpus * s->reasons, i;
	struct exits_slot *slot, *at;

	slot = (void *)fake_map(SERIES, 4, sizeof(*slot), n)->value;
	for (i = 0; i < n; i++) {
		/* They come in one order, and in the other. */
		at = &slot[load % 2 ? i : n - 1 - i];
		at->key = (struct exits_key){
			.reason = i % s->reasons / 2, .isa = EXITS_ISA_SVM,
			.user = i % 2, .life = 1 + i / s->reasons,
		};
		fill(at->s.bucket, at->key.life * 16 + i % s->reasons, load);
		at->s.timed = 20 * load;
		at->s.total_ns = load * (1000 + i % 13);
		at->s.min_ns = 5 + i % 3;
		at->s.max_ns = 100 + i;
	}
}

/* Ports that all vCPUs of a VM use, and places they leave from. */
static void make_subs(const struct size *s)
{
	uint32_t n = s->vms * s->vcpus * s->subs, i;
	struct fake_map *subs = fake_map(SUBS, sizeof(struct exits_sub_key),
					 sizeof(struct exits_sub_count), n);
	struct fake_map *rips = fake_map(RIPS, sizeof(struct exits_rip_key), 8, n);
	struct exits_sub_count *count = (void *)subs->value;
	struct exits_sub_key *key = (void *)subs->key;
	struct exits_rip_key *rip = (void *)rips->key;

	for (i = 0; i < n; i++) {
		key[i] = (struct exits_sub_key){
			.exit = { .reason = 1, .isa = EXITS_ISA_SVM, .user = 1,
				  .life = 1 + i / s->subs },
			.sub = EXITS_SUB_PORT_OUT, .value = i % s->subs,
		};
		count[i] = (struct exits_sub_count){ 3, 100 + i % s->subs, i };
		rip[i] = (struct exits_rip_key){ 1 + i / s->subs, 1, i % s->subs };
		((uint64_t *)rips->value)[i] = 2;
	}
}

static struct trace_maps make_exits(const struct size *s, uint64_t load)
{
	uint32_t lives = s->vms * s->vcpus, i;
	struct exits_vcpu *state;
	struct exits_life *life;

	life = (void *)fake_map(LIVES, 4, sizeof(*life), lives + 1)->value;
	state = (void *)fake_map(STATES, 4, sizeof(*state), lives + 1)->value;
	for (i = 1; i <= lives; i++) {
		life[i] = (struct exits_life){
			.kvm = 1 + (i - 1) / s->vcpus, .tgid = INT32_MAX,
			.vcpu_id = s->vcpus - 1 - (i - 1) % s->vcpus,
		};
		state[i].returns[2] = i;
	}
	fake_map(RETURNS, sizeof(struct exits_return_key), 8, 0);
	make_series(s, load);
	make_subs(s);
	return (struct trace_maps){
		.states = STATES, .lives = LIVES, .series = SERIES,
		.returns = RETURNS, .subs = SUBS, .rips = RIPS, .last_life = lives,
		.n_series = lives * s->reasons, .names = &names,
	};
}

/* All of @t, in order, as text. */
static char *text_of(struct trace *t)
{
	struct trace_record *rec = calloc(1, sizeof(*rec));
	size_t len, i, k;
	char *text;
	FILE *f = open_memstream(&text, &len);

	ASSERT(rec && f, "no memory");
	trace_ready(t);
	rec->t = *t;
	ASSERT_EQ(trace_file_write(f, rec), 0);
	for (i = 0; i < t->n_vms; i++) {
		const struct trace_vm *vm = &t->vm[i];

		for (k = 0; k < vm->n_subs; k++)
			fprintf(f, " %llu:%llu:%llu:%llu:%s",
				(unsigned long long)vm->sub[k].value,
				vm->sub[k].count.timed, vm->sub[k].count.total_ns,
				vm->sub[k].count.max_ns, vm->sub[k].device);
		for (k = 0; k < vm->n_rips; k++)
			fprintf(f, " %llx:%llu", (unsigned long long)vm->rip[k].rip,
				(unsigned long long)vm->rip[k].count);
	}
	fclose(f);
	free(rec);
	return text;
}

/* Look into @kept and into new memory: what is found must be the same. */
static void expect_same(struct trace *kept, const struct trace_maps *maps)
{
	struct trace fresh = { 0 };
	char *a, *b;

	trace_clear(kept);
	ASSERT_EQ(trace_collect(kept, maps), 0);
	ASSERT_EQ(trace_collect(&fresh, maps), 0);
	a = text_of(kept);
	b = text_of(&fresh);
	EXPECT(!strcmp(a, b), "not the same\n%.2000s\n%.2000s", a, b);
	trace_free(&fresh);
	free(a);
	free(b);
}

TEST("exits: a look in used memory, at less, at more, at nothing")
{
	static const struct size sizes[] = {
		{ 2, 2, 6, 5 }, { 3, 4, 10, 20 }, { 1, 1, 2, 0 }, { 5, 1, 4, 7 },
		{ 0, 1, 1, 0 }, { 2, 8, 12, 3 }, { 3, 4, 10, 20 },
	};
	struct trace kept = { 0 };
	struct trace_maps maps;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		maps = make_exits(&sizes[i], i + 1);
		expect_same(&kept, &maps);
		EXPECT_EQ(kept.n_vms, sizes[i].vms);
	}
	trace_free(&kept);
}

TEST("exits: a look takes no memory that the last but one did not")
{
	const struct size size = { 3, 4, 10, 20 };
	struct trace kept = { 0 };
	struct trace_maps maps = make_exits(&size, 1);
	const struct trace_vm *vm;
	const struct trace_row *rows;

	ASSERT_EQ(trace_collect(&kept, &maps), 0);
	vm = kept.vm;
	rows = kept.vm[2].vcpu[3].rows.row;
	trace_clear(&kept);
	EXPECT_EQ(kept.n_vms, 0);
	ASSERT_EQ(trace_collect(&kept, &maps), 0);
	EXPECT(kept.vm == vm && kept.vm[2].vcpu[3].rows.row == rows, "moved");
	trace_free(&kept);
}

TEST("exits: what several vCPUs had becomes one, of each VM")
{
	const struct size size = { 2, 16, 4, 3000 };
	struct trace_maps maps = make_exits(&size, 1);
	struct trace t = { 0 };
	size_t i, k;

	ASSERT_EQ(trace_collect(&t, &maps), 0);
	trace_ready(&t);
	ASSERT_EQ(t.n_vms, 2);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(t.vm[i].n_subs, 3000);
		ASSERT_EQ(t.vm[i].n_rips, 3000);
		for (k = 0; k < 3000; k++) {
			const struct trace_sub *s = &t.vm[i].sub[k];

			/* By time: the highest port first. */
			EXPECT_EQ(s->value, 2999 - k);
			EXPECT_EQ(s->count.timed, 16 * 3);
			EXPECT_EQ(s->count.total_ns, 16 * (100 + s->value));
			EXPECT_EQ(s->count.max_ns, (i * 16 + 15) * 3000 + s->value);
			EXPECT_EQ(t.vm[i].rip[k].count, 16 * 2);
		}
	}
	trace_free(&t);
}

/* A process whose VM is called "web"; it runs until killed. */
static pid_t start_process(void)
{
	uint64_t end = kvt_deadline(20000);
	char name[128] = "";
	pid_t pid = fork();

	ASSERT(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "kvasir", "-c", "kill -STOP $$", "-n", "web", NULL);
		_exit(1);
	}
	while (strcmp(name, "web") && kvt_left(end))
		trace_vm_name(pid, name, sizeof(name));
	ASSERT(!strcmp(name, "web"), "the process has no name: %s", name);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
}

/* Let the lives from @first on be of the process @pid, which started at @start. */
static void own_lives(const struct trace_maps *maps, uint32_t first, pid_t pid,
		      uint64_t start)
{
	struct exits_life *life = (void *)fake_maps[LIVES].value;
	uint32_t i;

	for (i = first; i <= maps->last_life; i++) {
		life[i].tgid = pid;
		life[i].start_ns = start * (1000000000 / sysconf(_SC_CLK_TCK));
		strcpy(life[i].comm, "kvasir");
	}
}

TEST("exits: a VM keeps its name when its process is gone, whoever comes then")
{
	const struct size size = { 1, 2, 2, 0 };
	struct trace_maps maps = make_exits(&size, 1);
	pid_t pid = start_process();
	uint64_t start = trace_vm_start(pid);
	struct trace t = { 0 };

	own_lives(&maps, 1, pid, start);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	EXPECT(!strcmp(t.vm[0].name, "web"), "name: %s", t.vm[0].name);
	/* Dead, but still to be waited for: it has no command line. */
	kill(pid, SIGKILL);
	ASSERT_EQ(waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	trace_clear(&t);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	EXPECT(!strcmp(t.vm[0].name, "web"), "name of the dead: %s", t.vm[0].name);
	end_process(pid);
	trace_clear(&t);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	EXPECT(!strcmp(t.vm[0].name, "web"), "name of the gone: %s", t.vm[0].name);
	/* Asked for before the first look, as --pid does. */
	pid = start_process();
	start = trace_vm_start(pid);
	EXPECT(trace_names_get(&names, pid, 0), "it is there");
	end_process(pid);
	own_lives(&maps, 1, pid, start);
	trace_clear(&t);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	EXPECT(!strcmp(t.vm[0].name, "web"), "name known before: %s", t.vm[0].name);
	/* Another process that had the same number. */
	own_lives(&maps, 1, pid, start + 1);
	trace_clear(&t);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	EXPECT(!*t.vm[0].name, "name of another: %s", t.vm[0].name);
	trace_free(&t);
}

/* @count returns of @pid's threads of which no exit was seen. */
static void return_unknown(pid_t pid, uint64_t count)
{
	struct fake_map *m = fake_map(RETURNS, sizeof(struct exits_return_key), 8, 1);

	*(struct exits_return_key *)m->key = (struct exits_return_key){
		.tgid = pid, .reason = 5,
	};
	*(uint64_t *)m->value = count;
}

/* Into @t, and as Prometheus gets it. To be freed */
static char *metrics(struct trace *t, const struct trace_maps *maps)
{
	size_t len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	ASSERT(f, "no memory");
	trace_clear(t);
	ASSERT_EQ(trace_collect(t, maps), 0);
	trace_ready(t);
	trace_fmt_prometheus(f, t);
	fclose(f);
	return text;
}

/* All series of @before are in @after, and have not fallen. */
static void expect_grown(const char *before, const char *after)
{
	const char *line, *at;
	char series[1024];
	double was;

	for (line = before; *line; line = strchr(line, '\n') + 1) {
		/* No label of these has a blank in it. */
		if (sscanf(line, "%1022s %lf\n", series, &was) != 2 || *line == '#')
			continue;
		strcat(series, " ");
		at = strstr(after, series);
		EXPECT(at, "gone: %s", series);
		EXPECT(!at || atof(at + strlen(series)) >= was, "fell: %s", series);
	}
}

TEST("exits: VMs that appear change no series of those before them")
{
	struct size size = { 1, 2, 2, 0 };
	struct trace_maps maps;
	struct trace t = { 0 };
	char *before, *after;
	uint32_t vms;

	maps = make_exits(&size, 1);
	return_unknown(INT32_MAX, 7);
	before = metrics(&t, &maps);
	for (vms = 2; vms < 5; vms++) {
		size.vms = vms;
		maps = make_exits(&size, 1);
		return_unknown(INT32_MAX, 7 + vms);
		after = metrics(&t, &maps);
		EXPECT_EQ(t.n_vms, vms + 1);
		expect_grown(before, after);
		free(before);
		before = after;
	}
	free(before);
	trace_free(&t);
}

TEST("exits: in the end, returns of a process are those of its only VM")
{
	const struct size size = { 2, 1, 2, 0 };
	struct trace_maps maps = make_exits(&size, 1);
	struct trace t = { 0 };

	return_unknown(INT32_MAX, 7);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	ASSERT_EQ(trace_join_returns(&t), 0);
	ASSERT_EQ(t.n_vms, 3);
	/* One VM of that process, one of another. */
	own_lives(&maps, 2, INT32_MAX - 1, 0);
	trace_clear(&t);
	ASSERT_EQ(trace_collect(&t, &maps), 0);
	ASSERT_EQ(t.n_vms, 3);
	t.lost.vcpus_full = 1;
	ASSERT_EQ(trace_join_returns(&t), 0);
	ASSERT_EQ(t.n_vms, 3);
	t.lost.vcpus_full = 0;
	ASSERT_EQ(trace_join_returns(&t), 0);
	ASSERT_EQ(t.n_vms, 2);
	EXPECT_EQ(t.vm[0].n_rets, 2);
	EXPECT_EQ(t.vm[0].ret[1].count, 7);
	EXPECT_EQ(t.vm[1].n_rets, 1);
	/* What it stood in is used again. */
	expect_same(&t, &maps);
	trace_free(&t);
}

TEST("exits: slices add up to the last look, with a series that comes late")
{
	struct trace_record *rec = calloc(1, sizeof(*rec));
	struct size size = { 2, 3, 4, 0 };
	uint64_t count = 0, want = 0;
	struct trace next = { 0 };
	struct trace_maps maps;
	size_t i, k;

	for (i = 1; i <= 2 * TRACE_SLICES; i++) {
		size.reasons = i > 100 ? 10 : 4;
		maps = make_exits(&size, i);
		trace_clear(&next);
		next.seconds = i;
		ASSERT_EQ(trace_collect(&next, &maps), 0);
		ASSERT_EQ(trace_record_add(rec, &next), 0);
	}
	for (i = 0; i < rec->t.n_vms; i++)
		want += trace_sum(&rec->t.vm[i].rows).exits;
	for (i = 0; i < rec->tl.n; i++)
		for (k = 0; k < rec->tl.slice[i].n_cells; k++)
			count += rec->tl.slice[i].cell[k].count;
	EXPECT_EQ(count, want);
	/* One cell of each: 2 VMs, 4 and then 10 reasons and classes. */
	EXPECT_EQ(rec->tl.slice[0].n_cells, 2 * 4);
	EXPECT_EQ(rec->tl.slice[rec->tl.n - 1].n_cells, 2 * 10);
	trace_record_free(rec);
	trace_free(&next);
	free(rec);
}

/* Queues @first to @last, each with @rows series. */
static struct queue_maps make_queues(uint32_t first, uint32_t last, uint32_t rows,
				     uint64_t load)
{
	uint32_t n = last - first, i, number;
	struct fake_map *series = fake_map(SERIES, sizeof(struct queue_series_key),
					   sizeof(struct queue_series), n * rows);
	struct fake_map *numbers = fake_map(NUMBERS, 8, 4, n);
	struct queue_series_key *key = (void *)series->key;
	struct queue_series *s = (void *)series->value;
	struct queue_state *state;

	state = (void *)fake_map(QUEUES, 4, sizeof(*state), last + 1)->value;
	fake_map(SLOW, 4, sizeof(struct queue_slow), last + 1);
	for (i = 0; i < n; i++) {
		/* The order they come in is neither theirs nor that of devices. */
		number = first + (n - 1 - i);
		((uint64_t *)numbers->key)[i] = (uint64_t)(number / 2 ^ 1) << 32 |
						number % 2;
		((uint32_t *)numbers->value)[i] = number;
		state[number].number = number;
		state[number].pid = INT32_MAX;
		state[number].completed = load;
		state[number].type = KVASIR_BLK;
	}
	for (i = 0; i < n * rows; i++) {
		key[i] = (struct queue_series_key){ first + i % n, i / n, 0 };
		fill(s[i].bucket, key[i].queue * 16 + key[i].what, load);
	}
	return (struct queue_maps){
		.numbers = NUMBERS, .queues = QUEUES, .slow = SLOW, .series = SERIES,
		.names = &names,
	};
}

static char *queues_text_of(const struct queue_trace *t)
{
	struct queue_record *rec = calloc(1, sizeof(*rec));
	size_t len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	ASSERT(rec && f, "no memory");
	rec->t = *t;
	ASSERT_EQ(queue_file_write(f, rec), 0);
	fclose(f);
	free(rec);
	return text;
}

TEST("queues: a look in used memory, at others, at less, at more, at nothing")
{
	static const struct { uint32_t first, last, rows; } sizes[] = {
		{ 0, 9, 6 }, { 4, 20, 9 }, { 3, 4, 1 }, { 0, 0, 1 }, { 0, 33, 4 },
		{ 4, 20, 9 },
	};
	const struct queue_counters none = { .err = -ENOENT };
	struct queue_trace kept = { 0 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct queue_maps maps = make_queues(sizes[i].first, sizes[i].last,
						     sizes[i].rows, i + 1);
		struct queue_trace fresh = { 0 };
		char *a, *b;

		queue_trace_clear(&kept);
		ASSERT_EQ(queue_collect(&kept, &maps, &none), 0);
		ASSERT_EQ(queue_collect(&fresh, &maps, &none), 0);
		EXPECT_EQ(kept.n, sizes[i].last - sizes[i].first);
		queue_trace_sort(&kept);
		queue_trace_sort(&fresh);
		a = queues_text_of(&kept);
		b = queues_text_of(&fresh);
		EXPECT(!strcmp(a, b), "not the same\n%.2000s\n%.2000s", a, b);
		/* It would be left over from the look before. */
		if (kept.n) {
			kept.queue[0].counted = true;
			strcpy(kept.queue[0].name, "left over");
		}
		queue_trace_free(&fresh);
		free(a);
		free(b);
	}
	queue_trace_free(&kept);
}

TEST("queues: those of a VM keep its name when its process is gone")
{
	const struct queue_counters none = { .err = -ENOENT };
	struct queue_maps maps = make_queues(0, 3, 2, 1);
	struct queue_state *state = (void *)fake_maps[QUEUES].value;
	struct queue_trace t = { 0 };
	pid_t pid = start_process();
	size_t i, look;

	for (i = 0; i < 3; i++)
		state[i].pid = pid;
	for (look = 0; look < 2; look++) {
		queue_trace_clear(&t);
		ASSERT_EQ(queue_collect(&t, &maps, &none), 0);
		ASSERT_EQ(t.n, 3);
		for (i = 0; i < 3; i++)
			EXPECT(!strcmp(t.queue[i].name, "web") && *t.queue[i].comm,
			       "look %zu: %s", look, t.queue[i].name);
		if (!look)
			end_process(pid);
	}
	queue_trace_free(&t);
}

TEST("queues: slices add up to the last look, with queues that come and go")
{
	const struct queue_counters none = { .err = -ENOENT };
	struct queue_record *rec = calloc(1, sizeof(*rec));
	struct queue_trace next = { 0 };
	uint64_t count = 0, want = 0;
	size_t i, k;

	for (i = 1; i <= 40; i++) {
		struct queue_maps maps = make_queues(i < 20 ? 5 : 0, i < 30 ? 12 : 10,
						     3, i);

		queue_trace_clear(&next);
		next.about.seconds = i;
		ASSERT_EQ(queue_collect(&next, &maps, &none), 0);
		ASSERT_EQ(queue_record_add(rec, &next), 0);
	}
	for (i = 0; i < rec->t.n; i++)
		for (k = 0; k < rec->t.queue[i].n_rows; k++)
			want += rec->t.queue[i].row[k].s.n;
	/* The last of the two that are gone. */
	want += 2ULL * 3 * 20 * 29;
	for (i = 0; i < rec->tl.n; i++)
		for (k = 0; k < rec->tl.slice[i].n_cells; k++)
			count += rec->tl.slice[i].cell[k].count;
	EXPECT_EQ(count, want);
	queue_record_free(rec);
	queue_trace_free(&next);
	free(rec);
}

/* Numbers seen, each once. */
static int tick_off(void *ctx, const void *key, void *value)
{
	bool *seen = ctx;
	uint32_t at = *(const uint32_t *)key;

	EXPECT_EQ(*(const uint64_t *)value, at * 3);
	EXPECT(!seen[at], "entry %u twice", at);
	seen[at] = true;
	return at == 99999 ? -EDOM : 0;
}

/* Return: the entries of @map of @all that were given */
static uint32_t read_all(struct trace_map map, uint32_t all, int want)
{
	bool *seen = calloc(all + 1, 1);
	uint32_t i, n = 0;

	ASSERT(seen, "no memory");
	EXPECT_EQ(trace_map_read(&map, tick_off, seen), want);
	for (i = 0; i < all; i++)
		n += seen[i];
	free(seen);
	return n;
}

TEST("maps: every entry once, whatever a batch and a bucket hold")
{
	static const uint32_t many[] = { 0, 1, 2, 1000, 65536, 99999 };
	struct trace_map map = { .fd = SERIES, .key_size = 4, .value_size = 8 };
	struct fake_map *m;
	uint32_t i, k;

	for (i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		m = fake_map(SERIES, 4, 8, many[i]);
		for (k = 0; k < many[i]; k++)
			((uint64_t *)m->value)[k] = k * 3;
		for (m->bucket = 1; m->bucket <= 100000; m->bucket *= 10) {
			map.n = TRACE_MAP_ALL;
			EXPECT_EQ(read_all(map, many[i], 0), many[i]);
		}
		m->bucket = 1;
		map.n = many[i] / 2;
		m->calls = 0;
		EXPECT_EQ(read_all(map, many[i], 0), many[i] / 2);
		EXPECT(m->calls <= 1 + many[i] / 10000, "%u calls", m->calls);
	}
	/* One that the reader does not like. */
	m = fake_map(SERIES, 4, 8, 100001);
	for (k = 0; k < m->n; k++)
		((uint64_t *)m->value)[k] = k * 3;
	map.n = TRACE_MAP_ALL;
	EXPECT_EQ(read_all(map, m->n, -EDOM), 100000);
}
