#include "trainer/trained.h"

#include "io/checkpoint.h"
#include "trainer/launch.h"
#include "trainer/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void report_skipped(void *context, const char *path, const char *reason) {
    (void)context;
    if (launch_speaks()) {
        fprintf(stderr, "warning: passing over the damaged checkpoint %s: %s\n", path, reason);
    }
}

status trained_open(struct trained *trained, const char *path) {
    *trained = (struct trained){0};
    status result = STATUS_OK;
    const char *recipe;
    TRY_TO(failed, result,
        checkpoint_open(&trained->file, &trained->path, path, report_skipped, NULL));
    TRY_TO(failed, result, state_metadata(&recipe, trained->file, trained->path, "recipe"));
    TRY_TO(failed, result, recipe_parse(&trained->recipe, recipe, strlen(recipe), trained->path));
    TRY_TO(failed, result,
        state_class_names(&trained->class_names, &trained->classes, trained->file, trained->path));
    return STATUS_OK;
failed:
    trained_release(trained);
    return result;
}

void trained_release(struct trained *trained) {
    if (trained->file != NULL) {
        safetensors_close(trained->file);
    }
    recipe_release(&trained->recipe);
    state_release_class_names(trained->class_names, trained->classes);
    free(trained->path);
    *trained = (struct trained){0};
}

status trained_create_net(
    struct net **net, const struct trained *trained, const struct net_options *options) {
    static const struct option_texts none = {0};
    struct net_options all = *options;
    all.engine = (enum engine_kernels)trained->recipe.engine.kernels;
    all.winograd = (enum engine_winograd)trained->recipe.engine.winograd;
    TRY(net_create(net, trained->recipe.model, &all));
    bool averaged = trained->recipe.train.ema > 0;
    status result = state_load_weights(*net, trained->file, trained->path, averaged, &none);
    if (result != STATUS_OK) {
        net_destroy(*net);
        *net = NULL;
    }
    return result;
}
