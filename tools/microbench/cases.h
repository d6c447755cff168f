// The operations that are measured, in shapes of a ResNet, described to MKL-DNN as MXNet does it.
// Knows nothing of clocks or of the cache.
#ifndef OPCACHE_MICROBENCH_CASES_H_
#define OPCACHE_MICROBENCH_CASES_H_

#include <mkldnn.h>

#include <functional>
#include <memory>
#include <vector>

#include "fail.h"

namespace microbench {

// What differs between the releases of MKL-DNN, as far as this program meets it.
struct Release {
  const char *name;
  mkldnn_memory_format_t nchw;
  mkldnn_alg_kind_t relu, pooling_max, lrn_across_channels;
  bool iterates;  // its C++ interface, so MXNet too, makes descriptors through an iterator
};
const Release *find_release(const char *name);

struct Host {
  mkldnn_engine_t engine;
  const Release &release;
};

typedef std::function<mkldnn_status_t(mkldnn_primitive_desc_t *)> Describe;
typedef std::shared_ptr<mkldnn_primitive> Primitive;

// One operation with the memory objects that its primitives are made over. Hints and the
// descriptors of inputs are made once, here, and live as long; they have no data.
class Case {
 public:
  Case(const char *name, const Describe &describe);

  const char *name() const { return name_; }

  // What MXNet does for one call of the operator: describe, create, destroy both.
  void cycle() const {
    mkldnn_primitive_desc_t descriptor;
    mkldnn_primitive_t primitive;
    ok(describe_(&descriptor), name_);
    ok(mkldnn_primitive_create(&primitive, descriptor, inputs_.data(), outputs_.data()),
       "mkldnn_primitive_create");
    ok(mkldnn_primitive_destroy(primitive), "mkldnn_primitive_destroy");
    ok(mkldnn_primitive_desc_destroy(descriptor), "mkldnn_primitive_desc_destroy");
  }

  Primitive create() const;
  mkldnn_primitive_t memory(size_t i) const { return memories_[i].get(); }  // inputs first

 private:
  const char *name_;
  Describe describe_;
  std::vector<Primitive> memories_;
  std::vector<mkldnn_primitive_at_t> inputs_;
  mutable std::vector<const_mkldnn_primitive_t> outputs_;  // only read, but not declared so
};

// One per primitive kind and direction.
std::vector<Case> all_cases(const Host &host);

Case convolution_forward(const Host &host, int batch_size);

// Executes in next to no time: ReLU on this many numbers.
const int kTiny = 16;
Case tiny_relu(const Host &host);

}  // namespace microbench

#endif  // OPCACHE_MICROBENCH_CASES_H_
