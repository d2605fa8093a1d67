#include "trainer/state.h"

#include "trainer/recipe.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION "1"

void state_init(struct state *state, int64_t steps, int64_t steps_per_epoch) {
    *state = (struct state){
        .steps = steps, .steps_per_epoch = steps_per_epoch, .validated = -1, .best_step = -1};
}

/* ---- the tensors of the file: every parameter, then every vector of the optimizer ---- */

#define WEIGHTS        (-1)
#define EXCHANGE_GROUP "exchange."

struct tensor_plan {
    const struct state_parts *parts;
    int count;
    struct safetensors_entry *entries;
    struct tensor_source {
        const struct parameter *parameter;
        int vector; /* of the optimizer, or WEIGHTS */
    } * sources;
    char **names; /* of optimizer tensors; owned */
    int name_count;
    float *packed; /* room for the largest parameter */
};

static void tensor_plan_release(struct tensor_plan *plan) {
    for (int i = 0; i < plan->name_count; i++) {
        free(plan->names[i]);
    }
    free(plan->names);
    free(plan->entries);
    free(plan->sources);
    free(plan->packed);
}

static void add_tensor(
    struct tensor_plan *plan, const char *name, const struct parameter *parameter, int vector) {
    struct safetensors_entry *entry = &plan->entries[plan->count];
    *entry = (struct safetensors_entry){.name = name,
        .type = SAFETENSORS_F32,
        .dimensions = parameter->dimensions,
        .size = (uint64_t)parameter->elements * sizeof(float)};
    for (int d = 0; d < parameter->dimensions; d++) {
        entry->dimension[d] = (uint64_t)parameter->dimension[d];
    }
    plan->sources[plan->count++] = (struct tensor_source){parameter, vector};
}

/* Vectors of the exchange come after the optimizer's. */
static bool is_exchange_vector(const struct state_parts *parts, int vector) {
    return vector >= optimizer_vector_count(parts->optimizer);
}

static status vector_name(
    char **name, const struct state_parts *parts, int vector, const char *parameter) {
    const struct optimizer *optimizer = parts->optimizer;
    const char *group = vector == optimizer_average(optimizer) ? ""
                        : is_exchange_vector(parts, vector)    ? EXCHANGE_GROUP
                                                               : "optimizer.";
    const char *own = is_exchange_vector(parts, vector) ? step_vector_name(parts->step, vector)
                                                        : optimizer_vector_name(optimizer, vector);
    if (asprintf(name, "%s%s.%s", group, own, parameter) < 0) {
        *name = NULL;
        FAIL(STATUS_SYSTEM, "no memory for the names of tensors");
    }
    return STATUS_OK;
}

