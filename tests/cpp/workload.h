// What MXNet does, in small: describe an operation, create a primitive of it over memory objects,
// submit it. For the tests against the fake, where shapes mean nothing and pointers everything.
#ifndef OPCACHE_TESTS_WORKLOAD_H_
#define OPCACHE_TESTS_WORKLOAD_H_

#include <mkldnn.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "fake_mkldnn.h"
#include "json.h"

namespace workload {

enum What {
  kReluForward,
  kReluBackward,
  kBatchNormForward,
  kBatchNormBackward,
  kConvolutionForward,
  kConvolutionBackwardData,
  kConvolutionBackwardWeights,
  kDeconvolutionForward,  // MKL-DNN's own kind, which MXNet does not use
  kInnerProductBackwardData,
  kInnerProductBackwardWeights,
  kLrnBackward,
  kPoolingBackward,
  kSoftmax,
  kReorder,
  kSum,
  kConcat,
  kShuffle,  // a kind that the library does not know
  kWhats,
};
// The name under which the library counts it.
const char *name_of(What what);

struct Engine {
  Engine();
  ~Engine();
  mkldnn_engine_t handle;
};

// A one-dimensional layout, and one of four dimensions.
mkldnn_memory_desc_t line(int n);
mkldnn_memory_desc_t image(int n, mkldnn_memory_format_t format = mkldnn_nchw);

// A descriptor of operation `what` of size `n`: different sizes, different descriptions. A backward
// one makes its forward hint first and destroys it afterwards. `direct`: past the library.
mkldnn_status_t describe(mkldnn_engine_t engine, What what, int n, mkldnn_primitive_desc_t *result,
                         bool direct = false);

// Owns a handle that describe() made; checks that it could.
struct Described {
  Described(mkldnn_engine_t engine, What what, int n);
  ~Described();
  mkldnn_primitive_desc_t pd;
};

// The digest that an execution of such an operation leaves in the fake's log.
uint64_t content(mkldnn_engine_t engine, What what, int n);

struct Memory {
  Memory(mkldnn_engine_t engine, void *data);
  Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md, void *data);
  Memory(const Memory &) = delete;
  ~Memory();
  void point_to(void *data);
  mkldnn_primitive_t handle;
};

// Distinct addresses, never read or written.
char *buffer(int i);

// A primitive over memory objects of its own, whose data are at buffer(first), buffer(first + 1)
// ... inputs first.
struct Bound {
  Bound(mkldnn_engine_t engine, mkldnn_primitive_desc_t pd, int first);
  ~Bound();
  void destroy_primitive();
  // On a stream of its own.
  void execute();
  // Executes and checks the log: its own data, and the content if not 0.
  void run(uint64_t content = 0);
  void check_log(int first, uint64_t content) const;

  std::vector<Memory *> memories;
  std::vector<mkldnn_primitive_at_t> inputs;
  std::vector<const_mkldnn_primitive_t> outputs;
  mkldnn_primitive_t handle;
  int first;
};

struct Stream {
  explicit Stream(mkldnn_stream_kind_t kind);
  ~Stream();
  void submit(mkldnn_primitive_t primitive);
  void wait();
  mkldnn_stream_t handle;
};

// Describe, create, run, destroy: one call of an operator.
void call(mkldnn_engine_t engine, What what, int n, int first = 0);
// How many real primitives such a call creates.
long primitives_made_by(const std::function<void()> &f);
long descriptors_made_by(const std::function<void()> &f);

// Runs f on a thread and waits for its end, when that thread's part of the cache is gone too.
void on_thread(const std::function<void()> &f);

// Nothing is left at the fake, and nothing was done wrong with it.
void check_all_gone();
void check_no_misuse();

// The library's statistics; numbers by their path, 0 where absent.
class Stats {
 public:
  Stats();
  explicit Stats(const std::string &text);
  double operator[](const std::string &path) const;
  std::string text(const std::string &path) const;
  bool has(const std::string &path) const { return document.count(path) != 0; }
  json::Document document;

 private:
  void parse(const std::string &text);
};

// The same function of the library beneath; nullptr when it has none.
void *beneath(const char *function);

}  // namespace workload

#endif  // OPCACHE_TESTS_WORKLOAD_H_
