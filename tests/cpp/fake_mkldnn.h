// The test's side of the counting fake of MKL-DNN (fake_*.cc, built as libmkldnn.so.0, and of 1.0
// as libmkldnn.so.1): what it saw, and how to make it fail. Everything here is thread-safe; the
// fake is of the release of the headers, and its own code throughout: it computes nothing but it
// remembers everything.
#pragma once

#include "interface.h"

extern "C" {

// What it keeps apart when counting objects. Descriptors and primitives of memory (and views) are
// not among those of operations.
enum FakeType {
  kFakeEngine,
  kFakeMemoryDescriptor,
  kFakeDescriptor,
  kFakeMemory,
  kFakePrimitive,
  kFakeIterator,
  kFakeAttr,
  kFakePostOps,
  kFakeStream,
  kFakeTypes,
};
long fake_created(FakeType type);
long fake_live(FakeType type);
// Which objects live, engines apart, in words; empty when none does.
const char *fake_left(void);

// Functions are named without their mkldnn_ prefix.
long fake_calls(const char *function);

// Handles that were destroyed before, or never were handles; the first one in words.
long fake_misuses(void);
const char *fake_misuse(void);

// Primitives destroyed on another thread than created them (memory objects not counted).
long fake_foreign_destroys(void);
// set_data_handle calls that would have written zeros into the padding of the caller's buffer.
long fake_zero_paddings(void);

// From the nth call (1 = next) of `function` on, once or for good: return `status`, do nothing.
// Destructions happen all the same. Functions without a status return nullptr or 0.
void fake_fail(const char *function, long nth, int for_good, mkldnn_status_t status);
void fake_stop_failing(void);
// How many calls failed that way so far.
long fake_failures(void);

// Hand out the address of the object of that type that was destroyed last; else never twice.
void fake_reuse_addresses(int on);
// Creating a deconvolution's descriptor calls other exported functions.
void fake_call_back(int on);
// Called at the start of every creation of a primitive; nullptr: nothing is.
void fake_on_primitive_create(void (*hook)(void));
// Each object of that type that is made from now on allocates so many bytes, and frees them when it
// is destroyed.
void fake_grow(FakeType type, size_t bytes);
// From now on convolutions, deconvolutions and inner products share scratchpads, as the real ones
// may.
void fake_count_scratchpads(int on);
// What the fake's omp_get_max_threads says.
void fake_set_max_threads(int n);
// And its omp_in_parallel.
void fake_set_in_parallel(int on);
// How many implementations an operation has; 3 unless set.
void fake_set_implementations(int n);

// A digest of all that a descriptor was made from, implementation and hint included.
uint64_t fake_content(const_mkldnn_primitive_desc_t descriptor);

// One execution of a primitive: what it was, and the data pointers at that moment, inputs first.
const size_t kFakeData = 16;
struct FakeExecution {
  uint64_t content;
  int kind;
  int inputs;
  int outputs;
  void *data[kFakeData];
};
// Executions on the calling thread, oldest first.
long fake_executions(void);
FakeExecution fake_execution(long index);
void fake_forget_executions(void);

}  // extern "C"