/* Backward finishes the last layer first; a file reads better from the first layer on. */
static int by_layer(const void *a, const void *b) {
    const struct parameter *left = *(const struct parameter *const *)a;
    const struct parameter *right = *(const struct parameter *const *)b;
    if (left->layer != right->layer) {
        return left->layer < right->layer ? -1 : 1;
    }
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static status tensor_plan_init(struct tensor_plan *plan, const struct state_parts *parts) {
    *plan = (struct tensor_plan){.parts = parts};
    status result = STATUS_OK;
    const struct net *net = parts->net;
    int parameters = net_parameter_count(net);
    int vectors = parts->step != NULL ? step_vector_count(parts->step)
                                      : optimizer_vector_count(parts->optimizer);
    size_t largest = 0;
    size_t most = (size_t)parameters * (size_t)(1 + vectors);
    const struct parameter **order = NULL;
    TRY_TO(done, result, MEMORY_ALLOCATE(&order, (size_t)parameters));
    TRY_TO(done, result, MEMORY_ALLOCATE(&plan->entries, most));
    TRY_TO(done, result, MEMORY_ALLOCATE(&plan->sources, most));
    TRY_TO(done, result, MEMORY_ALLOCATE(&plan->names, most));
    for (int i = 0; i < parameters; i++) {
        order[i] = net_parameter(net, i);
        largest = order[i]->packed > largest ? order[i]->packed : largest;
    }
    TRY_TO(done, result, MEMORY_ALLOCATE(&plan->packed, largest));
    qsort(order, (size_t)parameters, sizeof(const struct parameter *), by_layer);
    for (int i = 0; i < parameters; i++) {
        add_tensor(plan, order[i]->name, order[i], WEIGHTS);
    }
    for (int v = 0; v < vectors; v++) {
        for (int i = 0; i < parameters; i++) {
            if (order[i]->kind == PARAMETER_STATISTIC && !is_exchange_vector(parts, v) &&
                v != optimizer_average(parts->optimizer)) {
                continue; /* no optimizer touches running statistics */
            }
            char **name = &plan->names[plan->name_count];
            TRY_TO(done, result, vector_name(name, parts, v, order[i]->name));
            plan->name_count++;
            add_tensor(plan, *name, order[i], v);
        }
    }
done:
    free(order);
    if (result != STATUS_OK) {
        tensor_plan_release(plan);
    }
    return result;
}

static status fill_tensor(void *context, int index, void *bytes) {
    const struct tensor_plan *plan = context;
    const struct tensor_source *source = &plan->sources[index];
    const struct state_parts *parts = plan->parts;
    if (source->vector == WEIGHTS) {
        parameter_unpack(bytes, net_weights(parts->net), source->parameter);
    } else if (parts->step == NULL) {
        parameter_unpack(
            bytes, optimizer_vector(parts->optimizer, source->vector), source->parameter);
    } else {
        TRY(step_collect(parts->step, plan->packed, source->vector, source->parameter));
        parameter_unpack_part(bytes, plan->packed, source->parameter);
    }
    return STATUS_OK;
}

static status check_finite(struct net *net, int64_t step) {
    const float *weights = net_weights(net);
    for (int i = 0; i < net_parameter_count(net); i++) {
        const struct parameter *parameter = net_parameter(net, i);
        for (size_t e = 0; e < parameter->packed; e++) {
            if (!isfinite(weights[parameter->offset + e])) {
                FAIL(STATUS_NUMERIC,
                    "after step %" PRId64 " the parameter %s is no longer finite; the last "
                    "checkpoint is kept and no new one written",
                    step, parameter->name);
            }
        }
    }
    return STATUS_OK;
}

/* ---- metadata ---- */

#define METADATA_LIMIT 20
struct metadata {
    struct safetensors_metadata pairs[METADATA_LIMIT];
    char texts[METADATA_LIMIT][256];
    int count;
};

static void put(struct metadata *metadata, const char *key, const char *value) {
    metadata->pairs[metadata->count++] = (struct safetensors_metadata){key, value};
}

static void put_integer(struct metadata *metadata, const char *key, int64_t value) {
    char *text = metadata->texts[metadata->count];
    snprintf(text, sizeof metadata->texts[0], "%" PRId64, value);
    put(metadata, key, text);
}

static void put_state(struct metadata *metadata, const struct state *state) {
    put_integer(metadata, "step", state->step);
    put_integer(metadata, "steps", state->steps);
    put_integer(metadata, "steps_per_epoch", state->steps_per_epoch);
    put_integer(metadata, "epoch", state->step / state->steps_per_epoch);
    put_integer(metadata, "validated", state->validated);
    put_integer(metadata, "best_step", state->best_step);
    put_integer(metadata, "since_best", state->since_best);
    char *text = metadata->texts[metadata->count];
    snprintf(text, sizeof metadata->texts[0], "%a", state->best_value);
    put(metadata, "best_value", text);
    text = metadata->texts[metadata->count];
    schedule_state_text(text, sizeof metadata->texts[0], &state->schedule);
    put(metadata, "schedule_state", text);
}

static status class_names_text(char **text, const struct dataset_information *data) {
    json_t *names = json_array();
    for (int c = 0; c < data->classes; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        json_array_append_new(
            names, json_string(data->class_names != NULL ? data->class_names[c] : number));
    }
    *text = json_dumps(names, JSON_COMPACT);
    json_decref(names);
    if (*text == NULL) {
        FAIL(STATUS_INPUT, "the names of the classes are not UTF-8");
    }
    return STATUS_OK;
}

status state_save(const char *path, const struct state *state,
    const struct state_description *description, const struct state_parts *parts) {
    TRY(check_finite(parts->net, state->step));
    status result = STATUS_OK;
    struct tensor_plan plan;
    TRY(tensor_plan_init(&plan, parts));
    struct metadata *metadata = NULL;
    char *classes = NULL, shape[64];
    TRY_TO(done, result, MEMORY_ALLOCATE(&metadata, 1));
    TRY_TO(done, result, class_names_text(&classes, description->data));
    put(metadata, "convoy", FORMAT_VERSION);
    put_state(metadata, state);
    put_integer(metadata, "seed", description->seed);
    put(metadata, "recipe", description->recipe);
    put(metadata, "best_metric", description->best_metric);
    put(metadata, "data_digest", description->data->digest);
    put(metadata, "classes", classes);
    put(metadata, "picture", shape_text(description->data->shape, shape, sizeof shape));
    if (description->validation_digest != NULL) {
        put(metadata, "validation_digest", description->validation_digest);
    }
    TRY_TO(done, result,
        safetensors_write(
            path, plan.entries, plan.count, metadata->pairs, metadata->count, fill_tensor, &plan));
done:
    free(classes);
    free(metadata);
    tensor_plan_release(&plan);
    return result;
}

status state_metadata(
    const char **value, const struct safetensors_file *file, const char *path, const char *key) {
    *value = safetensors_metadata(file, key);
    if (*value == NULL) {
        FAIL(STATUS_INPUT, "%s is no checkpoint of Convoy: its metadata has no '%s'", path, key);
    }
    return STATUS_OK;
}

status state_metadata_integer(
    int64_t *value, const struct safetensors_file *file, const char *path, const char *key) {
    const char *text;
    TRY(state_metadata(&text, file, path, key));
    char *end;
    *value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        FAIL(STATUS_INPUT, "%s: '%s' in the metadata is no number: '%s'", path, key, text);
    }
    return STATUS_OK;
}

