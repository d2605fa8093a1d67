#include "trainer/net_report.h"

#include "worker/kernels/convolution.h"

#include <inttypes.h>
#include <string.h>

/* 1234567 as "1,234,567". */
static const char *grouped(char text[32], int64_t number) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    int at = 0;
    for (int i = 0; i < length; i++) {
        text[at++] = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-') {
            text[at++] = ',';
        }
    }
    text[at] = '\0';
    return text;
}

static int longest_name(const struct net *net) {
    int longest = (int)strlen("layer");
    for (int i = 0; i < net_layer_count(net); i++) {
        int length = (int)strlen(net_layer_report(net, i).name);
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void add_sums(int64_t *parameters, int64_t *multiply_adds, const struct net *net) {
    *parameters = 0;
    *multiply_adds = 0;
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        *parameters += report.parameters;
        *multiply_adds += report.multiply_adds;
    }
}

static const char *const direction_names[CONVOLUTION_DIRECTIONS] = {
    [CONVOLUTION_FORWARD] = "forward",
    [CONVOLUTION_BACKWARD_DATA] = "backward-data",
    [CONVOLUTION_BACKWARD_WEIGHTS] = "backward-weights",
};

static bool goes_in(const struct layer_report *report, enum convolution_direction direction) {
    return direction != CONVOLUTION_BACKWARD_DATA || report->input_gradient;
}

/* The kernel of forward, and of backward what is not the same. */
static void print_kernels(FILE *out, const struct layer_report *report) {
    const struct convolution_kernels *kernels = report->kernels;
    const char *forward = kernels->text[CONVOLUTION_FORWARD];
    fputs(forward, out);
    for (int d = CONVOLUTION_FORWARD + 1; d < CONVOLUTION_DIRECTIONS; d++) {
        if (goes_in(report, d) && strcmp(kernels->text[d], forward) != 0) {
            fprintf(out, "; %s %s", direction_names[d], kernels->text[d] + kernels->shared);
        }
    }
}

/* What of the layer others do, and the end of its line. */
static void print_fusion(FILE *out, const struct layer_report *report) {
    const char *const what[] = {"fused into ", "takes input from ", "takes gradient from "};
    const char *const who[] = {report->fused, report->input_from, report->gradient_from};
    const char *between = report->kernels != NULL ? "; " : "";
    for (int i = 0; i < 3; i++) {
        if (*who[i] != '\0') {
            fprintf(out, "%s%s%s", between, what[i], who[i]);
            between = "; ";
        }
    }
    fputc('\n', out);
}

void net_report_print(FILE *out, const struct net *net) {
    int width = longest_name(net);
    const double mib = 1024 * 1024;
    char shape[64], parameters[32], multiply_adds[32];
    fprintf(out, "%-*s  %-12s %-14s %14s %16s %10s %10s  %s\n", width, "layer", "kind", "output",
        "parameters", "multiply-adds", "values", "scratch", "kernel");
    fprintf(out, "%-*s  %-12s %-14s\n", width, "", "input",
        shape_text(net_input_shape(net), shape, sizeof shape));
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        fprintf(out, "%-*s  %-12s %-14s %14s %16s %10.2f %10.2f  ", width, report.name, report.kind,
            shape_text(report.output, shape, sizeof shape), grouped(parameters, report.parameters),
            grouped(multiply_adds, report.multiply_adds), (double)report.value_bytes / mib,
            (double)report.scratch_bytes / mib);
        if (report.kernels != NULL) {
            print_kernels(out, &report);
        }
        print_fusion(out, &report);
    }
    int64_t all_parameters, all_multiply_adds;
    add_sums(&all_parameters, &all_multiply_adds, net);
    fprintf(out, "%-*s  %-12s %-14s %14s %16s\n", width, "", "sum", "",
        grouped(parameters, all_parameters), grouped(multiply_adds, all_multiply_adds));
    struct net_memory memory = net_memory_report(net);
    fprintf(out,
        "memory of a pass: weights %.1f MiB, gradients %.1f MiB each, activations %.1f MiB, "
        "scratch %.1f MiB\n",
        (double)memory.weights / mib, (double)memory.gradients_each / mib,
        (double)memory.activations / mib, (double)memory.scratch / mib);
}

static json_t *shape_json(struct shape shape) {
    return json_pack("[i, i, i]", shape.channels, shape.height, shape.width);
}

static json_t *convolution_json(const struct convolution_shape *shape) {
    return json_pack("{s:o, s:i, s:[i, i], s:[i, i], s:[i, i], s:[i, i], s:i}", "input",
        shape_json(shape->input), "output", shape->output_channels, "kernel", shape->kernel_height,
        shape->kernel_width, "stride", shape->stride_height, shape->stride_width, "pad",
        shape->pad_height, shape->pad_width, "dilation", shape->dilation_height,
        shape->dilation_width, "groups", shape->groups);
}

static json_t *kernels_json(const struct layer_report *report) {
    json_t *object = json_object();
    for (int d = CONVOLUTION_FORWARD; d < CONVOLUTION_DIRECTIONS; d++) {
        if (goes_in(report, d)) {
            json_object_set_new(object, direction_names[d], json_string(report->kernels->text[d]));
        }
    }
    return object;
}

json_t *net_report_json(const struct net *net) {
    json_t *list = json_array();
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        json_t *layer =
            json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:s, s:s, s:s, s:b, s:I, s:I}", "name",
                report.name, "kind", report.kind, "output", shape_json(report.output), "parameters",
                (json_int_t)report.parameters, "multiply_adds", (json_int_t)report.multiply_adds,
                "kernel", report.kernels != NULL ? report.kernels->text[CONVOLUTION_FORWARD] : "",
                "fused", report.fused, "input_from", report.input_from, "gradient_from",
                report.gradient_from, "input_gradient", report.input_gradient, "value_bytes",
                (json_int_t)report.value_bytes, "scratch_bytes", (json_int_t)report.scratch_bytes);
        if (report.kernels != NULL) {
            json_object_set_new(layer, "kernels", kernels_json(&report));
        }
        if (report.convolution != NULL) {
            json_object_set_new(layer, "convolution", convolution_json(report.convolution));
        }
        json_array_append_new(list, layer);
    }
    int64_t parameters, multiply_adds;
    add_sums(&parameters, &multiply_adds, net);
    struct net_memory memory = net_memory_report(net);
    return json_pack("{s:o, s:o, s:I, s:I, s:{s:I, s:I, s:I, s:I}}", "input",
        shape_json(net_input_shape(net)), "layers", list, "parameters", (json_int_t)parameters,
        "multiply_adds", (json_int_t)multiply_adds, "memory", "weights", (json_int_t)memory.weights,
        "gradients_each", (json_int_t)memory.gradients_each, "activations",
        (json_int_t)memory.activations, "scratch", (json_int_t)memory.scratch);
}
