#include "base/number.h"
#include "base/options.h"
#include "base/options_describe.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_absent(const struct node *node) {
    return node == NULL || node->kind == NODE_NULL;
}

/* "text", "a list": what a node is, for messages. */
static const char *node_word(const struct node *node) {
    switch (node->kind) {
    case NODE_NULL: return "nothing";
    case NODE_SCALAR: return node->text;
    case NODE_LIST: return "a list";
    case NODE_MAPPING: return "a mapping of keys";
    }
    return "";
}

static status fail_type(const struct option *option, const struct node *node) {
    char type[512];
    const char *mark = node->kind == NODE_SCALAR ? "\"" : "";
    FAIL_AT(node, STATUS_USAGE, "%s: %s%s%s is not what it takes (%s)", option->name, mark,
        node_word(node), mark, option_type_text(type, sizeof type, option));
}

static status check_range(const struct option *option, const struct node *node, double value) {
    if ((option->low != 0 || option->high != 0) && (value < option->low || value > option->high)) {
        char range[128];
        FAIL_AT(node, STATUS_USAGE, "%s: %s is out of range (%s)", option->name, node->text,
            option_range(range, sizeof range, option));
    }
    return STATUS_OK;
}

static status parse_integer(int64_t *value, const struct option *option, const struct node *node) {
    if (node->kind != NODE_SCALAR || node->quoted || !number_parse_integer(value, node->text)) {
        return fail_type(option, node);
    }
    return check_range(option, node, (double)*value);
}

static status parse_bytes(int64_t *value, const struct option *option, const struct node *node) {
    if (node->kind != NODE_SCALAR || !number_parse_bytes(value, node->text)) {
        FAIL_AT(node, STATUS_USAGE, "%s: \"%s\" is no number of bytes (like 4 MiB, 512 KiB, 1 GiB)",
            option->name, node_word(node));
    }
    return check_range(option, node, (double)*value);
}

static status parse_real(double *value, const struct option *option, const struct node *node) {
    if (node->kind != NODE_SCALAR || node->quoted || !number_parse_real(value, node->text)) {
        return fail_type(option, node);
    }
    return check_range(option, node, *value);
}

static status parse_switch(bool *value, const struct option *option, const struct node *node) {
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}};
    for (size_t i = 0; node->kind == NODE_SCALAR && !node->quoted && i < 3; i++) {
        for (int truth = 0; truth < 2; truth++) {
            if (strcasecmp(node->text, words[i][truth]) == 0) {
                *value = truth;
                return STATUS_OK;
            }
        }
    }
    return fail_type(option, node);
}

static status parse_text(const char **value, const struct option *option, const struct node *node) {
    if (node->kind != NODE_SCALAR) {
        return fail_type(option, node);
    }
    *value = node->text;
    return STATUS_OK;
}

static status parse_name(int *value, const struct option *option, const struct node *node) {
    if (node->kind != NODE_SCALAR) {
        return fail_type(option, node);
    }
    int count = 0;
    for (; option->names[count] != NULL; count++) {
        if (strcmp(node->text, option->names[count]) == 0) {
            *value = count;
            return STATUS_OK;
        }
    }
    char known[768] = "";
    text_append_known(known, sizeof known, node->text, option->names, count);
    FAIL_AT(node, STATUS_USAGE, "%s: unknown \"%s\"%s", option->name, node->text, known);
}

static status parse_pair(int64_t value[2], const struct option *option, const struct node *node) {
    if (node->kind != NODE_LIST) {
        TRY(parse_integer(&value[0], option, node));
        value[1] = value[0];
        return STATUS_OK;
    }
    if (node_count(node) != 2) {
        FAIL_AT(node, STATUS_USAGE, "%s: a list of %d where two numbers (height, width) belong",
            option->name, node_count(node));
    }
    TRY(parse_integer(&value[0], option, node->child));
    return parse_integer(&value[1], option, node->child->next);
}

/* Lists may be given as their only entry. `first` is then the node itself. */
static int list_entries(const struct node **first, const struct node *node) {
    *first = node->kind == NODE_LIST ? node->child : node;
    return node->kind == NODE_LIST ? node_count(node) : 1;
}

static status parse_reals(struct option_reals *reals, const struct option *option,
    const struct node *node, struct pool *pool) {
    const struct node *entry;
    int count = list_entries(&entry, node);
    double *values;
    TRY(pool_take(pool, (void **)&values, (size_t)count, sizeof *values));
    for (int i = 0; i < count; i++, entry = entry->next) {
        TRY(parse_real(&values[i], option, entry));
    }
    *reals = (struct option_reals){count, values};
    return STATUS_OK;
}

