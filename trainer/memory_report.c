#include "trainer/memory_report.h"

#include "base/memory.h"
#include "trainer/recipe_plan.h"

#include <unistd.h>

size_t memory_report_now(void) {
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%ld %ld", &all, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t batches_bytes(const struct recipe *recipe, const struct net *net, int ranks) {
    size_t leaves = (size_t)tree_rank_leaves(0, ranks, recipe_leaves(recipe));
    size_t pictures = leaves * (size_t)recipe->train.leaf;
    size_t picture = shape_elements(net_input_shape(net)) * sizeof(float);
    return ((size_t)recipe->data.ahead + 1) * pictures * picture; /* one is being trained on */
}

static size_t largest_tensor(const struct net *net) {
    int64_t most = 0;
    for (int p = 0; p < net_parameter_count(net); p++) {
        int64_t elements = net_parameter(net, p)->elements;
        most = elements > most ? elements : most;
    }
    return (size_t)most * sizeof(float);
}

/* Takes the bytes of one rank, of `node_ranks` that all take as many. */
static struct memory_bytes alike(const struct memory_report *report, size_t bytes) {
    return (struct memory_bytes){bytes, bytes * (size_t)report->node_ranks};
}

/* The weights of the ranks of a node, which they have together unless they share no memory; with
 * steps of its own each has its own, beside the place of their average. */
static struct memory_bytes weights_bytes(
    const struct memory_report *report, const struct step_options *options, size_t weights) {
    struct memory_bytes bytes = {weights, weights};
    if (options->algorithm != EXCHANGE_TREE) {
        bytes = alike(report, weights);
    }
    if (options->local) {
        const struct memory_bytes own = alike(report, weights);
        bytes.rank += own.rank;
        bytes.node += own.node;
    }
    return bytes;
}

/* What bf16 on the wire leaves out: a vector of the node, and its slice of the owners'. */
static size_t left_bytes(
    const struct step_options *options, size_t weights, const struct memory_job *job) {
    bool narrow = options->wire == EXCHANGE_BF16 && job->nodes > 1;
    return narrow ? weights + weights / (size_t)job->nodes : 0;
}

/* Every rank has its own part of a validation, and its own weights early on; rank 0 alone, at
 * another time, what it writes to a checkpoint. */
static struct memory_bytes passing_bytes(
    const struct memory_report *report, size_t each, size_t written) {
    struct memory_bytes bytes = alike(report, each);
    return (struct memory_bytes){larger(bytes.rank, written), larger(bytes.node, written)};
}

status memory_report_make(struct memory_report *report, const struct recipe *recipe,
    const struct net *net, const struct memory_job *job) {
    const struct step_options options = recipe_step_options(recipe, job->threads);
    const struct optimizer_operations *optimizer =
        (const struct optimizer_operations *)recipe->train.optimizer.kind;
    const struct net_memory memory = net_memory_report(net);
    int gradients;
    TRY(step_gradient_vectors(&gradients, &options, 0, job->ranks));
    size_t vectors = (size_t)optimizer->vectors + (recipe->train.ema > 0);
    /* By MPI's own sum, and with steps of its own, a rank has all of the optimizer's vectors. */
    bool all = options.algorithm == EXCHANGE_NATIVE || options.local;
    size_t owned = vectors * memory.weights / (size_t)(all ? 1 : job->ranks);
    size_t left = left_bytes(&options, memory.weights, job);
    size_t batches = batches_bytes(recipe, net, job->ranks);
    *report = (struct memory_report){
        .node_ranks = (job->ranks + job->nodes - 1) / job->nodes,
        .threads = job->threads,
    };
    struct memory_bytes *part = report->part;
    part[MEMORY_PROGRAM] = alike(report, job->program);
    part[MEMORY_WEIGHTS] = weights_bytes(report, &options, memory.weights);
    part[MEMORY_OPTIMIZER] = alike(report, owned);
    part[MEMORY_GRADIENTS] =
        alike(report, (size_t)gradients * memory.weights + left / (size_t)report->node_ranks);
    part[MEMORY_ACTIVATIONS] =
        alike(report, arena_bytes(memory.activations + memory.scratch) - memory.scratch);
    part[MEMORY_SCRATCH] = alike(report, memory.scratch);
    part[MEMORY_BATCHES] = alike(report, batches);
    /* The optimizer's vectors are taken once the rank's own weights are gone, batches after them.
     */
    size_t later = owned + batches;
    size_t early = memory.weights > later && !options.local ? memory.weights - later : 0;
    size_t tensor = 2 * largest_tensor(net); /* packed, and in the standard order */
    size_t validation = recipe->data.validation != NULL ? batches : 0;
    part[MEMORY_PASSING] = passing_bytes(report, larger(validation, early), tensor);
    return STATUS_OK;
}

static const struct {
    const char *name, *help;
} part_names[MEMORY_PARTS] = {
    [MEMORY_PROGRAM] = {"program", "the program and its libraries"},
    [MEMORY_WEIGHTS] = {"weights", "and running statistics, once a node"},
    [MEMORY_OPTIMIZER] = {"optimizer", "its vectors, once over all ranks"},
    [MEMORY_GRADIENTS] = {"gradients", ""},
    [MEMORY_ACTIVATIONS] = {"activations", "values, their gradients, what layers keep"},
    [MEMORY_SCRATCH] = {"scratch", ""},
    [MEMORY_BATCHES] = {"batches", "pictures of the loader"},
    [MEMORY_PASSING] = {"passing", "at the start, in a validation or for a checkpoint"},
};

struct memory_bytes memory_report_sum(const struct memory_report *report) {
    struct memory_bytes sum = {0};
    for (int i = 0; i < MEMORY_PARTS; i++) {
        sum.rank += report->part[i].rank;
        sum.node += report->part[i].node;
    }
    return sum;
}

static void print_line(FILE *out, const char *name, struct memory_bytes bytes, const char *help) {
    const double mib = 1024 * 1024;
    fprintf(out, "%-12s %12.1f %12.1f%s%s\n", name, (double)bytes.rank / mib,
        (double)bytes.node / mib, *help != '\0' ? "  " : "", help);
}

void memory_report_print(FILE *out, const struct memory_report *report) {
    char node[32], threads[32];
    snprintf(node, sizeof node, "node of %d", report->node_ranks);
    snprintf(threads, sizeof threads, "of %d thread%s a rank", report->threads,
        report->threads == 1 ? "" : "s");
    fprintf(out, "\n%-12s %12s %12s\n", "memory, MiB", "rank 0", node);
    for (int i = 0; i < MEMORY_PARTS; i++) {
        print_line(out, part_names[i].name, report->part[i],
            i == MEMORY_SCRATCH ? threads : part_names[i].help);
    }
    print_line(out, "sum", memory_report_sum(report), "");
}

static void set(json_t *object, const char *name, size_t bytes) {
    json_object_set_new(object, name, json_integer((json_int_t)bytes));
}

json_t *memory_report_json(const struct memory_report *report) {
    json_t *rank = json_object(), *node = json_object();
    struct memory_bytes sum = memory_report_sum(report);
    for (int i = 0; i < MEMORY_PARTS; i++) {
        set(rank, part_names[i].name, report->part[i].rank);
        set(node, part_names[i].name, report->part[i].node);
    }
    set(rank, "sum", sum.rank);
    set(node, "sum", sum.node);
    return json_pack("{s:o, s:o, s:i}", "rank", rank, "node", node, "threads", report->threads);
}
