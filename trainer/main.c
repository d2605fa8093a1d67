#include "trainer/version.h"

#include <stdio.h>

int main(void) {
    printf("convoy %s (%s)\n", version_number(), version_identity());
    return 0;
}
