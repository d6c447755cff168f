// Random primitives for a real MKL-DNN: of every kind, small, mostly valid. What a case is
// follows from its number alone. Numbers of one family, kVariants in a row, differ in one choice:
// what a key that leaves something out would take for the same.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <initializer_list>
#include <random>
#include <string>

#include "owned.h"
#include "real_session.h"

namespace fuzz {

using namespace real_session;

const uint64_t kVariants = 20;

// Which inputs these are, for Session::run.
#ifdef API1
const int kSource = MKLDNN_ARG_SRC, kMean = MKLDNN_ARG_MEAN, kVariance = MKLDNN_ARG_VARIANCE;
#else
const int kSource = 0, kMean = 1, kVariance = 2;
#endif

class Case {
 public:
  Case(Session *session, uint64_t number, bool aloud)
      : s_(*session), random_(number / kVariants), varied_(number % kVariants), aloud_(aloud) {
#ifdef API1
    s_.may_refuse = true;
#endif
  }
  std::string run() {
    static const struct {
      const char *name;
      void (Case::*run)();
    } kKinds[16] = {{"convolution", &Case::convolution},
                    {"convolution", &Case::convolution},
                    {"convolution", &Case::convolution},
                    {"deconvolution", &Case::deconvolution},
                    {"inner_product", &Case::inner_product},
                    {"pooling", &Case::pooling},
                    {"lrn", &Case::lrn},
                    {"batch_norm", &Case::batch_norm},
                    {"eltwise", &Case::eltwise},
                    {"eltwise", &Case::eltwise},
                    {"softmax", &Case::softmax},
                    {"reorder", &Case::reorder},
                    {"reorder", &Case::reorder},
                    {"sum", &Case::sum},
                    {"concat", &Case::concat},
                    {"view", &Case::view}};
    const auto &kind = kKinds[below(16)];
    note(kind.name);
    (this->*kind.run)();
    note("status " + std::to_string(s_.status()));
    return text_;
  }

