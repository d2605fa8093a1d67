#include "base/options.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#define LONGEST 48

/* Edits (insert, delete, replace, swap of neighbours) that make one name of the other: Damerau
 * 1964, in the restricted form that edits no place twice. */
static int edit_distance(const char *a, const char *b) {
    int rows = (int)strlen(a), columns = (int)strlen(b);
    if (rows > LONGEST || columns > LONGEST) {
        return INT_MAX;
    }
    int table[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= rows; i++) {
        table[i][0] = i;
        for (int j = 1; j <= columns; j++) {
            if (i == 0) {
                table[0][j] = j;
                continue;
            }
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            int least = table[i - 1][j - 1] + (same ? 0 : 1);
            least = least < table[i - 1][j] + 1 ? least : table[i - 1][j] + 1;
            least = least < table[i][j - 1] + 1 ? least : table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                table[i - 2][j - 2] + 1 < least) {
                least = table[i - 2][j - 2] + 1;
            }
            table[i][j] = least;
        }
    }
    return table[rows][columns];
}

const char *options_nearest(const char *name, const char *const *names, int count) {
    int length = (int)strlen(name);
    const char *nearest = NULL;
    int least = (length + 2) / 3 + 1; /* one edit in three letters is a slip, more another word */
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(name, names[i]);
        if (distance < least && distance < length) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
