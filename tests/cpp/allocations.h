// Failures of the memory of the library under test: its malloc, calloc, realloc, posix_memalign and
// pthread_setspecific (which allocates too) fail at the nth call. The library is the one that is
// handed out: its table of imported functions is rewritten in this process, nothing is compiled
// differently and no other library is touched.
#ifndef OPCACHE_TESTS_ALLOCATIONS_H_
#define OPCACHE_TESTS_ALLOCATIONS_H_

namespace allocations {

// Puts the counting functions in place; how many imports it found. Once, before the library is
// used.
int watch();

// From the nth allocation (1 = next) on, once or for good, on any thread.
void fail(long nth, bool for_good);
void stop();

// Allocations asked for, and failed, so far.
long asked();
long failed();
// Blocks that the library holds.
long alive();

}  // namespace allocations

#endif  // OPCACHE_TESTS_ALLOCATIONS_H_