static status parse_texts(struct option_texts *texts, const struct option *option,
    const struct node *node, struct pool *pool) {
    const struct node *entry;
    int count = list_entries(&entry, node);
    const char **values;
    TRY(pool_take(pool, (void **)&values, (size_t)count, sizeof *values));
    for (int i = 0; i < count; i++, entry = entry->next) {
        TRY(parse_text(&values[i], option, entry));
    }
    *texts = (struct option_texts){count, values};
    return STATUS_OK;
}

static status parse_choices(struct choices *choices, const struct option *option,
    const struct node *node, struct pool *pool) {
    const struct node *entry;
    int count = list_entries(&entry, node);
    char what[64];
    snprintf(what, sizeof what, "entry of %s", option->name);
    TRY(pool_take(pool, (void **)&choices->items, (size_t)count, sizeof *choices->items));
    for (int i = 0; i < count; i++, entry = entry->next) {
        TRY(options_parse_choice(&choices->items[i], option->kinds, entry, what, pool));
    }
    choices->count = count;
    return STATUS_OK;
}

/* A node from the text of a default: a scalar, or "[a, b]". */
static status node_of_default(struct node **node, const struct option *option, struct pool *pool) {
    const char *text = option->initial;
    TRY(pool_take(pool, (void **)node, 1, sizeof **node));
    **node = (struct node){.kind = NODE_SCALAR, .text = text, .file = "default"};
    if (text[0] != '[') {
        return STATUS_OK;
    }
    (*node)->kind = NODE_LIST;
    struct node **link = &(*node)->child;
    const char *at = text + 1;
    while (*(at += strspn(at, " ,]")) != '\0') {
        size_t length = strcspn(at, ",]");
        char *entry;
        TRY(pool_copy_text(pool, &entry, at, length));
        TRY(pool_take(pool, (void **)link, 1, sizeof **link));
        **link = (struct node){.kind = NODE_SCALAR, .text = entry, .file = "default"};
        link = &(*link)->next;
        at += length;
    }
    return STATUS_OK;
}

/* Where a table is parsed: what messages say of keys that are missing or unknown. */
struct context {
    const struct node *place; /* nearest node that exists, or NULL */
    const char *owner;        /* name of the group or kind, or NULL */
    struct pool *pool;
};

static status parse_table(void *values, const struct option *table, const struct node *node,
    const struct context *context);

static status parse_group(void *values, const struct option *option, const struct node *node,
    const struct context *context) {
    struct context inner = {node != NULL ? node : context->place, option->name, context->pool};
    return parse_table(values, option->table, node, &inner);
}

/* Zero, or absent. */
static void clear_field(void *field, enum option_type type) {
    static const size_t sizes[] = {
        [OPTION_INTEGER] = sizeof(int64_t),
        [OPTION_REAL] = sizeof(double),
        [OPTION_SWITCH] = sizeof(bool),
        [OPTION_TEXT] = sizeof(const char *),
        [OPTION_BYTES] = sizeof(int64_t),
        [OPTION_NAME] = sizeof(int),
        [OPTION_PAIR] = sizeof(int64_t[2]),
        [OPTION_REALS] = sizeof(struct option_reals),
        [OPTION_TEXTS] = sizeof(struct option_texts),
        [OPTION_GROUP] = 0, /* its own options see to it */
        [OPTION_CHOICE] = sizeof(struct choice),
        [OPTION_CHOICES] = sizeof(struct choices),
        [OPTION_NODE] = sizeof(const struct node *),
    };
    memset(field, 0, sizes[type]);
}

static status parse_option(void *values, const struct option *option, const struct node *node,
    const struct context *context) {
    void *field = (char *)values + option->offset;
    struct pool *pool = context->pool;
    clear_field(field, option->type);
    if (is_absent(node)) {
        if (option->flags & OPTION_REQUIRED) {
            FAIL_AT(node != NULL ? node : context->place, STATUS_USAGE,
                "%s%s\"%s\" is missing (%s)", context->owner != NULL ? context->owner : "",
                context->owner != NULL ? ": " : "", option->name, option->help);
        }
        struct node *initial = NULL;
        if (option->initial != NULL) {
            TRY(node_of_default(&initial, option, pool));
        } else if (option->type != OPTION_GROUP) {
            return STATUS_OK;
        }
        node = initial;
    }
    switch (option->type) {
    case OPTION_INTEGER: return parse_integer(field, option, node);
    case OPTION_REAL: return parse_real(field, option, node);
    case OPTION_SWITCH: return parse_switch(field, option, node);
    case OPTION_TEXT: return parse_text(field, option, node);
    case OPTION_BYTES: return parse_bytes(field, option, node);
    case OPTION_NAME: return parse_name(field, option, node);
    case OPTION_PAIR: return parse_pair(field, option, node);
    case OPTION_REALS: return parse_reals(field, option, node, pool);
    case OPTION_TEXTS: return parse_texts(field, option, node, pool);
    case OPTION_GROUP: return parse_group(field, option, node, context);
    case OPTION_CHOICE: return options_parse_choice(field, option->kinds, node, option->name, pool);
    case OPTION_CHOICES: return parse_choices(field, option, node, pool);
    case OPTION_NODE: memcpy(field, &node, sizeof node); return STATUS_OK;
    }
    return STATUS_OK;
}

