/* Training steps without the training: takes the time that the parts of a network's step take, and
 * exchanges its gradients by the program's own source files. Built by mpicc it runs on real hosts,
 * by SimGrid's smpicc on simulated ones (scaling.py, docs/scaling.md).
 *
 *   replay PROFILE tree|ring|allreduce inline|thread BUCKET LEAVES STEPS SPEED [check]
 *
 * PROFILE is described in profile.h; whatever a rank computes takes 1 / SPEED of its time. The
 * batch has so many LEAVES; where ranks have different numbers of them the profile is that of the
 * mean, and who has more computes longer. The exchange moves on between the parts of backward, or
 * at any time, as if by a thread. With allreduce the MPI's own sums up bucket by bucket, each as
 * soon as it is final, and every rank updates all weights. BUCKET is in bytes. With `check` (not
 * with allreduce) gradients are real, and the bits of all sums must be those of the tree over all
 * leaves. Rank 0 prints the seconds of every step.
 */
#include "base/memory.h"
#include "base/tree.h"
#include "host.h"
#include "payload.h"
#include "profile.h"
#include "worker/exchange/agreement.h"
#include "worker/exchange/vector.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    struct profile profile;
    struct transport *transport;
    struct exchange *exchange; /* NULL: the MPI's own allreduce */
    struct agreement *agreement;
    size_t bucket; /* floats */
    int leaves, steps;
    double speed;
    double share; /* of the pictures, the mean being 1 */
    bool thread, check;
    float *vector; /* for the MPI's own allreduce */
};

/* ---- real gradients ---- */

/* Of a leaf; sums of such values depend on the order of the additions. */
static float value(int leaf, size_t i) {
    uint32_t mixed = (uint32_t)(i * 2654435761u) ^ (uint32_t)(leaf + 1) * 40503u;
    mixed ^= mixed >> 15;
    mixed *= 2246822519u;
    mixed ^= mixed >> 13;
    return (float)(mixed % 100003) / 7.0f;
}

static float tree_of(int first, int leaves, size_t i) {
    if (leaves == 1) {
        return value(first, i);
    }
    return tree_of(first, leaves / 2, i) + tree_of(first + leaves / 2, leaves / 2, i);
}

static void fill(const struct replay *replay) {
    const struct transport *transport = replay->transport;
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int first = tree_rank_first(transport->rank, transport->ranks, replay->leaves);
    int leaves = tree_rank_leaves(transport->rank, transport->ranks, replay->leaves);
    int subtrees = tree_cover(cover, first, leaves, 0);
    for (int s = 0; s < subtrees; s++) {
        float *vector = exchange_vector(replay->exchange, s);
        for (size_t i = 0; i < replay->profile.vector_size; i++) {
            vector[i] = tree_of(cover[s].first, cover[s].leaves, i);
        }
    }
}

static status compare(const struct replay *replay) {
    const float *results = exchange_results(replay->exchange);
    for (size_t i = 0; i < replay->profile.vector_size; i++) {
        float wanted = tree_of(0, replay->leaves, i);
        if (memcmp(&wanted, &results[i], sizeof wanted) != 0) {
            FAIL(STATUS_NUMERIC, "rank %d, element %zu: %a, but the tree says %a",
                replay->transport->rank, i, (double)results[i], (double)wanted);
        }
    }
    return STATUS_OK;
}

/* ---- a step ---- */

static double update_seconds(const struct replay *replay, size_t count) {
    const struct profile *profile = &replay->profile;
    return profile->seconds[profile->parts - 1] * (double)count / (double)profile->vector_size;
}

/* The owner's update takes its share of the time of all. */
static void update(void *context, float *results, const float *sum, size_t from, size_t count) {
    const struct replay *replay = context;
    (void)from;
    if (replay->check) {
        vector_copy(results, sum, count);
    }
    host_spend(update_seconds(replay, count));
}

static double part_seconds(const struct replay *replay, int part) {
    return replay->profile.seconds[part] * replay->share;
}

static status agree(struct replay *replay) {
    TRY(agreement_start(replay->agreement, STATUS_OK, 0, NULL, 0));
    return agreement_finish(replay->agreement, NULL, NULL, 0);
}

static status backward(struct replay *replay) {
    const struct profile *profile = &replay->profile;
    const struct exchange_maker maker = {.make = update, .context = replay};
    size_t ready = 0;
    TRY(exchange_begin(replay->exchange, replay->leaves, &maker));
    for (int i = 1; i < profile->parts - 1; i++) {
        TRY(host_compute(
            replay->transport, part_seconds(replay, i), replay->thread ? replay->exchange : NULL));
        TRY(exchange_ready(replay->exchange, ready, ready + profile->floats[i]));
        TRY(exchange_progress(replay->exchange));
        ready += profile->floats[i];
    }
    return exchange_finish(replay->exchange);
}

/* SimGrid's own sums are of real bytes: but nobody looks at them. */
static void add_nothing(void *in, void *sum, int *count, MPI_Datatype *type) {
    (void)in;
    (void)sum;
    (void)count;
    (void)type;
}

/* What a thread of its own would do: computing and MPI's calls do not hinder each other here, so
 * that this thread alone is played. */
