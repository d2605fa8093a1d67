#include "trainer/version.h"

#include "build_identity.h"

const char *version_number(void) {
    return CONVOY_VERSION;
}

const char *version_identity(void) {
    return CONVOY_BUILD_IDENTITY;
}
