#include "docs/generate/page.h"
#include "shard/importer.h"
#include "trainer/recipe.h"
#include "worker/net.h"

static const char introduction[] =
    "# Every key of a recipe\n"
    "\n"
    "This page is generated from the option tables of the program (`docs/generate/`).\n"
    "\n"
    "A recipe is a YAML file; any key can also be set on the command line, `train.batch=512`. Of "
    "a\n"
    "thing that comes in several kinds (a layer, a loss, a schedule), write its name, or its name\n"
    "with options below it: `optimizer: sgd` or `optimizer: {sgd: {momentum: 0.9}}`. A value in\n"
    "place of the options sets the first of them: `schedule: {constant: 0.1}`. An unknown key is "
    "an\n"
    "error that names file, line, column and the nearest known key.\n"
    "\n"
    "Keys that *change bits* enter checkpoints, and all ranks must agree on them. All others may\n"
    "differ between two runs that end in the same weights.\n"
    "\n";

static const char layers_introduction[] =
    "# Layers of a model\n"
    "\n"
    "A model has `input: {channels, height, width}` and `layers`, a list. Shapes are found by\n"
    "themselves. Containers hold lists of layers.\n"
    "\n";

static const char importers_introduction[] =
    "# Options of `convoy import`\n"
    "\n"
    "`convoy import FORMAT SOURCE DATASET`, with options as `--name VALUE`.\n"
    "\n";

status write_recipe_page(struct pages *pages) {
    struct page page;
    TRY(page_open(&page));
    fputs(introduction, page.out);
    options_document(page.out, recipe_options, "The recipe");
    fputs(layers_introduction, page.out);
    options_document_kinds(page.out, layers, "Layers and containers", OPTION_CHANGES_BITS);
    fputs(importers_introduction, page.out);
    options_document(page.out, import_options_table, "Of every format");
    options_document_kinds(page.out, importers, "Formats", 0);
    return page_finish(&page, pages, "recipe.md");
}
