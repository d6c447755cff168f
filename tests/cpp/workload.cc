#include "workload.h"

#include <dlfcn.h>
#include <string.h>

#include <atomic>
#include <thread>

#include "opcache.h"

namespace workload {

namespace {

// The functions that describe, as the user reaches them or as the library does.
struct Api {
  decltype(&mkldnn_primitive_desc_create_v2) create;
  decltype(&mkldnn_reorder_primitive_desc_create_v2) reorder;
  decltype(&mkldnn_sum_primitive_desc_create) sum;
  decltype(&mkldnn_concat_primitive_desc_create) concat;
  decltype(&mkldnn_memory_primitive_desc_create) memory;
  decltype(&mkldnn_primitive_desc_destroy) destroy;
};

template <class F>
void find(F *f, const char *name) {
  *f = reinterpret_cast<F>(beneath(name));
  REQUIRE(*f != nullptr);
}

const Api &api(bool direct) {
  static const Api through = {
      mkldnn_primitive_desc_create_v2,     mkldnn_reorder_primitive_desc_create_v2,
      mkldnn_sum_primitive_desc_create,    mkldnn_concat_primitive_desc_create,
      mkldnn_memory_primitive_desc_create, mkldnn_primitive_desc_destroy};
  static const Api past = [] {
    Api a;
    find(&a.create, "mkldnn_primitive_desc_create_v2");
    find(&a.reorder, "mkldnn_reorder_primitive_desc_create_v2");
    find(&a.sum, "mkldnn_sum_primitive_desc_create");
    find(&a.concat, "mkldnn_concat_primitive_desc_create");
    find(&a.memory, "mkldnn_memory_primitive_desc_create");
    find(&a.destroy, "mkldnn_primitive_desc_destroy");
    return a;
  }();
  return direct ? past : through;
}

const int kOnes[] = {1, 1};
const int kTwos[] = {2, 2};
const int kZeros[] = {0, 0};

// Two memory descriptors and what is made of them.
template <class Create>
mkldnn_status_t over_memories(const Api &a, mkldnn_engine_t engine, const mkldnn_memory_desc_t &x,
                              const mkldnn_memory_desc_t &y, const Create &create) {
  mkldnn_primitive_desc_t pds[2] = {nullptr, nullptr};
  mkldnn_status_t status = a.memory(&pds[0], &x, engine);
  if (status == mkldnn_success) status = a.memory(&pds[1], &y, engine);
  if (status == mkldnn_success) status = create(pds);
  for (mkldnn_primitive_desc_t pd : pds) {
    if (pd != nullptr) a.destroy(pd);
  }
  return status;
}

// Holds any operation's description, filled with garbage first.
union OpDesc {
  mkldnn_convolution_desc_t convolution;
  mkldnn_eltwise_desc_t eltwise;
  mkldnn_softmax_desc_t softmax;
  mkldnn_pooling_desc_t pooling;
  mkldnn_lrn_desc_t lrn;
  mkldnn_batch_normalization_desc_t batch_norm;
  mkldnn_inner_product_desc_t inner_product;
  mkldnn_shuffle_desc_t shuffle;