 private:
  int below(int n) {
    const uint64_t choice = random_() + (++choices_ == varied_ ? 1 : 0);
    return static_cast<int>(choice % static_cast<unsigned>(n));
  }
  bool one_in(int n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int>(choices.size()))];
  }

  // In one of these formats, or the plain one where the release cannot.
  mkldnn_memory_desc_t describe(const Dims &dims, int format, int plain,
                                mkldnn_data_type_t type = mkldnn_f32) {
    mkldnn_memory_desc_t md;
    for (const int f : {format, plain}) {
      if (init_layout(&md, static_cast<int>(dims.size()), dims.data(), type,
                      static_cast<Format>(f)) == mkldnn_success) {
        break;
      }
    }
    return md;
  }
  int image_format() {
    return of(
        {formats().nchw, formats().nchw, formats().nhwc, formats().nChw8c, formats().nChw16c});
  }
  int any_or_image() { return one_in(2) ? static_cast<int>(kAnyFormat) : image_format(); }
  mkldnn_memory_desc_t image(const Dims &dims, int format) {
    return describe(dims, format, formats().nchw);
  }

  // False when a description was refused, which is noted.
  bool ok(mkldnn_status_t status) {
    note("description " + std::to_string(status));
    return status == mkldnn_success;
  }
  void note(const std::string &text) {
    text_ += text + "; ";
    if (aloud_) fprintf(stderr, "%s; ", text.c_str());
  }
  void note(const_mkldnn_primitive_desc_t pd) {
    if (pd == nullptr) return note("none");
    const char *name = "";
    mkldnn_primitive_desc_query(pd, mkldnn_query_impl_info_str, 0, &name);
    note(name);
    note(s_.layouts(pd));
  }

  // A descriptor of a pass, sometimes of a description that is wrong; false when it is refused.
  bool describe(const Operation &op, Pass pass, mkldnn_primitive_desc_t *pd,
                mkldnn_primitive_desc_t hint = nullptr, mkldnn_primitive_attr_t attr = nullptr) {
    operation::OpDesc d(0x5a);
    if (!ok(op.describe(pass, &d))) return false;
    // No kind. (What is wrong elsewhere, MKL-DNN does not always look at before it computes with
    // it.)
    if (one_in(40)) d.words[0] = 99;
    *pd = noted(s_.operation(d, hint, attr));
    return true;
  }

  Pass any_pass() { return static_cast<Pass>(below(operation::kPasses)); }
  // Describes the forward pass, and runs it or the backward one that it is the hint of.
  void run_pass(const Operation &op, Pass pass, mkldnn_primitive_attr_t attr = nullptr) {
    mkldnn_primitive_desc_t hint = nullptr;
    if (!describe(op, operation::kForward, &hint, nullptr, attr)) return;
    if (pass != operation::kForward) return run_back(op, pass, hint);
    s_.run(hint);
  }

  void run_back(const Operation &op, Pass pass, mkldnn_primitive_desc_t hint,
                const std::map<int, Data> &given = {}) {
    mkldnn_primitive_desc_t pd = nullptr;
    if (describe(op, pass, &pd, hint)) s_.run(pd, given);
  }

  mkldnn_primitive_desc_t noted(mkldnn_primitive_desc_t pd) {
    note(pd);
    return pd;
  }
  void add_post_ops(Attr *attr) {
    PostOps post_ops;
    if (one_in(2)) post_ops.sum(of({1.0f, 0.5f}));
    if (one_in(2)) {
      const auto algorithm = of({algorithms().relu, algorithms().relu, algorithms().tanh});
      post_ops.eltwise(algorithm, of({0.0f, 0.25f}));
    }
    attr->post(post_ops);
  }

  void add_scales(Attr *attr) {
    attr->scale(of({0.5f, 2.0f, 40.0f}));
#ifndef API1
    attr->round(of({mkldnn_round_nearest, mkldnn_round_down}));
#endif
  }

  void convolution() { layers(false); }
  void deconvolution() { layers(true); }
  // Transposed: source and output change places.
  void layers(bool transposed) {
    const int groups = of({1, 1, 1, 1, 2, 4}), wide = of({1, 2, 3, 8, 16});
    const bool depthwise = one_in(6);
    const int g = depthwise ? of({4, 8, 16}) : groups;
    const int in = depthwise ? g : g * wide, out = depthwise ? g : g * of({1, 3, 8, 16});
    const int n = 1 + below(2), size = 4 + below(5), kernel = 1 + below(3), stride = 1 + below(2);
    const int pad = below(2), dilation = one_in(5) && !transposed ? 1 : 0;
    const int reach = (kernel - 1) * (dilation + 1) + 1;
    const int to =
        transposed ? (size - 1) * stride + reach - 2 * pad : (size + 2 * pad - reach) / stride + 1;
    const int right = transposed ? pad : (to - 1) * stride + reach - size - pad;
    if (to < 1) return note("too small");
    const bool integers = !transposed && one_in(8), bias = one_in(2);
    const Dims weight_dims =
        g == 1 ? Dims{out, in, kernel, kernel} : Dims{g, out / g, in / g, kernel, kernel};
    const int plain_weights = g == 1 ? formats().oihw : formats().goihw;
    Operation op;
    op.kind = transposed ? operation::kDeconvolution : operation::kConvolution;
    op.window(kernel, stride, pad, right);
    op.dilated = !transposed;
    op.dilates[0] = op.dilates[1] = dilation;
    op.src = describe({n, in, size, size}, any_or_image(), formats().nchw,
                      integers ? mkldnn_u8 : mkldnn_f32);
    op.weights = describe(weight_dims, one_in(3) ? plain_weights : int{kAnyFormat}, plain_weights,
                          integers ? mkldnn_s8 : mkldnn_f32);
    op.bias = describe({out}, mkldnn_x, mkldnn_x, integers ? mkldnn_s32 : mkldnn_f32);
    op.with_bias = bias;
    op.dst = describe({n, out, to, to}, any_or_image(), formats().nchw,
                      integers ? of({mkldnn_u8, mkldnn_s8, mkldnn_s32, mkldnn_f32}) : mkldnn_f32);
    op.algorithm = transposed  ? algorithms().deconvolution_direct
                   : one_in(6) ? mkldnn_convolution_winograd
                               : mkldnn_convolution_direct;
    op.forward = of({mkldnn_forward_training, mkldnn_forward_scoring});
    const Pass pass = any_pass();
    Attr attr;
    if (pass == operation::kForward && one_in(3)) add_post_ops(&attr);
    if (integers) add_scales(&attr);
    run_pass(op, integers ? operation::kForward : pass, attr);
  }

  void inner_product() {
    const int n = 1 + below(4), in = of({1, 3, 8, 16, 17}), out = of({1, 5, 10, 16}), size = 2;
    const bool flat = one_in(2), bias = one_in(2), any = one_in(2);
    const auto src = flat ? describe({n, in}, mkldnn_nc, mkldnn_nc)
                          : image({n, in, size, size}, any ? int{kAnyFormat} : formats().nchw);
    const auto weights =
        flat ? describe({out, in}, any ? int{kAnyFormat} : formats().oi, formats().oi)
             : describe({out, in, size, size}, any ? int{kAnyFormat} : formats().oihw,
                        formats().oihw);
    const auto b = describe({out}, mkldnn_x, mkldnn_x);
    const auto dst = describe({n, out}, mkldnn_nc, mkldnn_nc);
    Operation op = operation::inner_product(src, weights, dst);
    if (bias) op.biased(b);
    run_pass(op, any_pass());
  }

  void pooling() {
    const int n = 1 + below(2), c = of({1, 3, 8, 16, 32}), size = 4 + below(5),
              kernel = 2 + below(2);
    const int stride = 1 + below(2), pad = below(2), to = (size + 2 * pad - kernel) / stride + 1;
    const int right = (to - 1) * stride + kernel - size - pad, format = image_format();
    const auto src = image({n, c, size, size}, format),
               dst = image({n, c, to, to}, one_in(4) ? int{kAnyFormat} : format),
               // The reference implementation leaves "any" as it is when it goes back.
        diff_dst = image({n, c, to, to}, format);
    const auto alg = of({algorithms().pooling_max, algorithms().pooling_avg_include_padding,
                         algorithms().pooling_avg_exclude_padding});
    Operation op = operation::pooling(alg, src, dst).window(kernel, stride, pad, right);
    op.forward = one_in(4) ? mkldnn_forward_scoring : mkldnn_forward_training;
    mkldnn_primitive_desc_t hint = nullptr;
    if (!describe(op, operation::kForward, &hint)) return;
    const auto results = s_.run(hint);
    if (op.forward == mkldnn_forward_scoring || results.empty() || one_in(2)) return;
    op.dst = diff_dst;
    run_back(op, operation::kBackwardData, hint, s_.inputs_left(op.kind, results));
  }

  void lrn() {
    const auto data =
        image({1 + below(2), of({8, 16, 32}), 3 + below(4), 3 + below(4)}, image_format());
    const auto alg = of({algorithms().lrn_across_channels, algorithms().lrn_across_channels,
                         algorithms().lrn_within_channel});
    Operation op = operation::lrn(alg, data);
    op.number = of({5, 3});
    op.alpha = of({1e-4f, 1.0f});
    op.beta = of({0.75f, 0.5f});
    op.k = of({1.0f, 2.0f});
    op.forward = of({mkldnn_forward_training, mkldnn_forward_scoring});
    mkldnn_primitive_desc_t hint = nullptr;
    if (!describe(op, operation::kForward, &hint)) return;
    const std::map<int, Data> left = s_.inputs_left(op.kind, s_.run(hint));
    if (left.empty()) return;  // without a workspace it cannot go back
    run_back(op, operation::kBackwardData, hint, left);
  }

  void batch_norm() {
    const Dims dims = {1 + below(3), of({3, 8, 16, 32}), 3 + below(4), 3 + below(4)};
    Operation op = operation::batch_norm(image(dims, image_format()));
    op.epsilon = of({1e-3f, 1e-5f});
    op.flags = of({0u, 1u, 2u, 3u});
    const bool global = (op.flags & mkldnn_use_global_stats) != 0;
    op.forward = of({mkldnn_forward_training, mkldnn_forward_scoring});
    mkldnn_primitive_desc_t hint = nullptr;
    if (!describe(op, operation::kForward, &hint)) return;
    if (s_.status() != mkldnn_success) return;
    std::map<int, Data> given;
    if (global) {
      for (const int i : {kMean, kVariance}) {
        given[i] = s_.new_buffer(static_cast<size_t>(dims[1]) * sizeof(float), true);
        float *at = static_cast<float *>(given[i]->data);
        for (size_t j = 0; j < given[i]->bytes / sizeof(float); ++j) at[j] = fabsf(at[j]);
      }
    }
    const auto results = s_.run(hint, given);
    if (!global) given = s_.inputs_left(op.kind, results);
    if (given.empty() || op.forward != mkldnn_forward_training) return;
    op.backward = of({mkldnn_backward, mkldnn_backward_data});
    run_back(op, operation::kBackwardData, hint, given);
  }

  void eltwise() {
    const Algorithms &a = algorithms();
    const auto alg = of({a.relu, a.relu, a.tanh, a.logistic, a.elu, a.square, a.abs, a.sqrt,
                         a.linear, a.bounded_relu, a.soft_relu});
    const float alpha = of({0.0f, 0.25f, 1.0f}), beta = of({0.0f, 0.5f});
    const auto data =
        one_in(4) ? describe({1 + below(4), 1 + below(40)}, mkldnn_nc, mkldnn_nc)
                  : image({1 + below(2), of({3, 8, 16, 17}), 3 + below(4), 5}, image_format());
    Operation op = operation::eltwise(alg, data, alpha);
    op.beta = beta;
    run_pass(op, one_in(2) ? operation::kForward : operation::kBackwardData);
  }

  void softmax() {
    const bool flat = one_in(2);
    const auto data = flat ? describe({1 + below(5), 1 + below(40)}, mkldnn_nc, mkldnn_nc)
                           : image({2, of({3, 8}), 3, 1 + below(4)}, formats().nchw);
    Operation op = operation::softmax(data, below(flat ? 2 : 4));
    op.forward = mkldnn_forward_inference;
    run_pass(op, operation::kForward);
  }

  void reorder() {
    const Dims dims = {1 + below(2), of({3, 8, 16, 17}), 3 + below(3), 4};
    const auto type = of({mkldnn_f32, mkldnn_f32, mkldnn_s8, mkldnn_u8, mkldnn_s32});
    const auto from = s_.memory(describe(dims, image_format(), formats().nchw));
    const auto to = s_.memory(describe(dims, image_format(), formats().nchw, type));
    Attr attr;
    if (one_in(4)) attr.post(PostOps().sum(of({1.0f, 0.5f})));
    if (one_in(3)) add_scales(&attr);
    s_.run(noted(s_.reorder(from, to, attr)));
  }

  // For an output whose layout is given or not.
  template <class Create>
  void run_many(const Dims &dims, int format, const Create &create) {
    const auto output = image(dims, of({format, image_format(), int{kAnyFormat}}));
    s_.run(noted(create(one_in(2) ? &output : nullptr)));
  }

  void sum() {
    const Dims dims = {1 + below(2), of({3, 8, 16}), 3 + below(3), 4};
    const int format = image_format(), n = 1 + below(4);
    std::vector<Session::Source> inputs;
    std::vector<float> scales;
    for (int i = 0; i < n; ++i) {
      inputs.push_back(s_.memory(image(dims, one_in(6) ? image_format() : format)));
      scales.push_back(of({1.0f, 1.0f, 0.5f, -2.0f}));
    }
    run_many(dims, format, [&](const auto *output) { return s_.sum(output, scales, inputs); });
  }

  void concat() {
    const int n = 1 + below(4), dimension = one_in(2) ? 1 : below(4), format = image_format();
    const Dims base = {2, of({8, 16}), 3, 4};
    std::vector<Session::Source> inputs;
    Dims whole = base;
    whole[static_cast<size_t>(dimension)] = 0;
    for (int i = 0; i < n; ++i) {
      Dims dims = base;
      Dim &varied = dims[static_cast<size_t>(dimension)];
      varied = dimension == 1 ? of({8, 16, 3}) : 1 + below(3);
      whole[static_cast<size_t>(dimension)] += varied;
      inputs.push_back(s_.memory(image(dims, one_in(6) ? image_format() : format)));
    }
    run_many(whole, format,
             [&](const auto *output) { return s_.concat(output, dimension, inputs); });
  }

  // A part of a memory, reordered; that part's layout differs from another's in an offset only.
  void view() {
    const int part = 8 * below(2);
    const auto whole = image({2, 16, 4, 4}, of({formats().nchw, formats().nChw8c}));
    const Dim dims[] = {2, 8, 4, 4}, offsets[] = {0, part, 0, 0};
#ifdef API1
    mkldnn_memory_desc_t from;
    if (!ok(OPERATION_SOME(mkldnn_memory_desc_init_submemory)(&from, &whole, dims, offsets)))
      return;
    const size_t bytes = mkldnn_memory_desc_get_size(&whole);
#else
    const auto parent = s_.memory(whole);
    mkldnn_primitive_desc_t view = nullptr;
    if (!ok(mkldnn_view_primitive_desc_create(&view, parent, dims, offsets))) return;
    const auto from = s_.api().primitive_desc_query_pd(view, mkldnn_query_dst_pd, 0);
    const size_t bytes = mkldnn_memory_primitive_desc_get_size(parent);
#endif
    const auto to = s_.memory(image({2, 8, 4, 4}, image_format()));
    const auto pd = noted(s_.reorder(from, to));
    // The part's data begin where the whole's do.
    if (s_.status() == mkldnn_success) s_.run(pd, {{kSource, s_.new_buffer(bytes, true)}});
#ifndef API1
    s_.api().primitive_desc_destroy(view);
#endif
  }

  Session &s_;
  std::mt19937_64 random_;
  const uint64_t varied_;  // which choice is another than the number's family makes; 0: none
  uint64_t choices_ = 0;
  const bool aloud_;
  std::string text_;
};

// Makes and runs the case; what it asked and was told, apart from the session's status and bits.
// Begins with the kind's name.
// `aloud`: tells each thing on stderr before the next, for who looks for what ends the process.
inline std::string run_case(Session *session, uint64_t number, bool aloud) {
  return Case(session, number, aloud).run();
}

}  // namespace fuzz
