/* Steps that every rank takes by itself, against plain descent in double, one rank after the other,
 * that shares no more with them than the net's forward and backward of single leaves. */
#include "training.h"

#include "support/support.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOMENTUM 0.9
#define RATE     0.05

struct emulation {
    int ranks, local_steps;
    struct worker worker;                       /* of a job of one rank: a net, and all pictures */
    double *weights[LEAVES], *velocity[LEAVES]; /* of each rank */
    double *gradient;
    float *leaf_gradient;
    int64_t seen[LEAVES]; /* pictures since the last average */
    size_t size;
};

/* Adds the gradient of one leaf. */
static void run_leaf(struct emulation *e, int number, int leaf) {
    const int64_t pictures = training_step_sizes[number];
    const int64_t first = tree_leaf_start(pictures, LEAVES, leaf);
    const int count = (int)tree_leaf_pictures(pictures, LEAVES, leaf);
    const int leaf_start[] = {0, count};
    const struct subtree all = {0, 1};
    const struct pass pass = {.training = true,
        .seed = SEED,
        .step = (uint32_t)number,
        .first_position = first,
        .pictures = count,
        .leaves = 1,
        .leaf_start = leaf_start,
        .subtrees = 1,
        .subtree = &all,
        .gradient = &e->leaf_gradient};
    size_t elements = shape_elements(net_input_shape(e->worker.net));
    net_forward(e->worker.net, &pass, e->worker.pixels + (size_t)first * elements,
        e->worker.targets + first);
    net_backward(e->worker.net, &pass, NULL);
    for (size_t i = 0; i < e->size; i++) {
        e->gradient[i] += (double)e->leaf_gradient[i];
    }
}

static void descend(struct emulation *e, int rank, int64_t pictures) {
    for (int p = 0; p < net_parameter_count(e->worker.net); p++) {
        const struct parameter *parameter = net_parameter(e->worker.net, p);
        for (size_t i = parameter->offset; i < parameter->offset + parameter->packed; i++) {
            double mean = e->gradient[i] / (double)pictures, *weight = &e->weights[rank][i];
            if (parameter->kind == PARAMETER_STATISTIC) {
                *weight += parameter->momentum * (mean - *weight);
                continue;
            }
            e->velocity[rank][i] = MOMENTUM * e->velocity[rank][i] + mean;
            *weight -= RATE * e->velocity[rank][i];
        }
    }
}

static void step_of_rank(struct emulation *e, int number, int rank) {
    int first = tree_rank_first(rank, e->ranks, LEAVES);
    int64_t pictures = 0;
    memset(e->gradient, 0, e->size * sizeof *e->gradient);
    for (size_t i = 0; i < e->size; i++) {
        net_weights(e->worker.net)[i] = (float)e->weights[rank][i];
    }
    for (int l = first; l < first + tree_rank_leaves(rank, e->ranks, LEAVES); l++) {
        int64_t more = tree_leaf_pictures(training_step_sizes[number], LEAVES, l);
        if (more > 0) {
            run_leaf(e, number, l);
        }
        pictures += more;
    }
    if (pictures > 0) {
        descend(e, rank, pictures);
    }
    e->seen[rank] += pictures;
}

static void average(struct emulation *e, double **vectors) {
    double all = 0;
    for (int r = 0; r < e->ranks; r++) {
        all += (double)e->seen[r];
    }
    for (size_t i = 0; i < e->size; i++) {
        double sum = 0;
        for (int r = 0; r < e->ranks; r++) {
            sum += (double)e->seen[r] / all * vectors[r][i];
        }
        for (int r = 0; r < e->ranks; r++) {
            vectors[r][i] = sum;
        }
    }
}

static status emulate(struct emulation *e, struct transport *transport) {
    const struct training plain = {.bucket = 1 << 20, .momentum = MOMENTUM};
    TRY(worker_init(&e->worker, transport, &plain));
    e->size = net_vector_size(e->worker.net);
    TRY(MEMORY_ALLOCATE(&e->gradient, e->size));
    TRY(MEMORY_ALLOCATE(&e->leaf_gradient, e->size));
    for (int r = 0; r < e->ranks; r++) {
        TRY(MEMORY_ALLOCATE(&e->weights[r], e->size));
        TRY(MEMORY_ALLOCATE(&e->velocity[r], e->size));
        for (size_t i = 0; i < e->size; i++) {
            e->weights[r][i] = (double)net_weights(e->worker.net)[i];
        }
    }
    for (int number = 0; number < STEPS; number++) {
        worker_read(&e->worker, transport, number, training_step_sizes[number], FAULT_NONE);
        for (int r = 0; r < e->ranks; r++) {
            step_of_rank(e, number, r);
        }
        if ((number + 1) % e->local_steps == 0 || number + 1 == STEPS) {
            average(e, e->weights);
            average(e, e->velocity);
            memset(e->seen, 0, sizeof e->seen);
        }
    }
    return STATUS_OK;
}

static bool emulate_run(struct transport *transport, void *context) {
    return emulate(context, transport) == STATUS_OK;
}

