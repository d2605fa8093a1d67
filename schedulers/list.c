#include "schedulers/common.h"

const struct kind *const schedules[] = {
    &schedule_constant.kind,
    &schedule_step.kind,
    &schedule_multistep.kind,
    &schedule_exponential.kind,
    &schedule_inverse.kind,
    &schedule_polynomial.kind,
    &schedule_cosine.kind,
    &schedule_one_cycle.kind,
    &schedule_plateau.kind,
    NULL,
};