static status get_state(
    struct state *state, const struct safetensors_file *file, const char *path) {
    TRY(state_metadata_integer(&state->step, file, path, "step"));
    TRY(state_metadata_integer(&state->steps, file, path, "steps"));
    TRY(state_metadata_integer(&state->steps_per_epoch, file, path, "steps_per_epoch"));
    TRY(state_metadata_integer(&state->validated, file, path, "validated"));
    TRY(state_metadata_integer(&state->best_step, file, path, "best_step"));
    TRY(state_metadata_integer(&state->since_best, file, path, "since_best"));
    if (state->step < 0 || state->steps_per_epoch < 1) {
        FAIL(STATUS_INPUT, "%s: step %" PRId64 " of %" PRId64 " an epoch cannot be", path,
            state->step, state->steps_per_epoch);
    }
    const char *text;
    TRY(state_metadata(&text, file, path, "best_value"));
    state->best_value = strtod(text, NULL);
    TRY(state_metadata(&text, file, path, "schedule_state"));
    return schedule_state_parse(&state->schedule, text);
}

/* ---- reading tensors ---- */

static void entry_shape(char *text, size_t size, const uint64_t *dimension, int dimensions) {
    size_t used = 0;
    snprintf(text, size, "a single number");
    for (int d = 0; d < dimensions && used < size; d++) {
        used += (size_t)snprintf(
            text + used, size - used, "%s%" PRIu64, d > 0 ? "x" : "", dimension[d]);
    }
}

static const char *layer_name(struct net *net, const struct parameter *parameter) {
    return net_layer_report(net, parameter->layer).name;
}

