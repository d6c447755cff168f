/* C interface of libmkldnn_opcache.so, for programs that want to look at the cache they run on, or
 * to steer it. Every function may be called on any thread at any time, beside threads that train.
 *
 * What is changed here holds for the whole process and for what begins afterwards: a call into
 * MKL-DNN that is under way ends as it began. Handles that callers hold stay valid whatever is
 * changed; primitives keep following their callers' data. */
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

/* Drops everything idle: primitives, memory objects and descriptors that no caller holds. A thread
 * can destroy only its own, so the calling thread drops them before this returns, and every other
 * thread at its next call that creates, clones or destroys something or submits a stream; one that
 * never calls again keeps them until it ends. What callers hold is kept when they release it. What
 * they release of a thread that has ended may stay until the next thread ends. */
void mkldnn_opcache_clear(void);

/* The scope, in the words of MKLDNN_OPCACHE, like snprintf. */
size_t mkldnn_opcache_get_scope(char *buffer, size_t size);

/* Changes the scope; 0 on success. Otherwise nothing has changed: 1, there is a word that is none,
 * and bad_word (may be NULL) holds at most size bytes of it with the terminating NUL; 2, the text
 * is longer than 255 characters. Operators that leave the scope are passed through from then on;
 * what is idle of them stays until it is cleared or evicted. */
int mkldnn_opcache_set_scope(const char *scope, char *bad_word, size_t size);

/* Most primitives, and most descriptors, that are kept; 0 = off. */
size_t mkldnn_opcache_get_capacity(void);

/* 0 on success; 1, and nothing has changed, for more than 2^30. What is idle beyond a lower
 * capacity is evicted, by each thread its own, at the same times as with mkldnn_opcache_clear; at
 * 0, descriptors that callers held then stay until the next clear. */
int mkldnn_opcache_set_capacity(size_t capacity);

/* Most bytes that what is idle may take, as MKLDNN_OPCACHE_MEMORY; 0 = off. Without this bound the
 * one of MKLDNN_OPCACHE_MEMORY_ESTIMATE is in force. */
#define MKLDNN_OPCACHE_NO_MEMORY_BOUND ((size_t) - 1)
size_t mkldnn_opcache_get_memory(void);

/* 0 on success; 1, and nothing has changed, for more than 2^50 that is not
 * MKLDNN_OPCACHE_NO_MEMORY_BOUND. What is idle beyond a lower bound is evicted as with
 * mkldnn_opcache_set_capacity. What was made while there was no bound is counted as estimated,
 * for it was not measured. */
int mkldnn_opcache_set_memory(size_t bytes);

/* Between the two nothing new comes from the cache, on any thread, and what is in it stays; a copy
 * of a descriptor that a caller holds from before is still a reference on that one. Pauses add up:
 * as many have to end as were begun. resume returns 1 when there is none to end, else 0. */
void mkldnn_opcache_pause(void);
int mkldnn_opcache_resume(void);

#ifdef __cplusplus
}
#endif

#endif /* OPCACHE_OPCACHE_H_ */
