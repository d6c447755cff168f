#include "workload.h"

#include <thread>

#include "api.h"

namespace workload {

using operation::Kind;
using operation::Pass;

namespace {

// By What. `bias`: of the operation and of the forward pass that it takes its hint from, as MXNet
// has it.
const struct {
  const char *name;
  Kind kind;
  Pass pass;
  bool bias;
} kRows[kWhats] = {
    {"Activation", operation::kEltwise, operation::kForward, false},
    {"_backward_Activation", operation::kEltwise, operation::kBackwardData, false},
    {"BatchNorm", operation::kBatchNorm, operation::kForward, false},
    {"_backward_BatchNorm", operation::kBatchNorm, operation::kBackwardData, false},
    {"Convolution", operation::kConvolution, operation::kForward, false},
    {"_backward_Convolution", operation::kConvolution, operation::kBackwardData, false},
    {"_backward_Convolution", operation::kConvolution, operation::kBackwardWeights, true},
    {"Deconvolution", operation::kDeconvolution, operation::kForward, false},
    {"_backward_FullyConnected", operation::kInnerProduct, operation::kBackwardData, false},
    {"_backward_FullyConnected", operation::kInnerProduct, operation::kBackwardWeights, true},
    {"_backward_LRN", operation::kLrn, operation::kBackwardData, false},
    {"_backward_Pooling", operation::kPooling, operation::kBackwardData, false},
    {"softmax", operation::kSoftmax, operation::kForward, false},
    {"reorder", operation::kKinds, operation::kForward, false},
    {"sum", operation::kKinds, operation::kForward, false},
    {"Concat", operation::kKinds, operation::kForward, false},
    {"other", operation::kShuffle, operation::kForward, false}};

const api::Api &api_of(bool direct) { return direct ? api::direct() : api::through(); }

// Two memory descriptors and what is made of them.
template <class Create>
mkldnn_status_t over_memories(const api::Api &a, mkldnn_engine_t engine,
                              const mkldnn_memory_desc_t &x, const mkldnn_memory_desc_t &y,
                              const Create &create) {
  mkldnn_primitive_desc_t pds[2] = {nullptr, nullptr};
  mkldnn_status_t status = a.memory_primitive_desc_create(&pds[0], &x, engine);
  if (status == mkldnn_success) status = a.memory_primitive_desc_create(&pds[1], &y, engine);
  if (status == mkldnn_success) status = create(pds);
  for (mkldnn_primitive_desc_t pd : pds) {
    if (pd != nullptr) a.primitive_desc_destroy(pd);
  }
  return status;
}

}  // namespace

const char *name_of(What what) { return kRows[what].name; }

const std::vector<What> &known_kinds() {
  static const std::vector<What> all = [] {
    std::vector<What> known;
    for (int what = 0; what < kShuffle; ++what) known.push_back(static_cast<What>(what));
    return known;
  }();
  return all;
}

operation::Operation operation_of(What what, int n) {
  const mkldnn_memory_desc_t small = image(n);
  operation::Operation op;
  switch (kRows[what].kind) {
    case operation::kEltwise:
      op = operation::eltwise(mkldnn_eltwise_relu, small);
      break;
    case operation::kLrn:
      op = operation::lrn(mkldnn_lrn_across_channels, small);
      break;
    case operation::kPooling:
      op = operation::pooling(mkldnn_pooling_max, image(2 * n), small);
      break;
    case operation::kSoftmax:
    case operation::kShuffle:
      op = operation::softmax(small, 1);
      break;
    default:
      op = operation::convolution(small, image(3), small);
  }
  op.kind = kRows[what].kind;
  if (op.kind == operation::kDeconvolution) op.algorithm = mkldnn_deconvolution_direct;
  if (kRows[what].bias) op.biased(line(3));
  return op;
}

void *beneath(const char *function) {
  static void *const handle = dlopen("libmkldnn.so.0", RTLD_NOLOAD | RTLD_LAZY);
  REQUIRE(handle != nullptr);
  return dlsym(handle, function);
}

operation::OpDesc op_desc(What what, int n) {
  operation::OpDesc d;
  CHECK_OK(operation_of(what, n).describe(kRows[what].pass, &d));
  return d;
}

mkldnn_status_t describe(mkldnn_engine_t engine, What what, int n, mkldnn_primitive_desc_t *result,
                         bool direct) {
  const api::Api &a = api_of(direct);
  const float scales[] = {1.0f, 2.0f};
  if (kRows[what].kind == operation::kKinds) {
    return over_memories(
        a, engine, image(n), image(n, what == kReorder ? mkldnn_nhwc : mkldnn_nchw),
        [&](const mkldnn_primitive_desc_t *pds) {
          const_mkldnn_primitive_desc_t inputs[] = {pds[0], pds[1]};
          return what == kReorder
                     ? a.reorder_primitive_desc_create_v2(result, pds[0], pds[1], nullptr)
                 : what == kSum ? a.sum_primitive_desc_create(result, nullptr, 2, scales, inputs)
                                : a.concat_primitive_desc_create(result, nullptr, 2, 1, inputs);
        });
  }
  const operation::Operation op = operation_of(what, n);
  operation::OpDesc d, forward;
  mkldnn_primitive_desc_t hint = nullptr;
  mkldnn_status_t status = op.describe(kRows[what].pass, &d);
  if (status == mkldnn_success && kRows[what].pass != operation::kForward) {
    status = op.describe(operation::kForward, &forward);
    if (status != mkldnn_success) return status;
    status = a.primitive_desc_create_v2(&hint, &forward, nullptr, engine, nullptr);
  }
  if (status != mkldnn_success) return status;
  status = a.primitive_desc_create_v2(result, &d, nullptr, engine, hint);
  if (hint != nullptr) a.primitive_desc_destroy(hint);
  return status;
}

uint64_t content(mkldnn_engine_t engine, What what, int n) {
  mkldnn_primitive_desc_t pd = nullptr;
  CHECK_OK(describe(engine, what, n, &pd, true));
  const uint64_t digest = fake_content(pd);
  api::direct().primitive_desc_destroy(pd);
  return digest;
}

namespace {

// What holds when all threads that used the library have ended, or nothing is idle on any.
void check_end() {
  check_all_gone();
  CHECK_EQ(fake_foreign_destroys(), 0);
  const Stats stats;
  for (const char *field :
       {"totals/live_primitives", "totals/idle_primitives", "totals/descriptors",
        "memory/live_bytes", "memory/idle_bytes", "memory/descriptor_bytes"}) {
    CHECK_TEXT(stats[field] == 0, field << " " << stats[field]);
  }
}

}  // namespace

void with_engine(const std::function<void(mkldnn_engine_t)> &f) {
  mkldnn_engine_t engine = nullptr;
  CHECK_OK(mkldnn_engine_create(&engine, mkldnn_cpu, 0));
  on_thread([&] { f(engine); });
  CHECK_OK(mkldnn_engine_destroy(engine));
  check_end();
}

void with_workers(const std::function<void(mkldnn_engine_t, Worker &, Worker &)> &f) {
  Engine engine;
  {
    Worker a, b;
    f(engine, a, b);
  }
  mkldnn_opcache_clear();  // what is left is this thread's
  engine.reset();
  check_end();
}

}  // namespace workload
