#include "base/document.h"
#include "base/number.h"

#include <string.h>
#include <strings.h>

/* Words that YAML 1.1 reads as something else than text. */
static bool is_reserved(const char *text) {
    static const char *const words[] = {
        "null", "~", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf", "-.inf"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    double number;
    return number_parse_real(&number, text);
}

/* Whether the text may stand without quotes anywhere, in lists in brackets too. */
static bool is_plain(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || strchr("-?:,[]{}#&*!|>'\"%@` ", text[0]) != NULL ||
        text[length - 1] == ' ' || text[length - 1] == ':') {
        /* A number may start with a minus sign. */
        double number;
        return number_parse_real(&number, text);
    }
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at < ' ' || *at == 127 || strchr(",[]{}", *at) != NULL ||
            (*at == ':' && at[1] == ' ') || (*at == ' ' && at[1] == '#')) {
            return false;
        }
    }
    return strcmp(text, "---") != 0 && strcmp(text, "...") != 0;
}

void node_write_text(FILE *out, const char *text, bool quoted) {
    if (is_plain(text) && !(quoted && is_reserved(text))) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(out, "\\%c", *at);
        } else if (*at == '\n') {
            fputs("\\n", out);
        } else if (*at < ' ' || *at == 127) {
            fprintf(out, "\\x%02x", *at);
        } else {
            fputc(*at, out);
        }
    }
    fputc('"', out);
}

static void write_entries(FILE *out, const struct node *node, int indent, bool first_is_placed);

/* What follows a key or a dash on its line, and the lines below it. */
static void write_value(FILE *out, const struct node *node, int indent) {
    bool is_list = node->kind == NODE_LIST;
    if (node->kind == NODE_SCALAR) {
        fputc(' ', out);
        node_write_text(out, node->text, node->quoted);
        fputc('\n', out);
    } else if (node->kind == NODE_NULL) {
        fputs(" null\n", out);
    } else if (node->child == NULL) {
        fputs(is_list ? " []\n" : " {}\n", out);
    } else {
        fputc('\n', out);
        write_entries(out, node, indent, false);
    }
}

/* Entries of a list or mapping, one a line; the first may be on its line already ("- conv: ...").
 */
static void write_entries(FILE *out, const struct node *node, int indent, bool first_is_placed) {
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        if (!(first_is_placed && child == node->child)) {
            fprintf(out, "%*s", indent, "");
        }
        if (node->kind == NODE_MAPPING) {
            node_write_text(out, child->key, true);
            fputc(':', out);
            write_value(out, child, indent + 2);
        } else if (child->kind == NODE_MAPPING && child->child != NULL) {
            fputs("- ", out);
            write_entries(out, child, indent + 2, true);
        } else {
            fputc('-', out);
            write_value(out, child, indent + 2);
        }
    }
}

void node_write(FILE *out, const struct node *node, int indent) {
    if (node->kind == NODE_SCALAR) {
        fprintf(out, "%*s", indent, "");
        node_write_text(out, node->text, node->quoted);
        fputc('\n', out);
    } else if (node->child == NULL) {
        static const char *const empty[] = {
            [NODE_NULL] = "null", [NODE_LIST] = "[]", [NODE_MAPPING] = "{}"};
        fprintf(out, "%*s%s\n", indent, "", empty[node->kind]);
    } else {
        write_entries(out, node, indent, false);
    }
}
