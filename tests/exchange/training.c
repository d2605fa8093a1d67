#include "training.h"

#include "support/support.h"

#include "base/memory.h"
#include "io/yaml.h"
#include "worker/loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char model_text[] = "input: {channels: 2, height: 6, width: 5}\n"
                                 "layers:\n"
                                 "  - conv: {out: 6, kernel: 3, pad: 1}\n"
                                 "  - batchnorm:\n"
                                 "  - relu:\n"
                                 "  - dropout: {rate: 0.3}\n"
                                 "  - conv: {out: 17, kernel: 3, stride: 2}\n"
                                 "  - flatten:\n"
                                 "  - linear: {out: 5}\n";

const int64_t training_step_sizes[STEPS] = {BATCH, 17, 5, BATCH, 1};

static float pixel_value(int64_t step, int64_t picture, size_t element) {
    uint32_t bits = (uint32_t)(step * 1000003 + picture * 10007 + (int64_t)element * 31 + 5);
    bits = (bits ^ bits >> 15) * 0x2c1b3c6du;
    bits = (bits ^ bits >> 12) * 0x297a2d39u;
    return (float)(int32_t)(bits ^ bits >> 15) / 1.5e9f;
}

void worker_read(struct worker *worker, const struct transport *transport, int64_t step,
    int64_t pictures, enum fault fault) {
    size_t elements = shape_elements(net_input_shape(worker->net));
    int first = tree_rank_first(transport->rank, transport->ranks, LEAVES);
    int64_t start = tree_leaf_start(pictures, LEAVES, first);
    int64_t count = step_pictures(worker->step, pictures);
    for (int64_t n = 0; n < count; n++) {
        for (size_t i = 0; i < elements; i++) {
            worker->pixels[(size_t)n * elements + i] = pixel_value(step, start + n, i);
        }
        worker->targets[n] = (struct target){
            .type = TARGET_CLASS, .class_number = (int32_t)((start + n + step) % CLASSES)};
        if (fault == FAULT_LOSS && step == 2 && start + n == 4) {
            worker->pixels[(size_t)n * elements] = 3e38f;
            worker->pixels[(size_t)n * elements + 1] = -3e38f;
        }
    }
}

static double rate_of(const void *decision) {
    double rate;
    memcpy(&rate, decision, sizeof rate);
    return rate;
}

static status choose(struct choice *choice, struct worker *worker, const char *text,
    const struct kind *const *kinds) {
    struct node *node;
    TRY(yaml_parse(&worker->document, &node, text, strlen(text), "test"));
    return options_parse_choice(choice, kinds, node, "kind", &worker->pool);
}

status worker_init(
    struct worker *worker, struct transport *transport, const struct training *training) {
    struct node *model;
    struct choice loss, descent;
    char text[1000];
    const struct step_options options = {
        .leaves = LEAVES,
        .batch = BATCH,
        .chunk = training->chunk,
        .bucket = training->bucket,
        .seed = SEED,
        .algorithm = training->algorithm,
        .progress = training->progress,
        .wire = training->wire,
        .local = training->local_steps > 0,
        .alone = training->alone,
        .rate = rate_of,
    };
    const struct step_room room = step_room(&options, transport->rank, transport->ranks);
    *worker = (struct worker){0};
    document_init(&worker->document);
    pool_init(&worker->pool);
    snprintf(
        text, sizeof text, "%s%s", training->sync ? "batchnorm: {sync: true}\n" : "", model_text);
    TRY(yaml_parse(&worker->document, &model, text, strlen(text), "test"));
    snprintf(text, sizeof text, "sgd: {momentum: %g, weight_decay: %g}", training->momentum,
        training->momentum / 100);
    TRY(choose(
        &descent, worker, training->optimizer != NULL ? training->optimizer : text, optimizers));
    TRY(choose(&loss, worker, "cross_entropy", losses));
    const struct net_options plan = {
        .pictures = room.pictures,
        .leaves = room.leaves,
        .leaf = room.leaf,
        .threads = 1,
        .training = true,
        .loss = &loss,
    };
    TRY(net_create(&worker->net, model, &plan));
    TRY(net_initialise(worker->net, SEED));
    const struct optimizer_options update = {
        .choice = &descent, .threads = 1, .clip_norm = training->clip_norm};
    TRY(optimizer_create(&worker->optimizer, worker->net, &update));
    TRY(step_create(&worker->step, worker->net, worker->optimizer, transport, &options));
    size_t pictures = (size_t)step_pictures(worker->step, BATCH);
    TRY(MEMORY_ALLOCATE(&worker->pixels, pictures * shape_elements(net_input_shape(worker->net))));
    return MEMORY_ALLOCATE(&worker->targets, pictures);
}

void worker_release(struct worker *worker) {
    step_destroy(worker->step);
    if (worker->optimizer != NULL) {
        optimizer_destroy(worker->optimizer);
    }
    if (worker->net != NULL) {
        net_destroy(worker->net);
    }
    free(worker->pixels);
    free(worker->targets);
    pool_release(&worker->pool);
    document_release(&worker->document);
}