static void emulation_release(struct emulation *e) {
    worker_release(&e->worker);
    for (int r = 0; r < e->ranks; r++) {
        free(e->weights[r]);
        free(e->velocity[r]);
    }
    free(e->gradient);
    free(e->leaf_gradient);
}

static double find_error(const struct training *training, const struct emulation *e) {
    double worst = 0;
    for (size_t i = NET_METRICS; i < e->size; i++) {
        worst = fmax(worst, fabs((double)training->weights[0][i] - e->weights[0][i]));
        worst = fmax(worst, fabs((double)training->velocity[i] - e->velocity[0][i]));
    }
    return worst / trainings_size(training);
}

/* sgd without decay, which the emulation has not. */
static struct training local_training(int local_steps) {
    return (struct training){
        .bucket = 4096, .optimizer = "sgd: {momentum: 0.9}", .local_steps = local_steps};
}

static void check(struct training *training, int ranks, int local_steps) {
    struct emulation e = {.ranks = ranks, .local_steps = local_steps};
    training_run(training, ranks);
    CU_ASSERT_EQUAL(ranks_run(1, 0, emulate_run, &e), 0);
    CU_ASSERT_TRUE(trainings_equal(training, ranks, training)); /* all ranks alike */
    CU_ASSERT_TRUE(find_error(training, &e) < 1e-5);
    for (int r = 0; r < ranks; r++) {
        CU_ASSERT_TRUE(training->bytes_right[r]);
    }
    emulation_release(&e);
}

static void test_local__steps_and_averages_are_those_of_plain_descent(void) {
    for (int ranks = 1; ranks <= 4; ranks++) {
        for (int local_steps = 1; local_steps <= 3; local_steps++) {
            struct training training = local_training(local_steps);
            training.chunk = local_steps % 2;
            training.nodes = ranks_draw_nodes(test_random(), ranks, 3);
            training.algorithm = local_steps == 3 ? EXCHANGE_NATIVE : EXCHANGE_TREE;
            check(&training, ranks, local_steps);
            training_release(&training);
        }
    }
}

/* An average after every step is a step by the mean of all gradients; one after two is not. */
static void test_local__one_step_is_a_joint_step(void) {
    struct training joint = local_training(0), one = local_training(1), two = local_training(2);
    training_run(&joint, 3);
    training_run(&one, 3);
    training_run(&two, 3);
    CU_ASSERT_TRUE(trainings_difference(&joint, &one) < 1e-5 * trainings_size(&joint));
    CU_ASSERT_TRUE(trainings_difference(&joint, &two) > 1e-3 * trainings_size(&joint));
    training_release(&joint);
    training_release(&one);
    training_release(&two);
}

static void test_local__bits_depend_on_ranks_alone(void) {
    struct training one = local_training(2);
    training_run(&one, 3);
    for (int most = 1; most <= 3; most++) {
        struct training other = local_training(2);
        other.chunk = most == 2 ? 0 : 1;
        other.bucket = most == 3 ? 260 : 1 << 20;
        other.nodes = ranks_draw_nodes(test_random(), 3, most);
        other.alone = most == 3;
        training_run(&other, 3);
        CU_ASSERT_TRUE(trainings_equal(&other, 3, &one));
        training_release(&other);
    }
    training_release(&one);
}

/* Norms are those of the rank's own gradient; all vectors are averaged. */
static void test_local__any_optimizer_ends_alike_on_all_ranks(void) {
    static const char *const texts[] = {"lamb: {weight_decay: 0.01}", "rmsprop: {momentum: 0.5}"};
    for (int o = 0; o < 2; o++) {
        struct training training = local_training(2);
        training.optimizer = texts[o];
        training.clip_norm = 0.5;
        training_run(&training, 4);
        CU_ASSERT_TRUE(trainings_equal(&training, 4, &training));
        for (int r = 0; r < 4; r++) {
            CU_ASSERT_TRUE(training.bytes_right[r]);
        }
        training_release(&training);
    }
}

static bool refuse_run(struct transport *transport, void *context) {
    struct worker worker;
    bool good = worker_init(&worker, transport, context) == STATUS_USAGE &&
                strstr(status_message(), "steps of their own") != NULL;
    worker_release(&worker);
    return good;
}

static void test_local__refuses_statistics_of_the_whole_batch(void) {
    struct training training = local_training(2);
    training.sync = true;
    CU_ASSERT_EQUAL(ranks_run(2, 0, refuse_run, &training), 0);
}

static void test_local__rank_that_cannot_read_stops_all(void) {
    struct training training = local_training(2);
    training.fault = FAULT_READING;
    training_run(&training, 3);
    for (int r = 0; r < 3; r++) {
        CU_ASSERT_EQUAL(training.result[r], STATUS_INPUT);
    }
    training_release(&training);
}

TEST_MAIN("local", TEST(test_local__steps_and_averages_are_those_of_plain_descent),
    TEST(test_local__one_step_is_a_joint_step), TEST(test_local__bits_depend_on_ranks_alone),
    TEST(test_local__any_optimizer_ends_alike_on_all_ranks),
    TEST(test_local__refuses_statistics_of_the_whole_batch),
    TEST(test_local__rank_that_cannot_read_stops_all))