static status check_keys(
    const struct option *table, const struct node *mapping, const struct context *context) {
    int count = options_count(table);
    for (const struct node *child = mapping->child; child != NULL; child = child->next) {
        int i = 0;
        while (i < count && strcmp(table[i].name, child->key) != 0) {
            i++;
        }
        if (i < count) {
            continue;
        }
        const char **names;
        TRY(pool_take(context->pool, (void **)&names, (size_t)count, sizeof *names));
        for (int k = 0; k < count; k++) {
            names[k] = table[k].name;
        }
        char known[768] = "";
        text_append_known(known, sizeof known, child->key, names, count);
        FAIL_AT(child, STATUS_USAGE, "%s%sunknown key \"%s\"%s",
            context->owner != NULL ? context->owner : "", context->owner != NULL ? ": " : "",
            child->key, known);
    }
    return STATUS_OK;
}

static status parse_table(void *values, const struct option *table, const struct node *node,
    const struct context *context) {
    bool shorthand = !is_absent(node) && node->kind != NODE_MAPPING;
    if (!is_absent(node) && options_count(table) == 0 && (shorthand || node->child != NULL)) {
        FAIL_AT(node, STATUS_USAGE, "%s takes no options", context->owner);
    }
    if (!is_absent(node) && !shorthand) {
        TRY(check_keys(table, node, context));
    }
    for (int i = 0; i < options_count(table); i++) {
        const struct node *value =
            shorthand ? (i == 0 ? node : NULL) : node_get(node, table[i].name);
        TRY(parse_option(values, &table[i], value, context));
    }
    return STATUS_OK;
}

status options_parse(
    void *values, const struct option *table, const struct node *mapping, struct pool *pool) {
    if (!is_absent(mapping) && mapping->kind != NODE_MAPPING) {
        FAIL_AT(mapping, STATUS_USAGE, "keys with values belong here, not %s", node_word(mapping));
    }
    struct context context = {mapping, mapping != NULL ? mapping->key : NULL, pool};
    return parse_table(values, table, mapping, &context);
}

const struct kind *options_find(const struct kind *const *kinds, const char *name) {
    for (int i = 0; kinds[i] != NULL; i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

status options_parse_choice(struct choice *choice, const struct kind *const *kinds,
    const struct node *node, const char *what, struct pool *pool) {
    *choice = (struct choice){.node = node};
    const struct node *options = NULL;
    const char *name = NULL;
    if (node != NULL && node->kind == NODE_SCALAR) {
        name = node->text;
    } else if (node != NULL && node->kind == NODE_MAPPING && node->child != NULL) {
        options = node->child;
        name = options->key;
        if (options->next != NULL) {
            FAIL_AT(options->next, STATUS_USAGE,
                "%s: \"%s\" stands beside \"%s\"; one %s is one name, with its options indented "
                "below it",
                what, options->next->key, name, what);
        }
    } else {
        FAIL_AT(
            node, STATUS_USAGE, "%s: a name, or a name with options below it, belongs here", what);
    }
    const struct kind *kind = options_find(kinds, name);
    if (kind == NULL) {
        int count = kinds_count(kinds);
        const char **names;
        TRY(pool_take(pool, (void **)&names, (size_t)count, sizeof *names));
        for (int i = 0; i < count; i++) {
            names[i] = kinds[i]->name;
        }
        char known[768] = "";
        text_append_known(known, sizeof known, name, names, count);
        FAIL_AT(options != NULL ? options : node, STATUS_USAGE, "unknown %s \"%s\"%s", what, name,
            known);
    }
    TRY(pool_take(pool, &choice->values, 1, kind->options_size > 0 ? kind->options_size : 1));
    choice->kind = kind;
    struct context context = {options != NULL ? options : node, name, pool};
    return parse_table(choice->values, kind->options, options, &context);
}
