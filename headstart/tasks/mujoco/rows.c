/* Steps rows of one robot, each with a model of its own, in threads without Python.

   With Python's lock, two threads that need it for every row are no faster than one, because passing the lock takes as
   long as a step. This file uses MuJoCo only through functions, whose addresses Python passes, and opaque pointers, so
   that it depends neither on MuJoCo's headers nor on a version's layout of structs. `rows.py` describes the fields. */

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  void (*set_state)(const void *model, void *data, const double *state, unsigned kind);
  void (*get_state)(const void *model, const void *data, double *state, unsigned kind);
  void (*forward)(const void *model, void *data);
  void (*step)(const void *model, void *data);
  void (*forces)(const void *model, void *data); /* null: contact forces are not read */
  void (**on_error)(const char *message);
  void (**on_warning)(const char *message);
  unsigned kind;      /* of state */
  int64_t carried;    /* numbers of a state; a row has one more */
  int64_t controls;   /* of a row */
  int64_t steps;      /* of MuJoCo per environment step */
  int64_t reads;      /* fields of the simulator's data that are read */
  const int64_t *size; /* [read] numbers */
} Robot;

typedef struct {
  void *data;
  double *control;
  double **field; /* [read] */
  const int32_t *warnings;
  int64_t warned, stride; /* number of counters, and the distance between two */
} Workspace;

typedef struct {
  void *const *model;   /* [row] null: its parameters are invalid */
  const double *state;  /* [row carried+1]; the first is the time, 0 at the start of an episode */
  const float *action;  /* [row control] */
  uint8_t *bad;         /* [row] 1: it was not stepped, or is unstable */
  double *after;        /* [row carried+1]; the last is not written */
  double **before_read; /* [read] each [row size]; before the step, of rows at the start of an episode */
  double **after_read;
  uint8_t *corrupt;      /* [thread] 1: an error of its last row has corrupted its workspace */
  int64_t next, rows;   /* the first row that is not stepped yet, and the number of rows */
  int64_t threads;
} Batch;

/* One call's work. A thread that the call does not need may read its copy after the caller has returned, so `threads`
   is a number here. Only threads that the caller waits for may follow the pointers. */
typedef struct {
  const Robot *robot;
  const Batch *batch;
  Workspace *const *space; /* [thread] */
  int64_t threads;
} Job;

static _Thread_local jmp_buf error_jump;

static void on_error(const char *message) { (void)message; longjmp(error_jump, 1); }

static void on_warning(const char *message) { (void)message; }

static void read_fields(const Robot *robot, const Workspace *space, double **into, int64_t row) {
  for (int64_t k = 0; k < robot->reads; k++)
    memcpy(into[k] + row * robot->size[k], space->field[k], (size_t)robot->size[k] * sizeof(double));
}

/* Returns 0, or 1 if MuJoCo failed: then the workspace is corrupt. */
static int step_row(const Job *job, const Workspace *space, int64_t row) {
  const Robot *robot = job->robot;
  const Batch *batch = job->batch;
  const void *model = batch->model[row];
  const double *state = batch->state + row * (robot->carried + 1);
  if (setjmp(error_jump)) return 1;
  robot->set_state(model, space->data, state, robot->kind);
  if (state[0] == 0.0) { /* like Gymnasium's reset: it warms up the solver, and computes the first reading */
    memset(space->control, 0, (size_t)robot->controls * sizeof(double));
    robot->forward(model, space->data);
    read_fields(robot, space, batch->before_read, row);
  }
  for (int64_t k = 0; k < robot->controls; k++) space->control[k] = batch->action[row * robot->controls + k];
  for (int64_t k = 0; k < robot->steps; k++) robot->step(model, space->data);
  if (robot->forces) robot->forces(model, space->data);
  robot->get_state(model, space->data, batch->after + row * (robot->carried + 1), robot->kind);
  read_fields(robot, space, batch->after_read, row);
  for (int64_t k = 0; k < space->warned; k++)
    if (space->warnings[k * space->stride]) return 1;
  return 0;
}

static int all_finite(const double *numbers, int64_t n) {
  int all = 1;
  for (int64_t k = 0; k < n; k++) all &= isfinite(numbers[k]) != 0;
  return all;
}

/* Returns whether a row can be stepped: it has a model, and only finite numbers. */
static int steppable(const Job *job, int64_t row) {
  const Batch *batch = job->batch;
  const int64_t carried = job->robot->carried + 1, controls = job->robot->controls;
  int numbers = all_finite(batch->state + row * carried, carried);
  for (int64_t k = 0; k < controls; k++) numbers &= isfinite(batch->action[row * controls + k]) != 0;
  return batch->model[row] && numbers;
}

static atomic_llong next; /* row */

