/* Which Convoy this is. */
#ifndef TRAINER_VERSION_H
#define TRAINER_VERSION_H

/* "0.1.0". */
const char *version_number(void);

/* Digest of the sources: two programs with the same identity compute the same bits. */
const char *version_identity(void);

#endif
