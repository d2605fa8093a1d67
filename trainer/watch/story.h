/* What the watch says, in words. */
#ifndef TRAINER_WATCH_STORY_H
#define TRAINER_WATCH_STORY_H

#include "trainer/watch/peers.h"

#define STORY_SIZE 512

/* "rank 3 (node7, process 4711) is stopped: nothing was heard of it for 6.0 s" */
void story_silence(
    char text[STORY_SIZE], const struct peers *peers, const struct heart_verdict *verdict);

/* "rank 1 (node1) has waited 61 s for the exchange of bucket 3 in step 121; not there: rank 2
 * (node2), busy with forward in step 121, for 61 s, and 3 more" */
void story_wait(char text[STORY_SIZE], const struct peers *peers, const struct heart_beat *all);

#endif