/* Steps the next free row, until none is left or one corrupts the workspace. */
static void step_some(const Job *job, int64_t thread) {
  const Batch *batch = job->batch;
  const int64_t carried = job->robot->carried + 1;
  int corrupt = 0;
  for (int64_t row; !corrupt && (row = atomic_fetch_add(&next, 1)) < batch->rows;) {
    const int stepped = steppable(job, row);
    corrupt = stepped && step_row(job, job->space[thread], row);
    batch->bad[row] = !stepped || corrupt || !all_finite(batch->after + row * carried, carried - 1);
  }
  batch->corrupt[thread] = (uint8_t)corrupt;
}

/* Each thread waits for its next job, first by spinning for a moment and then by sleeping. So does the caller. */

enum { SPINS = 12000, MAX_THREADS = 256 };

static struct {
  pthread_mutex_t lock, one_at_a_time;
  pthread_cond_t more, over;
  atomic_llong turn, unfinished;
  long long first_turn[MAX_THREADS]; /* [worker] the turn before its first */
  int64_t workers;
  Job job;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .one_at_a_time = PTHREAD_MUTEX_INITIALIZER,
          .more = PTHREAD_COND_INITIALIZER,
          .over = PTHREAD_COND_INITIALIZER};

static void spin(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static void *work(void *number) {
  const int64_t worker = (int64_t)(intptr_t)number;
  long long last_turn = pool.first_turn[worker];
  for (;;) {
    for (int i = 0; i < SPINS && atomic_load(&pool.turn) == last_turn; i++) spin();
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.turn) == last_turn) pthread_cond_wait(&pool.more, &pool.lock);
    last_turn = atomic_load(&pool.turn);
    const Job job = pool.job;
    pthread_mutex_unlock(&pool.lock);
    if (worker + 1 >= job.threads) continue;
    step_some(&job, worker + 1);
    if (atomic_fetch_sub(&pool.unfinished, 1) == 1) {
      pthread_mutex_lock(&pool.lock);
      pthread_cond_signal(&pool.over);
      pthread_mutex_unlock(&pool.lock);
    }
  }
  return NULL;
}

static int start_threads(const Job *job) {
  const int64_t others = job->threads - 1;
  int failed = others >= MAX_THREADS;
  pthread_mutex_lock(&pool.lock);
  while (!failed && pool.workers < others) {
    pthread_t thread;
    pool.first_turn[pool.workers] = atomic_load(&pool.turn);
    failed = pthread_create(&thread, NULL, work, (void *)(intptr_t)pool.workers) != 0;
    if (!failed) pthread_detach(thread), pool.workers++;
  }
  if (!failed) {
    pool.job = *job;
    atomic_store(&pool.unfinished, others);
    atomic_fetch_add(&pool.turn, 1);
    pthread_cond_broadcast(&pool.more);
  }
  pthread_mutex_unlock(&pool.lock);
  return failed;
}

static void wait_for_threads(void) {
  for (int i = 0; i < SPINS && atomic_load(&pool.unfinished); i++) spin();
  pthread_mutex_lock(&pool.lock);
  while (atomic_load(&pool.unfinished)) pthread_cond_wait(&pool.over, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
}

/* A forked process has none of the threads, and starts its own. A fork waits until no row is being stepped, so that
   MuJoCo's handlers are its own again. */

static void before_fork(void) {
  pthread_mutex_lock(&pool.one_at_a_time);
  pthread_mutex_lock(&pool.lock);
}

static void after_fork_in_parent(void) {
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&pool.one_at_a_time);
}

static void after_fork_in_child(void) {
  pool.workers = 0;
  pthread_mutex_init(&pool.lock, NULL);
  pthread_mutex_init(&pool.one_at_a_time, NULL);
  pthread_cond_init(&pool.more, NULL);
  pthread_cond_init(&pool.over, NULL);
}

static pthread_once_t fork_handlers = PTHREAD_ONCE_INIT;

static void add_fork_handlers(void) { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

/* Steps the rows from `next` on, in this thread and others. Afterwards `next` is the first row that is not stepped yet.
   Returns 0, or 1 if the system has too few threads. */
int headstart_step_rows(const Robot *robot, Batch *batch, Workspace *const *space) {
  const Job job = {robot, batch, space, batch->threads};
  pthread_once(&fork_handlers, add_fork_handlers);
  pthread_mutex_lock(&pool.one_at_a_time);
  void (*error_before)(const char *) = *robot->on_error, (*warning_before)(const char *) = *robot->on_warning;
  *robot->on_error = on_error;
  *robot->on_warning = on_warning;
  atomic_store(&next, batch->next);
  const int failed = job.threads > 1 ? start_threads(&job) : 0;
  if (!failed) {
    step_some(&job, 0);
    if (job.threads > 1) wait_for_threads();
    batch->next = atomic_load(&next) < batch->rows ? atomic_load(&next) : batch->rows;
  }
  *robot->on_error = error_before;
  *robot->on_warning = warning_before;
  pthread_mutex_unlock(&pool.one_at_a_time);
  return failed;
}