/* Reads tensor `name` into packed[parameter->packed]. */
static status read_tensor(float *packed, const char *name, const struct parameter *parameter,
    struct net *net, const struct safetensors_file *file, const char *path) {
    int index = safetensors_find(file, name);
    const char *layer = layer_name(net, parameter);
    if (index < 0) {
        FAIL(STATUS_INPUT, "%s is of another network: layer %s wants a tensor %s, which it lacks",
            path, layer, name);
    }
    const struct safetensors_entry *entry = safetensors_at(file, index);
    uint64_t wanted[PARAMETER_DIMENSIONS];
    bool same = entry->type == SAFETENSORS_F32 && entry->dimensions == parameter->dimensions;
    for (int d = 0; d < parameter->dimensions; d++) {
        wanted[d] = (uint64_t)parameter->dimension[d];
        same = same && entry->dimension[d] == wanted[d];
    }
    if (!same) {
        char has[128], wants[128];
        entry_shape(has, sizeof has, entry->dimension, entry->dimensions);
        entry_shape(wants, sizeof wants, wanted, parameter->dimensions);
        FAIL(STATUS_INPUT, "%s is of another network: %s of layer %s is %s%s there and %s here",
            path, name, layer, has, entry->type == SAFETENSORS_F32 ? "" : " (not float32)", wants);
    }
    float *standard = NULL;
    TRY(MEMORY_ALLOCATE(&standard, (size_t)parameter->elements));
    status result = safetensors_read(file, index, standard);
    if (result == STATUS_OK) {
        parameter_pack_part(packed, standard, parameter);
    }
    free(standard);
    return result;
}

static bool is_of_exchange(const char *name) {
    return strncmp(name, EXCHANGE_GROUP, strlen(EXCHANGE_GROUP)) == 0;
}

static int count_of_exchange(const struct safetensors_file *file) {
    int count = 0;
    for (int i = 0; i < safetensors_count(file); i++) {
        count += is_of_exchange(safetensors_at(file, i)->name);
    }
    return count;
}

bool state_fits_exchange(const struct state_parts *parts, const struct safetensors_file *file) {
    int vectors = step_vector_count(parts->step) - optimizer_vector_count(parts->optimizer);
    return count_of_exchange(file) == vectors * net_parameter_count(parts->net);
}

/* Every tensor of the file must be one of the plan's. */
static status check_nothing_else(
    const struct tensor_plan *plan, const struct safetensors_file *file, const char *path) {
    if (safetensors_count(file) == plan->count) {
        return STATUS_OK; /* all of ours were found, and there are no more */
    }
    for (int i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        bool known = is_of_exchange(name); /* of other nodes: passed over */
        for (int p = 0; p < plan->count && !known; p++) {
            known = strcmp(plan->entries[p].name, name) == 0;
        }
        if (!known) {
            FAIL(STATUS_INPUT, "%s is of another network: it has a tensor %s, which no layer wants",
                path, name);
        }
    }
    return STATUS_OK;
}

static status load_tensor(const struct tensor_plan *plan, int index,
    const struct safetensors_file *file, const char *path) {
    const struct tensor_source *source = &plan->sources[index];
    const struct parameter *parameter = source->parameter;
    const struct state_parts *parts = plan->parts;
    float *packed = plan->packed;
    if (source->vector == WEIGHTS) {
        packed = net_weights(parts->net) + parameter->offset;
    } else if (parts->step == NULL) {
        packed = optimizer_vector(parts->optimizer, source->vector) + parameter->offset;
    }
    TRY(read_tensor(packed, plan->entries[index].name, parameter, parts->net, file, path));
    return packed == plan->packed ? step_deal(parts->step, packed, source->vector, parameter)
                                  : STATUS_OK;
}