status worker_step(
    struct worker *worker, struct transport *transport, struct training *training, int number) {
    int64_t pictures = training_step_sizes[number], sent = transport->bytes_sent;
    uint32_t flags = 0;
    double rate = transport->rank == 0 ? 0.05 : -1; /* rank 0 decides */
    worker_read(worker, transport, number, pictures, training->fault);
    status mine = STATUS_OK;
    if (training->fault == FAULT_READING && number == 2 &&
        transport->rank == transport->ranks - 1) {
        mine = status_fail(STATUS_INPUT, __FILE__, __LINE__, __func__, "shard 1 is damaged");
    }
    TRY(step_meet(worker->step, mine));
    if (mine == STATUS_OK) {
        mine = step_forward(worker->step, number, pictures, worker->pixels, worker->targets);
    }
    TRY(step_agree(worker->step, mine, 1u << transport->rank, &rate, sizeof rate));
    TRY(step_backward(worker->step, &flags, &rate, sizeof rate));
    training->metrics[transport->rank][number] = step_get_metrics(worker->step);
    int64_t expected = step_exchange_bytes(worker->step, pictures);
    if (training->local_steps > 0 &&
        ((number + 1) % training->local_steps == 0 || number + 1 == STEPS)) {
        TRY(step_average(worker->step));
        expected += step_average_bytes(worker->step);
    }
    if (flags != (1u << transport->ranks) - 1 || transport->bytes_sent - sent != expected) {
        training->bytes_right[transport->rank] = false;
    }
    return STATUS_OK;
}

static void see(void *context, int first, int pictures) {
    int *seen = context;
    *seen = *seen == first ? first + pictures : -1000;
}

static status evaluate(
    struct worker *worker, struct transport *transport, struct training *training) {
    int rank = transport->rank;
    for (int number = 0; number < STEPS; number++) {
        int seen = 0;
        const struct step_viewer viewer = {.seen = see, .context = &seen};
        worker_read(worker, transport, number, training_step_sizes[number], FAULT_NONE);
        TRY(step_evaluate(worker->step, &training->evaluated[rank], STATUS_OK,
            training_step_sizes[number], worker->pixels, worker->targets, &viewer));
        training->seen[rank] += seen;
    }
    return STATUS_OK;
}

status training_copy(float **copy, const float *vector, size_t size) {
    TRY(MEMORY_ALLOCATE(copy, size));
    memcpy(*copy, vector, size * sizeof *vector);
    return STATUS_OK;
}

/* On rank 0, while the others serve: momentum, from those who own its pieces. */
static status collect(float **velocity, struct worker *worker) {
    TRY(MEMORY_ALLOCATE(velocity, net_vector_size(worker->net)));
    for (int i = 0; i < net_parameter_count(worker->net); i++) {
        const struct parameter *parameter = net_parameter(worker->net, i);
        TRY(step_collect(worker->step, *velocity + parameter->offset, 0, parameter));
    }
    return step_end_service(worker->step);
}

static status train(struct worker *worker, struct transport *transport, struct training *training) {
    int rank = transport->rank;
    TRY(worker_init(worker, transport, training));
    for (int number = 0; number < STEPS; number++) {
        status result = worker_step(worker, transport, training, number);
        if (result != STATUS_OK) {
            status_message_copy(training->message[rank], sizeof training->message[rank]);
            training->result[rank] = result;
            break;
        }
    }
    if (training->result[rank] == STATUS_OK) {
        TRY(evaluate(worker, transport, training));
    }
    training->most_in_flight[rank] = step_most_in_flight(worker->step);
    size_t size = net_vector_size(worker->net);
    if (rank == 0) {
        training->size = size;
    }
    TRY(training_copy(&training->weights[rank], net_weights(worker->net), size));
    return rank == 0 ? collect(&training->velocity, worker) : step_serve(worker->step);
}

static bool train_run(struct transport *transport, void *context) {
    struct training *training = context;
    struct worker worker;
    training->bytes_right[transport->rank] = true;
    status result = train(&worker, transport, training);
    if (result != STATUS_OK) {
        fprintf(stderr, "rank %d: %s\n", transport->rank, status_message());
    }
    worker_release(&worker);
    return result == STATUS_OK;
}

void training_run(struct training *training, int ranks) {
    if (training->nodes.ranks[0] == 0) {
        training->nodes.ranks[0] = ranks;
    }
    CU_ASSERT_EQUAL(ranks_run_on(&training->nodes, ranks, 0, train_run, training), 0);
}

void training_release(struct training *training) {
    for (int r = 0; r < RANKS_LIMIT; r++) {
        free(training->weights[r]);
    }
    free(training->velocity);
}

static bool metrics_equal(const struct step_metrics *a, const struct step_metrics *b) {
    return a->pictures == b->pictures && a->correct == b->correct && a->correct_5 == b->correct_5 &&
           memcmp(&a->loss, &b->loss, sizeof a->loss) == 0;
}

bool trainings_equal(const struct training *a, int ranks, const struct training *b) {
    for (int r = 0; r < ranks; r++) {
        if (a->weights[r] == NULL || b->weights[0] == NULL ||
            memcmp(a->weights[r], b->weights[0], b->size * sizeof(float)) != 0 ||
            memcmp(a->velocity, b->velocity, b->size * sizeof(float)) != 0 ||
            !metrics_equal(&a->evaluated[r], &b->evaluated[0])) {
            return false;
        }
        for (int s = 0; s < STEPS; s++) {
            if (!metrics_equal(&a->metrics[r][s], &b->metrics[0][s])) {
                return false;
            }
        }
    }
    return true;
}

double trainings_difference(const struct training *a, const struct training *b) {
    double largest = 0;
    for (size_t i = NET_METRICS; i < a->size; i++) {
        largest = fmax(largest, fabs((double)a->weights[0][i] - (double)b->weights[0][i]));
        largest = fmax(largest, fabs((double)a->velocity[i] - (double)b->velocity[i]));
    }
    return largest;
}

double trainings_size(const struct training *a) {
    double largest = 0;
    for (size_t i = NET_METRICS; i < a->size; i++) {
        largest = fmax(largest, fabs((double)a->weights[0][i]));
        largest = fmax(largest, fabs((double)a->velocity[i]));
    }
    return largest;
}