  OpDesc() {
    static std::atomic<unsigned char> garbage(0);
    memset(static_cast<void *>(this), ++garbage, sizeof(*this));
  }
};

mkldnn_status_t fill(What what, int n, OpDesc *d) {
  const mkldnn_memory_desc_t small = image(n), big = image(2 * n), weights = image(3),
                             bias = line(3);
  switch (what) {
    case kReluForward:
      return mkldnn_eltwise_forward_desc_init(&d->eltwise, mkldnn_forward_training,
                                              mkldnn_eltwise_relu, &small, 0, 0);
    case kReluBackward:
      return mkldnn_eltwise_backward_desc_init(&d->eltwise, mkldnn_eltwise_relu, &small, &small, 0,
                                               0);
    case kBatchNormForward:
      return mkldnn_batch_normalization_forward_desc_init(&d->batch_norm, mkldnn_forward_training,
                                                          &small, 1e-3f, mkldnn_use_scaleshift);
    case kBatchNormBackward:
      return mkldnn_batch_normalization_backward_desc_init(&d->batch_norm, mkldnn_backward, &small,
                                                           &small, 1e-3f, mkldnn_use_scaleshift);
    case kConvolutionForward:
      return mkldnn_convolution_forward_desc_init(
          &d->convolution, mkldnn_forward_training, mkldnn_convolution_direct, &small, &weights,
          nullptr, &small, kOnes, kZeros, kZeros, mkldnn_padding_zero);
    case kConvolutionBackwardData:
      return mkldnn_convolution_backward_data_desc_init(&d->convolution, mkldnn_convolution_direct,
                                                        &small, &weights, &small, kOnes, kZeros,
                                                        kZeros, mkldnn_padding_zero);
    case kConvolutionBackwardWeights:
      return mkldnn_convolution_backward_weights_desc_init(
          &d->convolution, mkldnn_convolution_direct, &small, &weights, &bias, &small, kOnes,
          kZeros, kZeros, mkldnn_padding_zero);
    case kDeconvolutionForward:
      return mkldnn_deconvolution_forward_desc_init(
          &d->convolution, mkldnn_forward_training, mkldnn_deconvolution_direct, &small, &weights,
          nullptr, &small, kOnes, kZeros, kZeros, mkldnn_padding_zero);
    case kInnerProductBackwardData:
      return mkldnn_inner_product_backward_data_desc_init(&d->inner_product, &small, &weights,
                                                          &small);
    case kInnerProductBackwardWeights:
      return mkldnn_inner_product_backward_weights_desc_init(&d->inner_product, &small, &weights,
                                                             &bias, &small);
    case kLrnBackward:
      return mkldnn_lrn_backward_desc_init(&d->lrn, mkldnn_lrn_across_channels, &small, &small, 5,
                                           1e-4f, 0.75f, 1.0f);
    case kPoolingBackward:
      return mkldnn_pooling_backward_desc_init(&d->pooling, mkldnn_pooling_max, &big, &small, kTwos,
                                               kTwos, kZeros, kZeros, mkldnn_padding_zero);
    case kSoftmax:
      return mkldnn_softmax_forward_desc_init(&d->softmax, mkldnn_forward_training, &small, 1);
    case kShuffle:
      return mkldnn_shuffle_forward_desc_init(&d->shuffle, mkldnn_forward_training, &small, 1, 2);
    default:
      return mkldnn_invalid_arguments;
  }
}

// The forward operation that a backward one takes its hint from; false: it takes none.
bool fill_hint(What what, int n, OpDesc *d) {
  const mkldnn_memory_desc_t small = image(n), big = image(2 * n), weights = image(3),
                             bias = line(3);
  switch (what) {
    case kReluBackward:
      return fill(kReluForward, n, d) == mkldnn_success;
    case kBatchNormBackward:
      return fill(kBatchNormForward, n, d) == mkldnn_success;
    case kConvolutionBackwardData:
      return fill(kConvolutionForward, n, d) == mkldnn_success;
    case kConvolutionBackwardWeights:
      // MXNet hints with a forward convolution that has the bias.
      return mkldnn_convolution_forward_desc_init(&d->convolution, mkldnn_forward_training,
                                                  mkldnn_convolution_direct, &small, &weights,
                                                  &bias, &small, kOnes, kZeros, kZeros,
                                                  mkldnn_padding_zero) == mkldnn_success;
    case kInnerProductBackwardData:
    case kInnerProductBackwardWeights:
      return mkldnn_inner_product_forward_desc_init(&d->inner_product, mkldnn_forward_training,
                                                    &small, &weights, nullptr,
                                                    &small) == mkldnn_success;
    case kLrnBackward:
      return mkldnn_lrn_forward_desc_init(&d->lrn, mkldnn_forward_training,
                                          mkldnn_lrn_across_channels, &small, 5, 1e-4f, 0.75f,
                                          1.0f) == mkldnn_success;
    case kPoolingBackward:
      return mkldnn_pooling_forward_desc_init(
                 &d->pooling, mkldnn_forward_training, mkldnn_pooling_max, &big, &small, kTwos,
                 kTwos, kZeros, kZeros, mkldnn_padding_zero) == mkldnn_success;
    default:
      return false;
  }
}

}  // namespace

const char *name_of(What what) {
  static const char *const kNames[kWhats] = {"Activation",
                                             "_backward_Activation",
                                             "BatchNorm",
                                             "_backward_BatchNorm",
                                             "Convolution",
                                             "_backward_Convolution",
                                             "_backward_Convolution",
                                             "Deconvolution",
                                             "_backward_FullyConnected",
                                             "_backward_FullyConnected",
                                             "_backward_LRN",
                                             "_backward_Pooling",
                                             "softmax",
                                             "reorder",
                                             "sum",
                                             "Concat",
                                             "other"};
  return kNames[what];
}

void *beneath(const char *function) {
  static void *const handle = dlopen("libmkldnn.so.0", RTLD_NOLOAD | RTLD_LAZY);
  REQUIRE(handle != nullptr);
  return dlsym(handle, function);
}

Engine::Engine() : handle(nullptr) { CHECK_OK(mkldnn_engine_create(&handle, mkldnn_cpu, 0)); }
Engine::~Engine() { CHECK_OK(mkldnn_engine_destroy(handle)); }

mkldnn_memory_desc_t line(int n) {
  mkldnn_memory_desc_t md;
  CHECK_OK(mkldnn_memory_desc_init(&md, 1, &n, mkldnn_f32, mkldnn_x));
  return md;
}

mkldnn_memory_desc_t image(int n, mkldnn_memory_format_t format) {
  const int dims[] = {1, 3, n, n};
  mkldnn_memory_desc_t md;
  CHECK_OK(mkldnn_memory_desc_init(&md, 4, dims, mkldnn_f32, format));
  return md;
}

mkldnn_status_t describe(mkldnn_engine_t engine, What what, int n, mkldnn_primitive_desc_t *result,
                         bool direct) {
  const Api &a = api(direct);
  switch (what) {
    case kReorder:
      return over_memories(a, engine, image(n), image(n, mkldnn_nhwc),
                           [&](const mkldnn_primitive_desc_t *pds) {
                             return a.reorder(result, pds[0], pds[1], nullptr);
                           });
    case kSum:
      return over_memories(a, engine, image(n), image(n), [&](const mkldnn_primitive_desc_t *pds) {
        const float scales[] = {1.0f, 2.0f};
        const_mkldnn_primitive_desc_t inputs[] = {pds[0], pds[1]};
        return a.sum(result, nullptr, 2, scales, inputs);
      });
    case kConcat:
      return over_memories(a, engine, image(n), image(n), [&](const mkldnn_primitive_desc_t *pds) {
        const_mkldnn_primitive_desc_t inputs[] = {pds[0], pds[1]};
        return a.concat(result, nullptr, 2, 1, inputs);
      });
    default:
      break;
  }
  OpDesc op, hint_op;
  mkldnn_status_t status = fill(what, n, &op);
  if (status != mkldnn_success) return status;
  mkldnn_primitive_desc_t hint = nullptr;
  if (fill_hint(what, n, &hint_op)) {
    status = a.create(&hint, &hint_op, nullptr, engine, nullptr);
    if (status != mkldnn_success) return status;
  }
  status = a.create(result, &op, nullptr, engine, hint);
  if (hint != nullptr) a.destroy(hint);
  return status;
}

Described::Described(mkldnn_engine_t engine, What what, int n) : pd(nullptr) {
  CHECK_OK(describe(engine, what, n, &pd));
  REQUIRE(pd != nullptr);
}

Described::~Described() { CHECK_OK(mkldnn_primitive_desc_destroy(pd)); }

uint64_t content(mkldnn_engine_t engine, What what, int n) {
  mkldnn_primitive_desc_t pd = nullptr;
  CHECK_OK(describe(engine, what, n, &pd, true));
  const uint64_t digest = fake_content(pd);
  api(true).destroy(pd);
  return digest;
}

Memory::Memory(mkldnn_engine_t engine, void *data) : Memory(engine, line(1), data) {}

Memory::Memory(mkldnn_engine_t engine, const mkldnn_memory_desc_t &md, void *data)
    : handle(nullptr) {
  mkldnn_primitive_desc_t pd = nullptr;
  CHECK_OK(mkldnn_memory_primitive_desc_create(&pd, &md, engine));
  CHECK_OK(mkldnn_primitive_create(&handle, pd, nullptr, nullptr));
  CHECK_OK(mkldnn_primitive_desc_destroy(pd));
  point_to(data);
}

Memory::~Memory() { CHECK_OK(mkldnn_primitive_destroy(handle)); }

void Memory::point_to(void *data) { CHECK_OK(mkldnn_memory_set_data_handle(handle, data)); }

char *buffer(int i) {
  static char bytes[1 << 20];
  return bytes + 16 * i;
}

Bound::Bound(mkldnn_engine_t engine, mkldnn_primitive_desc_t pd, int first_buffer)
    : handle(nullptr), first(first_buffer) {
  const int n_inputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_inputs_s32, 0);
  const int n_outputs = mkldnn_primitive_desc_query_s32(pd, mkldnn_query_num_of_outputs_s32, 0);
  for (int i = 0; i < n_inputs + n_outputs; ++i) {
    memories.push_back(new Memory(engine, buffer(first + i)));
    if (i < n_inputs) {
      inputs.push_back(mkldnn_primitive_at(memories.back()->handle, 0));
    } else {
      outputs.push_back(memories.back()->handle);
    }
  }
  CHECK_OK(mkldnn_primitive_create(&handle, pd, inputs.data(), outputs.data()));
  REQUIRE(handle != nullptr);
}

