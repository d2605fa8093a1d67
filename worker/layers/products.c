#include "worker/layers/products.h"

#include "worker/graph.h"
#include "worker/handoff.h"

static void pack(float *packed, const float *standard, const struct parameter *parameter) {
    convolution_pack(packed, standard, parameter->packing);
}

static void unpack(float *standard, const float *packed, const struct parameter *parameter) {
    convolution_unpack(standard, packed, parameter->packing);
}

status products_output(
    struct shape *output, const struct layer *layer, const struct convolution_shape *shape) {
    if (convolution_output(output, shape) != STATUS_OK) {
        char place[256];
        node_place(layer->node, place, sizeof place);
        return status_prefix(STATUS_USAGE, "%s: layer %s", place, layer->name);
    }
    return STATUS_OK;
}

status products_name_kernels(struct layer *layer, bool transposed) {
    struct convolution_kernels *kernels;
    TRY(pool_take(&layer->graph->pool, (void **)&kernels, 1, sizeof *kernels));
    convolution_name_kernels(kernels, layer->state, transposed);
    layer->kernels = kernels;
    return STATUS_OK;
}

status products_declare(struct layer *layer, const struct layer_plan *plan,
    const struct convolution_shape *shape, const struct parameter_declaration *weight, bool bias) {
    struct convolution *convolution;
    TRY(convolution_create(&convolution, shape, plan->kernels, plan->engine, plan->winograd,
        plan->threads, plan->pictures, plan->leaves));
    layer->state = convolution;
    layer->flags =
        LAYER_NEEDS_INPUT | LAYER_CARRIES_RELU | LAYER_HANDS_OUTPUT | LAYER_HANDS_GRADIENT;
    layer->multiply_adds = convolution_multiply_adds(convolution);
    struct parameter_declaration declaration = *weight;
    declaration.packed = convolution_packed_size(convolution);
    declaration.pack = pack;
    declaration.unpack = unpack;
    declaration.packing = convolution;
    TRY(layer_declare(layer, &declaration));
    layer->scratch_bytes = convolution_scratch_bytes(convolution);
    if (bias) {
        TRY(layer_declare(layer, &(struct parameter_declaration){.suffix = "bias",
                                     .kind = PARAMETER_BIAS,
                                     .dimensions = 1,
                                     .dimension = {layer->output[0]->shape.channels}}));
    }
    return STATUS_OK;
}

status products_plan(struct layer *layer, const struct layer_plan *plan,
    const struct convolution_shape *shape, const struct parameter_declaration *weight, bool bias) {
    TRY(products_output(&layer->output[0]->shape, layer, shape));
    TRY(products_declare(layer, plan, shape, weight, bias));
    layer->convolution = convolution_get_shape(layer->state);
    convolution_input_border(&layer->input_border[0], &layer->input_border[1], layer->state);
    convolution_gradient_border(
        &layer->gradient_border[0], &layer->gradient_border[1], layer->state);
    return products_name_kernels(layer, false);
}

void products_release(struct layer *layer) {
    if (layer->state != NULL) {
        convolution_destroy(layer->state);
    }
}

void products_forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const float *bias =
        layer->parameters > PRODUCTS_BIAS ? layer_weights(layer, run, PRODUCTS_BIAS) : NULL;
    struct handoff handoff;
    convolution_forward(&layer->output[0]->activation, &layer->input[0]->activation,
        layer_weights(layer, run, PRODUCTS_WEIGHT), bias, pass->pictures, layer->state,
        handoff_output(&handoff, layer, run, pass), run->scratch);
}

void products_take_gradient(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct epilogue_run *rows) {
    (void)pass;
    layer_map_rows(&layer->output[0]->gradient, &layer->result->gradient,
        &layer->result->activation, rows, run->kernels->elementwise.relu_backward);
}

void products_backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *output_gradient = &layer->output[0]->gradient;
    float *out[TREE_SUBTREES_LIMIT];
    layer_gradients(out, layer, pass, PRODUCTS_WEIGHT);
    convolution_backward_weights(
        out, &layer->input[0]->activation, output_gradient, pass, layer->state, run->scratch);
    if (layer->parameters > PRODUCTS_BIAS) {
        layer_gradients(out, layer, pass, PRODUCTS_BIAS);
        convolution_backward_bias(out, output_gradient, pass, layer->state, run->scratch);
    }
    layer_weights_done(layer, run);
    if (layer->input[0]->gradient.data != NULL) {
        struct handoff handoff;
        convolution_backward_data(&layer->input[0]->gradient, output_gradient,
            layer_weights(layer, run, PRODUCTS_WEIGHT), NULL, pass->pictures, layer->state,
            handoff_gradient(&handoff, layer, run, pass), run->scratch);
    }
}