static status backward_with_allreduce(struct replay *replay) {
    const struct profile *profile = &replay->profile;
    const double start = MPI_Wtime();
    double computed = 0.0;
    size_t ready = 0, done = 0;
    MPI_Op add;
    MPI_Op_create(add_nothing, 1, &add);
    for (int i = 1; i < profile->parts - 1; i++) {
        ready += profile->floats[i];
        computed += part_seconds(replay, i);
        const bool last = ready == profile->vector_size;
        while (ready - done >= replay->bucket || (last && done < ready)) {
            size_t size = ready - done < replay->bucket ? ready - done : replay->bucket;
            float *vector = payload_of(replay->vector + done, size * sizeof(float));
            TRY(host_compute(replay->transport, start + computed - MPI_Wtime(), NULL));
            MPI_Allreduce(MPI_IN_PLACE, vector, (int)size, MPI_FLOAT, add, MPI_COMM_WORLD);
            done += size;
        }
    }
    TRY(host_compute(replay->transport, start + computed - MPI_Wtime(), NULL));
    MPI_Op_free(&add);
    host_spend(update_seconds(replay, profile->vector_size));
    return STATUS_OK;
}

static status run_step(struct replay *replay) {
    TRY(host_compute(replay->transport, part_seconds(replay, 0), NULL));
    TRY(agree(replay));
    return replay->exchange != NULL ? backward(replay) : backward_with_allreduce(replay);
}

static status run_steps(struct replay *replay) {
    for (int s = 0; s < replay->steps; s++) {
        if (replay->check) {
            fill(replay);
        }
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime();
        TRY(run_step(replay));
        double mine = MPI_Wtime() - start, longest;
        MPI_Reduce(&mine, &longest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (replay->check) {
            TRY(compare(replay));
        }
        if (replay->transport->rank == 0) {
            printf("%.6f\n", longest);
            fflush(stdout);
        }
    }
    return STATUS_OK;
}

/* ---- the command line ---- */

static status choose(int *chosen, const char *word, const char *const *words) {
    for (*chosen = 0; words[*chosen] != NULL; ++*chosen) {
        if (strcmp(word, words[*chosen]) == 0) {
            return STATUS_OK;
        }
    }
    FAIL(STATUS_USAGE, "'%s' is not known here", word);
}

static status number(double *value, const char *text, double low, double high) {
    char *end;
    *value = strtod(text, &end);
    if (end == text || *end != '\0' || !(*value >= low && *value <= high)) {
        FAIL(STATUS_USAGE, "'%s': must be a number from %g to %g", text, low, high);
    }
    return STATUS_OK;
}

static status take_exchange(struct replay *replay, int algorithm) {
    const struct exchange_options options = {
        .algorithm = algorithm == 1 ? EXCHANGE_RING : EXCHANGE_TREE,
        .leaves = replay->leaves,
        .vector_size = replay->profile.vector_size,
        .bucket_size = replay->bucket,
        .small_bucket = EXCHANGE_SMALL_BUCKET,
        .grain = 16,
    };
    return exchange_create(&replay->exchange, replay->transport, &options);
}

static status set_up(struct replay *replay, int count, char **arguments) {
    static const char *const algorithms[] = {"tree", "ring", "allreduce", NULL};
    static const char *const ways[] = {"inline", "thread", NULL};
    int algorithm, way;
    double bucket, leaves, steps;
    if (count < 8 || count > 9 || (count == 9 && strcmp(arguments[8], "check") != 0)) {
        FAIL(STATUS_USAGE,
            "replay PROFILE tree|ring|allreduce inline|thread BUCKET LEAVES STEPS SPEED [check]");
    }
    TRY(choose(&algorithm, arguments[2], algorithms));
    TRY(choose(&way, arguments[3], ways));
    TRY(number(&bucket, arguments[4], 64, 1 << 28));
    TRY(number(&leaves, arguments[5], 1, TREE_LEAVES_LIMIT));
    TRY(number(&steps, arguments[6], 1, 1000));
    TRY(number(&replay->speed, arguments[7], 1e-3, 1e3));
    TRY(profile_read(&replay->profile, arguments[1], replay->speed));
    payload_set_speed(replay->speed);
    TRY(host_transport_create(&replay->transport));
    TRY(agreement_create(&replay->agreement, replay->transport));
    replay->bucket = (size_t)bucket / sizeof(float);
    replay->steps = (int)steps;
    replay->thread = way == 1;
    replay->check = count == 9;
    replay->leaves = (int)leaves;
    const int rank = replay->transport->rank, ranks = replay->transport->ranks;
    replay->share = (double)tree_rank_leaves(rank, ranks, replay->leaves) * ranks / replay->leaves;
    if (algorithm < 2) {
        return take_exchange(replay, algorithm);
    }
    if (replay->check) {
        FAIL(STATUS_USAGE, "MPI's allreduce does not keep the tree: nothing to check");
    }
    return MEMORY_ALLOCATE(&replay->vector, replay->profile.vector_size);
}

/* Everything is left to the end of the process: simulated ranks share it. */
int main(int count, char **arguments) {
    struct replay *replay = NULL;
    int provided; /* the transport asks MPI which level it has */
    MPI_Init_thread(&count, &arguments, MPI_THREAD_SERIALIZED, &provided);
    status result = MEMORY_ALLOCATE(&replay, 1);
    result = result == STATUS_OK ? set_up(replay, count, arguments) : result;
    result = result == STATUS_OK ? run_steps(replay) : result;
    if (result != STATUS_OK) {
        fprintf(stderr, "replay: %s\n", status_message());
        host_end((int)result);
    }
    MPI_Finalize();
    return 0;
}
