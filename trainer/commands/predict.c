#include "base/math.h"
#include "io/file.h"
#include "io/picture.h"
#include "shard/transform.h"
#include "trainer/commands/command.h"
#include "trainer/trained.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 30)

struct predict_options {
    int64_t top, threads;
    bool json;
};

static const struct option options_table[] = {
    {"top", OPTION_INTEGER, offsetof(struct predict_options, top), .initial = "5", .low = 1,
        .high = 1000, .help = "classes to show for each picture"},
    {"threads", OPTION_INTEGER, offsetof(struct predict_options, threads), .initial = "1", .low = 1,
        .high = 1024, .help = "threads to compute with"},
    {"json", OPTION_SWITCH, offsetof(struct predict_options, json),
        .help = "one JSON object a picture"},
    OPTIONS_END};

/* A picture's file to the net's input, by the transforms for evaluation. *pixels is freed. */
static status prepare(
    float **pixels, const char *path, const struct trained *trained, struct shape input) {
    status result = STATUS_OK;
    void *bytes = NULL;
    size_t size;
    struct picture picture = {0};
    struct transform_chain *chain = NULL;
    struct transform_scratch *scratch = NULL;
    *pixels = NULL;
    TRY_TO(done, result, file_read(&bytes, &size, path, FILE_LIMIT));
    result = picture_decode(&picture, bytes, size, input.channels);
    if (result != STATUS_OK) {
        status_prefix(result, "%s", path);
        goto done;
    }
    struct shape shape = {picture.channels, picture.height, picture.width};
    TRY_TO(done, result,
        transform_chain_create(&chain, &trained->recipe.data.transforms, false, shape,
            (uint64_t)trained->recipe.train.seed));
    struct shape output = transform_chain_output(chain);
    if (!shape_equal(output, input)) {
        char has[64], wants[64];
        FAIL_TO(done, result, STATUS_INPUT,
            "%s becomes %s and the network wants %s: the recipe's transforms do not resize", path,
            shape_text(output, has, sizeof has), shape_text(input, wants, sizeof wants));
    }
    TRY_TO(done, result, transform_scratch_create(&scratch, chain));
    TRY_TO(done, result, MEMORY_ALLOCATE(pixels, shape_elements(output)));
    TRY_TO(done, result, transform_chain_apply(*pixels, &picture, chain, scratch, 0, 0));
done:
    if (scratch != NULL) {
        transform_scratch_destroy(scratch);
    }
    if (chain != NULL) {
        transform_chain_destroy(chain);
    }
    picture_release(&picture);
    free(bytes);
    return result;
}

/* Scores to probabilities, unless the net ends in a softmax of its own. */
static void to_probabilities(double *probability, const float *score, int classes, bool already) {
    double largest = -INFINITY, sum = 0;
    for (int c = 0; c < classes; c++) {
        largest = score[c] > largest ? score[c] : largest;
    }
    for (int c = 0; c < classes; c++) {
        probability[c] = already ? score[c] : math_exp((double)score[c] - largest);
        sum += probability[c];
    }
    for (int c = 0; c < classes && !already; c++) {
        probability[c] /= sum;
    }
}

static int take_best(double *probability, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
        best = probability[c] > probability[best] ? c : best;
    }
    return best;
}

static void print_result(const char *path, double *probability, int classes,
    const struct trained *trained, const struct predict_options *options) {
    json_t *list = json_array();
    if (!options->json) {
        printf("%s\n", path);
    }
    for (int64_t i = 0; i < options->top && i < classes; i++) {
        int best = take_best(probability, classes);
        char number[16];
        snprintf(number, sizeof number, "%d", best);
        const char *name = best < trained->classes ? trained->class_names[best] : number;
        if (options->json) {
            json_array_append_new(list, json_pack("{s:s, s:i, s:f}", "class", name, "number", best,
                                            "probability", probability[best]));
        } else {
            printf("  %6.2f %%  %s\n", 100 * probability[best], name);
        }
        probability[best] = -1;
    }
    json_t *object = json_pack("{s:s, s:o}", "picture", path, "classes", list);
    if (options->json) {
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
    }
    json_decref(object);
}

static bool ends_in_softmax(const struct net *net) {
    int count = net_layer_count(net);
    return count > 0 && strcmp(net_layer_report(net, count - 1).kind, "softmax") == 0;
}

static status predict(const struct command_line *line, const struct trained *trained,
    struct net *net, float *score, double *probability, int classes) {
    const int start[2] = {0, 1};
    const struct subtree whole = {0, 1};
    const struct pass pass = {
        .pictures = 1, .leaves = 1, .leaf_start = start, .subtrees = 1, .subtree = &whole};
    for (int i = 1; i < line->count; i++) {
        float *pixels;
        TRY(prepare(&pixels, line->arguments[i], trained, net_input_shape(net)));
        net_forward(net, &pass, pixels, NULL);
        free(pixels);
        net_output(score, net, 1);
        to_probabilities(probability, score, classes, ends_in_softmax(net));
        print_result(line->arguments[i], probability, classes, trained, line->options);
    }
    return STATUS_OK;
}

static status run(int *code, const struct command_line *line) {
    (void)code;
    const struct predict_options *options = line->options;
    status result = STATUS_OK;
    struct trained trained = {0};
    struct net *net = NULL;
    float *score = NULL;
    double *probability = NULL;
    TRY_TO(done, result, trained_open(&trained, line->arguments[0]));
    const struct net_options plan = {
        .pictures = 1, .leaves = 1, .leaf = 1, .threads = (int)options->threads};
    TRY_TO(done, result, trained_create_net(&net, &trained, &plan));
    int classes = (int)shape_elements(net_output_shape(net));
    TRY_TO(done, result, MEMORY_ALLOCATE(&score, (size_t)classes));
    TRY_TO(done, result, MEMORY_ALLOCATE(&probability, (size_t)classes));
    TRY_TO(done, result, predict(line, &trained, net, score, probability, classes));
done:
    free(score);
    free(probability);
    if (net != NULL) {
        net_destroy(net);
    }
    trained_release(&trained);
    return result;
}

const struct command command_predict = {
    .name = "predict",
    .arguments = "CHECKPOINT PICTURE...",
    .help = "say which classes pictures belong to, by a trained network",
    .description = "CHECKPOINT is a checkpoint's file or a run folder (its newest checkpoint).\n"
                   "PICTUREs are JPEG or PNG files. Class names and preprocessing come from the\n"
                   "checkpoint.",
    .fewest = 2,
    .most = -1,
    .options = options_table,
    .options_size = sizeof(struct predict_options),
    .run = run,
};
