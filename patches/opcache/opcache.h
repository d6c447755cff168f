/* C interface of libmkldnn_opcache.so for programs that want to look at the cache they run on. */
#ifndef OPCACHE_OPCACHE_H_
#define OPCACHE_OPCACHE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the statistics as JSON, like snprintf: at most size bytes with the terminating NUL;
 * returns the length of the whole text without it. */
size_t mkldnn_opcache_stats_json(char *buffer, size_t size);

/* Counts from zero again; what is cached stays cached. */
void mkldnn_opcache_reset_stats(void);

#ifdef __cplusplus
}
#endif

#endif /* OPCACHE_OPCACHE_H_ */
