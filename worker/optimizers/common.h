/* What optimizers share: weight decay, and which parameters go by their norms. An optimizer's
 * struct of options has the members, its table the lines. */
#ifndef WORKER_OPTIMIZERS_COMMON_H
#define WORKER_OPTIMIZERS_COMMON_H

#include "worker/optimizer.h"

#define OPTIMIZER_REAL(values, member, name_, initial_, low_, high_, help_)                        \
    {                                                                                              \
        .name = name_, .type = OPTION_REAL, .offset = offsetof(values, member),                    \
        .initial = initial_, .low = low_, .high = high_, .flags = OPTION_CHANGES_BITS,             \
        .help = help_                                                                              \
    }
#define OPTIMIZER_SWITCH(values, member, name_, initial_, help_)                                   \
    {                                                                                              \
        .name = name_, .type = OPTION_SWITCH, .offset = offsetof(values, member),                  \
        .initial = initial_, .flags = OPTION_CHANGES_BITS, .help = help_                           \
    }

struct optimizer_decay {
    double weight;
    bool bias, norm;
};

#define OPTIMIZER_DECAY(values, member, initial_, help_)                                           \
    OPTIMIZER_REAL(values, member.weight, "weight_decay", initial_, 0, 1, help_),                  \
        OPTIMIZER_SWITCH(values, member.bias, "decay_bias", "true", "whether biases decay too"),   \
        OPTIMIZER_SWITCH(values, member.norm, "decay_norm", "true",                                \
            "whether scales and shifts of batch norm decay too")

static inline float optimizer_decay_of(
    const struct optimizer_decay *decay, enum parameter_kind kind) {
    bool decays =
        (kind != PARAMETER_BIAS || decay->bias) && (kind != PARAMETER_NORM || decay->norm);
    return decays ? (float)decay->weight : 0.0f;
}

/* Which parameters take steps in proportion to their own norm (lars, lamb). The others take the
 * rate of the schedule, as in the practice that came after the papers. */
struct optimizer_trust {
    bool bias, norm;
};

#define OPTIMIZER_TRUST(values, member)                                                            \
    OPTIMIZER_SWITCH(values, member.bias, "adapt_bias", "false",                                   \
        "whether the steps of biases go by norms too"),                                            \
        OPTIMIZER_SWITCH(values, member.norm, "adapt_norm", "false",                               \
            "whether those of scales and shifts of batch norm do")

static inline bool optimizer_trusts(const struct optimizer_trust *trust, enum parameter_kind kind) {
    return (kind != PARAMETER_BIAS || trust->bias) && (kind != PARAMETER_NORM || trust->norm);
}

#endif
