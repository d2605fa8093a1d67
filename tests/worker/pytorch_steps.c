/* Trains a model for a few steps from given weights, for pytorch.py to compare.
 *
 *     pytorch_steps MODEL FOLDER STEPS BATCH LEAVES RATE OPTIMIZER CLIP_NORM
 *
 * reads FOLDER/pixels (steps x batch x C x H x W floats), FOLDER/labels (steps x batch 32-bit
 * numbers) and FOLDER/<parameter> (standard order), and writes FOLDER/<parameter>.after.
 */
#include "base/memory.h"
#include "io/file.h"
#include "io/yaml.h"
#include "worker/loss.h"
#include "worker/optimizer.h"

#include <stdlib.h>
#include <string.h>

struct job {
    struct document document;
    struct pool pool;
    struct net *net;
    struct optimizer *optimizer;
    const char *folder;
    int steps, batch, leaves;
    double rate;
};

static status read_floats(void **bytes, const struct job *job, const char *name, size_t count) {
    char path[4096];
    size_t size;
    snprintf(path, sizeof path, "%s/%s", job->folder, name);
    TRY(file_read(bytes, &size, path, (size_t)1 << 30));
    if (size != count * 4) {
        FAIL(STATUS_INPUT, "%s has %zu bytes, not %zu", path, size, count * 4);
    }
    return STATUS_OK;
}

static status open_job(
    struct job *job, const char *model, const char *optimizer, const char *clip_norm) {
    struct node *root, *optimizer_node;
    struct choice loss, descent;
    const struct node loss_node = {.kind = NODE_SCALAR, .text = "cross_entropy"};
    TRY(yaml_load(&job->document, &root, model));
    TRY(yaml_parse(
        &job->document, &optimizer_node, optimizer, strlen(optimizer), "the command line"));
    TRY(options_parse_choice(&loss, losses, &loss_node, "loss", &job->pool));
    TRY(options_parse_choice(&descent, optimizers, optimizer_node, "optimizer", &job->pool));
    const struct net_options net_options = {.pictures = job->batch,
        .leaves = job->leaves,
        .leaf = job->batch / job->leaves,
        .threads = 2,
        .training = true,
        .loss = &loss};
    TRY(net_create(&job->net, root, &net_options));
    const struct optimizer_options update = {
        .choice = &descent, .threads = 2, .clip_norm = strtod(clip_norm, NULL)};
    return optimizer_create(&job->optimizer, job->net, &update);
}

static status load_weights(struct job *job) {
    for (int p = 0; p < net_parameter_count(job->net); p++) {
        const struct parameter *parameter = net_parameter(job->net, p);
        void *standard;
        TRY(read_floats(&standard, job, parameter->name, (size_t)parameter->elements));
        parameter_pack(net_weights(job->net), standard, parameter);
        free(standard);
    }
    return STATUS_OK;
}

static status save_weights(struct job *job) {
    for (int p = 0; p < net_parameter_count(job->net); p++) {
        const struct parameter *parameter = net_parameter(job->net, p);
        char path[4096];
        float *standard;
        struct atomic_file file;
        size_t size = (size_t)parameter->elements * sizeof(float);
        snprintf(path, sizeof path, "%s/%s.after", job->folder, parameter->name);
        TRY(MEMORY_ALLOCATE(&standard, (size_t)parameter->elements));
        parameter_unpack(standard, net_weights(job->net), parameter);
        TRY(atomic_file_open(&file, path));
        TRY(atomic_file_write(&file, standard, size));
        TRY(atomic_file_commit(&file));
        free(standard);
    }
    return STATUS_OK;
}

static status train(struct job *job) {
    size_t elements = shape_elements(net_input_shape(job->net));
    size_t pictures = (size_t)job->steps * (size_t)job->batch;
    void *pixels, *labels;
    TRY(read_floats(&pixels, job, "pixels", pictures * elements));
    TRY(read_floats(&labels, job, "labels", pictures));
    int *leaf_start;
    struct target *targets;
    float *gradient;
    TRY(MEMORY_ALLOCATE(&leaf_start, (size_t)job->leaves + 1));
    TRY(MEMORY_ALLOCATE(&targets, (size_t)job->batch));
    TRY(MEMORY_ALLOCATE(&gradient, net_vector_size(job->net)));
    for (int l = 0; l <= job->leaves; l++) {
        leaf_start[l] = l * (job->batch / job->leaves);
    }
    const struct subtree all = {0, job->leaves};
    for (int s = 0; s < job->steps; s++) {
        for (int n = 0; n < job->batch; n++) {
            targets[n] =
                (struct target){TARGET_CLASS, ((const int32_t *)labels)[s * job->batch + n]};
        }
        const struct pass pass = {.training = true,
            .pictures = job->batch,
            .leaves = job->leaves,
            .leaf_start = leaf_start,
            .subtrees = 1,
            .subtree = &all,
            .gradient = &gradient};
        net_forward(job->net, &pass,
            (const float *)pixels + (size_t)s * (size_t)job->batch * elements, targets);
        net_backward(job->net, &pass, NULL);
        const struct optimizer_step step = {job->rate, job->batch, s};
        optimizer_update_all(job->optimizer, gradient, &step);
    }
    free(gradient);
    free(targets);
    free(leaf_start);
    free(labels);
    free(pixels);
    return STATUS_OK;
}

static status run(struct job *job, char **arguments) {
    TRY(open_job(job, arguments[1], arguments[7], arguments[8]));
    TRY(load_weights(job));
    TRY(train(job));
    return save_weights(job);
}

int main(int count, char **arguments) {
    if (count != 9) {
        return 2;
    }
    struct job job = {.folder = arguments[2],
        .steps = (int)strtol(arguments[3], NULL, 10),
        .batch = (int)strtol(arguments[4], NULL, 10),
        .leaves = (int)strtol(arguments[5], NULL, 10),
        .rate = strtod(arguments[6], NULL)};
    document_init(&job.document);
    pool_init(&job.pool);
    status result = run(&job, arguments);
    if (result != STATUS_OK) {
        fprintf(stderr, "%s\n", status_message());
    }
    optimizer_destroy(job.optimizer);
    net_destroy(job.net);
    pool_release(&job.pool);
    document_release(&job.document);
    return result == STATUS_OK ? 0 : 1;
}
