#include "schedulers/schedule.h"

const struct kind *const schedules[] = {NULL};
