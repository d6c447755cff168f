#include "cases.h"

#include <string.h>

#include <initializer_list>

namespace microbench {

namespace {

typedef std::shared_ptr<mkldnn_primitive_desc> Descriptor;
typedef mkldnn_memory_desc_t Layout;

constexpr Release release(const char *name, int nchw, int relu, int pooling_max,
                          int lrn_across_channels, bool iterates) {
  return {name,
          static_cast<mkldnn_memory_format_t>(nchw),
          static_cast<mkldnn_alg_kind_t>(relu),
          static_cast<mkldnn_alg_kind_t>(pooling_max),
          static_cast<mkldnn_alg_kind_t>(lrn_across_channels),
          iterates};
}

const Release kReleases[] = {
    release("v0.14", 5, 8, 34, 65, false),
    release("v0.17.4", 7, 8, 34, 65, true),
    release("v0.19", 7, 31, 511, 2815, true),
};

const int kBatchSize = 8;
const int kChannels = 64;
const int kSide = 56;
const int kOne[] = {1, 1};
const int kTwo[] = {2, 2};
const int kThree[] = {3, 3};
const int kNone[] = {0, 0};
const float kEpsilon = 1e-5f;
// AlexNet's local response normalisation.
const int kLrnSize = 5;
const float kLrnAlpha = 1e-4f;
const float kLrnBeta = 0.75f;
const float kLrnK = 2.0f;

Descriptor made(const Describe &describe) {
  mkldnn_primitive_desc_t descriptor;
  ok(describe(&descriptor), "primitive descriptor");
  return Descriptor(descriptor, mkldnn_primitive_desc_destroy);
}

Layout layout(std::initializer_list<int> dims, mkldnn_memory_format_t format) {
  Layout result;
  ok(mkldnn_memory_desc_init(&result, static_cast<int>(dims.size()), dims.begin(), mkldnn_f32,
                             format),
     "mkldnn_memory_desc_init");
  return result;
}

// The layout that the implementation chose.
Layout layout_of(const Descriptor &descriptor, mkldnn_query_t tensor) {
  const const_mkldnn_primitive_desc_t pd =
      mkldnn_primitive_desc_query_pd(descriptor.get(), tensor, 0);
  const Layout *found = pd != nullptr ? mkldnn_primitive_desc_query_memory_d(pd) : nullptr;
  if (found == nullptr) fail("query %d: expected a memory descriptor, found none", tensor);
  return *found;
}

template <class OpDesc>
Describe operation(const Host &host, const OpDesc &op_desc, const Descriptor &hint = nullptr) {
  const mkldnn_engine_t engine = host.engine;
  const std::shared_ptr<OpDesc> kept = std::make_shared<OpDesc>(op_desc);
  if (!host.release.iterates) {
    return [=](mkldnn_primitive_desc_t *result) {
      return mkldnn_primitive_desc_create(result, kept.get(), engine, hint.get());
    };
  }
  return [=](mkldnn_primitive_desc_t *result) {
    mkldnn_primitive_desc_iterator_t iterator;
    const mkldnn_status_t status = mkldnn_primitive_desc_iterator_create_v2(
        &iterator, kept.get(), nullptr, engine, hint.get());
    if (status != mkldnn_success) return status;
    *result = mkldnn_primitive_desc_iterator_fetch(iterator);
    return mkldnn_primitive_desc_iterator_destroy(iterator);
  };
}

Describe memory_object(const Host &host, const Layout &at) {
  const mkldnn_engine_t engine = host.engine;
  return [=](mkldnn_primitive_desc_t *result) {
    return mkldnn_memory_primitive_desc_create(result, &at, engine);
  };
}

Layout image(int batch_size, mkldnn_memory_format_t format) {
  return layout({batch_size, kChannels, kSide, kSide}, format);
}

// 3x3, as in the first stage of ResNet.
Layout filter() { return layout({kChannels, kChannels, 3, 3}, mkldnn_any); }

Describe convolution_training(const Host &host, int batch_size) {
  const Layout tensor = image(batch_size, mkldnn_any), weights = filter();
  mkldnn_convolution_desc_t desc;
  ok(mkldnn_convolution_forward_desc_init(&desc, mkldnn_forward_training, mkldnn_convolution_direct,
                                          &tensor, &weights, nullptr, &tensor, kOne, kOne, kOne,
                                          mkldnn_padding_zero),
     "mkldnn_convolution_forward_desc_init");
  return operation(host, desc);
}

void add_convolution(const Host &host, std::vector<Case> *cases) {
  const Layout tensor = image(kBatchSize, mkldnn_any), weights = filter();
  const Descriptor hint = made(convolution_training(host, kBatchSize));
  mkldnn_convolution_desc_t desc;
  cases->push_back(convolution_forward(host, kBatchSize));
  ok(mkldnn_convolution_backward_data_desc_init(&desc, mkldnn_convolution_direct, &tensor, &weights,
                                                &tensor, kOne, kOne, kOne, mkldnn_padding_zero),
     "mkldnn_convolution_backward_data_desc_init");
  cases->emplace_back("convolution_backward_data", operation(host, desc, hint));
  ok(mkldnn_convolution_backward_weights_desc_init(&desc, mkldnn_convolution_direct, &tensor,
                                                   &weights, nullptr, &tensor, kOne, kOne, kOne,
                                                   mkldnn_padding_zero),
     "mkldnn_convolution_backward_weights_desc_init");
  cases->emplace_back("convolution_backward_weights", operation(host, desc, hint));
}

// ResNet-50's last layer.
void add_inner_product(const Host &host, std::vector<Case> *cases) {
  const Layout source = layout({kBatchSize, 2048}, mkldnn_nc);
  const Layout weights = layout({1000, 2048}, mkldnn_any);
  const Layout bias = layout({1000}, mkldnn_x);
  const Layout target = layout({kBatchSize, 1000}, mkldnn_nc);
  mkldnn_inner_product_desc_t desc;
  ok(mkldnn_inner_product_forward_desc_init(&desc, mkldnn_forward_training, &source, &weights,
                                            &bias, &target),
     "mkldnn_inner_product_forward_desc_init");
  const Describe forward = operation(host, desc);
  const Descriptor hint = made(forward);
  cases->emplace_back("inner_product_forward", forward);
  ok(mkldnn_inner_product_backward_data_desc_init(&desc, &source, &weights, &target),
     "mkldnn_inner_product_backward_data_desc_init");
  cases->emplace_back("inner_product_backward_data", operation(host, desc, hint));
  ok(mkldnn_inner_product_backward_weights_desc_init(&desc, &source, &weights, &bias, &target),
     "mkldnn_inner_product_backward_weights_desc_init");
  cases->emplace_back("inner_product_backward_weights", operation(host, desc, hint));
}

void add_batch_norm(const Host &host, const Layout &data, std::vector<Case> *cases) {
  mkldnn_batch_normalization_desc_t desc;
  ok(mkldnn_batch_normalization_forward_desc_init(&desc, mkldnn_forward_training, &data, kEpsilon,
                                                  mkldnn_use_scaleshift),
     "mkldnn_batch_normalization_forward_desc_init");
  const Describe forward = operation(host, desc);
  cases->emplace_back("batch_norm_forward", forward);
  ok(mkldnn_batch_normalization_backward_desc_init(&desc, mkldnn_backward, &data, &data, kEpsilon,
                                                   mkldnn_use_scaleshift),
     "mkldnn_batch_normalization_backward_desc_init");
  cases->emplace_back("batch_norm_backward", operation(host, desc, made(forward)));
}

// ResNet's: the largest of 3x3, every second one.
void add_pooling(const Host &host, const Layout &data, std::vector<Case> *cases) {
  const Layout any = layout({kBatchSize, kChannels, kSide / 2, kSide / 2}, mkldnn_any);
  mkldnn_pooling_desc_t desc;
  ok(mkldnn_pooling_forward_desc_init(&desc, mkldnn_forward_training, host.release.pooling_max,
                                      &data, &any, kTwo, kThree, kOne, kNone, mkldnn_padding_zero),
     "mkldnn_pooling_forward_desc_init");
  const Describe forward = operation(host, desc);
  const Descriptor hint = made(forward);
  const Layout pooled = layout_of(hint, mkldnn_query_dst_pd);
  cases->emplace_back("pooling_forward", forward);
  ok(mkldnn_pooling_backward_desc_init(&desc, host.release.pooling_max, &data, &pooled, kTwo,
                                       kThree, kOne, kNone, mkldnn_padding_zero),
     "mkldnn_pooling_backward_desc_init");
  cases->emplace_back("pooling_backward", operation(host, desc, hint));
}

void add_lrn(const Host &host, const Layout &data, std::vector<Case> *cases) {
  mkldnn_lrn_desc_t desc;
  ok(mkldnn_lrn_forward_desc_init(&desc, mkldnn_forward_training, host.release.lrn_across_channels,
                                  &data, kLrnSize, kLrnAlpha, kLrnBeta, kLrnK),
     "mkldnn_lrn_forward_desc_init");
  const Describe forward = operation(host, desc);
  cases->emplace_back("lrn_forward", forward);
  ok(mkldnn_lrn_backward_desc_init(&desc, host.release.lrn_across_channels, &data, &data, kLrnSize,
                                   kLrnAlpha, kLrnBeta, kLrnK),
     "mkldnn_lrn_backward_desc_init");
  cases->emplace_back("lrn_backward", operation(host, desc, made(forward)));
}

Describe relu(const Host &host, const Layout &data) {
  mkldnn_eltwise_desc_t desc;
  ok(mkldnn_eltwise_forward_desc_init(&desc, mkldnn_forward_training, host.release.relu, &data, 0,
                                      0),
     "mkldnn_eltwise_forward_desc_init");
  return operation(host, desc);
}

void add_eltwise(const Host &host, const Layout &data, std::vector<Case> *cases) {
  const Describe forward = relu(host, data);
  cases->emplace_back("eltwise_forward", forward);
  mkldnn_eltwise_desc_t desc;
  ok(mkldnn_eltwise_backward_desc_init(&desc, host.release.relu, &data, &data, 0, 0),
     "mkldnn_eltwise_backward_desc_init");
  cases->emplace_back("eltwise_backward", operation(host, desc, made(forward)));
}

void add_softmax(const Host &host, std::vector<Case> *cases) {
  const Layout classes = layout({kBatchSize, 1000}, mkldnn_nc);
  mkldnn_softmax_desc_t desc;
  ok(mkldnn_softmax_forward_desc_init(&desc, mkldnn_forward_scoring, &classes, 1),
     "mkldnn_softmax_forward_desc_init");
  cases->emplace_back("softmax_forward", operation(host, desc));
}

void add_data_movement(const Host &host, const Layout &data, std::vector<Case> *cases) {
  const Descriptor plain = made(memory_object(host, image(kBatchSize, host.release.nchw)));
  const Descriptor blocked = made(memory_object(host, data));
  cases->emplace_back("reorder", [=](mkldnn_primitive_desc_t *result) {
    return mkldnn_reorder_primitive_desc_create(result, plain.get(), blocked.get());
  });
  cases->emplace_back("sum", [=](mkldnn_primitive_desc_t *result) {
    const float scales[] = {1, 1};
    const_mkldnn_primitive_desc_t inputs[] = {blocked.get(), blocked.get()};
    return mkldnn_sum_primitive_desc_create(result, nullptr, 2, scales, inputs);
  });
  cases->emplace_back("concat", [=](mkldnn_primitive_desc_t *result) {
    const_mkldnn_primitive_desc_t inputs[] = {blocked.get(), blocked.get()};
    return mkldnn_concat_primitive_desc_create(result, nullptr, 2, 1, inputs);
  });
  // Of a layout that no other case has: the first cycle must find nothing to take again.
  cases->emplace_back("memory", memory_object(host, image(kBatchSize + 1, host.release.nchw)));
}

}  // namespace

const Release *find_release(const char *name) {
  for (const Release &release : kReleases) {
    if (strcmp(release.name, name) == 0) return &release;
  }
  return nullptr;
}

Case::Case(const char *name, const Describe &describe) : name_(name), describe_(describe) {
  const Descriptor descriptor = made(describe);
  const auto add_memories = [&](mkldnn_query_t count, mkldnn_query_t tensor) {
    const int n = mkldnn_primitive_desc_query_s32(descriptor.get(), count, 0);
    for (int i = 0; i < n; ++i) {
      mkldnn_primitive_t memory;
      ok(mkldnn_primitive_create(&memory,
                                 mkldnn_primitive_desc_query_pd(descriptor.get(), tensor, i),
                                 nullptr, nullptr),
         name);
      memories_.emplace_back(memory, mkldnn_primitive_destroy);
    }
    return n;
  };
  const int inputs = add_memories(mkldnn_query_num_of_inputs_s32, mkldnn_query_input_pd);
  add_memories(mkldnn_query_num_of_outputs_s32, mkldnn_query_output_pd);
  for (size_t i = 0; i < memories_.size(); ++i) {
    if (i < static_cast<size_t>(inputs)) {
      inputs_.push_back(mkldnn_primitive_at(memory(i), 0));
    } else {
      outputs_.push_back(memory(i));
    }
  }
}

Primitive Case::create() const {
  const Descriptor descriptor = made(describe_);
  mkldnn_primitive_t primitive;
  ok(mkldnn_primitive_create(&primitive, descriptor.get(), inputs_.data(), outputs_.data()), name_);
  return Primitive(primitive, mkldnn_primitive_destroy);
}

std::vector<Case> all_cases(const Host &host) {
  std::vector<Case> cases;
  const Layout data = layout_of(made(convolution_training(host, kBatchSize)), mkldnn_query_dst_pd);
  add_convolution(host, &cases);
  add_inner_product(host, &cases);
  add_batch_norm(host, data, &cases);
  add_pooling(host, data, &cases);
  add_lrn(host, data, &cases);
  add_eltwise(host, data, &cases);
  add_softmax(host, &cases);
  add_data_movement(host, data, &cases);
  return cases;
}

Case convolution_forward(const Host &host, int batch_size) {
  return Case("convolution_forward", convolution_training(host, batch_size));
}

Case tiny_relu(const Host &host) {
  return Case("tiny_relu", relu(host, layout({1, kTiny, 1, 1}, host.release.nchw)));
}

}  // namespace microbench
