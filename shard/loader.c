#include "shard/loader.h"

#include "base/cpu.h"
#include "base/memory.h"
#include "base/tree.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGE_SIZE 1024
#define CLAIM        4 /* pictures a thread takes at once: few, so that all end a batch together */

/* One batch being made or held. Batch number n lives in slot n mod slots. */
struct slot {
    struct batch batch;
    float *pixels;
    struct target *targets;
    int64_t *records;
    int64_t claimed, finished; /* pictures */
    int64_t failed;            /* the first picture that failed, or -1 */
    status code;               /* of that failure */
    char message[MESSAGE_SIZE];
};

/* What a thread has for itself. */
struct worker {
    struct loader *loader;
    struct transform_scratch *scratch;
    pthread_t thread;
};

struct loader {
    struct loader_options options;
    struct dataset *dataset;
    const struct transform_chain *chain;
    int64_t steps;  /* an epoch */
    uint64_t total; /* batches in all; UINT64_MAX: for ever */

    int slot_count, started;
    struct slot *slots;
    struct worker *workers; /* [options.threads], of which `started` run */
    atomic_bool stop;
    atomic_int_fast64_t records, bad_records;
    double waited;

    pthread_mutex_t lock; /* of all below, and of the slots' counts */
    pthread_cond_t work;  /* a slot became free, or stop */
    pthread_cond_t ready; /* a batch was finished */
    uint64_t filling;     /* the batch whose pictures are being claimed */
    bool prepared;        /* its slot is set up */
    uint64_t next;        /* the batch that loader_next gives next */
    bool borrowed;        /* batch next - 1 is in the caller's hands */
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The position in the step where the loader's leaves start (`leaves` = 0) or end. */
static int64_t position_of(const struct loader *loader, int64_t step, int leaves) {
    return tree_leaf_start(order_step_pictures(&loader->options.order, step),
        loader->options.order.leaves, loader->options.first_leaf + leaves);
}

/* Makes the slot of batch `number` ready to be claimed. */
static void prepare(struct loader *loader, uint64_t number) {
    struct slot *slot = &loader->slots[number % (uint64_t)loader->slot_count];
    uint64_t steps = (uint64_t)loader->options.step + number;
    int64_t step = (int64_t)(steps % (uint64_t)loader->steps);
    int64_t start = position_of(loader, step, 0);
    slot->claimed = slot->finished = 0;
    slot->failed = -1;
    slot->code = STATUS_OK;
    slot->batch = (struct batch){
        .epoch = loader->options.epoch + (uint32_t)(steps / (uint64_t)loader->steps),
        .step = step,
        .pictures = position_of(loader, step, loader->options.leaves) - start,
        .first_position = start,
        .shape = transform_chain_output(loader->chain),
        .pixels = slot->pixels,
        .targets = slot->targets,
        .records = slot->records,
    };
}

/* The record of picture `index` of a batch, and the leaf it belongs to. */
static int64_t find_record(
    int *leaf, const struct loader *loader, const struct batch *batch, int64_t index) {
    const struct order *order = &loader->options.order;
    int64_t pictures = order_step_pictures(order, batch->step);
    int64_t size = pictures / order->leaves, longer = pictures % order->leaves;
    int64_t position = batch->first_position + index, behind = position - longer * (size + 1);
    if (behind < 0) {
        *leaf = (int)(position / (size + 1));
        index = position % (size + 1);
    } else {
        *leaf = (int)(longer + behind / size);
        index = behind % size;
    }
    return order_record(order, batch->epoch, batch->step, *leaf, index);
}

static status load_record(struct worker *worker, struct slot *slot, int64_t index, int64_t number) {
    struct loader *loader = worker->loader;
    struct record record;
    struct picture picture;
    atomic_fetch_add(&loader->records, 1);
    TRY(dataset_read(&record, loader->dataset, number));
    TRY(dataset_decode(
        &picture, loader->dataset, &record, transform_chain_input(loader->chain).channels));
    status result =
        transform_chain_apply(slot->pixels + (size_t)index * shape_elements(slot->batch.shape),
            &picture, loader->chain, worker->scratch, slot->batch.epoch, (uint32_t)number);
    picture_release(&picture);
    if (result != STATUS_OK) {
        return status_prefix(
            result, "%s: record %" PRId64, dataset_get_folder(loader->dataset), number);
    }
    slot->targets[index] = record.target;
    slot->records[index] = number;
    return STATUS_OK;
}

/* Loads one picture; with skip_bad, the next good record by number that its leaf may read stands in
 * for a bad one: the data alone decide, so that every number of ranks and threads agrees. */
static status load_picture(struct worker *worker, struct slot *slot, int64_t index) {
    struct loader *loader = worker->loader;
    const struct order *order = &loader->options.order;
    int leaf;
    int64_t first = find_record(&leaf, loader, &slot->batch, index), number = first;
    int64_t stride = order->shuffle == ORDER_SHARD ? order->leaves : 1;
    while (!atomic_load(&loader->stop)) {
        status result = load_record(worker, slot, index, number);
        if (result != STATUS_INPUT || !loader->options.skip_bad) {
            return result;
        }
        atomic_fetch_add(&loader->bad_records, 1);
        if (loader->options.bad_record != NULL) {
            loader->options.bad_record(loader->options.bad_record_context, status_message());
        }
        number += stride;
        if (number >= order->records) {
            number = order->shuffle == ORDER_SHARD ? leaf : 0;
        }
        if (number == first) {
            return status_prefix(result, "no good record is left; the last one");
        }
    }
    return STATUS_OK; /* nobody will look */
}

/* Whether the batch that is being filled may use its slot: the caller may hold one behind `next`.
 */
static bool has_slot(const struct loader *loader) {
    uint64_t oldest = loader->next - (loader->borrowed ? 1 : 0);
    return loader->filling < loader->total &&
           loader->filling - oldest < (uint64_t)loader->slot_count;
}

/* Takes the next pictures to load; false when the loader stops or all is done. */
static bool claim(struct slot **slot, int64_t *first, int64_t *count, struct loader *loader) {
    do {
        while (!has_slot(loader)) {
            if (atomic_load(&loader->stop) || loader->filling >= loader->total) {
                return false;
            }
            pthread_cond_wait(&loader->work, &loader->lock);
        }
        if (!loader->prepared) {
            prepare(loader, loader->filling);
            loader->prepared = true;
        }
        *slot = &loader->slots[loader->filling % (uint64_t)loader->slot_count];
        int64_t left = (*slot)->batch.pictures - (*slot)->claimed;
        *first = (*slot)->claimed;
        *count = left < CLAIM ? left : CLAIM;
        (*slot)->claimed += *count;
        if (*count == left) {
            loader->filling++;
            loader->prepared = false;
        }
        if (*count == 0) {
            pthread_cond_signal(&loader->ready); /* a batch without pictures */
        }
    } while (*count == 0);
    return !atomic_load(&loader->stop);
}

static void note_failure(struct slot *slot, int64_t index, status code, const char *message) {
    if (slot->failed < 0 || index < slot->failed) {
        slot->failed = index;
        slot->code = code;
        memcpy(slot->message, message, sizeof slot->message);
    }
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    struct slot *slot;
    int64_t first, count;
    cpu_flush_denormals();
    cpu_unpin(); /* the thread that started this one computes where it is pinned */
    pthread_mutex_lock(&loader->lock);
    while (claim(&slot, &first, &count, loader)) {
        pthread_mutex_unlock(&loader->lock);
        char message[MESSAGE_SIZE];
        int64_t failed = -1;
        status code = STATUS_OK;
        for (int64_t i = first; i < first + count && !atomic_load(&loader->stop); i++) {
            status result = load_picture(worker, slot, i);
            if (result != STATUS_OK && failed < 0) {
                failed = i;
                code = result;
                status_message_copy(message, sizeof message);
            }
        }
        pthread_mutex_lock(&loader->lock);
        if (failed >= 0) {
            note_failure(slot, failed, code, message);
        }
        slot->finished += count;
        if (slot->finished == slot->batch.pictures) {
            pthread_cond_signal(&loader->ready);
        }
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static status check_options(const struct loader *loader) {
    const struct loader_options *options = &loader->options;
    TRY(order_check(&options->order));
    if (options->threads < 1 || options->threads > 4096 || options->ahead < 2 ||
        options->ahead > 4096) {
        FAIL(STATUS_USAGE, "%d loader threads and %d batches ahead: must be 1 and 2 to 4096",
            options->threads, options->ahead);
    }
    /* The caller's own numbers: a mistake here is ours. */
    assert(options->first_leaf >= 0 && options->leaves >= 0);
    assert(options->first_leaf + options->leaves <= options->order.leaves);
    assert(options->order.records == dataset_get_information(loader->dataset)->records);
    assert(options->step >= 0 && options->step < loader->steps);
    return STATUS_OK;
}

static status make_slots(struct loader *loader) {
    const struct order *order = &loader->options.order;
    size_t pictures = (size_t)(order->batch / order->leaves) * (size_t)loader->options.leaves;
    size_t elements = shape_elements(transform_chain_output(loader->chain));
    TRY(MEMORY_ALLOCATE(&loader->slots, (size_t)loader->options.ahead + 1));
    loader->slot_count = loader->options.ahead + 1; /* one more is in the caller's hands */
    for (int i = 0; i < loader->slot_count; i++) {
        struct slot *slot = &loader->slots[i];
        TRY(memory_allocate((void **)&slot->pixels, pictures, elements * sizeof *slot->pixels));
        TRY(MEMORY_ALLOCATE(&slot->targets, pictures));
        TRY(MEMORY_ALLOCATE(&slot->records, pictures));
    }
    return STATUS_OK;
}

static status start_threads(struct loader *loader) {
    int count = loader->options.threads;
    TRY(MEMORY_ALLOCATE(&loader->workers, (size_t)count));
    for (int i = 0; i < count; i++) {
        struct worker *worker = &loader->workers[i];
        worker->loader = loader;
        TRY(transform_scratch_create(&worker->scratch, loader->chain));
    }
    for (; loader->started < count; loader->started++) {
        struct worker *worker = &loader->workers[loader->started];
        int error = pthread_create(&worker->thread, NULL, work, worker);
        if (error != 0) {
            FAIL(STATUS_SYSTEM, "cannot start a loader thread: %s", strerror(error));
        }
    }
    return STATUS_OK;
}

status loader_create(struct loader **loader, struct dataset *dataset,
    const struct transform_chain *chain, const struct loader_options *options) {
    TRY(MEMORY_ALLOCATE(loader, 1));
    struct loader *made = *loader;
    made->options = *options;
    made->dataset = dataset;
    made->chain = chain;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->ready, NULL);
    status result;
    TRY_TO(failed, result, order_check(&options->order));
    made->steps = order_steps(&options->order);
    made->total = options->epochs == 0
                      ? UINT64_MAX
                      : (uint64_t)options->epochs * (uint64_t)made->steps - (uint64_t)options->step;
    TRY_TO(failed, result, check_options(made));
    TRY_TO(failed, result, make_slots(made));
    TRY_TO(failed, result, start_threads(made));
    return STATUS_OK;
failed:
    loader_destroy(made);
    *loader = NULL;
    return result;
}

void loader_destroy(struct loader *loader) {
    if (loader == NULL) {
        return;
    }
    pthread_mutex_lock(&loader->lock);
    atomic_store(&loader->stop, true);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->started; i++) {
        pthread_join(loader->workers[i].thread, NULL);
    }
    for (int i = 0; loader->workers != NULL && i < loader->options.threads; i++) {
        transform_scratch_destroy(loader->workers[i].scratch);
    }
    for (int i = 0; i < loader->slot_count; i++) {
        free(loader->slots[i].pixels);
        free(loader->slots[i].targets);
        free(loader->slots[i].records);
    }
    free(loader->workers);
    free(loader->slots);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

static bool is_ready(const struct loader *loader) {
    const struct slot *slot = &loader->slots[loader->next % (uint64_t)loader->slot_count];
    return loader->next < loader->filling && slot->finished == slot->batch.pictures;
}

status loader_next(const struct batch **batch, struct loader *loader) {
    *batch = NULL;
    double start = seconds();
    pthread_mutex_lock(&loader->lock);
    if (loader->borrowed) { /* the slot of the batch before goes back to the threads */
        loader->borrowed = false;
        pthread_cond_broadcast(&loader->work);
    }
    status result = STATUS_OK;
    if (loader->next < loader->total) {
        while (!is_ready(loader)) {
            pthread_cond_wait(&loader->ready, &loader->lock);
        }
        struct slot *slot = &loader->slots[loader->next % (uint64_t)loader->slot_count];
        if (slot->failed >= 0) {
            result = status_adopt(slot->code, slot->message);
        } else {
            *batch = &slot->batch;
            loader->next++;
            loader->borrowed = true;
        }
    }
    pthread_mutex_unlock(&loader->lock);
    loader->waited += seconds() - start;
    return result;
}

struct loader_counts loader_get_counts(const struct loader *loader) {
    return (struct loader_counts){
        .records = atomic_load(&loader->records),
        .bad_records = atomic_load(&loader->bad_records),
        .seconds_waited = loader->waited,
    };
}