Bound::~Bound() {
  destroy_primitive();
  for (Memory *memory : memories) delete memory;
}

void Bound::destroy_primitive() {
  if (handle != nullptr) CHECK_OK(mkldnn_primitive_destroy(handle));
  handle = nullptr;
}

void Bound::execute() {
  Stream stream(mkldnn_eager);
  stream.submit(handle);
  stream.wait();
}

void Bound::run(uint64_t expected) {
  const long before = fake_executions();
  execute();
  CHECK_EQ(fake_executions(), before + 1);
  check_log(first, expected);
}

void Bound::check_log(int first_buffer, uint64_t expected) const {
  const FakeExecution e = fake_execution(fake_executions() - 1);
  CHECK_EQ(e.inputs, inputs.size());
  CHECK_EQ(e.outputs, outputs.size());
  for (int i = 0; i < e.inputs + e.outputs; ++i) CHECK_EQ(e.data[i], buffer(first_buffer + i));
  if (expected != 0) CHECK_EQ(e.content, expected);
}

Stream::Stream(mkldnn_stream_kind_t kind) : handle(nullptr) {
  CHECK_OK(mkldnn_stream_create(&handle, kind));
}

Stream::~Stream() { CHECK_OK(mkldnn_stream_destroy(handle)); }

void Stream::submit(mkldnn_primitive_t primitive) {
  CHECK_OK(mkldnn_stream_submit(handle, 1, &primitive, nullptr));
}

