/* A short training run on ranks that are threads, of a net with everything that could endanger the
 * bits, and what became of it: what the tests of the step share. */
#ifndef TESTS_EXCHANGE_TRAINING_H
#define TESTS_EXCHANGE_TRAINING_H

#include "ranks.h"

#include "base/document.h"
#include "worker/step.h"

#define LEAVES  8
#define BATCH   24
#define CLASSES 5
#define STEPS   5
#define SEED    7

/* Short steps leave leaves, and so ranks, without pictures. */
extern const int64_t training_step_sizes[STEPS];

/* What goes wrong, and where. */
enum fault { FAULT_NONE, FAULT_LOSS, FAULT_READING };

/* A training run; and what came of it, by rank. */
struct training {
    int chunk;
    size_t bucket;
    enum exchange_algorithm algorithm;
    enum exchange_progress_by progress;
    enum exchange_wire wire;
    int local_steps; /* of their own, between averages; 0: none */
    double momentum;
    const char *optimizer; /* NULL: sgd with this momentum */
    double clip_norm;
    bool alone;               /* no shared memory */
    struct ranks_nodes nodes; /* none: all ranks on one */
    bool sync;                /* batch norm over the whole batch */
    enum fault fault;         /* in step 3 (of 5 pictures): in picture 4, or on the last rank */
    size_t size;
    float *weights[RANKS_LIMIT], *velocity; /* the second of all ranks */
    struct step_metrics metrics[RANKS_LIMIT][STEPS], evaluated[RANKS_LIMIT];
    int seen[RANKS_LIMIT], most_in_flight[RANKS_LIMIT];
    bool bytes_right[RANKS_LIMIT];
    status result[RANKS_LIMIT];
    char message[RANKS_LIMIT][1024];
};

/* One rank's things. */
struct worker {
    struct document document;
    struct pool pool;
    struct net *net;
    struct optimizer *optimizer;
    struct step *step;
    float *pixels;
    struct target *targets;
};

status worker_init(
    struct worker *worker, struct transport *transport, const struct training *training);
void worker_release(struct worker *worker);

/* The rank's own pictures of step number `step`. */
void worker_read(struct worker *worker, const struct transport *transport, int64_t step,
    int64_t pictures, enum fault fault);
status worker_step(
    struct worker *worker, struct transport *transport, struct training *training, int number);

/* Trains and evaluates; a rank that fails in earnest fails the test. */
void training_run(struct training *training, int ranks);
void training_release(struct training *training);

/* A copy of a vector, freed by free(). */
status training_copy(float **copy, const float *vector, size_t size);

/* Whether all ranks of `a` ended with what rank 0 of `b` has. */
bool trainings_equal(const struct training *a, int ranks, const struct training *b);
/* The largest difference of a weight or its velocity. */
double trainings_difference(const struct training *a, const struct training *b);
/* The largest weight or velocity. */
double trainings_size(const struct training *a);

#endif
