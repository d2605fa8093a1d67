#include "worker/net.h"

const struct kind *const layers[] = {NULL};