void Stream::wait() { CHECK_OK(mkldnn_stream_wait(handle, 1, nullptr)); }

void call(mkldnn_engine_t engine, What what, int n, int first) {
  const Described described(engine, what, n);
  Bound bound(engine, described.pd, first);
  bound.run();
}

long primitives_made_by(const std::function<void()> &f) {
  const long before = fake_created(kFakePrimitive);
  f();
  return fake_created(kFakePrimitive) - before;
}

long descriptors_made_by(const std::function<void()> &f) {
  const long before = fake_created(kFakeDescriptor);
  f();
  return fake_created(kFakeDescriptor) - before;
}

void on_thread(const std::function<void()> &f) { std::thread(f).join(); }

void check_all_gone() {
  check_no_misuse();
  CHECK_EQ(fake_live(kFakeEngine), 0);
  CHECK_EQ(fake_live(kFakeMemoryDescriptor), 0);
  CHECK_EQ(fake_live(kFakeDescriptor), 0);
  CHECK_EQ(fake_live(kFakeMemory), 0);
  CHECK_EQ(fake_live(kFakePrimitive), 0);
  CHECK_EQ(fake_live(kFakeIterator), 0);
  CHECK_EQ(fake_live(kFakeAttr), 0);
  CHECK_EQ(fake_live(kFakePostOps), 0);
  CHECK_EQ(fake_live(kFakeStream), 0);
}

void check_no_misuse() { CHECK_TEXT(fake_misuses() == 0, fake_misuse()); }

Stats::Stats() {
  std::string text;
  size_t needed = mkldnn_opcache_stats_json(nullptr, 0);
  // Other threads may count on meanwhile.
  while (needed >= text.size()) {
    text.resize(needed + 100);
    needed = mkldnn_opcache_stats_json(&text[0], text.size());
  }
  text.resize(needed);
  parse(text);
}

Stats::Stats(const std::string &text) { parse(text); }

void Stats::parse(const std::string &text) {
  size_t error_at;
  CHECK_TEXT(json::parse(text, &document, &error_at), "at " << error_at << " of " << text);
}

double Stats::operator[](const std::string &path) const {
  const auto found = document.find(path);
  return found != document.end() ? found->second.number : 0;
}

std::string Stats::text(const std::string &path) const {
  const auto found = document.find(path);
  return found != document.end() ? found->second.text : "";
}

}  // namespace workload
