/* Steps tiny batches of a made-up robot by many threads, for a sanitizer to watch: build it together with rows.c.

   Every batch is freed as soon as its call returns. With the argument "fork", child processes step as well; not for
   AddressSanitizer, whose allocator a fork may leave locked. Exits 0 where every row was stepped exactly once. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.c"

enum { THREADS = 16, CARRIED = 2, CONTROLS = 1 };

typedef struct {
  double state[CARRIED], control[CONTROLS];
} Data;

static void set_state(const void *model, void *data, const double *state, unsigned kind) {
  (void)model, (void)kind;
  memcpy(((Data *)data)->state, state, sizeof(double) * CARRIED);
}

static void get_state(const void *model, const void *data, double *state, unsigned kind) {
  (void)model, (void)kind;
  memcpy(state, ((const Data *)data)->state, sizeof(double) * CARRIED);
}

static void forward(const void *model, void *data) { (void)model, (void)data; }

static void step(const void *model, void *data) {
  Data *d = data;
  (void)model;
  d->state[0] += 1.0;
  d->state[1] += d->control[0];
}

static void quiet(const char *message) { (void)message; }
static void (*error_handler)(const char *) = quiet, (*warning_handler)(const char *) = quiet;

/* -> whether each of the rows was stepped, and once. */
static int one_batch(unsigned rows) {
  Robot robot = {set_state, get_state,        forward, step, NULL, &error_handler, &warning_handler, 0, CARRIED,
                 CONTROLS,  /* steps */ 1, 0, NULL};
  const unsigned threads = rows < THREADS ? rows : THREADS, wide = CARRIED + 1;
  Batch *batch = calloc(1, sizeof *batch);
  Data *data = calloc(threads, sizeof *data);
  Workspace *spaces = calloc(threads, sizeof *spaces), **space = calloc(threads, sizeof *space);
  for (unsigned k = 0; k < threads; k++) {
    spaces[k] = (Workspace){.data = &data[k], .control = data[k].control};
    space[k] = &spaces[k];
  }
  const void **model = calloc(rows, sizeof *model);
  double *state = calloc(rows * wide, sizeof *state), *after = calloc(rows * wide, sizeof *after);
  float *action = calloc(rows, sizeof *action);
  uint8_t *bad = calloc(rows, 1), *corrupt = calloc(threads, 1);
  for (unsigned row = 0; row < rows; row++) model[row] = data, action[row] = (float)row, state[row * wide] = 1.0;
  *batch = (Batch){(void *const *)model, state, action, bad, after, NULL, NULL, corrupt, 0, rows, threads};
  int good = headstart_step_rows(&robot, batch, space) == 0;
  for (unsigned row = 0; row < rows; row++)
    good &= !bad[row] && after[row * wide] == 2.0 && after[row * wide + 1] == (double)row;
  free(batch), free(data), free(spaces), free(space), free(model);
  free(state), free(after), free(action), free(bad), free(corrupt);
  return good;
}

static int many_batches(int n) {
  const unsigned rows[] = {64, 10, 3, 2};
  int good = 1;
  for (int i = 0; i < n; i++) good &= one_batch(rows[i % 4]);
  return good;
}

static void *stepping(void *good) {
  *(int *)good = many_batches(100);
  return NULL;
}

/* -> whether children step as well as their parent, forked while another thread is stepping too. */
static int forked(void) {
  int good = 1, beside = 0;
  pthread_t thread;
  if (pthread_create(&thread, NULL, stepping, &beside)) return 0;
  for (int i = 0; i < 6; i++) {
    const pid_t child = fork();
    if (child == 0) alarm(60), _exit(many_batches(8) ? 0 : 1);
    int status;
    good &= waitpid(child, &status, 0) == child && status == 0 && many_batches(8);
  }
  pthread_join(thread, NULL);
  return good && beside;
}

int main(int count, char **words) {
  int good = many_batches(100);
  if (count > 1 && !strcmp(words[1], "fork")) good &= forked();
  return good ? 0 : 1;
}