status state_load(struct state *state, const struct state_parts *parts,
    const struct safetensors_file *file, const char *path) {
    TRY(get_state(state, file, path));
    struct tensor_plan plan;
    TRY(tensor_plan_init(&plan, parts));
    status result = STATUS_OK;
    const bool fits = parts->step != NULL && state_fits_exchange(parts, file);
    for (int i = 0; i < plan.count; i++) {
        if (fits || !is_exchange_vector(parts, plan.sources[i].vector)) {
            TRY_TO(done, result, load_tensor(&plan, i, file, path));
        }
    }
    TRY_TO(done, result, check_nothing_else(&plan, file, path));
done:
    tensor_plan_release(&plan);
    return result;
}

status state_check(const struct safetensors_file *file, const char *path,
    const struct state_description *description) {
    const char *recipe, *digest;
    TRY(state_metadata(&recipe, file, path, "recipe"));
    TRY(recipe_compare(description->recipe, recipe, path));
    TRY(state_metadata(&digest, file, path, "data_digest"));
    if (strcmp(digest, description->data->digest) != 0) {
        FAIL(STATUS_USAGE, "data.train has the digest %s here and %s in %s: it is another data set",
            description->data->digest, digest, path);
    }
    if (description->validation_digest != NULL) {
        TRY(state_metadata(&digest, file, path, "validation_digest"));
        if (strcmp(digest, description->validation_digest) != 0) {
            FAIL(STATUS_USAGE,
                "data.validation has the digest %s here and %s in %s: it is another data set, and "
                "the schedule depends on it",
                description->validation_digest, digest, path);
        }
    }
    return STATUS_OK;
}

static bool is_fresh(const char *layer, const struct option_texts *fresh) {
    for (int i = 0; i < fresh->count; i++) {
        size_t length = strlen(fresh->values[i]);
        /* A container names all layers in it. */
        if (strncmp(layer, fresh->values[i], length) == 0 &&
            (layer[length] == '\0' || layer[length] == '.')) {
            return true;
        }
    }
    return false;
}

status state_load_weights(struct net *net, const struct safetensors_file *file, const char *path,
    bool averaged, const struct option_texts *fresh) {
    for (int f = 0; f < fresh->count; f++) {
        const struct option_texts one = {1, &fresh->values[f]};
        bool found = false;
        for (int i = 0; i < net_parameter_count(net) && !found; i++) {
            found = is_fresh(layer_name(net, net_parameter(net, i)), &one);
        }
        if (!found) {
            FAIL(STATUS_USAGE, "train.from_new: no layer with weights is called %s",
                fresh->values[f]);
        }
    }
    for (int i = 0; i < net_parameter_count(net); i++) {
        const struct parameter *parameter = net_parameter(net, i);
        const char *layer = layer_name(net, parameter);
        if (is_fresh(layer, fresh)) {
            continue;
        }
        char *name;
        if (asprintf(&name, "%s%s", averaged ? "ema." : "", parameter->name) < 0) {
            FAIL(STATUS_SYSTEM, "no memory for the names of tensors");
        }
        status result =
            read_tensor(net_weights(net) + parameter->offset, name, parameter, net, file, path);
        free(name);
        if (result == STATUS_INPUT) {
            status_prefix(
                result, "train.from (a layer starts fresh with train.from_new=[%s])", layer);
        }
        TRY(result);
    }
    return STATUS_OK;
}

status state_class_names(
    char ***names, int *count, const struct safetensors_file *file, const char *path) {
    const char *text;
    *names = NULL;
    *count = 0;
    TRY(state_metadata(&text, file, path, "classes"));
    json_t *list = json_loads(text, 0, NULL);
    size_t size = json_array_size(list);
    status result = MEMORY_ALLOCATE(names, size);
    for (size_t c = 0; c < size && result == STATUS_OK; c++) {
        const char *name = json_string_value(json_array_get(list, c));
        result = memory_copy_text(&(*names)[c], name != NULL ? name : "?");
        *count += result == STATUS_OK;
    }
    json_decref(list);
    if (result != STATUS_OK) {
        state_release_class_names(*names, *count);
        *names = NULL;
    }
    return result;
}

void state_release_class_names(char **names, int count) {
    for (int c = 0; names != NULL && c < count; c++) {
        free(names[c]);
    }
    free(names);
}
